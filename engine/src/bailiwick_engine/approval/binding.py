"""Binding: the digest that ties a grant to one request, byte for byte (AuthZEN ARAP `binding_hash`).

Holds: two calls have the same digest exactly if subject, action, resource and bound context are the same JSON values.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

import orjson
import rfc8785

from bailiwick_engine.call import Call, Json, Party

ARGS = "args"
ARGS_DIGEST = "args_digest"


class NotCanonicalError(ValueError):
    """The value has no canonical form (RFC 8785): an integer of 2^53 or more, NaN, a lone surrogate, or too deep."""


def canonical(value: Json) -> bytes:
    """Return the JCS bytes of a value. Raises `NotCanonicalError`.

    Most values are such that orjson writes the same bytes in a twentieth of the time; rfc8785 says it of all others.
    """
    if _plain(value, _DEEP):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            # Half a character: that is for the other to say.
            pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonicalError(str(error)) from error


def _plain(value: Json, deeper: int) -> bool:
    """Tell whether the two libraries agree on a value: they part at floats, large integers and the order of names.

    By exact types, since a type of one's own may be written otherwise by each.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_SAFE <= value <= _SAFE)
    if not deeper:
        return False
    if kind is list:
        return all(_plain(item, deeper - 1) for item in value)
    if kind is not dict:
        return False
    # RFC 8785 orders names by UTF-16, orjson by code point.
    return all(type(name) is str and name.isascii() and _plain(item, deeper - 1) for name, item in value.items())


_SAFE: Final = 2**53 - 1
_DEEP: Final = 32


def sha256(value: Json) -> str:
    """Return `sha256:` and the hex SHA-256 of the value's canonical form. Raises `NotCanonicalError`."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def bound_context(context: Mapping[str, Json]) -> dict[str, Json]:
    """Return the context that is digested: arguments give way to their digest, so that none need be kept."""
    if ARGS not in context:
        return dict(context)
    bound = {name: value for name, value in context.items() if name != ARGS}
    bound[ARGS_DIGEST] = sha256(context[ARGS])
    return bound


def binding_object(
    subject: Mapping[str, Json], action: Mapping[str, Json], resource: Mapping[str, Json], context: Mapping[str, Json]
) -> dict[str, Json]:
    """Return the object that is digested: the request without `subject.properties.act` (ARAP 1.0 draft, binding_hash).

    Where `act` was the only property, `properties` stays, empty: only that member is removed.
    """
    if "properties" in subject:
        subject = {**subject, "properties": bound_properties(subject["properties"])}
    return {"subject": dict(subject), "action": dict(action), "resource": dict(resource), "context": dict(context)}


def bound_properties(properties: Json) -> Json:
    """Return a subject's properties as they are digested, without `act`."""
    if not isinstance(properties, Mapping):
        return properties
    return {name: value for name, value in properties.items() if name != "act"}


def hash_of(spelled: str) -> str:
    """Return ARAP's `binding_hash` of a digest that `sha256` spelled: unpadded base64url of the same SHA-256."""
    return base64.urlsafe_b64encode(bytes.fromhex(spelled.removeprefix("sha256:"))).rstrip(b"=").decode()


def digest(call: Call, subject: Party) -> str:
    """Return the digest of a call over its verified values. Raises `NotCanonicalError`."""
    return sha256(
        binding_object(
            _entity({"type": subject.type, "id": subject.id}, subject.properties),
            _entity({"name": call.action.name}, call.action.properties),
            _entity({"type": call.resource.type, "id": call.resource.id}, call.resource.properties),
            bound_context(call.context),
        )
    )


def _entity(members: dict[str, Json], properties: Mapping[str, Json] | None) -> dict[str, Json]:
    return members if properties is None else {**members, "properties": dict(properties)}
