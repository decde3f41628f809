"""A game: an attacker changes what is shown of a true history, and the auditor must not be taken in.

Standing: over `histories` and `forgers`, under the property test. Holds: what contradicts the truth is found by
comparing bytes with what was generated; the auditor's own reading of lines, notes or signatures has no part in it.
"""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bailiwick_api import times
from bailiwick_evidence.audit.findings import FindingCode
from bailiwick_evidence.audit.logaudit import known_upto
from support.evidence.forgery.forgers import Forger, forger
from support.evidence.forgery.histories import Log, history
from support.evidence.logs import audited

_HISTORIES: Final = 200
_MOST_MOVES: Final = 6
_LENIENT: Final = json.JSONDecoder(strict=False)


class ChainAnswer(NamedTuple):
    """What the auditor says of a chain."""

    intact: bool
    brief: bool
    witnessed: int | None


class Answer(NamedTuple):
    """What the auditor says. `good`: nothing is wrong, exit code 0; `upto`: seconds since the epoch."""

    good: bool
    upto: int | None
    chains: Mapping[str, ChainAnswer]


class Game(NamedTuple):
    """What is shown, and who forged it."""

    seed: int
    captive: bool
    forger: Forger

    def __str__(self) -> str:
        """Return how it was played."""
        held = "with a decision point's key" if self.captive else "with all files"
        return f"game {self.seed} {held}: {', '.join(self.forger.told)}"

    @property
    def files(self) -> list[bytes]:
        """Return the files, as they are shown."""
        return [b"".join(file) for file in self.forger.files]


def game(seed: int, *, captive: bool) -> Game:
    """Return the game of a seed, played. `captive`: the attacker has the key of a decision point."""
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    one = forger(history(seed % _HISTORIES, captive=captive), chance)
    one.play(_MOST_MOVES)
    return Game(seed, captive, one)


def answer_of(played: Game) -> Answer:
    """Have the auditor judge what is shown."""
    audit, reports = audited(played.files, played.forger.notes)
    # Of nothing at all the command says nothing, and exits with 2.
    anything = audit.lines > 0 or bool(audit.book.witnessed_chains)
    chains = {
        one.chain: ChainAnswer(one.intact, any(f.code is FindingCode.BRIEF for f in one.findings), one.witnessed)
        for one in reports
    }
    return Answer(anything and not any(one.bad for one in reports), known_upto(reports), chains)


def answer_of_command(code: int, said: Mapping[str, Any]) -> Answer:
    """Return what `audit verify -o json` says, with its exit code."""
    chains = {
        one["chain"]: ChainAnswer(
            one["intact"], any(found["code"] == "brief" for found in one["findings"]), one["witnessed"]
        )
        for one in said["chains"]
    }
    upto = times.parse_time(said["upTo"])
    return Answer(code == 0, None if upto is None else int(upto.timestamp()), chains)


def contradictions(played: Game, answer: Answer) -> list[str]:
    """Return where an answer that finds nothing wrong is not true."""
    true = played.forger.history
    found = [f"{chain} is called intact and never witnessed" for chain in _unseen(answer)]
    if not answer.good:
        return found
    # A space before a line changes nothing for who reads it.
    shown = [line.lstrip() for line in b"\n".join(played.files).split(b"\n")]
    lines = set(shown)
    text = b"\n".join([*shown, *(note.encode() for note in played.forger.notes)])
    for chain, said in answer.chains.items():
        if chain not in true.logs and not said.brief:
            found.append(f"{chain} was invented, and is called intact")
    for log in true.logs.values():
        found += _of_log(log, lines, text, answer)
    times = {seen.time for log in true.logs.values() for seen in log.cosignatures}
    if answer.upto is not None and answer.upto not in times:
        found.append(f"nothing was cosigned at {answer.upto}")
    return found


def _of_log(log: Log, lines: set[bytes], text: bytes, answer: Answer) -> list[str]:
    """Compare a true log with what is shown, up to what the witness saw: of what is shown, and before that time."""
    said = answer.chains.get(log.id)
    sizes = [seen.size for seen in log.cosignatures if _is_shown(seen.note, text)]
    if said is not None and not said.brief and answer.upto is not None:
        sizes += [seen.size for seen in log.cosignatures if seen.time <= answer.upto]
    size = max(sizes, default=0)
    found = [f"line {seq} of {log.id} is gone or changed" for seq in range(size) if log.lines[seq][:-1] not in lines]
    true = {line[:-1] for line in log.lines[:size]}
    others = [_number_read(line, log.id) for line in lines - true]
    found += [f"another line {seq} of {log.id} is shown" for seq in others if seq is not None and seq < size]
    if said is not None and said.intact:
        if said.witnessed not in {seen.size for seen in log.cosignatures}:
            found.append(f"{log.id} is called intact up to {said.witnessed} lines, which nobody saw")
        if said.witnessed is not None and said.witnessed > size:
            found.append(f"{log.id} is called intact up to {said.witnessed} lines, which is not shown")
    return found


def _number_read(line: bytes, chain: str) -> float | None:
    """Return which number of a chain a reader finds in a line who takes all that looks like JSON."""
    try:
        found, _ = _LENIENT.raw_decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    log = found.get("log") if isinstance(found, dict) else None
    if not isinstance(log, dict) or log.get("id") != chain:
        return None
    seq = log.get("seq")
    return seq if isinstance(seq, int | float) else None


def _is_shown(note: str, text: bytes) -> bool:
    """Tell whether a note stands in what is shown, as it is or in JSON."""
    whole = note.encode()
    return whole in text or whole.replace(b"\n", b"\\n") in text


def _unseen(answer: Answer) -> Sequence[str]:
    return [chain for chain, said in answer.chains.items() if said.intact and said.witnessed is None]
