"""A call: what somebody is about to do, in AuthZEN's words, and the body that asks about it.

Holds: frozen; what would not survive I-JSON (RFC 7493) is refused before anything is sent, since an argument that the
decision point reads differently is an argument without a decision.
"""

import base64
import binascii
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

SERVICE_ACCOUNT: Final = "serviceAccount"
USER: Final = "user"
UNKNOWN: Final = "unknown"
# Names of the service accounts of a cluster, as their tokens' `sub` has them.
_SERVICE_ACCOUNT_SUB: Final = "system:serviceaccount:"
# From here on a JSON number is no longer every reader's number (RFC 7493, 2.2).
_INTEGER_LIMIT: Final = 2**53
# Members of the context that a call has fields of its own for; in `context` they would override those.
_OWN_MEMBERS: Final = frozenset({"approval", "args", "business_justification", "dry_run", "evidence", "intent"})
_DEPTH: Final = 24
# Categories of Unicode whose characters leave no mark of their own, and characters of other categories that leave none.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"})
_BLANK: Final = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a call is for: AuthZEN's subject. `properties` are your word for it, and are not verified."""

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_token(cls, token: str) -> "Principal":
        """Return whom a token claims to be of. Nothing is verified here: the decision point does that."""
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            subject = claims["sub"]
        except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
            return cls(USER, UNKNOWN)
        if not isinstance(subject, str) or not subject:
            return cls(USER, UNKNOWN)
        return cls(SERVICE_ACCOUNT if subject.startswith(_SERVICE_ACCOUNT_SUB) else USER, subject)


@dataclass(frozen=True, slots=True, init=False)
class AccessResource:
    """What is acted on: `Resource("Order", "8812", amount=9000)`. Keywords are its properties."""

    type: str
    id: str
    properties: Mapping[str, Any]

    def __init__(self, type: str, id: str, /, **properties: Any) -> None:  # noqa: A002, ANN401 - AuthZEN's words, any JSON value
        object.__setattr__(self, "type", type)
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "properties", properties)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AccessCall:
    """One call, as it will be made.

    `token` is the caller's own token, which the decision point verifies; `subject` names whom the call is for, and is
    read out of the token where you leave it out. `actor_token` is the workload's own where it acts for somebody.
    `args` are the very arguments of the action: an approval is bound to their digest. `intent` is the declared purpose.
    `context` holds further members, which are bound too. `traceparent` is the caller's (W3C Trace Context).
    Never shown by `repr`: tokens and arguments.
    """

    action: str
    resource: AccessResource
    token: str | None = None
    subject: Principal | None = None
    actor_token: str | None = None
    action_properties: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] | None = None
    intent: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None

    def __post_init__(self) -> None:
        """Refuse a context that would say something else than the fields. Raises `ValueError`."""
        if taken := _OWN_MEMBERS & set(self.context):
            raise ValueError(f"context must not hold {', '.join(sorted(taken))}: the client itself sets these")

    def __repr__(self) -> str:
        return f"Call({self.action!r} on {self.resource.type}:{self.resource.id})"


def body_of(
    call: AccessCall,
    *,
    approval: Mapping[str, Any] | None = None,
    reason: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Return the body of an evaluation (AuthZEN 1.0, 6.1). Members that a call does not have are left out.

    `dry_run`: it only asks what the call would come to.
    """
    body = {
        "subject": entity(call.subject or Principal.of_token(call.token or "")),
        "action": _without_empty({"name": call.action, "properties": dict(call.action_properties)}),
        "resource": entity(call.resource),
        "context": {**context_of(call, approval, reason), **({"dry_run": True} if dry_run else {})},
    }
    return _without_empty(body)


def copy_of(call: AccessCall) -> AccessCall:
    """Return a call whose values nothing else can change. Raises `ValueError` for a call that JSON cannot carry."""

    def copied(of: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = decoded(encoded(of))
        return found

    subject, resource = call.subject, call.resource
    return replace(
        call,
        resource=AccessResource(resource.type, resource.id, **copied(resource.properties)),
        subject=None if subject is None else replace(subject, properties=copied(subject.properties)),
        action_properties=copied(call.action_properties),
        args=None if call.args is None else copied(call.args),
        context=copied(call.context),
    )


def visible_reason(reason: str) -> str:
    """Return the reason for an approval. Raises `ValueError` where a reviewer would see nothing of it."""
    if all(unicodedata.category(char) in _UNSEEN or char in _BLANK for char in reason):
        raise ValueError("the reason for an approval must hold a character that a reviewer can see")
    return reason


def entity(of: Principal | AccessResource) -> dict[str, Any]:
    """Return AuthZEN's entity."""
    return _without_empty({"type": of.type, "id": of.id, "properties": dict(of.properties)})


def context_of(
    call: AccessCall, approval: Mapping[str, Any] | None = None, reason: str | None = None
) -> dict[str, Any]:
    """Return AuthZEN's context: the call's own members, the evidence, and what is shown of an approval."""
    evidence = {"subject_token": call.token, "actor_token": call.actor_token}
    own = {
        "args": None if call.args is None else dict(call.args),
        "intent": call.intent,
        "evidence": {name: token for name, token in evidence.items() if token is not None} or None,
        "approval": approval,
        "business_justification": reason,
    }
    return {**call.context, **{name: value for name, value in own.items() if value is not None}}


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as I-JSON. Raises `ValueError` for what I-JSON cannot carry."""
    _checked(body, _DEPTH)
    try:
        # A member can be any mapping, such as a view that nothing can change; json itself takes dictionaries alone.
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict).encode()
    except UnicodeEncodeError:
        raise ValueError("a text of the call holds a lone surrogate, which JSON cannot carry") from None


def decoded(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse I-JSON. Raises `ValueError` for anything else: members twice, NaN, text that is not UTF-8."""
    if isinstance(text, bytes):
        text = text.decode()
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member occurs twice")
    return found


def _refused(name: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{name} is no JSON")


def _checked(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"the call is nested more than {_DEPTH} levels deep")
    if isinstance(value, Mapping):
        for name, member in value.items():
            if not isinstance(name, str):
                raise ValueError(f"{name!r} is no name of a member: JSON has texts there")  # noqa: TRY004 - one error
            _checked(member, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _checked(item, depth - 1)
    elif isinstance(value, int) and abs(value) >= _INTEGER_LIMIT:
        raise ValueError(f"{value} is 2^53 or more: send it as a text")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a {type(value).__name__} is no JSON value")


def _without_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value != {}}
