"""The status of policies under a real operator, and that it is written once."""

import time

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, later, policy, rule, settings
from unit.operator.cases import condition

BROKEN = rule(conditions=[{"name": "big", "expression": "context.count >"}])


def ready(admin: Rest, body: Object, reason: str) -> Object:
    """Wait until the policy says this reason, and return it."""
    return admin.wait(
        body,
        lambda answer: condition(answer.body.get("status") or {"conditions": []}, "Ready").get("reason") == reason,
        10,
    ).body


def test_a_policy_is_accepted_ready_and_has_a_digest(operator: Operator, callers: Callers, namespace: str) -> None:
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings())))
    status = ready(callers.admin, body, "Enforced")["status"]
    assert condition(status, "Accepted")["status"] == "True"
    assert condition(status, "Ready")["status"] == "True"
    assert status["digest"].startswith("sha256:")
    assert status["observedGeneration"] == 1


def test_what_does_not_compile_says_where(operator: Operator, callers: Callers, namespace: str) -> None:
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings(), rules=[BROKEN])))
    status = ready(callers.admin, body, "InvalidPolicy")["status"]
    assert condition(status, "Accepted")["message"].startswith("spec.rules[0].conditions[0].expression:1:")


def test_what_is_mended_is_accepted(operator: Operator, callers: Callers, namespace: str) -> None:
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings(), rules=[BROKEN])))
    ready(callers.admin, body, "InvalidPolicy")
    accepted(callers.admin.patch(body, {"spec": {"rules": [rule()]}}))
    assert ready(callers.admin, body, "Enforced")["status"]["observedGeneration"] == 2


def test_siblings_say_of_each_other(operator: Operator, callers: Callers, namespace: str) -> None:
    admin = callers.admin
    first = accepted(admin.create(policy(namespace, "first")))
    ready(admin, first, "EndpointUnconfigured")
    second = accepted(admin.create(policy(namespace, "second", endpointSettings=settings())))
    ready(admin, first, "Enforced")
    third = accepted(admin.create(policy(namespace, "third", endpointSettings=settings())))
    for body in (first, second, third):
        ready(admin, body, "Conflicted")
    accepted(admin.delete(third))
    for body in (first, second):
        ready(admin, body, "Enforced")
    accepted(admin.delete(second))
    ready(admin, first, "EndpointUnconfigured")


@pytest.mark.long
def test_an_expiry_is_told_when_it_comes(operator: Operator, callers: Callers, namespace: str) -> None:
    body = policy(namespace, endpointSettings=settings(), expireTime=later(seconds=6))
    ready(callers.admin, accepted(callers.admin.create(body)), "Enforced")
    ready(callers.admin, body, "Expired")


class TestNothingIsWrittenTwice:
    @pytest.mark.long
    def test_when_a_label_changes(self, operator: Operator, callers: Callers, namespace: str) -> None:
        body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings())))
        ready(callers.admin, body, "Enforced")
        touched = accepted(callers.admin.patch(body, {"metadata": {"labels": {"touched": "yes"}}}))
        time.sleep(2)
        after = accepted(callers.admin.get(body))
        assert after["metadata"]["resourceVersion"] == touched["metadata"]["resourceVersion"]

    @pytest.mark.long
    def test_when_the_operator_starts_anew(
        self,
        operator: Operator,
        new_operator: NewOperator,
        callers: Callers,
        installed: Installation,
        namespace: str,
        grants: Grants,
    ) -> None:
        accepted(callers.admin.create(policy(namespace, endpointSettings=settings())))
        accepted(callers.admin.create(policy(namespace, "broken", rules=[BROKEN])))
        # The one with the settings is the last that a list brings.
        last = policy(namespace, "z-last", endpoint="other", endpointSettings=settings())
        for body in (policy(namespace, "a-first", endpoint="other"), last):
            accepted(callers.admin.create(body))
        ready(callers.admin, policy(namespace, "a-first"), "Enforced")
        grants.approved()
        grants.await_phase(grants.open(), "Pending")
        ready(callers.admin, policy(namespace, "broken"), "InvalidPolicy")
        before = self._versions(callers.admin, namespace)
        assert operator.stop() == 0
        with new_operator("--relist-interval", "1") as another:
            another.await_said("the guards over grants are proven to be in force")
            time.sleep(3)
            assert self._versions(callers.admin, namespace) == before
            assert another.said("grant") == []
        operator.start().await_leading()

    @staticmethod
    def _versions(admin: Rest, namespace: str) -> dict[str, str]:
        return {
            item["metadata"]["uid"]: item["metadata"]["resourceVersion"]
            for plural in ("endpointpolicies", "approvalgrants")
            for item in accepted(admin.get(f"/apis/bailiwick.dev/v1alpha1/namespaces/{namespace}/{plural}"))["items"]
        }


def test_a_policy_carries_no_trace_of_the_framework(operator: Operator, callers: Callers, namespace: str) -> None:
    body = accepted(callers.admin.create(policy(namespace, endpointSettings=settings())))
    metadata = ready(callers.admin, body, "Enforced")["metadata"]
    assert "annotations" not in metadata
    assert "finalizers" not in metadata
