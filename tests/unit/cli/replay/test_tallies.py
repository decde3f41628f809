"""Tallies of a replay: what counts, what is kept of it, what fails, and how it is told."""

from collections.abc import Iterable

import pytest

from bailiwick_cli.errors import CliError
from bailiwick_cli.replay import tally as tallies, view
from bailiwick_cli.replay.gate import ReplayGate
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_evidence.replay.outcomes import (
    Hindrance,
    PolicyVerdict,
    ReplayClass,
    ReplayOutcome,
    ReplaySide,
    hindered,
)

DENY = ReplaySide(PolicyVerdict.DENY, "no_rule", None)
ASK = ReplaySide(PolicyVerdict.APPROVAL, "approval_required", ("crm", "ask"), ("crm.ask.owner",))
SAME = ReplayOutcome(ReplayClass.UNCHANGED, old=DENY, news=(DENY,))
ASKED = ReplayOutcome(ReplayClass.DENY_APPROVAL, old=DENY, news=(ASK,), old_ns=10, new_ns=30)
MAYBE = ReplayOutcome(
    ReplayClass.MAYBE, old=DENY, news=(DENY, ASK), may=frozenset({ReplayClass.UNCHANGED, ReplayClass.DENY_APPROVAL})
)
SEALED = hindered(Hindrance.SEALED)


def tally(*outcomes: ReplayOutcome, subjects: Iterable[str] = ("a",)) -> ReplayTally:
    made = ReplayTally()
    for number, outcome in enumerate(outcomes):
        for name in subjects:
            record = {
                "action": "x",
                "now": 86_400.0 * number,
                "subject": {"type": "user", "id": name, "issuer": "corp"},
            }
            made.add(record, outcome)
    return made


def test_coverage_is_what_is_certain_and_sealed_what_nobody_can_read() -> None:
    made = tally(SAME, ASKED, MAYBE, SEALED, hindered(Hindrance.STATE))
    assert (made.total, made.replayed, made.sealed) == (5, 2, 2)
    assert view.headline(made) == "40.0 % of 5 decisions of 4 d replayed; 40.0 % sealed"


@pytest.mark.parametrize(
    ("same", "sealed", "said"), [(9_999, 1, "99.9 %"), (1, 9_999, "0.1 %"), (3, 0, "100 %"), (0, 3, "0 %")]
)
def test_a_share_is_all_or_none_only_where_it_is(same: int, sealed: int, said: str) -> None:
    made = ReplayTally()
    made.codes.update({SAME.code: same, SEALED.code: sealed})
    assert view.headline(made).startswith(f"{said} of ")


def test_what_is_beyond_the_bound_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_GROUPS", 2)
    monkeypatch.setattr(tallies, "_MOST_DAYS", 1)
    made = tally(ASKED, ASKED, subjects=("a", "b", "c", "d"))
    assert made.codes == {"deny→approval": 8}
    assert {group.subject: count for group, count in made.groups.items()} == {"a@corp": 2, "b@corp": 2, "(others)": 4}
    assert made.asked == {("1970-01-01", "crm.ask.owner"): 4, ("(others)", "(others)"): 4}
    assert {len(kept) for kept in made.samples.values()} == {2, 3}


@pytest.mark.parametrize(
    ("outcome", "words", "failures"),
    [
        (ASKED, ["wider"], ["1 deny→approval"]),
        (ASKED, ["deny->allow"], []),
        (MAYBE, ["wider"], ["1 deny→approval (1 of them maybe)"]),
        (MAYBE, ["deny->approval"], ["1 deny→approval (1 of them maybe)"]),
        (MAYBE, ["allow->deny"], []),
        (MAYBE, ["maybe"], ["1 maybe"]),
        (MAYBE, ["any"], ["1 deny→approval (1 of them maybe)", "1 maybe"]),
        (SAME, ["any"], []),
        (ASKED, ["slower:2x"], ["the candidate takes 3.0 times as long"]),
        (ASKED, ["slower:9x", "slower:2x"], ["the candidate takes 3.0 times as long"]),
        (ASKED, ["slower:4x"], []),
        (SAME, ["slower:2x"], []),
        (SEALED, ["slower:2x"], ["slower:2x: nothing was measured"]),
    ],
)
def test_what_may_be_of_a_class_fails_as_what_is(outcome: ReplayOutcome, words: list[str], failures: list[str]) -> None:
    assert list(ReplayGate.of(words).failures(tally(outcome))) == failures


@pytest.mark.parametrize("word", ["", "deny", "unchanged", "slower", "slower:x", "slower:-1x", "allow→allow"])
def test_a_word_that_nobody_knows_is_an_error(word: str) -> None:
    with pytest.raises(CliError, match="is no class: write one of wider, any, maybe, allow->deny"):
        ReplayGate.of([word])


def test_texts_of_others_are_escaped() -> None:
    made = tally(ASKED, subjects=("a\x1b[31m|",))
    assert "\x1b" not in "".join(text for line in view.lines(made, ()) for text, _ in line)
    assert "\\|" in view.markdown(made, ())
