"""A policy that is being deleted while a finalizer holds it gives nothing any more, at once (AB-20)."""

from collections.abc import Iterator

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy, Effect
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, gated_rule, policy, rule, settings
from unit.operator.cases import condition

pytestmark = pytest.mark.long

HOLDING = "tests.bailiwick.dev/holds"
DENY = rule("never", effect="Deny", actions=["customers.delete"])


@pytest.fixture
def held(callers: Callers, installed: Installation, namespace: str) -> Iterator[Object]:
    """A policy that somebody's finalizer holds."""
    body = policy(namespace, endpointSettings=settings(), rules=[rule(), gated_rule(), DENY])
    body["metadata"]["finalizers"] = [HOLDING]
    yield accepted(callers.admin.create(body))
    callers.admin.patch(body, {"metadata": {"finalizers": None}}, "merge")


def test_it_is_another_generation_and_compiles_to_what_is_suspended(callers: Callers, held: Object) -> None:
    accepted(callers.admin.delete(held))
    stored = accepted(callers.admin.get(held))
    assert "deletionTimestamp" in stored["metadata"]
    # So that nobody takes it for old news.
    assert stored["metadata"]["generation"] == held["metadata"]["generation"] + 1
    compiled = compile_object(stored)
    assert isinstance(compiled, CompiledPolicy)
    assert compiled.settings is not None
    assert {rule.name: rule.suspended for rule in compiled.rules} == {"read": True, "export": True, "never": False}
    assert {rule.effect for rule in compiled.rules} == set(Effect)


def test_its_status_says_so(operator: Operator, callers: Callers, held: Object) -> None:
    def ready(body: Object) -> Object:
        return condition(body.get("status") or {"conditions": []}, "Ready")

    callers.admin.wait(held, lambda answer: ready(answer.body).get("reason") == "Enforced", 10)
    accepted(callers.admin.delete(held))
    found = callers.admin.wait(held, lambda answer: ready(answer.body).get("reason") == "Deleting", 10).body
    assert ready(found)["status"] == "False"
    assert condition(found["status"], "Accepted")["status"] == "True"
