"""Projections: the parts of a record that either state of its endpoint reads, so that equal ones are replayed once.

Standing: the top of the replay. Holds: a member that is left out of a projection decides nothing, on either side. A
member with an unusual shape is never left out. The memory of projections is bounded.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bailiwick_api import times
from bailiwick_engine.cel.members import HISTORY, Path
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.dimensions.table import DIMENSIONS, reads_of
from bailiwick_engine.policy.model import CompiledCeiling, CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_evidence.derive.rebuild import spelled_path
from bailiwick_evidence.derive.shape import parse_record
from bailiwick_evidence.replay.countedcalls import CountedCalls, wanted
from bailiwick_evidence.replay.outcomes import Hindrance, ReplayOutcome, not_replayable
from bailiwick_evidence.replay.pairs import EndpointPair
from bailiwick_evidence.replay.replay import EndpointStates, replay_record

MOST_KEPT: Final = 200_000
"""The number of cached outcomes. When it is reached, the cache is cleared."""
_MOST_STATES: Final = 4_096
# Names of attributes of which it is kept whether they are read.
_MOST_NAMES: Final = 1_024
_LONGEST_NAME: Final = 512
_ALWAYS: Final = (
    "kind",
    "decision",
    "reason",
    "dry_run",
    "disposition_id",
    "caller",
    "subject",
    "actors",
    "hop",
    "action",
    "limits",
    "policy",
    "audit",
)


class Projection:
    """The parts of a record that two states of its endpoint read. `counts`: the candidate's rules read a history."""

    def __init__(self, pair: EndpointPair) -> None:
        self.pair = pair
        self.counts = pair.new is not None and any(wanted(pair.new))
        parts = [part for endpoint in pair.endpoints for part in _parts(endpoint)]
        self._paths = frozenset[Path]().union(*map(reads_of, parts))
        readers = (
            one.record_reader([part for part in parts if isinstance(part, one.part)], self._paths) for one in DIMENSIONS
        )
        self._readers = [reader for reader in readers if reader is not None]
        self._names = frozenset(path[1] for path in self._paths if path[0] == HISTORY)
        """The histories that conditions read."""
        self._read: dict[str, bool] = {}

    def key(self, record: Mapping[str, Any]) -> bytes | None:
        """Return the key that equal records share; None for a record that equals no other."""
        resource, now = record.get("resource"), record.get("now")
        if not isinstance(resource, dict) or not times.is_moment(now):
            return None
        if not isinstance(resource.get("type"), str) or not isinstance(resource.get("id"), str):
            return None
        attributes, grant, history = record.get("attributes"), record.get("grant"), record.get("history")
        if attributes is not None and not isinstance(attributes, dict):
            return None
        snapshot, data, intent = record.get("snapshot"), record.get("data"), record.get("intent")
        if not isinstance(snapshot, dict) or not (intent is None or isinstance(intent, str)):
            return None
        told = [record.get(member) for member in _ALWAYS]
        told += [reader(record) for reader in self._readers]
        told += [
            None if attributes is None else self._attributes(attributes),
            snapshot.get("pending_seconds") is not None,
            {one: digest is None for one, digest in data.items()} if isinstance(data, dict) else data,
            None if grant is None else (grant, record.get("digest")),
            None if history is None else self._counts(history),
        ]
        return hashlib.blake2b(orjson.dumps(told), digest_size=16).digest()

    def _counts(self, history: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return what is read of each history, and whether it counted the call: not by which event."""
        if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
            return history
        numbers = ("count", "sum", "age")
        return [
            (
                one.get("name"),
                one.get("added"),
                *(one.get(member) for member in numbers if one.get("name") in self._names),
            )
            for one in history
        ]

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes that are read; of a sealed one only that it is sealed."""
        read = self._read
        found = {}
        for name, value in attributes.items():
            wanted = read.get(name)
            if wanted is None:
                wanted = self._is_read(name)
                if len(read) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
                    read[name] = wanted
            if wanted:
                found[name] = {"sealed": sorted(value)} if isinstance(value, dict) and value else value
        return found

    def _is_read(self, name: str) -> bool:
        path = spelled_path(name)
        if path is None:
            return True
        if path[0].startswith("actors["):
            path = ("actor", *path[1:])
        return any(path[: len(one)] == one[: len(path)] for one in self._paths)


class ReplayBook:
    """Replays one record after the other, equal projections once. `evaluated`: the number of distinct ones.

    Where `count` was given all records of a log before, numbers that a record does not have are added up from them.
    """

    def __init__(self, states: EndpointStates) -> None:
        self._states = states
        self._counted: CountedCalls | None = None
        self._outcomes: dict[bytes, ReplayOutcome] = {}
        self._projections: dict[bytes, Projection | ReplayOutcome | None] = {}
        self.evaluated = 0

    def outcome(self, record: Mapping[str, Any], engine: Mapping[str, str] | None) -> ReplayOutcome | None:
        """Return the result for a record; None if the candidate does not concern its endpoint.

        `engine`: the versions that decided, from the line that opens the chain.
        """
        state = self._state(record, engine)
        if state not in self._projections and not self._note(state, record):
            return not_replayable(Hindrance.UNREADABLE)
        projection = self._projections[state]
        if not isinstance(projection, Projection):
            return projection
        counted: Mapping[str, HistoryNumbers] = {}
        if self._counted is not None and projection.counts:
            counted = self._counted.numbers(record, projection.pair)
        made = projection.key(record)
        told = repr(sorted(counted.items())).encode() if counted else b""
        key = None if made is None else hashlib.blake2b(made + state + told, digest_size=16).digest()
        found = None if key is None else self._outcomes.get(key)
        if found is not None:
            return found
        self.evaluated += 1
        found = replay_record(record, self._states, engine, counted)
        # Of what cannot be read, other members are wrong: those that are alike can be read.
        if found is not None and found.hindrance is not Hindrance.UNREADABLE and key is not None:
            if len(self._outcomes) >= MOST_KEPT:
                self._outcomes.clear()
            self._outcomes[key] = found
        return found

    def count(self, record: Mapping[str, Any]) -> None:
        """Add a record to the calls that the candidate's histories count."""
        if self._counted is None:
            self._counted = CountedCalls()
        state = self._state(record, None)
        if state in self._projections or self._note(state, record):
            projection = self._projections[state]
            if isinstance(projection, Projection) and projection.counts:
                self._counted.add(record, projection.pair)

    def _state(self, record: Mapping[str, Any], engine: Mapping[str, str] | None) -> bytes:
        decided_by = [record.get(member) for member in ("endpoint", "policies", "policies_digest", "suspended")]
        decided_by.append(None if engine is None else sorted(engine.items()))
        # Anyone can write a record that names long policies.
        return hashlib.blake2b(orjson.dumps(decided_by), digest_size=16).digest()

    def learn(self, line: Mapping[str, Any]) -> None:
        """Add a line of the kind `policies`, with which later records name their policies."""
        self._states.texts.add_list(line)
        # Records that lacked it before may now have it.
        self._projections = {state: one for state, one in self._projections.items() if isinstance(one, Projection)}

    def _note(self, state: bytes, record: Mapping[str, Any]) -> bool:
        """Find out what is read of all records of this state; False if this one does not have the shape of a record."""
        shape = parse_record(record)
        if shape is None:
            return False
        if len(self._projections) >= _MOST_STATES:
            self._projections.clear()
        pair = self._states.pair(shape)
        if isinstance(pair, EndpointPair):
            self._projections[state] = Projection(pair)
        else:
            self._projections[state] = None if pair is None else not_replayable(pair)
        return True


def _parts(endpoint: CompiledEndpoint) -> tuple[CompiledRule | CompiledCeiling, ...]:
    """Return all parts that have conditions and resources."""
    return (*endpoint.rules, *endpoint.ceiling)
