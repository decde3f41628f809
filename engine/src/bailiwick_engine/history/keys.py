"""Keys: which object a call is counted in, by the values that the parts of a key have for it.

Standing: over the definitions in `policy.histories`. Holds: two different values never give the same name; where
a value is not known, there is no name.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from bailiwick_engine.call import Call, Json, Party
from bailiwick_engine.canonicaljson import NotCanonicalError, canonical
from bailiwick_engine.cel.inputs import NUL, Inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.policy.histories import KeyPart, MemberPart, PartyPart, SessionPart, part_name

_FORM: Final = "bailiwick.dev/history/1"
"""What a key is made by, so that no other form ever has the same hash."""
_NAME_DIGITS: Final = 40


class ObjectKey(NamedTuple):
    """The name of an EndpointHistory, and its `spec.key`."""

    name: str
    key: str


def object_key(endpoint: str, parts: Sequence[KeyPart], call: Call, subject: Party, inputs: Inputs) -> ObjectKey | None:
    """Return the object of a call; None where a part of the key is not known.

    `inputs` is what conditions see of the call.
    """
    texts = [_FORM, endpoint, str(len(parts))]
    for part in sorted(parts, key=part_name):
        values = _part_values(part, call, subject, inputs)
        if values is None:
            return None
        for group in (part_name(part), values):
            texts += [str(len(group)), *group]
    try:
        digest = hashlib.sha256(_framed(texts)).hexdigest()
    except UnicodeEncodeError:
        # Half a character: no text of UTF-8 has it, so that others read something else there.
        return None
    return ObjectKey("h-" + digest[:_NAME_DIGITS], "sha256:" + digest)


def member_at(inputs: Inputs, path: Path) -> Json:
    """Return a member of the call; None where there is none."""
    value: Json = inputs
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _framed(texts: Iterable[str]) -> bytes:
    """Return texts so that none can be read as part of another: each with its length before it."""
    encoded = [text.encode() for text in texts]
    return b"".join([b"%d:%b" % (len(one), one) for one in encoded])


def _part_values(part: KeyPart, call: Call, subject: Party, inputs: Inputs) -> tuple[str, ...] | None:
    match part:
        case PartyPart("subject"):
            return _party_values(subject)
        case PartyPart():
            return _party_values(_agent(call, subject))
        case SessionPart(path):
            return _session_values(part, member_at(inputs, path), call, subject)
        case MemberPart(("resource",)):
            return _texts(call.resource.type, call.resource.id)
        case MemberPart(("action",)):
            return _texts(call.action.name)
        case MemberPart(("intent",)):
            return None if call.intent is None else _texts(call.intent)
        case MemberPart(path):
            return _scalar(member_at(inputs, path))


def _agent(call: Call, subject: Party) -> Party:
    return call.actors[0] if call.actors else subject


def _party_values(party: Party) -> tuple[str, ...] | None:
    """A proven party by issuer and uid, another one by what the enforcer calls it."""
    if party.issuer is None:
        return _texts("asserted", party.type, party.id)
    # A name that no token has proven has no uid.
    return _texts("proven", party.issuer, party.uid) if party.uid else None


def _session_values(part: SessionPart, session: Json, call: Call, subject: Party) -> tuple[str, ...] | None:
    """One that an issuer vouches for is the same for all agents; a stated one is its agent's alone."""
    if not isinstance(session, str) or not session:
        return None
    if part.is_claim:
        return None if subject.issuer is None else _texts("claim", subject.issuer, session)
    agent = _party_values(_agent(call, subject))
    return None if agent is None else _texts("stated", *agent, session)


def _scalar(value: Json) -> tuple[str, ...] | None:
    """Return a text, a number or a truth: `1` and `1.0` are the same number, `"1"` is another value."""
    match value:
        case str():
            return _texts("text", value)
        case bool() | int() | float():
            try:
                return ("json", canonical(value).decode())
            except NotCanonicalError:
                return None
        case _:
            return None


def _texts(*values: str) -> tuple[str, ...] | None:
    """Return texts; None if one has a NUL character, behind which some programs read nothing."""
    return None if any(NUL in value for value in values) else values
