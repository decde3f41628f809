"""What lines say of histories: one mention for each history that a decision read, or that counted its call.

Standing: under `historyfold`. Holds: a line is parsed only if it names a history; a member with another shape than a
process writes is counted, and is no mention.
"""

import hashlib
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bailiwick_api import times
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_evidence.linekinds import DECISIONS

NAMED: Final = b'"history"'
"""A process writes no line that names a history without these bytes."""


class _Member(msgspec.Struct, frozen=True):
    name: str
    object: str
    seq: int
    count: int
    sum: str | None
    age: int | None
    added: bool
    repeated: bool = False
    awaited: bool = False


class _OwnEvent(msgspec.Struct, frozen=True):
    """What a line that records no decision has of a history: an event, and perhaps more."""

    object: str
    seq: int


class _DecisionLine(msgspec.Struct, frozen=True):
    endpoint: str
    decision: bool
    history: tuple[_Member, ...]
    now: float | None = None
    time: str | None = None
    dry_run: bool = False
    policies: Mapping[str, str | None] | None = None
    policies_digest: str | None = None
    suspended: tuple[str, ...] = ()


class _OtherLine(msgspec.Struct, frozen=True):
    endpoint: str
    history: tuple[_OwnEvent, ...] = ()
    event: str | None = None


class HistoryMention(NamedTuple):
    """What a line says of one history.

    `definition`: by which its calls are counted together: the digest of the definition, or else one of the policies of
    the endpoint, since with other policies it may be another definition. `history`: the definition, where it is known.
    `number`: how many calls it has counted.
    """

    name: str
    definition: str
    number: int
    total: int | None
    age: int | None
    added: bool
    history: CompiledHistory | None


class ObjectEvent(NamedTuple):
    """What one line says of one object. `place`: the chain and the number of the line. `time` in seconds.

    `repeated`: an earlier line has the call already. `withdrawn`: the call was denied in the end, so that it was taken
    out again if it had been counted. `later`: the numbers are those of a later moment than `seq`, when the call stood
    in other objects too. `mentions` is empty in a line that records an event and no decision; `withdrawn`: the event
    took a call out. `noted`: the call was noted down, to be counted by its outcome.
    """

    seq: int
    time: float
    place: tuple[str, int]
    repeated: bool = False
    withdrawn: bool = False
    later: bool = False
    noted: bool = False
    mentions: tuple[HistoryMention, ...] = ()

    @property
    def added(self) -> bool:
        """Whether the call was counted in any history of the object."""
        return any(one.added for one in self.mentions)

    @property
    def owns(self) -> bool:
        """Whether the number is that of this very call, and of no other."""
        return (self.added or self.noted) and not self.repeated


ObjectName = tuple[str, str]
"""An endpoint as `namespace/name`, and the name of an EndpointHistory."""


def events_of(
    record: Mapping[str, Any], place: tuple[str, int], definitions: Mapping[str, CompiledHistory]
) -> list[tuple[ObjectName, ObjectEvent]] | None:
    """Return what a line says of each object; None if its members have another shape than a process writes.

    `definitions`: those of the endpoint then, by name, as far as they are known.
    """
    if "history" not in record:
        # The word stands elsewhere, as in an attribute.
        return []
    try:
        if record.get("kind") not in DECISIONS:
            line = msgspec.convert(record, _OtherLine)
            released = line.event == "released"
            return [
                ((line.endpoint, one.object), ObjectEvent(one.seq, 0.0, place, withdrawn=released))
                for one in line.history
            ]
        decided = msgspec.convert(record, _DecisionLine)
    except msgspec.ValidationError:
        return None
    if decided.dry_run:
        # It may have read a state that was no longer the present one.
        return []
    moment = None if decided.time is None else times.parse_time(decided.time)
    time = decided.now if decided.now is not None else None if moment is None else moment.timestamp()
    found = _by_object(decided, definitions)
    if not times.is_moment(time) or found is None:
        return None
    noted = {one.object for one in decided.history if one.awaited}
    counted = {name for name, (_, mentions) in found.items() if any(one.added for one in mentions)} | noted
    # Several objects are written in the order of their names, and all but the last are read again after that.
    last = max(counted, default=None)
    events: list[tuple[ObjectName, ObjectEvent]] = []
    for name, (first, mentions) in found.items():
        if first.seq == 0 and name not in counted:
            # There was no object.
            continue
        event = ObjectEvent(
            first.seq,
            time,
            place,
            repeated=first.repeated,
            withdrawn=not decided.decision and (name in counted or len(found) > 1),
            later=len(found) > 1 and name != last,
            noted=name in noted,
            mentions=tuple(mentions),
        )
        events.append(((decided.endpoint, name), event))
    return events


def _by_object(
    line: _DecisionLine, definitions: Mapping[str, CompiledHistory]
) -> dict[str, tuple[_Member, list[HistoryMention]]] | None:
    """Return what a line says of each object, with the first of its members; None if members contradict each other."""
    state = _state_of(line)
    found: dict[str, tuple[_Member, list[HistoryMention]]] = {}
    for one in line.history:
        numbers = HistoryNumbers.from_record(one.count, one.sum, one.age)
        first, mentions = found.setdefault(one.object, (one, []))
        alike = (first.seq, first.repeated) == (one.seq, one.repeated)
        if numbers is None or min(one.count, one.seq, one.age or 0) < 0 or not alike:
            return None
        known = definitions.get(one.name)
        definition = state if known is None else known.digest
        mention = HistoryMention(sys.intern(one.name), definition, one.count, numbers.total, one.age, one.added, known)
        mentions.append(mention)
    return found


def _state_of(line: _DecisionLine) -> str:
    """Return what the policies of a line have in common with those of other lines with the same ones."""
    policies = line.policies_digest or repr(sorted((line.policies or {}).items()))
    state = hashlib.blake2b(f"{policies} {line.suspended}".encode(errors="replace"), digest_size=12)
    return sys.intern(state.hexdigest())
