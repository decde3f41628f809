"""Which policies an endpoint had at a moment, by the decisions of a log before and after it, and the ledger's texts.

Standing: over `logfiles`, under questions about a moment. Holds: a decision names all policies of its endpoint by their
digests; what the decisions around a moment do not show alike is a doubt, which stands beside the answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.derivation import OBSTACLES, Obstacle
from bailiwick_evidence.derive.derive import endpoint_on_record
from bailiwick_evidence.derive.shape import RecordShape, parse_record
from bailiwick_evidence.derive.texts import Listed
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.linekinds import DECISIONS, POLICY_LIST
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.derivations import texts_of_ledger, versions_of
from bailiwick_governance.records.logfiles import LogFiles

_MODE: Final = "mode"
_POLICY: Final = "policy"
_NAMED: Final = 5


class _Witnessed(NamedTuple):
    """A decision, with the moment by which its rules were judged, and the chain that has it."""

    now: float
    chain: str
    record: Mapping[str, Any]


@dataclass(slots=True)
class _Around:
    """The decisions of one chain on one endpoint that are nearest to a moment: the last up to it, the first after."""

    before: _Witnessed | None = None
    after: _Witnessed | None = None


class _PolicyState(NamedTuple):
    """What an endpoint's policies were in a decision: their digests by name, and those that were off."""

    listed: Listed | None
    suspended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastEndpoint:
    """An endpoint as the decision point had it at a moment. `doubts`: why it may have been another one.

    `notes`: what else the log does not say. `known`: the moment of the decision that shows it.
    """

    key: EndpointKey
    endpoint: CompiledEndpoint
    known: float
    doubts: tuple[str, ...]
    notes: tuple[str, ...]


