"""Cool-down: which calls are the same request as one that a reviewer denied.

Standing: over `grants`, for the decision and for opening. Holds: an attribute that no rule of the gate reads and no
policy shows does not make a call another request, because the caller can vary it freely. Unless the policy says what
reviewers see, the arguments and the properties of action and resource count as they are.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from bailiwick_engine.approval.binding import ARGS, ARGS_DIGEST, bound_properties
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.approval.grants import Grant, concerns, scope_of
from bailiwick_engine.call import Call, Json, Party
from bailiwick_engine.canonicaljson import sha256
from bailiwick_engine.names import NameSet

_Path = tuple[str, ...]
_SHOWN_WHOLE: Final[frozenset[_Path]] = frozenset(
    {("context", ARGS), ("context", ARGS_DIGEST), ("action", "properties"), ("resource", "properties")}
)
_ROOTS: Final = frozenset({"subject", "action", "resource", "context"})
_ABSENT: Final[Json] = []
_PRESENT: Final = "="


def request_digest(call: Call, subject: Party, gate: Gate) -> str:
    """Return `sha256:` and the SHA-256 of what a denial of this call is remembered by. Raises `NotCanonicalError`.

    Subject uid, actors and endpoint are not in it: they are compared beside it.
    """
    said: dict[str, Json] = {
        "action": call.action.name,
        "resource": [call.resource.type, call.resource.id],
        "intent": call.intent if gate.intents else None,
    }
    if gate.scope:
        said["scope"] = dict(scope_of(call.resource, gate) or {})
        return sha256(said)
    whole: Mapping[str, Json] = {
        "subject": {"type": subject.type, "id": subject.id, "properties": bound_properties(subject.properties)},
        "action": {"name": call.action.name, "properties": _plain(call.action.properties)},
        "resource": {
            "type": call.resource.type,
            "id": call.resource.id,
            "properties": _plain(call.resource.properties),
        },
        "context": call.context,
    }
    said["members"] = [[list(path), _member(whole, path)] for path in sorted(_compared_paths(gate))]
    return sha256(said)


def same_request(call: Call, subject: Party, gate: Gate) -> Callable[[Grant], bool]:
    """Return what tells whether a denial of a grant is one of this call too, though the grant may be of another.

    The digest is made once, and only where a denied grant may be of the same request: arguments may be large.
    """
    digest = cache(lambda: request_digest(call, subject, gate))

    def same(grant: Grant) -> bool:
        return _was_denied(grant) and _is_same_request(grant, call, subject, gate, digest)

    return same


def _was_denied(grant: Grant) -> bool:
    return grant.phase == "Denied" or any(review.decision == "Deny" for review in grant.reviews)


def _is_same_request(grant: Grant, call: Call, subject: Party, gate: Gate, digest: Callable[[], str]) -> bool:
    request = grant.request
    if not concerns(grant, call, subject):
        return False
    if not grant.by_hand:
        remembered = request.binding.request
        return remembered is not None and request.resource.id == call.resource.id and remembered == digest()
    if gate.intents and request.intent not in {None, call.intent}:
        return False
    held = call.resource.properties or {}
    bound = request.resource.properties or {}
    if any(name in gate.scope_properties and held.get(name) != value for name, value in bound.items()):
        return False
    return call.resource.id in NameSet.of((request.resource.id,))


def _compared_paths(gate: Gate) -> frozenset[_Path]:
    pointers = gate.show or ()
    shown = _SHOWN_WHOLE if gate.show is None else frozenset(_path(pointer) for pointer in pointers)
    required = frozenset(("context", name) for name in gate.required_context)
    return shown | required | frozenset(path for path in gate.reads if path[0] in _ROOTS)


def _path(pointer: str) -> _Path:
    """Return the members that a JSON pointer names (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/"))


def _member(whole: Json, path: _Path) -> Json:
    """Return what a path leads to: as far as there are names, so that nothing below it is left out."""
    value = whole
    for name in path:
        if not isinstance(value, Mapping):
            break
        if name not in value:
            return _ABSENT
        value = value[name]
    return [_PRESENT, value]


def _plain(properties: Mapping[str, Json] | None) -> Json:
    return None if properties is None else dict(properties)
