"""Binding: the digest that ties a grant to one request, byte for byte (AuthZEN ARAP `binding_hash`).

Holds: two calls have the same digest exactly if subject, action, resource and bound context are the same JSON values.
"""

import base64
from collections.abc import Mapping

from bailiwick_engine.call import Call, Json, Party
from bailiwick_engine.canonicaljson import sha256

ARGS = "args"
ARGS_DIGEST = "args_digest"


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
