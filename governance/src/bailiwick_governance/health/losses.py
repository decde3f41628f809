"""How many records were lost, by what the witness keeps of each log, in a few words.

Standing: under `evidencefacts`. Holds: pure; nothing that is read makes anything here raise. A loss counts only beside
a cosignature that verifies, and is no more than the word of the process: of a log without a figure nothing is known.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bailiwick_api.accounts import WITNESS_KEYS_ENTRY, WITNESS_MONTH_ENTRY
from bailiwick_evidence.audit.claims import WitnessBook, checkpoints_of_objects, witness_keys
from bailiwick_evidence.chainentry import lost_count
from bailiwick_evidence.note import NoteError

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StreamLoss:
    """What one log lost. `cosigned`: when, in seconds since the epoch. `lost` None: its process never said."""

    cosigned: float
    lost: int | None


@dataclass(frozen=True, slots=True)
class EndedLosses:
    """What the logs lost that ended this month: so many records, in so many logs, and of so many nothing is known."""

    lost: int
    logs: int
    unknown: int


@dataclass(frozen=True, slots=True)
class LossSummary:
    """`told`: in words. `lost`: any were, as far as is known. `known`: nothing is unknown of any log."""

    told: str
    lost: bool
    known: bool


def entries_of(data: Mapping[str, Any]) -> Entries:
    """Return the entries of chains that can be read."""
    return dict(_readable(data))


def live_losses(data: Mapping[str, Any], book: WitnessBook) -> tuple[StreamLoss, ...]:
    """Return what each log lost of which `book` verified the checkpoint in `data`."""
    claims = (max(book.claims_of(chain), key=lambda claim: claim.time) for chain in book.witnessed_chains)
    times = {note: float(claim.time) for claim in claims for note in claim.notes}
    found = {
        note: StreamLoss(times[note], lost_count(entry.get("lost")))
        for entry in entries_of(data).values()
        if isinstance(note := entry.get("checkpoint"), str) and note in times
    }
    return tuple(found.values())


def ended_losses(config_map: Mapping[str, Any], now: float, live: Iterable[str]) -> EndedLosses | str:
    """Read what the logs of a month lost, but for those in `live`, which were read a moment before."""
    data = config_map.get("data")
    if not isinstance(data, Mapping) or data.get(WITNESS_MONTH_ENTRY) != f"{datetime.fromtimestamp(now, UTC):%Y-%m}":
        return EndedLosses(0, 0, 0)
    try:
        keys = witness_keys(str(data.get(WITNESS_KEYS_ENTRY, "")))
    except NoteError:
        return "the keys of the witness cannot be read"
    names = data.keys() - {*live, WITNESS_KEYS_ENTRY, WITNESS_MONTH_ENTRY}
    entries = entries_of({name: data[name] for name in names})
    figures = {name: lost_count(entry.get("lost")) for name, entry in entries.items()}
    # Hundreds may have ended: only where one adds something is it worth to verify it.
    lossy = {name: lost for name, lost in figures.items() if lost and _verifies(data[name], WitnessBook(keys))}
    known = len(lossy) + sum(lost == 0 for lost in figures.values())
    return EndedLosses(sum(lossy.values()), len(lossy), len(names) - known)


def loss_sentence(logs: Sequence[StreamLoss], unverified: int, ended: EndedLosses | str, since: float) -> LossSummary:
    """Say it. `unverified`: so many more logs have no cosignature that verifies. `since`: when lately begins."""
    counts = [one.lost for one in logs if one.lost is not None]
    stale = sum(one.cosigned < since for one in logs if one.lost is not None)
    unknown = len(logs) - len(counts) + unverified
    over = EndedLosses(0, 0, 0) if isinstance(ended, str) else ended
    lossy = sum(count > 0 for count in counts)
    told = {
        f"{sum(counts)} in {lossy} of {_logs(len(counts))}": lossy,
        f"none in {_logs(len(counts))}": counts and not lossy,
        f"{stale} of them no longer asked: the last figure counts": stale,
        f"not known of {_logs(unknown)}": unknown,
        f"{over.lost} in {_logs(over.logs)} that ended this month": over.lost,
        f"not known of {_logs(over.unknown)} that ended this month": over.unknown,
        f"not known of logs that have ended: {ended}": isinstance(ended, str),
    }
    known = bool(counts) and not (stale or unknown or over.unknown or isinstance(ended, str))
    text = "; ".join(one for one, holds in told.items() if holds)
    return LossSummary(text or "not known: no log was witnessed yet", sum(counts) + over.lost > 0, known)


def _logs(count: int) -> str:
    return f"{count} log" if count == 1 else f"{count} logs"


def _readable(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, text in data.items():
        try:
            entry = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield name, entry


def _verifies(text: str, book: WitnessBook) -> bool:
    for shown in checkpoints_of_objects({"data": {"entry": text}}):
        book.add(shown)
    return bool(book.witnessed_chains)
