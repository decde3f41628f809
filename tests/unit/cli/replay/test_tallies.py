"""Tallies of a replay: what counts, what is kept of it, what fails, and how it is told."""

from collections.abc import Iterable
from xml.etree import ElementTree

import pytest

from bailiwick_cli.commands.replay import show
from bailiwick_cli.errors import CliError
from bailiwick_cli.replay import tally as tallies, view
from bailiwick_cli.replay.gate import ReplayGate
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_cli.shards.logreplays import ReplayTotals
from bailiwick_cli.verbs.logverbs import ReplayOutput
from bailiwick_evidence.replay.outcomes import (
    Hindrance,
    PolicyVerdict,
    ReplayClass,
    ReplayOutcome,
    ReplaySide,
    not_replayable,
)

DENY = ReplaySide(PolicyVerdict.DENY, "no_rule", None)
ASK = ReplaySide(PolicyVerdict.APPROVAL, "approval_required", ("crm", "ask"), ("crm.ask.owner",))
SAME = ReplayOutcome(ReplayClass.UNCHANGED, old=DENY, news=(DENY,))
ASKED = ReplayOutcome(ReplayClass.DENY_APPROVAL, old=DENY, news=(ASK,), old_ns=10, new_ns=30)
MAYBE = ReplayOutcome(
    ReplayClass.MAYBE, old=DENY, news=(DENY, ASK), may=frozenset({ReplayClass.UNCHANGED, ReplayClass.DENY_APPROVAL})
)
SEALED = not_replayable(Hindrance.SEALED)


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
    made = tally(SAME, ASKED, MAYBE, SEALED, not_replayable(Hindrance.STATE))
    assert (made.total, made.replayed, made.sealed) == (5, 2, 2)
    assert view.headline(made) == "40.0 % of 5 decisions of 4 d replayed; 40.0 % sealed"


def test_long_texts_are_kept_by_their_beginning_and_their_hash() -> None:
    """A call can name a resource of a MiB, and whoever makes calls chooses how many groups there are."""
    made = ReplayTally()
    for end in ("a", "b", "b"):
        long = "x" * 100_000 + end
        record = dict.fromkeys(("evaluation_id", "time", "action"), long)
        made.add(record | {"resource": {"type": long, "id": long}, "subject": {"type": long, "id": long}}, ASKED)
    assert sorted(made.groups.values()) == [1, 2]
    samples = [one for kept in made.samples.values() for one in kept]
    texts = [text for one in samples for text in (one.evaluation_id, one.time, one.resource)]
    texts += [text for group in made.groups for text in group]
    assert max(map(len, texts)) <= tallies.LONGEST
    assert len({one.resource for one in samples}) == 2
    assert "x… (100,001 characters, sha256:" in samples[0].evaluation_id
    short = tally(ASKED)
    made.join(short)
    ((kept,),) = short.samples.values()
    assert (kept.evaluation_id, kept.resource) == ("None", "")


def test_a_log_of_which_all_is_sealed_never_passes() -> None:
    totals = ReplayTotals(0, 0, ("wider",), ("log",))
    with pytest.raises(CliError, match="log: no decision could be replayed: 2 not_replayable:sealed"):
        show(totals, tally(SEALED, SEALED), ReplayOutput.TABLE)
    assert show(totals, tally(SEALED, MAYBE), ReplayOutput.TABLE) == 1


@pytest.mark.parametrize(
    ("same", "sealed", "said"), [(9_999, 1, "99.9 %"), (1, 9_999, "0.1 %"), (3, 0, "100 %"), (0, 3, "0 %")]
)
def test_a_share_is_all_or_none_only_where_it_is(same: int, sealed: int, said: str) -> None:
    made = ReplayTally()
    made.codes.update({SAME.code: same, SEALED.code: sealed})
    assert view.headline(made).startswith(f"{said} of ")


def test_what_is_beyond_the_bound_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_GROUPS", 2)
    monkeypatch.setattr(tallies, "MOST_DAYS", 1)
    made = tally(ASKED, ASKED, subjects=("a", "b", "c", "d"))
    assert made.codes == {"deny→approval": 8}
    assert {group.subject: count for group, count in made.groups.items()} == {
        "user:corp/a": 2,
        "user:corp/b": 2,
        "(others)": 4,
    }
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
        (SEALED, ["wider", "any"], []),
        (SEALED, ["not-replayable"], ["1 of 1 not replayable"]),
        (SEALED, ["not_replayable"], ["1 of 1 not replayable"]),
        (SEALED, ["not-replayable:99.9%"], ["1 of 1 not replayable, and at most 99.9 % may be"]),
        (SEALED, ["not-replayable", "not-replayable:99.9%"], ["1 of 1 not replayable"]),
        (SAME, ["not-replayable"], []),
        (MAYBE, ["not-replayable"], []),
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
    assert list(ReplayGate.parse(words).failures(tally(outcome))) == failures


@pytest.mark.parametrize(
    "words", [["wider"], ["any"], ["maybe"], ["allow->deny"], ["not-replayable"], ["slower:2x"], ["not-replayable:60%"]]
)
@pytest.mark.parametrize("outcome", [SAME, ASKED, MAYBE, SEALED], ids=lambda one: one.code)
def test_a_test_of_junit_fails_where_the_gate_does(outcome: ReplayOutcome, words: list[str]) -> None:
    made, gate = tally(SAME, outcome), ReplayGate.parse(words)
    suite = ElementTree.fromstring(view.junit(made, gate))[0]  # noqa: S314 - what we have just written
    failed = [one.get("classname") for one in suite if one.find("failure") is not None]
    assert bool(failed) == bool(list(gate.failures(made))), failed
    assert suite.get("failures") == str(len(failed))
    skipped = [one.get("classname") for one in suite if one.find("skipped") is not None]
    assert skipped == ([SEALED.code] if outcome is SEALED else [])
    assert {one.get("classname") for one in suite} == {"replay", SAME.code, outcome.code}


def test_junit_tells_a_failure_with_what_both_sides_say() -> None:
    made = tally(ASKED, MAYBE, subjects=("a\x1b|", "b"))
    suite = ElementTree.fromstring(view.junit(made, ReplayGate.parse(["deny->approval"])))[0]  # noqa: S314 - as above
    failures = {str(one.get("name")): one.findtext("failure") or "" for one in suite.findall("testcase[failure]")}
    assert set(failures) == {"user:corp/a\\u001b| · x", "user:corp/b · x"}
    assert all("deny (no_rule by no rule) → " in told for told in failures.values())


@pytest.mark.parametrize("word", ["", "deny", "unchanged", "slower", "slower:x", "slower:-1x", "allow→allow"])
def test_a_word_that_nobody_knows_is_an_error(word: str) -> None:
    with pytest.raises(CliError, match="is no class: write one of wider, any, maybe, allow->deny"):
        ReplayGate.parse([word])


def test_texts_of_others_are_escaped() -> None:
    made = tally(ASKED, subjects=("a\x1b[31m|",))
    assert "\x1b" not in "".join(text for line in view.lines(made, ()) for text, _ in line)
    assert "\\|" in view.markdown(made, ())
