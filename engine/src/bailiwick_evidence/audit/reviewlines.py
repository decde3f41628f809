"""What lines say of signed reviews: those that counted, the steps that have too few of them, and reviewers' keys.

Standing: under `reviewfold`. Holds: a line is read as a whole; one that has another shape than a process writes says
nothing, and is no line without reviews.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from bailiwick_api.times import parse_time
from bailiwick_api.usernames import fold_case
from bailiwick_engine.signatures.statement import ReviewedGrant, SignedReview, reason_digest
from bailiwick_evidence.chain import MOST_BYTES

_MOST_PARTS: Final = 64
# Of a grant that the operator could not read, its line has no member of these.
_READ: Final = frozenset({"name", "steps", "reviews", "counted", "uses"})


@dataclass(frozen=True, slots=True)
class ReviewOnRecord:
    """A review that counted, of a step that asks for a signature. `counted`: seconds since the epoch, if it says so."""

    grant: ReviewedGrant
    review: SignedReview
    signature: str | None
    verified_user: bool
    counted: float | None


@dataclass(frozen=True, slots=True)
class ReviewShortfall:
    """A step of a used grant that has fewer reviews than it needs."""

    grant: str
    uid: str
    step: str
    reviews: int
    needed: int


class LineReviews(NamedTuple):
    """What a line says of the steps that ask for a signature."""

    reviews: tuple[ReviewOnRecord, ...] = ()
    shortfalls: tuple[ReviewShortfall, ...] = ()


class KeyFilePart(NamedTuple):
    """A part of a file of reviewers' keys. `since`: when the file came into force, in seconds since the epoch."""

    digest: str
    parts: int
    part: int
    text: str
    signatures: str
    since: float


class _Step(msgspec.Struct, frozen=True):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1)]
    signature: str | None = None


class _Binding(msgspec.Struct, frozen=True):
    digest: str | None = None


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """A review: `reason` and `time` are of a use, `reason_digest` and `counted` of the ledger."""

    reviewer: str
    step: str
    group: str | None = None
    decision: Literal["Approve", "Deny"] = "Approve"
    signature: str | None = None
    reason: str | None = None
    time: str | None = None
    reason_digest: str | None = None
    counted: str | None = None


class _Grant(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    uid: str
    binding: _Binding
    steps: tuple[_Step, ...]
    reviews: tuple[_Entry, ...] | None = None

    def approvals(self, step: _Step) -> Iterator[_Entry]:
        return (one for one in self.reviews or () if one.step == step.name and one.decision == "Approve")


class _UsedGrant(_Grant, frozen=True, kw_only=True):
    request: str | None = None


class _UseLine(msgspec.Struct, frozen=True):
    endpoint: str
    decision: bool
    grant: _UsedGrant | None = None


class _EndLine(_Grant, frozen=True, kw_only=True, rename="camel"):
    namespace: str
    request_digest: str | None = None
    counted: tuple[str, ...] = ()
    uses: int | None = None


class _KeyLine(msgspec.Struct, frozen=True):
    digest: str
    parts: Annotated[int, msgspec.Meta(ge=1, le=_MOST_PARTS)]
    part: Annotated[int, msgspec.Meta(ge=0)]
    text: str
    signatures: str
    time: str


def reviews_of(record: Mapping[str, Any]) -> LineReviews | None:
    """Return what the record of a use, or the ledger's line of a grant, says; None if it has another shape."""
    try:
        if record.get("kind") == "evaluation":
            use = msgspec.convert(record, _UseLine)
            return LineReviews() if use.grant is None else _reviews_of_use(use, use.grant)
        if record.get("kind") == "grant" and not _READ.isdisjoint(record):
            return _reviews_of_end(msgspec.convert(record, _EndLine))
    except msgspec.ValidationError:
        return None
    return LineReviews()


def key_file_part(record: Mapping[str, Any]) -> KeyFilePart | None:
    """Return the part of a file of reviewers' keys that a line has; None if it has another shape."""
    try:
        line = msgspec.convert(record, _KeyLine)
    except msgspec.ValidationError:
        return None
    since = parse_time(line.time)
    # A part that is longer than an entry of a log would fill the memory, and no process writes one.
    if since is None or line.part >= line.parts or len(line.text) > MOST_BYTES:
        return None
    return KeyFilePart(line.digest, line.parts, line.part, line.text, line.signatures, since.timestamp())


def _reviews_of_use(line: _UseLine, grant: _UsedGrant) -> LineReviews | None:
    if (asking := _asking(grant)) is None:
        return None
    if not line.decision:
        # Its reviews let nothing through.
        return LineReviews()
    namespace = line.endpoint.partition("/")[0]
    reviewed = _reviewed(namespace, grant, grant.request)
    reviews = tuple(
        _review(reviewed, step, one, None if one.reason is None else reason_digest(one.reason), one.time)
        for step in asking
        for one in grant.approvals(step)
    )
    return LineReviews(reviews, tuple(_shortfalls(namespace, grant, asking, None)))


def _reviews_of_end(line: _EndLine) -> LineReviews | None:
    if (asking := _asking(line)) is None:
        return None
    counted, reviewed = frozenset(line.counted), _reviewed(line.namespace, line, line.request_digest)
    reviews = tuple(
        _review(reviewed, step, one, one.reason_digest, one.counted)
        for step in asking
        for one in line.approvals(step)
        if one.reviewer in counted
    )
    return LineReviews(reviews, tuple(_shortfalls(line.namespace, line, asking if line.uses else (), counted)))


def _asking(grant: _Grant) -> tuple[_Step, ...] | None:
    """Return the steps that ask for a signature; None if two steps have one name."""
    if len({step.name for step in grant.steps}) < len(grant.steps):
        return None
    return tuple(step for step in grant.steps if step.signature is not None)


def _reviewed(namespace: str, grant: _Grant, request: str | None) -> ReviewedGrant:
    return ReviewedGrant(namespace, grant.name, grant.uid, str(request), grant.binding.digest or grant.uid)


def _review(grant: ReviewedGrant, step: _Step, one: _Entry, reason: str | None, counted: str | None) -> ReviewOnRecord:
    moment = parse_time(counted)
    return ReviewOnRecord(
        grant,
        SignedReview(one.reviewer, one.step, one.group, reason),
        one.signature,
        step.signature != "Key",
        None if moment is None else moment.timestamp(),
    )


def _shortfalls(
    namespace: str, grant: _Grant, asking: tuple[_Step, ...], counted: frozenset[str] | None
) -> Iterator[ReviewShortfall]:
    """Yield those of these steps that have too few reviews. `counted`: the reviewers that count; None: all do."""
    for step in asking:
        approvals = (one.reviewer for one in grant.approvals(step) if counted is None or one.reviewer in counted)
        # As the reviews are counted: one address in two cases is one reviewer.
        reviewers = {fold_case(one) for one in approvals}
        if len(reviewers) < step.count:
            yield ReviewShortfall(f"{namespace}/{grant.name}", grant.uid, step.name, len(reviewers), step.count)
