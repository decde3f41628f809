"""Parties that are taken back: which of a call's parties a revocation refuses, and that the verdict names it."""

from dataclasses import dataclass
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import PartyRevocation
from support.objects import AGENT, rule, settings, subject
from support.revocations import in_force, revocation
from unit.engine.cases import CALL, ENFORCER, NOW, THE_AGENT, snapshot, stored, verdict_of

HELPER: Final = "system:serviceaccount:agents:helper"
CAROL: Final = Party("user", "carol", "corp#carol", {"sub": "carol", "iat": NOW}, issuer="corp")
ACTING: Final = Party("serviceAccount", AGENT, "agent-uid", {"sub": AGENT, "iat": NOW})
HELPING: Final = Party("serviceAccount", HELPER, "helper-uid", {"sub": HELPER, "iat": NOW})

_EVERYTHING: Final = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
ON: Final = snapshot(
    stored(
        "p",
        rule(actions=["customers.export"], subjects=["agent", "helper"]),
        subjects=[
            subject(),
            subject("helper", account="helper"),
            {"name": "carol", "user": {"issuer": "corp", "name": "carol"}},
        ],
        endpointSettings={
            **settings(),
            "identity": {"issuers": ["cluster", "corp"]},
            "delegation": {"maxDepth": 2, "principals": ["carol"], "ceiling": [_EVERYTHING]},
        },
    )
)
FRESH: Final = replace(CALL, subject=ACTING)
"""The agent calls for itself, with a token of now."""
ITSELF: Final = replace(FRESH, caller=THE_AGENT)
CHAIN: Final = replace(CALL, subject=CAROL, actors=(ACTING, HELPING))


def judged(call: Call, *held: PartyRevocation, freshness: Freshness = Freshness.FRESH) -> Verdict:
    return verdict_of(ON, call, around=Circumstances(NOW, freshness, revocations=in_force(*held)))


@dataclass(frozen=True)
class RefusalCase:
    """One revocation that is in force when a call comes, and whether it refuses that."""

    name: str
    call: Call
    revocation: PartyRevocation
    refused: bool


TABLE: Final = [
    RefusalCase("the enforcer, by its name", FRESH, revocation(before=NOW, sub=ENFORCER.username), refused=True),
    RefusalCase("another enforcer", FRESH, revocation(before=NOW, sub=f"{ENFORCER.username}-2"), refused=False),
    RefusalCase("a subject with a token of before", FRESH, revocation(before=NOW + 1, sub=AGENT), refused=True),
    RefusalCase("a subject with a token of after", FRESH, revocation(before=NOW, sub=AGENT), refused=False),
    RefusalCase("who asks about itself, of before", ITSELF, revocation(before=NOW + 1, sub=AGENT), refused=True),
    RefusalCase("who asks about itself, of after", ITSELF, revocation(before=NOW, sub=AGENT), refused=False),
    RefusalCase(
        "a person with a token of before", CHAIN, revocation("r-p", "corp", before=NOW + 1, sub="carol"), refused=True
    ),
    RefusalCase(
        "a person with a token of after", CHAIN, revocation("r-p", "corp", before=NOW, sub="carol"), refused=False
    ),
    RefusalCase("the outermost actor, of before", CHAIN, revocation(before=NOW + 1, sub=AGENT), refused=True),
    RefusalCase("the outermost actor, of after", CHAIN, revocation(before=NOW, sub=AGENT), refused=False),
    # It shows no token, so that nothing says when it was issued.
    RefusalCase("an actor within, by its name", CHAIN, revocation(before=NOW, sub=HELPER), refused=True),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_call_is_refused_for_any_party_that_is_taken_back_and_names_the_revocation(case: RefusalCase) -> None:
    verdict = judged(case.call, case.revocation)
    expected = (Outcome.DENY, Reason.IDENTITY_REVOKED, case.revocation.name)
    assert (verdict.outcome, verdict.reason, verdict.revocation) == (
        expected if case.refused else (Outcome.ALLOW, Reason.ALLOWED, None)
    )


def test_a_call_that_is_denied_for_something_else_names_no_revocation() -> None:
    verdict = judged(FRESH, revocation(hold=True, sub=AGENT), freshness=Freshness.DEAD)
    assert (verdict.reason, verdict.revocation) == (Reason.STORE_STALE, None)


def test_a_subject_that_the_evidence_does_not_prove_is_looked_up_by_nothing() -> None:
    unproven = replace(CALL, subject=UnprovenParty(Reason.IDENTITY_REVOKED))
    verdict = judged(unproven, revocation(issuer="corp", before=NOW, sub="carol"))
    assert (verdict.reason, verdict.revocation) == (Reason.IDENTITY_REVOKED, None)
