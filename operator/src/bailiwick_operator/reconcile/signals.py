"""What an event of an issuer does to the revocations of its people. Pure.

Standing: over `securityevent`; `signals` reads and writes the objects. Holds: the order in which events arrive does not
matter, and an event that arrives twice changes nothing. Times never go back. A hold and its end count by when they
happened, and of two at the same time the hold counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_api.times import parse_time
from bailiwick_operator.reconcile.securityevent import SecurityEvent

HOLD: Final = timedelta(days=30)
CLOCKS: Final = timedelta(seconds=60)
"""How far the clocks of issuer, operator and decision point may be apart in all, so that a revocation outlasts the
tokens that it refuses."""
LATE: Final = timedelta(minutes=10)
"""How long a revocation lasts at least, so that grants end even if its event arrived after the tokens had expired."""
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""`asOf` of a revocation of which no event has said whether its subject is held."""
_GRAIN: Final = timedelta(milliseconds=1)

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SignalEffect:
    """What one event does. `hold` None: nothing to any hold. `risk`: the hold is for a risk level, and not an account.

    `issued_before` None: no token is refused for its age.
    """

    match: Mapping[str, str]
    at: datetime
    issued_before: datetime | None
    hold: bool | None = None
    risk: bool = False


def signal_effect(event: SecurityEvent) -> SignalEffect | str | None:
    """Return what an event does; None if it does nothing, and text if a member that decides it is unreadable."""
    at = datetime.fromtimestamp(event.at, UTC)
    refuse = SignalEffect(event.match, at, at + timedelta(seconds=1))
    hold = SignalEffect(event.match, at, at + timedelta(seconds=1), hold=True)
    match event.name:
        case "session-revoked" | "token-claims-change":
            return refuse
        case "credential-change":
            return None if event.members.get("change_type") == "create" else refuse
        case "assurance-level-change":
            return None if event.members.get("change_direction") == "increase" else refuse
        case "device-compliance-change":
            known = {"compliant": None, "not-compliant": refuse}
            return _effect_of(known, event.members, "current_status")
        case "account-disabled" | "account-purged" | "credential-compromise":
            return hold
        case "account-enabled":
            return SignalEffect(event.match, at, None, hold=False)
        case "risk-level-change":
            raised = SignalEffect(event.match, at, hold.issued_before, hold=True, risk=True)
            lowered = SignalEffect(event.match, at, None, hold=False, risk=True)
            known = {"HIGH": raised, "MEDIUM": lowered, "LOW": lowered}
            return _effect_of(known, event.members, "current_level")
    return None


def _effect_of(
    known: Mapping[str, SignalEffect | None], members: Mapping[str, Any], name: str
) -> SignalEffect | str | None:
    value = members.get(name)
    if not isinstance(value, str) or value not in known:
        return f"{name} is not one of {', '.join(known)}"
    return known[value]


@dataclass(frozen=True, slots=True)
class SignalCause:
    """The event that a change comes from, for the object and its readers. `digest` is that of the token."""

    event: str
    jti: str
    digest: str


@dataclass(frozen=True, slots=True)
class ArrivedSignal:
    """One event that is to be stored."""

    effect: SignalEffect
    cause: SignalCause


@dataclass(frozen=True, slots=True)
class RevocationTerms:
    """What revocations of an issuer go by. `lifetime`: of its longest token."""

    issuer: str
    lifetime: timedelta

    @property
    def outlasting(self) -> timedelta:
        """How long after an event the last token from before it has expired, by every clock."""
        return self.lifetime + CLOCKS


def merged_spec(
    terms: RevocationTerms,
    match: Mapping[str, str],
    stored: Spec | None,
    ended: datetime | None,
    arrived: Iterable[ArrivedSignal],
    now: datetime,
    earliest: datetime | None,
) -> Spec | None:
    """Return the spec after these events about one subject; None if there is nothing to write.

    `ended`: when the last hold of the subject ended, if that is known. Without a spec, an end has nothing to write.
    `now`: the latest time that it can be. `earliest`: the earliest; None where it is not known, and no hold is over.
    """
    held = stored or {}
    before, until, as_of = (parse_time(held.get(name)) for name in ("issuedBefore", "until", "asOf"))
    as_of = max(filter(None, (as_of, ended)), default=NEVER)
    hold, cause = held.get("hold") is True, held.get("cause")
    for effect, origin in ((one.effect, one.cause) for one in arrived):
        later = False
        if effect.issued_before is not None and (before is None or effect.issued_before > before):
            before, later = effect.issued_before, True
        moment = _hold_time(effect)
        if moment is not None and moment > as_of and not (effect.hold and _is_over(effect, earliest)):
            as_of, hold, later = moment, effect.hold is True, True
        if later:
            cause = {"kind": "Signal", "event": origin.event, "jti": origin.jti, "set": f"sha256:{origin.digest}"}
        if effect.issued_before is not None:
            kept = effect.at + HOLD if effect.hold else effect.issued_before + terms.outlasting
            until = max(filter(None, (until, kept, now + LATE if later else None)))
    if before is None or until is None:
        return None
    spec = {
        "issuer": terms.issuer,
        "match": dict(match),
        "issuedBefore": write_time(before),
        "hold": hold,
        "asOf": write_time(as_of),
        "until": write_time(until),
        "cause": cause,
    }
    return None if spec == stored else spec


def _is_over(hold: SignalEffect, earliest: datetime | None) -> bool:
    """Tell whether a hold is certainly over."""
    return earliest is not None and hold.at + HOLD <= earliest


def has_served(spec: Spec, terms: RevocationTerms, earliest: datetime | None) -> bool:
    """Tell whether a revocation outlives its purpose: it is kept for a hold that ended, and no token is left to refuse.

    Until it is deleted, it refuses whom no token names, and reviews. `earliest` as of `merged_spec`.
    """
    if earliest is None:
        return False
    before, until, as_of = (parse_time(spec.get(name)) for name in ("issuedBefore", "until", "asOf"))
    if spec.get("hold") is not False or before is None or until is None or as_of is None:
        return False
    spare = terms.outlasting + LATE
    return max(before, as_of) + spare <= earliest and until > earliest + spare


def _hold_time(effect: SignalEffect) -> datetime | None:
    """Return the time by which a hold or its end counts; None if an event is neither."""
    if effect.hold is None:
        return None
    return effect.at + _GRAIN if effect.hold else effect.at


def write_time(moment: datetime) -> str:
    """Write a time to the millisecond, in which events have them."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