class PolicyTimes:
    """What logs say of policies at a moment. Raises `UserError` if the files cannot be read."""

    def __init__(self, files: LogFiles, at: float) -> None:
        self._at = at
        self._names = ", ".join(files.names)
        self._around: dict[EndpointKey, dict[str, _Around]] = {}
        self._ledger: list[tuple[float, Mapping[str, Any]]] = []
        self._lists: list[Mapping[str, Any]] = []
        self._audit = LogAudit(WitnessBook(()))
        for line in files.lines(self._audit, "Reading lines"):
            self._add(line)
        self._texts = texts_of_ledger(self._audit)
        for listed in self._lists:
            self._texts.add_list(listed)

    def endpoint(self, namespace: str | None, name: str | None) -> PastEndpoint:
        """Return an endpoint of these names; None: the only one that there is. Raises `UserError`."""
        key = self._key(namespace, name)
        around = self._around[key].values()
        before = max((one.before for one in around if one.before is not None), key=_moment, default=None)
        after = min((one.after for one in around if one.after is not None), key=_moment, default=None)
        place, stamp = visible("/".join(key)), times.epoch_stamp(self._at)
        if before is None:
            first = "" if after is None else f"; the first one is of {times.epoch_stamp(after.now)}"
            raise UserError(
                f"no decision on {place} up to {stamp} in {self._names}{first}: give earlier files, since a decision"
                " names the policies that it was made by"
            )
        shape = self._shape(before)
        found = endpoint_on_record(shape, self._texts)
        if isinstance(found, Obstacle):
            raise UserError(
                f"the policies of {place} at {stamp} are not known, by the decision"
                f" {visible(str(before.record.get('evaluation_id')))} of {times.epoch_stamp(before.now)}:"
                f" {OBSTACLES[found]}"
            )
        if found is None:
            raise UserError(f"{place} had no policy at {times.epoch_stamp(before.now)}: each call was denied")
        state = self._state(shape)
        doubts = [*self._doubts(key, state, before, after), *_unread(state)]
        return PastEndpoint(key, found.compiled, before.now, tuple(doubts), tuple(self._notes(before)))

    def _add(self, line: ChainLine) -> None:
        record = parse_line(line.text)
        kind = record.get("kind")
        if kind == POLICY_LIST:
            self._lists.append(record)
        elif kind in {_MODE, _POLICY}:
            written = times.parse_time(record.get("time"))
            if written is not None:
                self._ledger.append((written.timestamp(), record))
        elif kind in DECISIONS:
            self._add_decision(line.link.id, record)

    def _add_decision(self, chain: str, record: Mapping[str, Any]) -> None:
        now, place = record.get("now"), record.get("endpoint")
        if not times.is_moment(now) or not isinstance(place, str):
            return
        namespace, _, name = place.partition("/")
        around = self._around.setdefault((namespace, name), {}).setdefault(chain, _Around())
        made = _Witnessed(now, chain, record)
        if now <= self._at:
            if around.before is None or now >= around.before.now:
                around.before = made
        elif around.after is None or now < around.after.now:
            around.after = made

    def _key(self, namespace: str | None, name: str | None) -> EndpointKey:
        found = [key for key in sorted(self._around) if namespace in {None, key[0]} and name in {None, key[1]}]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(visible("/".join(key)) for key in found)
            raise UserError(f"choose an endpoint with -n and --endpoint: the log has decisions on {listed}")
        raise UserError(f"no decision on that endpoint in {self._names}: give the files of the decision points")

    def _shape(self, made: _Witnessed) -> RecordShape:
        shape = parse_record(made.record)
        if shape is None:
            raise UserError(
                f"the record {visible(str(made.record.get('evaluation_id')))} of {times.epoch_stamp(made.now)} cannot"
                " be read: use a newer version, and verify the log"
            )
        return shape

    def _state(self, shape: RecordShape) -> _PolicyState:
        """Return the policies of a decision, which are known as far as the log has the list that it names."""
        listed: Listed | None = shape.policies
        if shape.policies_digest is not None:
            listed = self._texts.find_list(shape.policies_digest) or {f"list {shape.policies_digest}": None}
        return _PolicyState(None if listed is None else dict(listed), tuple(sorted(shape.suspended)))

    def _doubts(
        self, key: EndpointKey, state: _PolicyState, before: _Witnessed, after: _Witnessed | None
    ) -> Iterator[str]:
        """Yield why the policies may have been others at the moment than in the last decision up to it."""
        place = visible("/".join(key))
        begin = times.epoch_stamp(before.now)
        if after is None:
            yield (
                f"no decision on {place} after the moment is in these files, so nothing shows that the policies of"
                f" {begin} still held: give later files"
            )
        end = before.now if after is None else after.now
        others = [after, *self._spanning(key)] if after is not None else [*self._spanning(key)]
        for other in sorted(others, key=_moment):
            if (theirs := self._state(self._shape(other))) != state:
                yield (
                    f"decisions around the moment name other policies: {_difference(state, theirs)} (of {begin} and of"
                    f" {times.epoch_stamp(other.now)}); this answers by those of {begin}"
                )
                break
        changed = sorted({*self._changes(key, state, before.now, max(end, self._at))})
        if changed:
            yield (
                f"the ledger has changes between {begin} and {times.epoch_stamp(max(end, self._at))} that no decision"
                f" shows: of {visible(_some(changed))}"
            )

    def _spanning(self, key: EndpointKey) -> Iterator[_Witnessed]:
        """Yield the decisions nearest to the moment of the processes that decided before it and after it."""
        for one in self._around[key].values():
            if one.before is not None and one.after is not None:
                yield from (one.before, one.after)

    def _changes(self, key: EndpointKey, state: _PolicyState, begin: float, end: float) -> Iterator[str]:
        """Yield the policies of the endpoint of which the ledger has another text or mode between two moments."""
        listed = state.listed or {}
        for written, line in self._ledger:
            namespace, _, name = str(line.get("policy")).partition("/")
            if not begin < written <= end or namespace != key[0]:
                continue
            if line["kind"] == _MODE:
                if name in listed:
                    yield name
            elif line.get("digest") not in listed.values() and (name in listed or _is_for(line, key[1])):
                yield name

    def _notes(self, before: _Witnessed) -> Iterator[str]:
        yield (
            f"these are the policies by the decision of {times.epoch_stamp(before.now)}; a change that was taken back"
            " between two decisions may not show at all: the ledger has each text once in the life of an operator"
        )
        yield "the log was read, and not verified: `audit verify` says whether it is what was written"
        yield "subjects that were taken back at that time, approvals and data are not considered"
        versions = versions_of(self._audit.chains[before.chain].opening)
        if versions is None:
            yield "the line is missing that says which version decided: give earlier files"
        elif versions != engine_versions():
            yield f"version {visible(versions['engine'])} decided, and this one answers: it may read policies otherwise"


def _moment(one: _Witnessed) -> float:
    return one.now


def _is_for(line: Mapping[str, Any], endpoint: str) -> bool:
    return parse_line(str(line.get("text")).encode()).get("endpoint") == endpoint


def _unread(state: _PolicyState) -> Iterator[str]:
    broken = [name for name, digest in (state.listed or {}).items() if digest is None]
    if broken:
        yield f"{visible(_some(sorted(broken)))} did not compile then, and it is not known whom that denied"


def _difference(state: _PolicyState, other: _PolicyState) -> str:
    ours, theirs = state.listed or {}, other.listed or {}
    names = {name for name in ours.keys() | theirs.keys() if ours.get(name, "") != theirs.get(name, "")}
    return visible(_some(sorted(names | (set(state.suspended) ^ set(other.suspended)))))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
