"""A candidate in a cluster: it is told that it stands, every decision point judges it, and a grant opens it as well."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from support.installation import accepted
from support.objects import Object, policy, rule, settings, subject
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

NEXT: Final = "crm-agent-next"


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    """A tenant whose candidate lets no list be read, and all else be as it is."""
    made = tenants.make("shadows")
    rules = [rule("read", effect="Deny", actions=["customers.list"]), *RULES[1:]]
    accepted(made.callers.admin.create(candidate(made, NEXT, rules=rules)))
    until(lambda: shadowing(made, NEXT)["status"] == "True", "it stands in its place")
    return made


def candidate(tenant: Tenant, name: str, replaces: str = "crm-agent", **spec: object) -> Object:
    namespace = tenant.namespace
    given: dict[str, Any] = {
        "endpointSettings": settings(namespace, "api"),
        "subjects": [subject(namespace=namespace, account="agent")],
        "mode": "Audit",
        "replaces": replaces,
        **spec,
    }
    return policy(namespace, name, **given)


def shadowing(tenant: Tenant, name: str) -> Object:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/{name}"
    conditions = accepted(tenant.callers.admin.get(path)).get("status", {}).get("conditions", ())
    found: Object = next((one for one in conditions if one["type"] == "Shadowing"), {"status": "", "reason": ""})
    return found


def lines(pdp: Bailiwick, evaluation_id: str) -> list[Object]:
    """Return what is recorded of a decision, by all decision points."""
    written = [line for point in pdp.points for line in Path(point.records).read_bytes().splitlines()]
    return [json.loads(line) for line in written if evaluation_id.encode() in line]


def met(pdp: Bailiwick, tenant: Tenant, live: str, shadow: str) -> float:
    """Return how often the first decision point counted that these met at the tenant's endpoints."""
    text = requests.get(f"{pdp.points[0].status_url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "bailiwick_shadow_total"
        and sample.labels["endpoint"].startswith(f"{tenant.namespace}/")
        and (sample.labels["live"], sample.labels["shadow"]) == (live, shadow)
    )


def test_every_decision_point_judges_it_behind_its_answer(pdp: Bailiwick, tenant: Tenant) -> None:
    for point in range(len(tenant.points)):
        said = tenant.ask("customers.list", point=point)
        assert (said.decision, said.reason) == (True, "allowed")
        evaluation_id = said.context["evaluation_id"]
        until(lambda: len(lines(pdp, evaluation_id)) == 2, "the difference is on record", 10)  # noqa: B023 - asked at once
        decided, told = lines(pdp, evaluation_id)
        assert (decided["kind"], told["kind"], decided["log"]["id"]) == ("evaluation", "shadow", told["log"]["id"])
        assert list(decided["policies"]) == ["crm-agent"]
        assert (told["shadow"]["policy"], told["shadow"]["verdict"]) == (NEXT, "deny")


def test_a_grant_of_an_unchanged_rule_opens_it_too_and_is_used_once(pdp: Bailiwick, tenant: Tenant) -> None:
    approved = tenant.approved("customers.export", "once")
    before = met(pdp, tenant, "allow", "allow")
    said = tenant.ask("customers.export", "once")
    assert said.decision is True
    # Decided after it, and a difference: by then it is certain that the export was none.
    later = tenant.ask("customers.list").context["evaluation_id"]
    until(lambda: len(lines(pdp, later)) == 2, "the difference is on record", 10)
    assert [one["kind"] for one in lines(pdp, said.context["evaluation_id"])] == ["evaluation"]
    assert tenant.uses(approved) == 1
    # It was decided again, and came to the same.
    assert met(pdp, tenant, "allow", "allow") == before + 1


def test_it_is_told_why_it_stands_nowhere(tenant: Tenant) -> None:
    accepted(tenant.callers.admin.create(candidate(tenant, "lost", "nobody")))
    until(lambda: shadowing(tenant, "lost")["reason"] == "ReplacedNotFound", "it is told so")
    accepted(tenant.callers.admin.create(policy(tenant.namespace, "billing", endpoint="billing")))
    accepted(tenant.callers.admin.create(candidate(tenant, "astray", "billing")))
    until(lambda: shadowing(tenant, "astray")["reason"] == "ReplacedOnOtherEndpoint", "it is told so")


def test_a_second_candidate_ends_both_until_one_is_gone(tenant: Tenant) -> None:
    rival = candidate(tenant, "rival")
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/rival"
    accepted(tenant.callers.admin.create(rival))
    for name in (NEXT, "rival"):
        until(lambda: shadowing(tenant, name)["reason"] == "SeveralCandidates", "both are told so")  # noqa: B023 - asked at once
    accepted(tenant.callers.admin.delete(path))
    until(lambda: shadowing(tenant, NEXT)["status"] == "True", "the other stands again")
