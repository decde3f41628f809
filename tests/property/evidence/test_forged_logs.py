"""The law of the auditor: no forged log is intact, and nothing that a witness saw is gone or changed without a word.

An attacker who holds every file, any number of keys and, in the second game, the key of one decision point, edits,
cuts, splices, repeats, reorders, merges and invents lines, chains and notes. What is true is what the test generated.
"""

import json
import random
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.audit import judgement, lines
from bailiwick_evidence.audit.claims import RootClaim, WitnessBook
from bailiwick_evidence.audit.cosignatures import CosignedNote, cosigned_in
from bailiwick_evidence.audit.historyfold import HistoryFold, HistoryReport
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.chain import link
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import split
from support import commandline
from support.evidence.forgery.forgers import (
    Forger,
    change_count,
    drop_counted,
    forger,
    repeat_count,
)
from support.evidence.forgery.games import Answer, Game, answer_of, answer_of_command, contradictions, game
from support.evidence.forgery.histories import history
from support.evidence.logs import WITNESS_KEY, audited

GAMES: Final = 500
"""Of each kind, in every run."""
MANY: Final = 10_000
COMMANDS: Final = 500
SEEDS: Final = 2**40
KINDS: Final = pytest.mark.parametrize("captive", [False, True], ids=["all files", "a decision point's key"])


def lost_games(start: int, count: int, *, captive: bool) -> list[str]:
    """Play games from this seed on, and return those in which the auditor was taken in."""
    found = []
    for seed in range(start, start + count):
        played = game(seed, captive=captive)
        if wrong := contradictions(played, answer_of(played)):
            found.append(f"{played}: {'; '.join(wrong)}")
    return found


