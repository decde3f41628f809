"""`unused --live` and `suggest --live`: the log of a real decision point against what is in force in a namespace."""

import json
from collections.abc import Callable

import pytest

from support.commandline import Ran
from support.namespaces import Roles
from support.pdp.processes import Bailiwick
from support.pdp.tenant import OWNERS, Tenant


@pytest.fixture(scope="module")
def logs(pdp: Bailiwick, tenant: Tenant) -> list[str]:
    """The records of all decision points, of which one let a call through."""
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")
    assert tenant.ask("customers.list").decision is True
    # Of other tests there are decision points that never came to a record.
    return [str(point.records) for point in pdp.stack.decision_points if point.records.exists()]


def test_what_nobody_used_is_told_of_the_rules_of_the_namespace_alone(
    tenant: Tenant, cli: Callable[..., Ran], logs: list[str]
) -> None:
    ran = cli("carol", "unused", *logs, "--live", "--window", "1h", "-o", "json")
    assert ran.code in {0, 1}, ran
    told = json.loads(ran.out)["scopes"]
    assert {one["namespace"] for one in told} == {tenant.namespace}
    (read,) = (one for one in told if one["rule"] == "read")
    assert (read["state"], read["uses"] >= 1) == ("Used", True), read


def test_nothing_is_suggested_from_a_log_that_is_younger_than_the_window(
    cli: Callable[..., Ran], logs: list[str]
) -> None:
    ran = cli("carol", "suggest", *logs, "--live", "-o", "json")
    assert (ran.code, json.loads(ran.out)["suggestions"]) == (0, []), ran


@pytest.mark.parametrize("verb", ["unused", "suggest"])
def test_whoever_may_not_see_the_policies_is_told_so(cli: Callable[..., Ran], logs: list[str], verb: str) -> None:
    ran = cli("mallory", verb, *logs, "--live")
    assert (ran.code, ran.out, "forbidden" in ran.err.lower()) == (2, "", True), ran
