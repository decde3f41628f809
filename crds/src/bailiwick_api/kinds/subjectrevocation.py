"""`SubjectRevocation`: a subject that is taken back. Its tokens, grants and reviews from before count no more.

Holds: the CRD is generated from these models (`schema`). An object only ever denies. A later version of it denies no
less, unless a later event lifts its hold.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.endpointpolicy import IssuerName
from bailiwick_api.kinds.meta import Model, Time, Username

KIND: Final = "SubjectRevocation"
MEMBERS: Final = ("sub", "sid", "email", "username")
"""What a match can name, in the order of its digest."""

Claim = Annotated[str, Field(min_length=1, max_length=512)]


class RevokedIdentity(Model):
    """The tokens that are refused: all members are equal. One that a token lacks counts if another is equal."""

    sub: Claim | None = None
    """The claim sub, or the name by which policies name the person. For a service account it is
    system:serviceaccount:NAMESPACE:NAME."""
    sid: Claim | None = None
    """The claim sid: one session of a person."""
    email: Claim | None = None
    """The claim email. Case does not matter."""
    username: Username | None = None
    """The API server's name of the person or account. With issuer cluster, it names a person of any issuer."""


class RevocationCause(Model):
    """Why the subject was taken back."""

    kind: Literal["Signal", "Person"]
    """Signal: the issuer sent a security event. Person: somebody wrote this object. Only
    the operator can write Signal."""
    event: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """The type of the security event."""
    jti: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """The id of the security event token."""
    set: Annotated[str | None, Field(max_length=80, pattern="^sha256:[a-f0-9]{64}$")] = None
    """SHA-256 of the security event token."""
    by: Username | None = None
    """Who took the subject back: the API server's name of who creates the object."""
    reason: Annotated[str | None, Field(min_length=1, max_length=1024)] = None
    """The reason, for the record."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.CAUSE_IS_COMPLETE))


class SubjectRevocationSpec(Model):
    """Who is refused, and which of their tokens."""

    issuer: IssuerName
    """Name of the issuer in the issuers file, or cluster for service accounts."""
    match: RevokedIdentity
    """Whose tokens are refused. Empty: those of everybody whom this issuer names."""
    issued_before: Time
    """Tokens that were issued earlier, or that do not say when, are refused. Never goes back."""
    hold: bool = False
    """True: every token is refused, whenever it was issued. Can change only with a later asOf."""
    as_of: Time
    """Time of the event, or of the decision to take the subject back. Never goes back."""
    until: Time
    """The operator deletes the object after this time, at most 366 days after asOf for kind Person. It is in force as
    long as it exists. Never goes back."""
    cause: RevocationCause

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.REVOKED_SUBJECT_IMMUTABLE,
            cel.REVOKED_TIMES_NEVER_BACK,
            cel.HOLD_CHANGES_LATER,
            cel.CAUSE_CHANGES_LATER,
            cel.PERSON_WITHIN_A_YEAR,
        )
    )


class SubjectRevocation(Model):
    """SubjectRevocation takes a subject back: its tokens, grants and reviews from before count no more.

    It only denies. Decision points apply it within a second. The operator deletes it after spec.until.
    """

    spec: SubjectRevocationSpec

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.REVOCATION_NAME))
