"""The examples of CAEP 1.0 and RISC 1.0, as structures of our own values: an event, its subject and its members.

Holds: `Example.effect` is what the event does here by the table of the reference, written down and not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
AT: Final = 1_800_000_000
"""When each of them happened, in seconds since the epoch."""
SUB: Final = "99beb27c-c1c2-4955"
SID: Final = "dMTlD|1600802906337.16"
EMAIL: Final = "Jane.Smith@example.com"

Members = dict[str, Any]
Effect = Literal["refuse", "hold", "risk hold", "release", "risk release", "nothing", "unmappable"]


@dataclass(frozen=True)
class Example:
    """One example. `subject` takes the URL of the issuer. `match`: whom the object must name."""

    name: str
    uri: str
    subject: Members
    effect: Effect
    match: Mapping[str, str] = field(default_factory=dict)
    members: Members = field(default_factory=dict)

    def claims(self, issuer: str, audience: str, jti: str = "24c63f", at: float = AT) -> Members:
        """Return the claims of its token, issued a little after the event."""
        return {
            "iss": issuer,
            "jti": jti,
            "iat": int(at) + 168,
            "aud": audience,
            "txn": 8_675_309,
            "sub_id": _filled(self.subject, issuer),
            "events": {self.uri: {"event_timestamp": at, **self.members}},
        }


def _filled(subject: Members, issuer: str) -> Members:
    return {
        name: _filled(value, issuer) if isinstance(value, dict) else issuer if value == "ISSUER" else value
        for name, value in subject.items()
    }


PERSON: Final[Members] = {"format": "iss_sub", "iss": "ISSUER", "sub": SUB}
BY_EMAIL: Final[Members] = {"format": "email", "email": EMAIL}
SESSION: Final[Members] = {"format": "opaque", "id": SID}
DEVICE: Final[Members] = {"format": "iss_sub", "iss": "ISSUER", "sub": "e9297990-14d2"}
TENANT: Final[Members] = {"format": "opaque", "id": "123456789"}
TOKEN: Final[Members] = {"format": "jwt_id", "iss": "ISSUER", "jti": "f61t6e20zdo3px56"}
POLICY: Final[Members] = {"initiating_entity": "policy", "reason_admin": {"en": "Landspeed Policy Violation: C076E82F"}}


def _of(uri: str, *examples: tuple[str, Members, Effect, Mapping[str, str], Members]) -> tuple[Example, ...]:
    return tuple(
        Example(name, uri, subject, effect, match, members) for name, subject, effect, match, members in examples
    )


EXAMPLES: Final = (
    *_of(
        f"{CAEP}session-revoked",
        ("session revoked, by its id", SESSION, "refuse", {"sid": SID}, {}),
        (
            "session revoked, by session, user and tenant",
            {"format": "complex", "session": SESSION, "user": PERSON, "tenant": TENANT},
            "refuse",
            {"sub": SUB, "sid": SID},
            POLICY | {"reason_user": {"en": "Access attempt from multiple regions."}},
        ),
        (
            "session revoked, by user, device and tenant",
            {"format": "complex", "user": PERSON, "device": DEVICE, "tenant": TENANT},
            "refuse",
            {"sub": SUB},
            POLICY,
        ),
    ),
    *_of(
        f"{CAEP}token-claims-change",
        ("claims changed, by the token's id", TOKEN, "unmappable", {}, {"claims": {"role": "ro-admin"}}),
        (
            "claims changed, by an assertion of SAML",
            {"format": "saml_assertion_id", "issuer": "ISSUER", "assertion_id": "_a75adf55"},
            "unmappable",
            {},
            {"claims": {"role": "ro-admin"}},
        ),
        ("claims changed, by the person", PERSON, "refuse", {"sub": SUB}, {"claims": {"role": "ro-admin"}}),
    ),
    *_of(
        f"{CAEP}credential-change",
        (
            "credential created",
            PERSON,
            "nothing",
            {},
            {"credential_type": "fido2-roaming", "change_type": "create", "friendly_name": "Jane's USB authenticator"},
        ),
        (
            "credential revoked",
            BY_EMAIL,
            "refuse",
            {"email": EMAIL},
            {"credential_type": "password", "change_type": "revoke"},
        ),
        ("credential updated", PERSON, "refuse", {"sub": SUB}, {"credential_type": "pin", "change_type": "update"}),
        ("credential deleted", PERSON, "refuse", {"sub": SUB}, {"credential_type": "x509", "change_type": "delete"}),
    ),
    *_of(
        f"{CAEP}assurance-level-change",
        (
            "assurance increased",
            PERSON,
            "nothing",
            {},
            {"namespace": "NIST-AAL", "current_level": "nist-aal2", "change_direction": "increase"},
        ),
        (
            "assurance of a namespace of its own",
            PERSON,
            "refuse",
            {"sub": SUB},
            {"namespace": "Retinal Scan", "current_level": "hi-res-scan", "initiating_entity": "user"},
        ),
        ("assurance decreased", PERSON, "refuse", {"sub": SUB}, {"change_direction": "decrease"}),
    ),
    *_of(
        f"{CAEP}device-compliance-change",
        (
            "device out of compliance, without its user",
            {"format": "complex", "device": DEVICE, "tenant": TENANT},
            "unmappable",
            {},
            {"current_status": "not-compliant", "previous_status": "compliant"},
        ),
        (
            "device of a user out of compliance",
            {"format": "complex", "device": DEVICE, "user": BY_EMAIL},
            "refuse",
            {"email": EMAIL},
            {"current_status": "not-compliant", "previous_status": "compliant"},
        ),
        (
            "device of a user compliant again",
            {"format": "complex", "device": DEVICE, "user": PERSON},
            "nothing",
            {},
            {"current_status": "compliant", "previous_status": "not-compliant"},
        ),
    ),
    *_of(
        f"{CAEP}session-established",
        ("session established", BY_EMAIL, "nothing", {}, {"ips": ["192.168.1.12"], "acr": "AAL2"}),
    ),
    *_of(
        f"{CAEP}session-presented",
        ("session presented", BY_EMAIL, "nothing", {}, {"ips": ["192.168.1.12"], "ext_id": "12345"}),
    ),
    *_of(
        f"{CAEP}risk-level-change",
        ("risk high", PERSON, "risk hold", {"sub": SUB}, {"principal": "USER", "current_level": "HIGH"}),
        ("risk medium", PERSON, "risk release", {"sub": SUB}, {"principal": "USER", "current_level": "MEDIUM"}),
        ("risk low", PERSON, "risk release", {"sub": SUB}, {"principal": "USER", "current_level": "LOW"}),
    ),
    *_of(f"{RISC}account-disabled", ("disabled", PERSON, "hold", {"sub": SUB}, {"reason": "hijacking"})),
    *_of(f"{RISC}account-purged", ("purged", PERSON, "hold", {"sub": SUB}, {})),
    *_of(
        f"{RISC}credential-compromise",
        ("credential compromised", BY_EMAIL, "hold", {"email": EMAIL}, {"credential_type": "password"}),
    ),
    *_of(f"{RISC}account-enabled", ("enabled", PERSON, "release", {"sub": SUB}, {})),
    *_of(f"{RISC}identifier-changed", ("identifier changed", BY_EMAIL, "nothing", {}, {"new-value": "j@example.com"})),
    *_of(f"{SSF}verification", ("verification", {"format": "opaque", "id": "stream-1"}, "nothing", {}, {"state": "x"})),
)
