"""One decision on record as the report counts it: who, what, by which rule, by which approval, and who reviewed that.

Standing: under `periodtally`. Holds: pure; a record of any shape gives a call, with what it says or that it does not
say it. No text is longer than a cell can show: a longer one is cut, and its digest tells it from every other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bailiwick_governance.records.listedrecords import ALLOWED, ListedRecord, member_of, text_of

UNPROVEN: Final = "(not proven)"
BY_RULE: Final = "allowed by a rule"
BY_APPROVAL: Final = "allowed with an approval"
_LONGEST: Final = 160
_MOST_PARTIES: Final = 8
_MOST_REVIEWS: Final = 20
"""So many a grant can hold; only a line that no process of ours writes has more."""


class CallReview(NamedTuple):
    """A review by which a use counted, or that ended a request. `step`: which one it was for."""

    reviewer: str
    step: str
    decision: str


class CallReviews(NamedTuple):
    """The reviews of an approval. `more`: how many others the line has."""

    listed: tuple[CallReview, ...]
    more: int


class ReportedUse(NamedTuple):
    """What was done by which approval. `approval`: `namespace/name`; `uid` tells two of one name apart."""

    approval: str
    uid: str
    parties: tuple[str, ...]
    action: str
    resource: str
    endpoint: str
    rule: str
    reviews: CallReviews


class RuleAllowance(NamedTuple):
    """What a rule let through, whichever the resources."""

    parties: tuple[str, ...]
    action: str
    kind: str
    endpoint: str
    rule: str


class CallRefusal(NamedTuple):
    """What was refused, and why, whichever the resources."""

    reason: str
    parties: tuple[str, ...]
    action: str
    kind: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """One decision. `outcome`: `BY_RULE`, `BY_APPROVAL`, or why not: an outcome of `listedrecords`."""

    outcome: str
    reason: str
    parties: tuple[str, ...]
    action: str
    resource: str
    kind: str
    endpoint: str
    rule: str
    use: ReportedUse | None

    @classmethod
    def from_record(cls, listed: ListedRecord, record: Mapping[str, Any]) -> "AuditedCall":
        """Return what the report has of a record."""
        parties = tuple(_parties(record))
        action, resource = cut(listed.action), cut(listed.resource)
        endpoint, rule = cut(listed.endpoint), cut(listed.rule)
        grant = record.get("grant")
        use: ReportedUse | None = None
        outcome = listed.outcome
        if outcome == ALLOWED:
            outcome = BY_RULE if grant is None else BY_APPROVAL
        if outcome == BY_APPROVAL:
            approval = cut(f"{listed.endpoint.partition('/')[0]}/{member_of(grant, 'name')}")
            reviews = reviews_of(grant.get("reviews") if isinstance(grant, Mapping) else None)
            uid = cut(member_of(grant, "uid"))
            use = ReportedUse(approval, uid, parties, action, resource, endpoint, rule, reviews)
        kind = cut(member_of(record.get("resource"), "type"))
        return cls(outcome, cut(listed.reason), parties, action, resource, kind, endpoint, rule, use)

    @property
    def rule_use(self) -> RuleAllowance:
        """Return what is counted of a call that a rule let through."""
        return RuleAllowance(self.parties, self.action, self.kind, self.endpoint, self.rule)

    @property
    def refusal(self) -> CallRefusal:
        """Return what is counted of a call that was refused."""
        return CallRefusal(self.reason, self.parties, self.action, self.kind, self.endpoint)


def reviews_of(listed: object, counted: frozenset[str] | None = None) -> CallReviews:
    """Return the reviews of a list; of approvals only those by reviewers who are `counted`, if that is not None."""
    every = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    made = sorted(
        CallReview(cut(member_of(one, "reviewer")), cut(member_of(one, "step")), _decision(one))
        for one in every
        if counted is None or one.get("decision") != "Approve" or text_of(one.get("reviewer")) in counted
    )
    return CallReviews(tuple(made[:_MOST_REVIEWS]), max(0, len(made) - _MOST_REVIEWS))


def _decision(review: Mapping[str, Any]) -> str:
    # The record of a use has approvals alone, and does not say so of each.
    return cut(text_of(review.get("decision", "Approve")))


def _parties(record: Mapping[str, Any]) -> Sequence[str]:
    """Return whom a call is for, and those that act for it."""
    subject, actors = record.get("subject"), record.get("actors")
    listed = actors if isinstance(actors, list) else []
    first = UNPROVEN if subject is None else cut(member_of(subject, "id"))
    others = [cut(member_of(one, "id")) for one in listed[:_MOST_PARTIES]]
    more = [f"({len(listed) - _MOST_PARTIES} more)"] if len(listed) > _MOST_PARTIES else []
    return [first, *others, *more]


def cut(text: str) -> str:
    """Return a text that fits a cell: all of it, or its beginning with its length and its digest."""
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS} ({len(text)} characters, sha256:{digest})"
