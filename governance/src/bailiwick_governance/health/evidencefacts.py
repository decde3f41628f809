"""What the ConfigMaps of the operator say of guards and logs, in a few words each.

Holds: pure; nothing that is read makes anything here raise. Good is only what was proven or cosigned a short while ago;
a log is counted only with a cosignature that verifies, by the key that the cluster itself shows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from bailiwick_api.accounts import KEEP_ENTRY, WITNESS_KEYS_ENTRY
from bailiwick_evidence.audit.claims import WitnessBook, checkpoints_of_objects, witness_keys
from bailiwick_evidence.note import NoteError
from bailiwick_governance.grants.grantview import moment, span
from bailiwick_governance.health.losses import EndedLosses, StreamLoss, entries_of, live_losses, loss_sentence

FRESH_SECONDS: Final = 180.0
"""The operator proves and cosigns at least every minute."""
AHEAD_SECONDS: Final = 60.0
"""How far the clock of a cluster may be ahead. A time further on says nothing of when it was written."""
_LOST: Final = "Records lost"


class HealthTone(StrEnum):
    """How it stands. It is said in words, too."""

    GOOD = "good"
    DOUBT = "doubt"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthItem:
    """One word of it, and what there is to say."""

    label: str
    told: str
    tone: HealthTone


@dataclass(frozen=True, slots=True)
class GuardFact:
    """When the guards were last proven, in seconds since the epoch.

    `kept`: at how many API servers they are kept from the disk, and of how many; None where it is not known.
    """

    proven: float
    kept: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class WitnessFact:
    """When each log was last cosigned, in seconds since the epoch, the one that was longest ago first.

    How many entries have no cosignature that verifies, how many logs the witness refused, and how many it began again.
    And what they lost, but for those that are over.
    """

    cosigned: tuple[float, ...]
    unverified: int
    refused: int
    anew: int
    lost: tuple[StreamLoss, ...] = ()


Fact = GuardFact | WitnessFact | str
"""What was found; a text: why nothing was."""


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What was read, and when, in seconds since the epoch.

    `ended`: what logs lost that are over; a text: why that is not known.
    """

    guard: Fact
    witness: Fact
    time: float
    ended: EndedLosses | str


def guard_fact(config_map: Mapping[str, Any]) -> Fact:
    """Read when the guards were proven."""
    try:
        return GuardFact(moment(config_map["data"]["provenTime"]), _kept(config_map["data"].get(KEEP_ENTRY)))
    except (KeyError, OverflowError, TypeError, ValueError):
        return "what the operator wrote of the guards cannot be read"


def _kept(text: object) -> tuple[int, int] | None:
    """Read `2/3`. Raises `ValueError` for anything else but nothing, which an operator of before wrote."""
    if not text:
        return None
    kept, _, servers = str(text).partition("/")
    return int(kept), int(servers)


def witness_fact(config_map: Mapping[str, Any]) -> Fact:
    """Read which logs were cosigned, and when."""
    data = config_map.get("data")
    if not isinstance(data, Mapping) or WITNESS_KEYS_ENTRY not in data:
        return "no log was witnessed yet"
    try:
        book = WitnessBook(witness_keys(str(data[WITNESS_KEYS_ENTRY])))
    except NoteError:
        return "the keys of the witness cannot be read"
    for one in checkpoints_of_objects(config_map):
        book.add(one)
    newest = tuple(sorted(max(float(claim.time) for claim in book.claims_of(chain)) for chain in book.witnessed_chains))
    anew = sum(bool(entry.get("anew")) for entry in entries_of(data).values())
    unverified = len(data) - 1 - len(newest)
    return WitnessFact(newest, unverified, len(book.contradictions), anew, live_losses(data, book))


def items(facts: HealthFacts | None, now: float) -> tuple[HealthItem, ...]:
    """Return guards, logs and lost records at a moment, in this order. None: nothing was read yet."""
    if facts is None:
        facts = unknown_facts("it is being read", now)
    elif now - facts.time > FRESH_SECONDS:
        old = f"the API server has not answered for {span(now - facts.time)}"
        facts = unknown_facts(old, facts.time)
    return (_guard(facts.guard, now), *_witness(facts.witness, now), _loss_item(facts, now))


