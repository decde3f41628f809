"""What is decided while a change of an endpoint's policies is not compiled yet: nothing that lets anybody through."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.grants import Grant
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_engine.snapshot import Snapshot
from bailiwick_engine.verdict import Outcome
from support.objects import gated_rule, rule
from unit.engine.cases import CALL, NOW, active, approved, asked, carrier, governed, read, snapshot, stored, verdict_of
from unit.engine.test_decision_table import CELLS, Cell, Effect

OUTDATED: Final = Circumstances(now=NOW, outdated=True)
ALLOWED: Final = governed(rule(actions=["customers.export"]))
GATED: Final = governed(gated_rule())


@pytest.mark.parametrize("effect", ["Allow", "RequireApproval", "Deny"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.column)
def test_an_allow_is_denied_and_a_denial_says_what_it_would_say(effect: Effect, cell: Cell) -> None:
    expected = {"Allow": cell.allow, "RequireApproval": cell.require, "Deny": cell.deny}[effect]
    if expected is None:
        return
    make = gated_rule if effect == "RequireApproval" else rule
    judged = make("judged", **{"effect": effect, "actions": ["customers.export"], **cell.rule})
    policies = [carrier(), stored("judged", judged, **cell.policy)]
    if effect != "Allow":
        policies.append(stored("below", rule("below", actions=["customers.export"])))
    verdict = verdict_of(snapshot(*policies), cell.call, around=OUTDATED)
    allowed = expected[0] is Outcome.ALLOW
    assert (verdict.outcome, verdict.reason) == ((Outcome.DENY, Reason.POLICY_OUTDATED) if allowed else expected)


@pytest.mark.parametrize(
    ("on", "grant"),
    [
        (ALLOWED, None),
        (GATED, read(approved(GATED))),
        # Whose last use this very call took a moment ago, it may be: that lets it through a second time.
        (GATED, read(approved(GATED, phase="Consumed"))),
    ],
    ids=["an allow", "a grant that fits", "a grant that is used up"],
)
def test_nothing_is_left_by_which_a_grant_could_be_used_or_asked_for(on: Snapshot, grant: Grant | None) -> None:
    verdict = verdict_of(on, grants=[grant] if grant else [], around=OUTDATED)
    assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.POLICY_OUTDATED)
    assert (verdict.gate, verdict.grants, verdict.requestable, verdict.next_action) == (None, (), False, "retry")
    # Whoever looks for the reason learns which rule it was.
    assert verdict.rule is not None
    assert verdict.sentence == EXPLAINED[Reason.POLICY_OUTDATED].sentence


def test_an_approval_that_is_missing_or_waits_is_told_as_ever() -> None:
    assert verdict_of(GATED, around=OUTDATED).reason is Reason.APPROVAL_REQUIRED
    waiting = read(active(asked(GATED), phase="Pending"))
    assert verdict_of(GATED, grants=[waiting], around=OUTDATED).reason is verdict_of(GATED, grants=[waiting]).reason


def test_a_stranger_learns_nothing_of_it_and_a_store_that_is_dead_comes_first() -> None:
    stranger = replace(CALL, caller=replace(CALL.caller, username="system:serviceaccount:no:body"))
    assert verdict_of(ALLOWED, stranger, around=OUTDATED).outcome is Outcome.FORBIDDEN
    dead = Circumstances(now=NOW, freshness=Freshness.DEAD, outdated=True)
    assert verdict_of(ALLOWED, around=dead).reason is Reason.STORE_STALE
