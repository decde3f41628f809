"""Rebuild: the call of a record, as an input of the engine, and which of its attributes are sealed.

Holds: an attribute is only at the path of its name; an attribute that the record does not contain is absent.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount, UnprovenParty
from bailiwick_engine.cel.data import Data, DataObject
from bailiwick_engine.cel.members import HISTORY, Path
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.shape import RecordHistory, RecordParty, RecordShape, RecordWorkload

_ROOT: Final = re.compile(r"subject|action|resource|context|data|history|actors\[[0-9]+\]")
_STEP: Final = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\]""")
_SEALS: Final = ({"hmac"}, {"redacted"})


class CallOnRecord(NamedTuple):
    """A call from its record. `sealed` attributes have only an HMAC or a mark.

    `data`: the parts that were read of each object that was known. `history`: the numbers that were known, by name.
    """

    call: Call
    sealed: frozenset[Path]
    data: Data
    history: Mapping[str, HistoryNumbers] = {}


def rebuild_call(shape: RecordShape, refused: Reason | None = None) -> CallOnRecord | None:
    """Return the call of a record; None if its attributes fit no call. `refused`: see `Call`.

    A null subject was not proven; the record's reason says why.
    """
    namespace, _, endpoint = shape.endpoint.partition("/")
    seen: dict[str, Any] = {}
    sealed: set[Path] = set()
    for name, value in (shape.attributes or {}).items():
        path = spelled_path(name)
        if path is None or not _put_value(seen, sealed, path, value):
            return None
    data = _data(shape.data or {}, seen.get("data", {}), {path[1] for path in sealed if path[0] == "data"})
    history = _history(shape.history, seen.get("history", {}), sealed)
    if data is None or history is None:
        return None
    context = seen.get("context", {})
    if shape.intent is not None:
        context.setdefault("intent", shape.intent)
    subject = UnprovenParty(Reason(shape.reason)) if shape.subject is None else _party(shape.subject, seen, "subject")
    action, resource = seen.get("action", {}), seen.get("resource", {})
    call = Call(
        namespace,
        endpoint,
        ServiceAccount(shape.caller.id, shape.caller.uid),
        subject,
        Action(shape.action, action.get("properties")),
        Resource(shape.resource.type, shape.resource.id, resource.get("properties")),
        context,
        tuple(_party(actor, seen, f"actors[{index}]") for index, actor in enumerate(shape.actors)),
        refused=refused,
        dry_run=shape.dry_run,
    )
    return CallOnRecord(call, frozenset(sealed), data, history)


def spelled_path(name: str) -> Path | None:
    """Return the path in an attribute's name; None if it is not a path."""
    root = _ROOT.match(name)
    if root is None:
        return None
    path, at = [root.group()], root.end()
    while at < len(name):
        step = _STEP.match(name, at)
        if step is None:
            return None
        path.append(step[1] if step[1] is not None else ast.literal_eval(step[2]))
        at = step.end()
    return tuple(path)


def _put_value(seen: dict[str, Any], sealed: set[Path], path: Path, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Put a value at its path; False if another value is there, or if no record can contain such a value."""
    if isinstance(value, dict) and value:
        sealed.add(path)
        return set(value) in _SEALS
    into: Any = seen
    for part in path[:-1]:
        into = into.setdefault(part, {})
        if not isinstance(into, dict):
            return False
    if isinstance(value, dict):
        # An object that lacks what is read of it.
        return isinstance(into.setdefault(path[-1], {}), dict)
    if path[-1] in into or len(path) == 1:
        return False
    into[path[-1]] = value
    return True


def _data(digests: Mapping[str, str | None], seen: Mapping[str, Any], sealed: set[str]) -> Data | None:
    """Return the objects that were known; None if a part of an unknown object was read."""
    known = {name for name, digest in digests.items() if digest is not None}
    if not known.issuperset(seen) or not known.issuperset(sealed):
        return None
    values = {name: seen.get(name, {}) for name in known}
    # An object is one, whatever was read of it.
    if not all(isinstance(value, dict) for value in values.values()):
        return None
    return {name: DataObject(name, "", 0, value, digests[name]) for name, value in values.items()}


def _history(
    counts: Sequence[RecordHistory], seen: Mapping[str, Any], sealed: set[Path]
) -> Mapping[str, HistoryNumbers] | None:
    """Return the numbers of each history; None if one is named twice, or if the attributes have others."""
    found: dict[str, HistoryNumbers] = {}
    for one in counts:
        numbers = HistoryNumbers.from_record(one.count, one.sum, one.age)
        if numbers is None or one.name in found or min(one.count, one.seq, one.age or 0) < 0:
            return None
        found[one.name] = numbers
    if any(path[0] == HISTORY for path in sealed) or not found.keys() >= seen.keys():
        return None
    for name, members in seen.items():
        if not isinstance(members, dict) or not members.items() <= found[name].members.items():
            return None
    return found


def _party(party: RecordParty, seen: Mapping[str, Any], root: str) -> Party:
    members = seen.get(root, {})
    return Party(
        party.type,
        party.id,
        party.uid,
        claims=members.get("claims", {}),
        properties=members.get("properties"),
        issuer=party.issuer,
        groups=party.matched,
        workload=_workload(party.workload) if isinstance(party.workload, RecordWorkload) else None,
    )


def _workload(workload: RecordWorkload) -> PodWorkload:
    # An image that is not listed is not in any policy.
    more = {f"image {number}" for number in range(min(workload.more_images, 1))}
    return PodWorkload(frozenset({*workload.images, *more}), workload.labels)