def merge_unknown(found: Iterable[HealthItem]) -> Iterator[HealthItem]:
    """Yield the items, and one for neighbours that are unknown for the same reason."""
    for (tone, told), same in groupby(found, key=lambda one: (one.tone, one.told)):
        if tone is not HealthTone.UNKNOWN:
            yield from same
            continue
        first, *others = (one.label for one in same)
        *between, last = [first, *(label.lower() for label in others)]
        yield HealthItem(f"{', '.join(between)} and {last}" if between else last, told, tone)


def unknown_facts(why: str, time: float) -> HealthFacts:
    """Return that nothing is known."""
    return HealthFacts(why, why, time, why)


def _guard(fact: Fact, now: float) -> HealthItem:
    if not isinstance(fact, GuardFact):
        return _unknown("Guards", str(fact))
    ago = span(now - fact.proven)
    if fact.proven - now > AHEAD_SECONDS:
        told = f"in doubt: last proven {span(fact.proven - now)} in the future, so one of the clocks is wrong"
        return HealthItem("Guards", told, HealthTone.DOUBT)
    if now - fact.proven > FRESH_SECONDS:
        return HealthItem("Guards", f"in doubt: last proven {ago} ago", HealthTone.DOUBT)
    kept, servers = fact.kept or (0, 0)
    # Where no API server keeps them, keep is not installed, which is no doubt.
    kept_text = f", kept on disk at {kept} of {servers} API servers" if kept else ""
    return HealthItem(
        "Guards", f"proven {ago} ago{kept_text}", HealthTone.DOUBT if 0 < kept < servers else HealthTone.GOOD
    )


def _witness(fact: Fact, now: float) -> Iterator[HealthItem]:
    if not isinstance(fact, WitnessFact):
        yield _unknown("Logs", str(fact))
        return
    future = [time for time in fact.cosigned if time - now > AHEAD_SECONDS]
    past = fact.cosigned[: len(fact.cosigned) - len(future)]
    fresh = [time for time in past if now - time <= FRESH_SECONDS]
    stale = [time for time in past if now - time > FRESH_SECONDS]
    last = f", the last {span(now - past[-1])} ago" if past else ""
    parts = [f"{len(fresh)} witnessed{last}"]
    if stale:
        parts.append(f"{len(stale)} no longer witnessed, the first since {span(now - stale[0])}")
    if future:
        parts.append(f"{len(future)} witnessed in the future, so one of the clocks is wrong")
    if fact.unverified:
        parts.append(f"{fact.unverified} without a cosignature that verifies")
    if fact.refused:
        parts.append(f"{fact.refused} refused: a log contradicts itself")
    if fact.anew:
        parts.append(f"{fact.anew} begun again after a loss")
    good = fresh and len(parts) == 1
    yield HealthItem("Logs", "; ".join(parts), HealthTone.GOOD if good else HealthTone.DOUBT)


def _loss_item(facts: HealthFacts, now: float) -> HealthItem:
    """Say how many records were lost. Good: every log was asked a short while ago, and each said none."""
    if not isinstance(facts.witness, WitnessFact):
        return _unknown(_LOST, str(facts.witness))
    found = loss_sentence(facts.witness.lost, facts.witness.unverified, facts.ended, now - FRESH_SECONDS)
    if found.lost:
        return HealthItem(_LOST, found.told, HealthTone.DOUBT)
    return HealthItem(_LOST, found.told, HealthTone.GOOD if found.known else HealthTone.UNKNOWN)


def _unknown(label: str, why: str) -> HealthItem:
    return HealthItem(label, f"not known: {why}", HealthTone.UNKNOWN)


def is_operator_alive(facts: HealthFacts, now: float) -> bool:
    """Tell whether the operator proved or cosigned something a short while ago, so that what it writes is of now."""
    times = [facts.guard.proven] if isinstance(facts.guard, GuardFact) else []
    if isinstance(facts.witness, WitnessFact):
        times += facts.witness.cosigned
    return any(-AHEAD_SECONDS <= now - time <= FRESH_SECONDS for time in times)
