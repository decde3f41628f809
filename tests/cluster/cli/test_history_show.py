"""`history show` reads what decision points counted, as the person who calls it."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_api.kinds.meta import ENDPOINT_HISTORIES, GROUP
from support.commandline import Ran
from support.namespaces import Roles
from support.objects import ENDPOINT, rule
from support.pdp.tenant import OWNERS, Tenant, Tenants

Cli = Callable[..., Ran]
EXPORTS: Final = {"name": "exports", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.export"]}}
ALL: Final = {"name": "everything", "key": [], "window": "31d", "counts": {"actions": ["customers.export"]}}


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    """A tenant whose agent has exported twice, and whose owners can read policies."""
    rules = [rule("read", actions=["customers.list"]), rule("export", actions=["customers.export"])]
    tenant = tenants.make("history-show", rules, [EXPORTS, ALL])
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", f"group:{OWNERS}")
    for _ in range(2):
        assert tenant.ask("customers.export").decision
    return tenant


def test_a_key_shows_what_the_decision_points_counted(tenant: Tenant, cli: Cli) -> None:
    ran = cli("admin", "history", "show", f"agent=sa:{tenant.namespace}/agent", "-o", "json")
    assert ran.code == 0, ran
    (found,) = json.loads(ran.out)["objects"]
    (exports,) = found["histories"]
    assert (exports["name"], exports["count"], exports["sum"], found["seq"]) == ("exports", 2, None, 2)
    assert found["since"] is not None
    table = cli("admin", "history", "show", f"agent=sa:{tenant.namespace}/agent", "--endpoint", ENDPOINT)
    assert "exports" in table.out
    assert found["object"] in table.out


def test_a_history_without_a_key_needs_no_value(cli: Cli) -> None:
    (found,) = json.loads(cli("admin", "history", "show", "-o", "json").out)["objects"]
    assert [(one["name"], one["count"]) for one in found["histories"]] == [("everything", 2)]


def test_a_key_that_was_never_counted_shows_nothing(tenant: Tenant, cli: Cli) -> None:
    ran = cli("admin", "history", "show", f"agent=sa:{tenant.namespace}/stranger", "-o", "json")
    (found,) = json.loads(ran.out)["objects"]
    assert (ran.code, found["seq"], found["since"], found["histories"][0]["count"]) == (0, 0, None, 0)


def test_all_keys_are_listed(cli: Cli) -> None:
    ran = cli("admin", "history", "show", "--all", "-o", "json")
    found = json.loads(ran.out)["objects"]
    assert sorted((one["name"], one["count"]) for each in found for one in each["histories"]) == [
        ("everything", 2),
        ("exports", 2),
    ]


@pytest.mark.parametrize(("arguments", "verb"), [((), "get"), (("--all",), "list")])
def test_who_may_not_read_is_told_which_right_is_missing(cli: Cli, arguments: tuple[str, ...], verb: str) -> None:
    ran = cli("carol", "history", "show", *arguments)
    assert ran.code == 2
    assert f"ask for a Role with the verb {verb} on {ENDPOINT_HISTORIES}.{GROUP}" in ran.err


def test_a_key_of_no_history_is_refused(cli: Cli) -> None:
    ran = cli("admin", "history", "show", "action=customers.export")
    assert ran.code == 2
    assert "no history of crm-api has the key action: agent=VALUE or no part" in ran.err
