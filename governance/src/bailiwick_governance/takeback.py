"""Taking a subject back: whom a person names, and the object that says so.

Standing: over `apiserver`. Holds: the times are the API server's, so that a clock that is behind lets no token of a
moment ago through.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION, DNS_LABEL
from bailiwick_api.kinds.subjectrevocation import KIND, RevokedIdentity
from bailiwick_api.serverclock import MAX_SKEW, ServerClock
from bailiwick_api.times import stamp
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.revocations import revocation_name
from bailiwick_governance import arguments
from bailiwick_governance.errors import UserError

_FORMS: Final = "sa:NAMESPACE/NAME, ISSUER:SUB or user:USERNAME"
_USER: Final = "user:"
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class RevokedSubject:
    """Whom an object takes back. `issuer` is the name of an issuer, or cluster."""

    issuer: str
    match: RevokedIdentity


def parse_subject(text: str) -> RevokedSubject:
    """Parse whom a person names: `sa:NAMESPACE/NAME`, `ISSUER:SUB` or `user:USERNAME`. Raises `UserError`."""
    if text.startswith(("sa:", "system:serviceaccount:")):
        account = arguments.service_account(text, "the subject")
        return RevokedSubject(CLUSTER, RevokedIdentity(sub=account.username))
    issuer, colon, name = text.partition(":")
    if not colon or not name or len(name) > _LONGEST or not re.fullmatch(DNS_LABEL, issuer):
        raise UserError(f"{text!r} names no subject: write it as {_FORMS}")
    if text.startswith(_USER):
        return RevokedSubject(CLUSTER, RevokedIdentity(username=name))
    if issuer == CLUSTER:
        raise UserError(f"{text!r}: write a service account as sa:NAMESPACE/NAME")
    return RevokedSubject(issuer, RevokedIdentity(sub=name))


def revocation_object(
    subject: RevokedSubject, *, by: str, reason: str, hold: bool, seconds: float, clock: ServerClock
) -> dict[str, Any]:
    """Return the object that takes a subject back from now on, for so many seconds.

    Another issuer's clock may be ahead of the API server's by `MAX_SKEW`, and its tokens say so.
    """
    now = datetime.fromtimestamp(int(clock.latest()), UTC)
    accounts_alone = subject.issuer == CLUSTER and subject.match.username is None
    before = now + timedelta(seconds=1 if accounts_alone else MAX_SKEW + 1)
    as_of = stamp(now)
    # The time tells it from the same person's next one: who may only create can change no object.
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": revocation_name(subject.issuer, subject.match, "Person", as_of)},
        "spec": {
            "issuer": subject.issuer,
            "match": subject.match.model_dump(by_alias=True, exclude_none=True),
            "issuedBefore": stamp(before),
            "hold": hold,
            "asOf": as_of,
            "until": stamp(now + timedelta(seconds=seconds)),
            "cause": {"kind": "Person", "by": by, "reason": reason},
        },
    }
