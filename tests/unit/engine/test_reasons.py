"""Every reason that the engine can give is given in these tests, and says what to do."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

import bailiwick_engine
from bailiwick_engine.call import ShownApproval, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.histories import Amount
from bailiwick_engine.reasonrow import Disposition, ReasonState
from bailiwick_engine.reasons import EXPLAINED, Reason, reasons_of
from bailiwick_engine.revocations import PartyRevocation, Revocations
from support.histories import history
from support.objects import AGENT, Object, gated_rule, rule, subject
from unit.engine.cases import (
    CALL,
    NOW,
    THE_AGENT,
    active,
    approved,
    approving,
    asked,
    at,
    carrier,
    counted,
    governed,
    read,
    snapshot,
    stored,
    verdict_of,
    with_context,
)

# Those of the steps after the decision: the live read, the record.
OF_THE_DECISION_POINT: Final = {Reason.APPROVAL_THROTTLED, Reason.RECORD_FAILED}
# Those that a subject brings along who is not proven.
OF_THE_IDENTITY: Final = {
    Reason.IDENTITY_INVALID,
    Reason.IDENTITY_RESERVED,
    Reason.IDENTITY_UNVERIFIABLE,
    Reason.AUDIENCE_MISMATCH,
    Reason.POSSESSION_UNPROVEN,
    Reason.TOKEN_LIFETIME_EXCEEDED,
    Reason.DELEGATION_INVALID,
    Reason.ACTOR_MISMATCH,
    Reason.ACTOR_UNNAMED,
}

GATED: Final = governed(gated_rule())
BY_TOKEN: Final = approving(presentation="Token")
APPROVED_IMAGE: Final = {"imageDigests": ["sha256:" + "a" * 64]}


def delegating() -> Object:
    """Return a carrier under whose ceiling the call does not fit."""
    entry = {"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}
    policy = carrier()
    policy["spec"]["endpointSettings"]["delegation"] = {"maxDepth": 1, "principals": ["agent"], "ceiling": [entry]}
    return policy


def ruled(**fields: object) -> Verdict:
    return verdict_of(governed({**rule(actions=["customers.export"]), **fields}))


def granted(raw: Object) -> Verdict:
    return verdict_of(GATED, grants=[read(raw)])


def ended(phase: str) -> Verdict:
    return granted(approved(GATED, phase=phase))


def unproven(reason: Reason) -> Callable[[], Verdict]:
    return lambda: verdict_of(GATED, msgspec.structs.replace(CALL, subject=UnprovenParty(reason)))


def taken_back(username: str) -> Revocations:
    revocations = Revocations()
    revocations.put(PartyRevocation("r-one", CLUSTER, (("sub", username),), NOW, hold=False, as_of=NOW, until=NOW))
    return revocations


def condition(text: str) -> list[Object]:
    return [{"name": "c", "expression": text}]


WAYS: Final[dict[Reason, Callable[[], Verdict]]] = {
    Reason.ALLOWED: ruled,
    Reason.POLICY_DENIED: lambda: ruled(effect="Deny"),
    Reason.NO_RULE: lambda: ruled(actions=["customers.list"]),
    Reason.CONDITION_FALSE: lambda: ruled(conditions=condition("false")),
    Reason.CONDITION_ERROR: lambda: ruled(conditions=condition("1 / 0 == 1")),
    Reason.TOO_COSTLY: lambda: verdict_of(
        governed(rule(actions=["customers.export"], conditions=condition("context.l.map(i, i) == []"))),
        with_context(l=[0] * 1_000),
    ),
    Reason.INTENT_MISMATCH: lambda: ruled(intents=["support"]),
    Reason.EXPIRED: lambda: ruled(expireTime=at(0)),
    Reason.POLICY_SUSPENDED: lambda: verdict_of(governed(gated_rule(), suspend=True)),
    Reason.POLICY_INVALID: lambda: verdict_of(snapshot(carrier(), stored("broken"))),
    Reason.POLICY_OUTDATED: lambda: verdict_of(
        governed(rule(actions=["customers.export"])), around=Circumstances(now=NOW, outdated=True)
    ),
    Reason.ENDPOINT_UNCONFIGURED: lambda: verdict_of(
        snapshot(stored("one", rule())), msgspec.structs.replace(CALL, caller=THE_AGENT)
    ),
    **{reason: unproven(reason) for reason in OF_THE_IDENTITY},
    Reason.IDENTITY_REVOKED: lambda: verdict_of(GATED, around=Circumstances(now=NOW, revocations=taken_back(AGENT))),
    Reason.WORKLOAD_UNAPPROVED: lambda: verdict_of(
        governed(rule(actions=["customers.export"]), subjects=[{**subject(), "workload": APPROVED_IMAGE}])
    ),
    Reason.SCOPE_EXCEEDED: lambda: verdict_of(
        snapshot(delegating(), stored("one", rule(actions=["customers.export"]))),
        msgspec.structs.replace(CALL, actors=(CALL.subject,)),
    ),
    Reason.APPROVAL_REQUIRED: lambda: verdict_of(GATED),
    Reason.APPROVAL_PENDING: lambda: granted(asked(GATED)),
    Reason.APPROVAL_DENIED: lambda: ended("Denied"),
    Reason.APPROVAL_REVOKED: lambda: ended("Revoked"),
    Reason.APPROVAL_EXPIRED: lambda: ended("Lapsed"),
    Reason.APPROVAL_CONSUMED: lambda: ended("Consumed"),
    Reason.APPROVAL_UNVERIFIABLE: lambda: granted(active(asked(GATED))),
    Reason.MULTIPLE_GATES: lambda: verdict_of(
        snapshot(carrier(), *(stored(f"p{number}", gated_rule()) for number in range(5)))
    ),
    Reason.APPROVAL_TOKEN_REQUIRED: lambda: verdict_of(BY_TOKEN, grants=[read(approved(BY_TOKEN))]),
    Reason.APPROVAL_TOKEN_INVALID: lambda: verdict_of(
        GATED, msgspec.structs.replace(CALL, shown=ShownApproval("agr-opened.grant-uid", invalid=True))
    ),
    Reason.CONTEXT_INSUFFICIENT: lambda: verdict_of(approving(requiredContext=["tenant"])),
    Reason.UNINSPECTABLE: lambda: verdict_of(GATED, with_context(args_digest="sha256:")),
    Reason.UNMAPPED: lambda: verdict_of(GATED, msgspec.structs.replace(CALL, refused=Reason.UNMAPPED)),
    Reason.AMBIGUOUS_REQUEST: lambda: verdict_of(
        GATED, msgspec.structs.replace(CALL, refused=Reason.AMBIGUOUS_REQUEST)
    ),
    Reason.CLOCK_SKEW: lambda: verdict_of(
        GATED, grants=[read(approved(GATED, approvedTime=at(31), notAfterTime=at(60)))]
    ),
    Reason.HISTORY_UNAVAILABLE: lambda: verdict_of(counted(governed(rule(actions=["customers.export"])), history())),
    Reason.HISTORY_UNCOUNTABLE: lambda: verdict_of(
        counted(governed(rule(actions=["customers.export"])), history(amount=Amount(("context", "amount"), 2)))
    ),
    Reason.STORE_STALE: lambda: verdict_of(GATED, around=Circumstances(now=NOW, freshness=Freshness.STALE)),
}


def named_by_the_engine() -> set[Reason]:
    """Return the reasons that the engine's modules name, but for the module that explains them all."""
    found: set[str] = set()
    for path in Path(str(bailiwick_engine.__file__)).parent.rglob("*.py"):
        if path.stem == "reasons":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
                found.add(node.attr)
    return {Reason[name] for name in found}


