"""Policies as they are served: a broken one denies its own and nobody else, and says where it is broken."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from support.installation import accepted
from support.objects import Object, policy, rule, settings, subject
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

REPLICAS: Final = 3
BROKEN: Final = {"name": "typed", "expression": "resource.id ==\n  subject.idd && ("}


def test_a_policy_that_does_not_compile_says_where_and_denies_its_own_subjects_on_its_own_endpoint(
    tenants: Tenants,
) -> None:
    tenant = tenants.make("broken")
    tenants.account(tenant.namespace, "other")
    _write(tenant, "others", subjects=[subject("other", tenant.namespace, "other")], rules=[_read("other")])
    _write(
        tenant,
        "elsewhere",
        endpoint="other-api",
        endpointSettings=settings(tenant.namespace, "api"),
        subjects=[subject(namespace=tenant.namespace, account="agent")],
    )
    until(lambda: _as(tenant, "other").decision, "the other policy is served")
    tenant.change_policy({"rules": [rule("read", conditions=[BROKEN]), *RULES[1:]]})
    condition = _await_condition(tenant, "crm-agent", "False")
    assert "spec.rules[0].conditions[0].expression:2:" in condition["message"]
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).reason == "policy_invalid", "it is denied")  # noqa: B023 - asked at once
        assert tenant.ask("customers.export", point=point).reason == "policy_invalid"
        assert _as(tenant, "other", point=point).decision is True
        assert _elsewhere(tenant, point).decision is True
    tenant.change_policy({"rules": list(RULES)})
    _await_condition(tenant, "crm-agent", "True")
    until(lambda: tenant.ask("customers.list").decision, "it is allowed again")


def test_ab_23_one_broken_policy_among_two_hundred_denies_only_its_own(tenants: Tenants) -> None:
    tenant = tenants.make("two-hundred")
    names = [f"s{number}" for number in range(200)]

    def write(name: str) -> None:
        rules = [_read(name, conditions=[BROKEN] if name == "s77" else [])]
        _write(tenant, name, subjects=[subject(name, tenant.namespace, name)], rules=rules)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, names))
    asked = ("s0", "s76", "s77", "s78", "s199")
    for name in asked:
        tenants.account(tenant.namespace, name)
    until(lambda: _as(tenant, "s77").reason == "policy_invalid", "the broken policy is served")
    until(lambda: _as(tenant, "s199").decision, "the last policy is served")
    assert [(name, _as(tenant, name).decision) for name in asked] == [(name, name != "s77") for name in asked]
    assert tenant.ask("customers.list").decision is True


def test_a_change_and_a_deletion_are_felt_by_every_replica(tenants: Tenants) -> None:
    tenant = tenants.make("felt")
    tenant.change_policy({"suspend": True})
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).reason == "policy_suspended", "it is suspended", 5)  # noqa: B023 - asked at once
    accepted(tenant.callers.admin.delete(_path(tenant, "crm-agent")))
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).status == 403, "it is gone", 5)  # noqa: B023 - asked at once


def test_ab_20_a_policy_that_a_finalizer_holds_gives_nothing_from_its_deletion_on(tenants: Tenants) -> None:
    tenant = tenants.make("held")
    path, held = _path(tenant, "crm-agent"), {"metadata": {"finalizers": ["tests.bailiwick.dev/holds"]}}
    accepted(tenant.callers.admin.patch(path, held, "merge"))
    until(lambda: tenant.ask("customers.list").decision, "it is served")
    try:
        accepted(tenant.callers.admin.delete(path))
        for point in range(REPLICAS):
            until(lambda: tenant.ask("customers.list", point=point).reason == "policy_suspended", "it is felt", 5)  # noqa: B023 - asked at once
            assert tenant.ask("customers.export", point=point).reason == "policy_suspended"
            assert tenant.ask("customers.purge", point=point).reason == "policy_denied"
        assert _await_condition(tenant, "crm-agent", "True")["reason"] == "Compiled"
    finally:
        accepted(tenant.callers.admin.patch(path, {"metadata": {"finalizers": None}}, "merge"))
    # Its settings go with it, and nobody may ask any more.
    until(lambda: tenant.ask("customers.list").status == 403, "it is gone", 5)


def test_two_policies_with_settings_deny_the_endpoint(tenants: Tenants) -> None:
    tenant = tenants.make("conflicted")
    _write(
        tenant,
        "second",
        endpointSettings=settings(tenant.namespace, "stranger"),
        subjects=[subject(namespace=tenant.namespace, account="agent")],
    )
    until(lambda: tenant.ask("customers.list").reason == "policy_invalid", "both are refused")
    accepted(tenant.callers.admin.delete(_path(tenant, "second")))
    until(lambda: tenant.ask("customers.list").decision, "the conflict is over")


@pytest.mark.parametrize("changes", [20])
def test_ab_22_after_many_quick_changes_the_last_one_stands_everywhere(tenants: Tenants, changes: int) -> None:
    tenant = tenants.make("quick")
    for number in range(changes):
        tenant.change_policy({"suspend": number % 2 == 0})
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).decision, "the last change stands", 5)  # noqa: B023 - asked at once
    time.sleep(0.5)
    assert [tenant.ask("customers.list", point=point).decision for point in range(REPLICAS)] == [True] * REPLICAS


def test_ab_22_a_policy_that_was_widened_and_narrowed_again_is_narrow_everywhere(tenants: Tenants) -> None:
    tenant = tenants.make("widened")
    wide = [*RULES[1:], rule("read", actions=["customers.list", "customers.erase-all"])]
    last = {"rules": [*RULES[1:], rule("read", actions=["customers.list", "customers.last"])]}
    for _ in range(5):
        tenant.change_policy({"rules": wide})
        tenant.change_policy({"rules": list(RULES)})
    tenant.change_policy({"rules": wide})
    tenant.change_policy(last)
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.last", point=point).decision, "the last change is served", 5)  # noqa: B023 - asked at once
    # Nothing older is served once the last one is.
    for _ in range(3):
        answers = [tenant.ask("customers.erase-all", point=point) for point in range(REPLICAS)]
        assert {answer.reason for answer in answers} == {"no_rule"}


def test_the_answer_names_policy_rule_and_snapshot(tenant: Tenant, pdp: Bailiwick) -> None:
    stored = accepted(tenant.callers.admin.get(_path(tenant, "crm-agent")))

    def told() -> bool:
        # Until the operator has seen it there is no status at all.
        return "digest" in accepted(tenant.callers.admin.get(_path(tenant, "crm-agent"))).get("status", {})

    until(told, "the digest")
    digest = accepted(tenant.callers.admin.get(_path(tenant, "crm-agent")))["status"]["digest"]
    for point in range(REPLICAS):
        context = tenant.ask("customers.list", point=point).context
        assert context["policy"] == {
            "namespace": tenant.namespace,
            "name": "crm-agent",
            "uid": stored["metadata"]["uid"],
            "generation": 1,
            "digest": digest,
            "rule": "read",
        }
        assert (
            {"revision", "age_seconds"} <= context["snapshot"].keys() <= {"revision", "age_seconds", "pending_seconds"}
        )


def _path(tenant: Tenant, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/{name}"


def _write(tenant: Tenant, name: str, **spec: object) -> None:
    written = policy(tenant.namespace, name)
    written["spec"] |= spec
    accepted(tenant.callers.admin.create(written))


def _read(name: str, **fields: object) -> Object:
    return rule("read", subjects=[name], **fields)


def _await_condition(tenant: Tenant, name: str, status: str) -> Object:
    def found() -> Object | None:
        stored = accepted(tenant.callers.admin.get(_path(tenant, name)))
        conditions: list[Object] = stored.get("status", {}).get("conditions", [])
        current = (
            entry
            for entry in conditions
            if entry["type"] == "Accepted" and entry["observedGeneration"] == stored["metadata"]["generation"]
        )
        return next((entry for entry in current if entry["status"] == status), None)

    until(found, f"{name} is Accepted={status}")
    condition = found()
    assert condition is not None
    return condition


def _as(tenant: Tenant, account: str, point: int = 0) -> questions.Said:
    token = tenant.token(account, tenant.audience)
    body = questions.evaluation(tenant.account(account), "customers.list", token=token)
    return questions.post(tenant.url(point=point), body, tenant.pep)


def _elsewhere(tenant: Tenant, point: int) -> questions.Said:
    token = tenant.token("agent", f"other-api.{tenant.namespace}")
    body = questions.evaluation(tenant.agent, "customers.list", token=token)
    return questions.post(tenant.url(point=point, endpoint="other-api"), body, tenant.pep)
