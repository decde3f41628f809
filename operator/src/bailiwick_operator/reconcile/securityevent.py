"""Security event tokens (RFC 8417) of the Shared Signals Framework: from claims to an event about somebody. Pure.

Standing: under `signals`, which verifies the signature. Holds: closed. A claim that this module does not understand
refuses the token, and so does a subject that is not one of the issuer's own people or sessions.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from bailiwick_process.jwt.claims import audience_matches, moment

TYPE: Final = "secevent+jwt"
AHEAD_SECONDS: Final = 30.0
"""How far the issuer's clock may be ahead of ours."""
MOST_VALUE: Final = 253
"""Characters of a subject, session or email."""
_MOST_JTI: Final = 128
_URIS: Final = "https://schemas.openid.net/secevent/"
_CAEP: Final = f"{_URIS}caep/event-type/"
_RISC: Final = f"{_URIS}risc/event-type/"
VERIFICATION: Final = "verification"
SESSION_REVOKED: Final = "session-revoked"
OTHER: Final = "other"
NAMES: Final[Mapping[str, str]] = {
    **{
        f"{_CAEP}{name}": name
        for name in (
            *(SESSION_REVOKED, "token-claims-change", "credential-change", "assurance-level-change"),
            *("device-compliance-change", "risk-level-change"),
        )
    },
    **{
        f"{_RISC}{name}": name
        for name in ("account-disabled", "account-purged", "account-enabled", "credential-compromise")
    },
    f"{_URIS}ssf/event-type/{VERIFICATION}": VERIFICATION,
}
"""The short names of the events that have an effect, and of `verification`, by their URIs."""
# A number of seconds of this size is a year after 5000, and one of milliseconds is after 1973. CAEP says seconds, but
# examples in its drafts, and transmitters that follow them, have milliseconds.
_MILLISECONDS: Final = 100_000_000_000

ErrorCode: TypeAlias = Literal[
    "invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed"
]


@dataclass(frozen=True, slots=True)
class RefusedSet:
    """A token that is not accepted: an error code of RFC 8935, 2.4, and what is wrong with the token."""

    code: ErrorCode
    description: str
    event: str = OTHER
    early: bool = False
    """It seems to be issued in the future, which a wrong clock of ours would explain too."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """What happened to whom. `name` is one of `NAMES` or `OTHER`; `at` is in seconds since the epoch.

    `match` is what a token of the subject has: `sub`, `sid` or `email`. It is empty if the event has no effect.
    """

    jti: str
    name: str
    at: float
    match: Mapping[str, str]
    members: Mapping[str, Any]


def read_event(
    jti: str, claims: Mapping[str, Any], *, issuer: str, audience: str, now: float
) -> SecurityEvent | RefusedSet:
    """Return the event of a verified token that the transmitter sent under `jti`. `now` is in seconds."""
    if claims.get("iss") != issuer:
        return RefusedSet("invalid_issuer", "iss is not the issuer")
    if not audience_matches(claims, frozenset({audience})):
        return RefusedSet("invalid_audience", "aud does not have the audience of this receiver")
    if (wrong := _problem(jti, claims)) is not None:
        return RefusedSet("invalid_request", wrong)
    if claims["iat"] > now + AHEAD_SECONDS:
        return RefusedSet("invalid_request", f"iat is more than {AHEAD_SECONDS:g} seconds ahead", early=True)
    ((uri, members),) = claims["events"].items()
    name = NAMES.get(uri, OTHER)
    if name in (VERIFICATION, OTHER):
        # Its subject is the stream, or unknown: there is nothing that it could do to anybody.
        return SecurityEvent(jti, name, float(claims["iat"]), {}, members)
    at = _event_time(members.get("event_timestamp", claims["iat"]), float(claims["iat"]))
    if at is None:
        return RefusedSet("invalid_request", "event_timestamp is not a number of seconds", name)
    match = _match(claims.get("sub_id"), issuer, name)
    if isinstance(match, str):
        return RefusedSet("invalid_request", match, name)
    return SecurityEvent(jti, name, at, match, members)


def _problem(jti: str, claims: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the claims of any such token; None if nothing is."""
    issued, events = claims.get("iat"), claims.get("events")
    if claims.get("jti") != jti or not 0 < len(jti) <= _MOST_JTI:
        return f"jti is not the one under which the token was sent, or has more than {_MOST_JTI} characters"
    if not moment(issued) or issued < 0:
        return "iat is missing or not a number of seconds"
    if "exp" in claims or "sub" in claims:
        return "exp and sub must be absent"
    if not isinstance(events, dict) or len(events) != 1 or not all(isinstance(one, dict) for one in events.values()):
        return "events must have exactly one event"
    return None


def _event_time(value: object, issued: float) -> float | None:
    """Return when an event happened: to the millisecond, and not after its token was issued. None: unreadable."""
    if not moment(value) or value < 0:
        return None
    seconds = value / 1000 if value >= _MILLISECONDS else float(value)
    return math.floor(min(seconds, issued) * 1000) / 1000


def _match(subject: object, issuer: str, event: str) -> dict[str, str] | str:
    """Return what identifies a subject (RFC 9493), or what is wrong with it."""
    if not isinstance(subject, dict):
        return "sub_id is missing"
    if subject.get("format") != "complex":
        # On its own, an opaque identifier names a session only where the event is about one.
        session = event == SESSION_REVOKED and subject.get("format") == "opaque"
        return _session(subject) if session else _user(subject, issuer)
    found: dict[str, str] = {}
    readers: tuple[tuple[str, Callable[[object], dict[str, str] | str]], ...] = (
        ("user", lambda part: _user(part, issuer)),
        ("session", _session),
    )
    for member, read in readers:
        if member not in subject:
            continue
        part = read(subject[member])
        if isinstance(part, str):
            return part
        found |= part
    return found or "sub_id has neither a user nor a session"


def _user(subject: object, issuer: str) -> dict[str, str] | str:
    match subject:
        case {"format": "iss_sub", "iss": theirs, "sub": sub}:
            if theirs != issuer:
                return "sub_id names a subject of another issuer"
            return _identifier("sub", sub)
        case {"format": "email", "email": email}:
            return _identifier("email", email)
    return "sub_id has a format that names no user here: use iss_sub or email"


def _session(subject: object) -> dict[str, str] | str:
    match subject:
        case {"format": "opaque", "id": sid}:
            return _identifier("sid", sid)
    return "sub_id has a format that names no session here: use opaque"


def _identifier(claim: str, value: object) -> dict[str, str] | str:
    if isinstance(value, str) and 0 < len(value) <= MOST_VALUE and value.isprintable():
        return {claim: value}
    return f"sub_id has an identifier that is not a printable string of at most {MOST_VALUE} characters"