class TestAReason:
    @pytest.mark.parametrize("reason", sorted(WAYS))
    def test_is_given(self, reason: Reason) -> None:
        assert WAYS[reason]().reason is reason

    def test_of_the_engine_has_a_way_to_it_here(self) -> None:
        assert set(WAYS) == named_by_the_engine() | OF_THE_IDENTITY

    def test_is_the_engines_or_the_decision_points(self) -> None:
        assert set(WAYS) | OF_THE_DECISION_POINT == set(Reason)
        assert set(WAYS).isdisjoint(OF_THE_DECISION_POINT)

    @pytest.mark.parametrize("reason", Reason)
    def test_is_explained(self, reason: Reason) -> None:
        explained = EXPLAINED[reason]
        assert explained.sentence.endswith(".")
        assert explained.next_action in {"request", "retry", "none"}

    def test_is_spelled_as_its_name(self) -> None:
        assert all(reason.value == reason.name.lower() for reason in Reason)

    def test_to_ask_for_an_approval_is_one_of_an_approval(self) -> None:
        # Nothing else must send people to approvers.
        asking = {reason for reason, explained in EXPLAINED.items() if explained.next_action == "request"}
        assert asking == {
            Reason.APPROVAL_REQUIRED,
            Reason.APPROVAL_DENIED,
            Reason.APPROVAL_TOKEN_REQUIRED,
            Reason.APPROVAL_TOKEN_INVALID,
            Reason.APPROVAL_REVOKED,
            Reason.APPROVAL_EXPIRED,
            Reason.APPROVAL_CONSUMED,
        }


def test_every_reason_has_a_row() -> None:
    assert list(EXPLAINED) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_denial_has_no_disposition_of_a_call_that_is_let_through_or_of_a_stranger(reason: Reason) -> None:
    others = {Disposition.ALLOWED, Disposition.APPROVED, Disposition.UNAUTHORIZED}
    assert EXPLAINED[reason].disposition not in others


def test_what_only_the_decision_point_knew_is_attested() -> None:
    # A chain that the endpoint does not accept follows from its policies.
    derivable = {Reason.DELEGATION_INVALID, Reason.ALLOWED}
    for state in ReasonState:
        attested = reasons_of(state) - derivable
        assert attested
        assert {EXPLAINED[reason].footing for reason in attested} == {"attested"}
