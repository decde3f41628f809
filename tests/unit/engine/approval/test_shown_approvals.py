"""What a caller shows of an approval: never enough, and a wrong one denies."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.binding import hash_of
from bailiwick_engine.call import Call, ShownApproval, Token
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from support.objects import gated_rule, rule
from unit.engine.cases import AGENT_UID, CALL, approved, approving, asked, governed, read, verdict_of, with_context

ID: Final = "agr-opened.grant-uid"
LOOKUP: Final = governed(gated_rule())
BY_TOKEN: Final = approving(presentation="Token")


def token(**fields: Any) -> Token:  # noqa: ANN401 - fields of a token
    digest = verdict_of(BY_TOKEN).digest
    assert digest is not None
    return Token(**{"grant": ID, "binding_hash": hash_of(digest), "subject_uid": AGENT_UID, **fields})


def showing(shown: ShownApproval | None, call: Call = CALL) -> Call:
    return replace(call, shown=shown)


def on(shown: ShownApproval | None, snapshot: Any = BY_TOKEN, call: Call = CALL) -> Verdict:  # noqa: ANN401 - a snapshot
    return verdict_of(snapshot, showing(shown, call), grants=[read(approved(snapshot))])


class TestARuleThatWantsTheToken:
    def test_opens_for_the_token(self) -> None:
        assert on(ShownApproval(ID, token())).outcome is Outcome.USE_GRANT

    @pytest.mark.parametrize("shown", [None, ShownApproval(ID)])
    def test_stays_shut_without_it_and_says_where_it_is(self, shown: ShownApproval | None) -> None:
        verdict = on(shown)
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.APPROVAL_TOKEN_REQUIRED)
        assert verdict.grants == ()
        assert verdict.pending is not None
        assert verdict.pending.id == ID
        assert verdict.requestable

    def test_says_what_is_missing_before_there_is_an_approval(self) -> None:
        assert verdict_of(BY_TOKEN).reason is Reason.APPROVAL_REQUIRED
        assert verdict_of(BY_TOKEN, grants=[read(asked(BY_TOKEN))]).reason is Reason.APPROVAL_PENDING


@pytest.mark.invariant(24)
class TestAToken:
    @pytest.mark.parametrize(
        "shown",
        [
            ShownApproval(ID, token(grant="agr-opened.other-uid")),
            ShownApproval(ID, token(binding_hash=hash_of("sha256:" + "0" * 64))),
            ShownApproval(ID, token(subject_uid="re-created")),
            ShownApproval(ID, token(actors=((None, "system:serviceaccount:agents:other", "uid"),))),
            ShownApproval(ID, token(), invalid=True),
            ShownApproval(ID, invalid=True),
        ],
    )
    def test_of_something_else_denies_wherever_it_is_shown(self, shown: ShownApproval) -> None:
        for snapshot in (BY_TOKEN, LOOKUP):
            assert on(shown, snapshot).reason is Reason.APPROVAL_TOKEN_INVALID

    def test_of_another_call_denies(self) -> None:
        call = with_context(tenant="other")
        assert on(ShownApproval(ID, token()), call=call).reason is Reason.APPROVAL_TOKEN_INVALID

    def test_does_not_help_without_the_live_grant(self) -> None:
        assert verdict_of(BY_TOKEN, showing(ShownApproval(ID, token()))).reason is Reason.APPROVAL_REQUIRED

    @pytest.mark.parametrize("phase", ["Revoked", "Consumed", "Lapsed"])
    def test_does_not_help_once_the_grant_is_over(self, phase: str) -> None:
        raw = approved(BY_TOKEN, phase=phase)
        assert verdict_of(BY_TOKEN, showing(ShownApproval(ID, token())), grants=[read(raw)]).outcome is Outcome.DENY

    def test_changes_nothing_where_no_approval_is_needed(self) -> None:
        open_to_all = governed(rule(actions=["customers.export"]))
        assert verdict_of(open_to_all, showing(ShownApproval("x", invalid=True))).outcome is Outcome.ALLOW


def test_a_grant_that_is_named_is_the_only_one_that_counts() -> None:
    assert on(ShownApproval(ID), LOOKUP).outcome is Outcome.USE_GRANT
    assert on(ShownApproval("agr-opened.other-uid"), LOOKUP).reason is Reason.APPROVAL_REQUIRED