@KINDS
def test_no_forged_log_is_intact(captive: bool) -> None:
    assert lost_games(0, GAMES, captive=captive) == []
    # Those of before, and others each time.
    assert lost_games(secrets.randbelow(SEEDS), GAMES // 10, captive=captive) == []


@pytest.mark.long
@KINDS
def test_no_forged_log_is_intact_in_many_games(captive: bool) -> None:
    assert lost_games(secrets.randbelow(SEEDS), MANY, captive=captive) == []


@pytest.mark.long
@KINDS
def test_the_command_says_the_same(captive: bool, tmp_path: Path) -> None:
    for seed in range(COMMANDS // 2):
        played = game(seed, captive=captive)
        assert contradictions(played, answer_by_command(played, tmp_path)) == [], str(played)


def answer_by_command(played: Game, folder: Path) -> Answer:
    """Have the command judge what is shown."""
    files = [folder / f"file-{number}" for number in range(len(played.files))]
    for file, held in zip(files, played.files, strict=True):
        file.write_bytes(held)
    (folder / "notes").write_text("\n".join(played.forger.notes), encoding="utf-8")
    notes = ("--checkpoints", str(folder / "notes")) if played.forger.notes else ()
    names = [str(file) for file in files]
    ran = commandline.run("audit", "verify", *names, *notes, "--witness-key", str(WITNESS_KEY), "-o", "json")
    if ran.code == 2:
        # It could not find out, and says nothing of any chain.
        assert ran.out == "", ran
        return answer_of_command(2, {"upTo": None, "chains": []})
    return answer_of_command(ran.code, json.loads(ran.out))


@KINDS
@pytest.mark.parametrize("seed", range(40))
def test_a_true_history_is_never_called_changed(seed: int, captive: bool) -> None:
    true = history(seed, captive=captive)
    files = [b"".join(line for log in file for line in log.lines) for file in true.files]
    notes = [log.cosignatures[-1].note for log in true.logs.values() if log.cosignatures and not log.operator]
    _, reports = audited(files, notes)
    found = {one.code.value for report in reports for one in report.findings if one.bad}
    # What no witness saw, since it never came by, cannot be told.
    assert found <= {"unknown"}
    seen = {log.id for log in true.logs.values() if log.cosignatures}
    assert all(report.intact for report in reports if report.chain in seen and report.witnessed is not None)


@KINDS
@pytest.mark.parametrize("seed", range(40))
def test_the_counts_of_a_true_history_follow_from_each_other(seed: int, captive: bool) -> None:
    true = history(seed, captive=captive)
    report = folded([line for log in true.logs.values() for line in log.lines])
    assert report.findings == ()
    assert report.derived == report.lines


@pytest.mark.parametrize(("move", "share"), [(change_count, 0.4), (drop_counted, 0.6), (repeat_count, 1.0)])
def test_counts_that_were_forged_are_found_by_adding_up_again(move: Callable[[Forger], None], share: float) -> None:
    """Who holds the key of a decision point can write any line. What other lines say contradicts it.

    Not found are the first and the last line that was dropped, and what is possible within what clocks allow.
    """
    found = changed = 0
    for seed in range(60):
        one = forger(history(seed, captive=True), random.Random(seed))  # noqa: S311 - so that a seed tells all
        before = [[*file] for file in one.files]
        move(one)
        if one.files != before:
            changed += 1
            found += bool(folded([line for file in one.files for line in file]).findings)
    assert changed > 20
    assert found >= changed * share, (found, changed)


def folded(shown: Iterable[bytes]) -> HistoryReport:
    """Add up what lines say of histories."""
    fold = HistoryFold()
    for number, line in enumerate(shown):
        place = link(line)
        if place is not None:
            fold.add(ChainLine(place._replace(seq=number), line[:-1]))
    return fold.report({})


def chain_named(note: str) -> str:
    """Return the id of the chain that a note is of."""
    return note.partition("\n")[0].rpartition("/")[2]


@pytest.mark.long
class TestTheGameFindsIt:
    """An auditor that is taken in loses the game soon: else the game would prove nothing."""

    MOST: Final = 4_000

    def found(self, *, captive: bool = False) -> bool:
        """Tell whether a game is lost."""
        for seed in range(self.MOST):
            played = game(seed, captive=captive)
            if contradictions(played, answer_of(played)):
                return True
        return False

    def test_where_a_chain_vouches_for_another_that_it_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = judgement._Judgement._report_unwitnessed

        def unwitnessed(self: judgement._Judgement) -> None:
            if not self.heads:
                real(self)

        monkeypatch.setattr(judgement._Judgement, "_report_unwitnessed", unwitnessed)
        assert self.found()

    def test_where_what_a_line_holds_vouches_though_no_witness_cosigned_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def added(self: WitnessBook, note: str, by: str, seq: int) -> None:
            real(self, note, by, seq)
            for held in [one for every in self._held.values() for one in every]:
                seen = ((held.by, held.time or 1),)
                claim = RootClaim(held.chain, held.size, held.root, held.time or 1, held.origin, (), seen=seen)
                text, own = split(held.note)
                cosigned = CosignedNote(text, Checkpoint.parse(text), held.chain, tuple(own), {})
                self._merge_claim(claim, cosigned)

        real = WitnessBook.add_of_line
        monkeypatch.setattr(WitnessBook, "add_of_line", added)
        assert self.found()

    def test_where_a_later_note_takes_the_place_of_a_better_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def added(self: WitnessBook, note: str, by: str, seq: int) -> None:
            name, held = chain_named(note), self.checkpoints_held_of(chain_named(note))
            for one in [*held] if not cosigned_in(note, self.keys).notes else ():
                if note.startswith(split(one.note)[0]):
                    self._claims.get(name, {}).pop((one.size, one.root), None)
                    held.remove(one)
            real(self, note, by, seq)

        real = WitnessBook.add_of_line
        monkeypatch.setattr(WitnessBook, "add_of_line", added)
        assert self.found()

    def test_where_what_a_process_signs_hides_what_a_witness_saw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ranged(self: judgement._Judgement, claims: list[RootClaim], made: dict[int, bytes]) -> None:
            good = max((claim.size for claim in claims if made[claim.size] == claim.root), default=0)
            if any(claim.size > good for claim in claims):
                real(self, claims, made)

        real = judgement._Judgement._report_ranges
        monkeypatch.setattr(judgement._Judgement, "_report_ranges", ranged)
        assert self.found(captive=True)

    def test_where_a_line_in_another_spelling_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "_named_link", lambda _: None)
        assert self.found()
