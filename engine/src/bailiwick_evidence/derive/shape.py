"""Shape: the members of a record from which a verdict is derived, as in `docs/reference/record.md`.

Holds: parsed once, at the edge; a line with another shape is not a record.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from bailiwick_api import times

_MOMENT: Final = msgspec.Meta(ge=0, lt=times.END)


class RecordAccount(msgspec.Struct, frozen=True):
    """The caller."""

    id: str
    uid: str


class RecordWorkload(msgspec.Struct, frozen=True):
    """The workload from which a party calls. `more_images`: how many images are not listed."""

    images: tuple[str, ...]
    labels: dict[str, str] = {}
    more_images: int = 0


class RecordParty(msgspec.Struct, frozen=True):
    """Subject or actor. `workload` "unknown": a rule needed it, and it could not be read."""

    type: str
    id: str
    uid: str
    issuer: str | None
    matched: tuple[str, ...] = ()
    workload: RecordWorkload | str | None = None


class RecordResource(msgspec.Struct, frozen=True):
    """The resource of the call."""

    type: str
    id: str


class RecordHistory(msgspec.Struct, frozen=True):
    """What a decision read of a history, or counted in it. `sum` is a decimal."""

    name: str
    object: str
    seq: int
    count: int
    sum: str | None
    age: int | None
    added: bool


class RecordRule(msgspec.Struct, frozen=True):
    """The rule that decided. `name` is its policy's."""

    name: str
    rule: str
    digest: str


class RecordAudit(msgspec.Struct, frozen=True):
    """A rule in Audit mode."""

    policy: str
    rule: str
    effect: str


class RecordSnapshot(msgspec.Struct, frozen=True):
    """The snapshot of the decision. `pending_seconds`: how long a change had been waiting to take effect."""

    revision: str
    pending_seconds: float | None = None


class GrantRuleState(msgspec.Struct, frozen=True):
    """A rule that a grant covers."""

    policy: str
    rule: str
    digest: str | None


class GrantStepState(msgspec.Struct, frozen=True):
    """A step of a grant."""

    name: str
    policy: str
    kind: Literal["Human", "System"]
    groups: tuple[str, ...] | None
    count: int
    signature: Literal["Key", "Required"] | None = None


class GrantReviewState(msgspec.Struct, frozen=True):
    """A review that counts."""

    reviewer: str
    step: str
    group: str | None


class GrantBindingState(msgspec.Struct, frozen=True):
    """What a grant is bound to."""

    mode: str
    digest: str | None


class GrantState(msgspec.Struct, frozen=True):
    """The grant that was used or opened. A used grant has `reviews`."""

    name: str
    uid: str
    phase: str
    uses: int | None
    uses_before: int
    max_uses: int
    binding: GrantBindingState
    rules: tuple[GrantRuleState, ...]
    steps: tuple[GrantStepState, ...]
    reviews: tuple[GrantReviewState, ...] | None = None


class RecordShape(msgspec.Struct, frozen=True):
    """A record of a decision on one call."""

    kind: str
    decision: bool
    reason: str
    dry_run: bool
    disposition_id: int
    endpoint: str
    caller: RecordAccount
    subject: RecordParty | None
    action: str
    resource: RecordResource
    intent: str | None
    policy: RecordRule | None
    snapshot: RecordSnapshot
    actors: tuple[RecordParty, ...] = ()
    hop: str | None = None
    digest: str | None = None
    grant: GrantState | None = None
    audit: tuple[RecordAudit, ...] = ()
    now: Annotated[float, _MOMENT] | None = None
    attributes: dict[str, Any] | None = None
    limits: str | None = None
    policies: dict[str, str | None] | None = None
    policies_digest: str | None = None
    suspended: tuple[str, ...] = ()
    data: dict[str, str | None] | None = None
    history: tuple[RecordHistory, ...] = ()
    revocation: str | None = None


def parse_record(record: Mapping[str, Any]) -> RecordShape | None:
    """Return the members of a record; None if one is missing or has another type."""
    try:
        return msgspec.convert(record, RecordShape)
    except msgspec.ValidationError:
        return None
