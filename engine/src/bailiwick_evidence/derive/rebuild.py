"""Rebuild: the call of a record, as the engine takes it, and which of its attributes are sealed.

Holds: an attribute stands where its name says, and nowhere else; what the record does not tell is absent.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount, UnprovenParty
from bailiwick_engine.cel.data import Data, DataObject
from bailiwick_engine.cel.members import Path
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.shape import RecordParty, RecordShape, RecordWorkload

_ROOT: Final = re.compile(r"subject|action|resource|context|data|actors\[[0-9]+\]")
_STEP: Final = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\]""")
_SEALS: Final = ({"hmac"}, {"redacted"})


class CallOnRecord(NamedTuple):
    """A call as its record has it. `sealed` are attributes of which only an HMAC or a mark is left.

    `data`: of each object that was known, what was read of it.
    """

    call: Call
    sealed: frozenset[Path]
    data: Data


def rebuilt(shape: RecordShape, refused: Reason | None = None) -> CallOnRecord | None:
    """Return the call of a record; None where its attributes fit no call. `refused`: see `Call`.

    A subject that is null was not proven, and the record's reason says why.
    """
    namespace, _, endpoint = shape.endpoint.partition("/")
    seen: dict[str, Any] = {}
    sealed: set[Path] = set()
    for name, value in (shape.attributes or {}).items():
        path = spelled_path(name)
        if path is None or not _put(seen, sealed, path, value):
            return None
    data = _data(shape.data or {}, seen.get("data", {}), {path[1] for path in sealed if path[0] == "data"})
    if data is None:
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
    )
    return CallOnRecord(call, frozenset(sealed), data)


def spelled_path(name: str) -> Path | None:
    """Return the path that an attribute's name spells; None where it spells none."""
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


def _put(seen: dict[str, Any], sealed: set[Path], path: Path, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Put a value at its place; False where something else is there, or no record has a value like it."""
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
    """Return the objects that were known; None where something was read of one that was not."""
    known = {name for name, digest in digests.items() if digest is not None}
    if not known.issuperset(seen) or not known.issuperset(sealed):
        return None
    values = {name: seen.get(name, {}) for name in known}
    # An object is one, whatever was read of it.
    if not all(isinstance(value, dict) for value in values.values()):
        return None
    return {name: DataObject(name, "", 0, value, digests[name]) for name, value in values.items()}


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
    # What is not listed is no image of any policy.
    more = {f"image {number}" for number in range(min(workload.more_images, 1))}
    return PodWorkload(frozenset({*workload.images, *more}), workload.labels)
