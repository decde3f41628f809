"""What a denial is remembered by: which calls are the same request, and which are another."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.cooldown import request_digest
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import Object, gated_rule
from unit.engine.cases import CALL, approved, approving, at, gate_of, governed, read, verdict_of, with_context

pytestmark = pytest.mark.invariant(13, 19)
DENIED_AT: Final = -20.0
READS: Final = [{"name": "small", "expression": "context.args.amount < 100 && context.team != 'x'"}]
BASE: Final[Object] = {"args": {"amount": 5, "note": "a"}, "team": "crm", "trace": "1"}
CASES: Final[dict[str, tuple[Object, Object, bool]]] = {
    "a member that nothing reads": ({}, {**BASE, "trace": "2"}, True),
    "a new member": ({}, {**BASE, "nonce": "1"}, True),
    "a member that is left out": ({}, {"args": BASE["args"], "team": "crm"}, True),
    "a member that a condition reads": ({}, {**BASE, "team": "erp"}, False),
    "an argument that a condition reads": ({}, {**BASE, "args": {"amount": 6, "note": "a"}}, False),
    "any argument, while all are shown": ({}, {**BASE, "args": {"amount": 5, "note": "b"}}, False),
    "an argument that is not shown": ({"show": ["/context/trace"]}, {**BASE, "args": {"amount": 5, "note": "b"}}, True),
    "a member that is shown": ({"show": ["/context/trace"]}, {**BASE, "trace": "2"}, False),
    "a member that is required": ({"requiredContext": ["trace"]}, {**BASE, "trace": "2"}, False),
    "an intent that no rule lists": ({}, {**BASE, "intent": "audit"}, True),
}


def gated(**approval: object) -> Snapshot:
    rule = gated_rule(conditions=READS)
    return governed({**rule, "approval": {**rule["approval"], **approval}})


def after_a_denial(on: Snapshot, denied: Call, call: Call, since: float = DENIED_AT) -> Verdict:
    """Decide on a call after a reviewer denied another one."""
    conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(since), "reason": "Denied"}]
    return verdict_of(on, call, [read(approved(on, denied, phase="Denied", conditions=conditions))])


@pytest.mark.parametrize("case", CASES)
def test_what_is_neither_read_nor_shown_makes_no_other_request(case: str) -> None:
    approval, context, same = CASES[case]
    on = gated(**approval)
    verdict = after_a_denial(on, with_context(**BASE), with_context(**context))
    assert verdict.requestable is not same
    assert verdict.reason is (Reason.APPROVAL_DENIED if same else Reason.APPROVAL_REQUIRED)


def test_it_is_over_when_its_time_is() -> None:
    on = gated()
    verdict = after_a_denial(on, with_context(**BASE), with_context(**BASE, nonce="1"), since=-900.0)
    assert (verdict.reason, verdict.requestable) == (Reason.APPROVAL_REQUIRED, True)


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, resource=Resource("customer", "43")),
        replace(CALL, subject=Party("serviceAccount", "another", "agent-uid")),
        replace(CALL, action=Action("customers.export", {"format": "csv"})),
        replace(CALL, resource=Resource("customer", "42", {"tier": "gold"})),
    ],
)
def test_another_resource_subject_or_property_is_another_request(other: Call) -> None:
    on = approving()
    assert after_a_denial(on, CALL, CALL).requestable is False
    conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(DENIED_AT), "reason": "Denied"}]
    denied = read(approved(on, CALL, phase="Denied", conditions=conditions))
    assert verdict_of(on, other, [denied]).cools_until is None


def test_an_intent_counts_where_the_rule_lists_intents() -> None:
    on = governed(gated_rule(intents=["audit", "repair"]))
    audit, repair = with_context(intent="audit"), with_context(intent="repair")
    assert after_a_denial(on, audit, audit).requestable is False
    assert after_a_denial(on, audit, repair).requestable is True


def test_of_a_scope_the_intent_does_not_count_where_no_rule_lists_any() -> None:
    on = approving(binding="Scope")
    verdict = after_a_denial(on, with_context(intent="audit"), with_context(intent="repair", nonce="1"))
    assert (verdict.reason, verdict.requestable) == (Reason.APPROVAL_DENIED, False)


def test_a_grant_of_an_earlier_release_is_remembered_by_its_digest() -> None:
    on = gated()
    conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(DENIED_AT), "reason": "Denied"}]
    raw: Any = approved(on, with_context(**BASE), phase="Denied", conditions=conditions)
    del raw["spec"]["request"]["binding"]["request"]
    assert verdict_of(on, with_context(**BASE), [read(raw)]).requestable is False
    assert verdict_of(on, with_context(**BASE, nonce="1"), [read(raw)]).requestable is True


def test_absent_and_null_differ() -> None:
    on = gated(show=["/context/trace"])
    gate = gate_of(on, with_context(**BASE))
    subject = CALL.subject
    assert isinstance(subject, Party)
    absent: Object = {"args": {"amount": 1}, "team": "crm"}
    contexts = [absent, *({**absent, "trace": value} for value in (None, [], ["=", None]))]
    digests = {request_digest(with_context(**context), subject, gate) for context in contexts}
    assert len(digests) == len(contexts)
