"""The inbox: which grants wait for this person, which are theirs, and which are others'.

Holds: pure, and by what objects say. A grant waits for somebody exactly if `list --to-review` says so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from bailiwick_api.manifests.canary import is_canary
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.grants import steps
from bailiwick_governance.grants.grantrows import COLUMNS, listable, row
from bailiwick_governance.grants.grantview import GrantView, moment

PAGE: Final = 50

Approves = Callable[[str, str], bool]
"""Tells of a namespace and a policy in it whether the person holds the verb approve on it."""


@dataclass(frozen=True, slots=True)
class GrantVersion:
    """A grant exactly as a list showed it. As a text, `namespace/name uid resourceVersion`.

    `version` empty: however it stands.
    """

    namespace: str
    name: str
    uid: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "GrantVersion":
        """Read what `str` wrote. Raises `ValueError`."""
        named, uid, version = text.split(" ")
        namespace, name = named.split("/")
        return cls(namespace, name, uid, version)

    @property
    def as_it_stands(self) -> "GrantVersion":
        """The same grant, whatever has become of it."""
        return replace(self, version="")

    def __str__(self) -> str:
        """Write it."""
        return f"{self.namespace}/{self.name} {self.uid} {self.version}"


class InboxList(StrEnum):
    """The lists, by what the person may do with them."""

    REVIEW = "review"
    ASKED = "asked"
    OTHERS = "others"
    ACTIVE = "active"
    ENDED = "ended"


TITLES: Final[Mapping[InboxList, str]] = {
    InboxList.REVIEW: "For you to review",
    InboxList.ASKED: "Asked for by you",
    InboxList.OTHERS: "Waiting for others",
    InboxList.ACTIVE: "Can be used now",
    InboxList.ENDED: "Ended",
}


_CHANGING: Final = frozenset({InboxList.ASKED, InboxList.ACTIVE})
"""Lists of what is taken back: a mark stays, however often such a grant is used."""


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One grant in a list: where its page is, the cells of `list`, until when it waits, its version and its mark."""

    namespace: str
    name: str
    cells: Mapping[str, str]
    until: str
    version: str
    mark: str


@dataclass(frozen=True, slots=True)
class InboxFold:
    """Requests for the very same call: the first of them on this page, more of them there, and how many in the list."""

    first: InboxRow
    more: tuple[InboxRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class InboxPage:
    """One page of one list. `counts` are of whole lists; `number` begins at 1; `left_out` are in none of the lists."""

    chosen: InboxList
    counts: Mapping[InboxList, int]
    folds: tuple[InboxFold, ...]
    number: int
    pages: int
    left_out: int = 0

    @property
    def rows(self) -> tuple[InboxRow, ...]:
        """Each grant of the page."""
        return tuple(row for fold in self.folds for row in (fold.first, *fold.more))


def sort(
    items: Iterable[Mapping[str, Any]], me: CurrentUser, approves: Approves, now: float
) -> dict[InboxList, list[GrantView]]:
    """Put each grant into the lists where it belongs; what ends first stands first, of what has ended the newest."""
    lists: dict[InboxList, list[GrantView]] = {one: [] for one in InboxList}
    for raw in items:
        if listable(raw, now):
            grant = GrantView(raw, now)
            for one in _lists(grant, me, approves):
                lists[one].append(grant)
    for one, grants in lists.items():
        grants.sort(key=_created, reverse=True)
        if one is not InboxList.ENDED:
            grants.sort(key=lambda grant: grant.until or "")
    return lists


def left_out(items: Iterable[Mapping[str, Any]], lists: Mapping[InboxList, list[GrantView]]) -> int:
    """Return how many grants cannot be read, so that they stand in no list."""
    listed = {id(grant) for grants in lists.values() for grant in grants}
    return sum(not is_canary(raw) for raw in items) - len(listed)


def page(lists: Mapping[InboxList, list[GrantView]], chosen: InboxList, number: int, left_out: int = 0) -> InboxPage:
    """Return one page of a list; a number beyond it means its last page."""
    grants = lists[chosen]
    pages = max(1, -(-len(grants) // PAGE))
    number = min(max(number, 1), pages)
    counts = {one: len(found) for one, found in lists.items()}
    return InboxPage(chosen, counts, tuple(_folds(grants, (number - 1) * PAGE, chosen)), number, pages, left_out)


def _folds(grants: Iterable[GrantView], begin: int, chosen: InboxList) -> Iterator[InboxFold]:
    """Yield a page, with repeats of one call put together. Pages count grants, so that each is on one of them."""
    repeats: dict[tuple[str, ...], list[GrantView]] = {}
    for grant in grants:
        digest = grant.request["binding"].get("digest")
        call = (grant.namespace, str(grant.request["endpoint"]), digest) if digest else (grant.uid,)
        repeats.setdefault(call, []).append(grant)
    at = 0
    for same in repeats.values():
        found = [card(grant, chosen) for grant in same[max(begin - at, 0) : max(begin + PAGE - at, 0)]]
        at += len(same)
        if found:
            yield InboxFold(found[0], tuple(found[1:]), len(same))


def _lists(grant: GrantView, me: CurrentUser, approves: Approves) -> Iterable[InboxList]:
    if grant.ended:
        return (InboxList.ENDED,)
    own = me.username in {grant.request["requester"]["username"], grant.request["subject"]["id"]}
    mine = (InboxList.ASKED,) if own else ()
    if grant.phase != "Pending":
        return (*mine, InboxList.ACTIVE)
    if any(approves(grant.namespace, step.policy) for step in steps.reviewable(grant, me)):
        return (InboxList.REVIEW,)
    return mine or (InboxList.OTHERS,)


def _created(grant: GrantView) -> float:
    return moment(grant.raw["metadata"]["creationTimestamp"])


def version_of(grant: GrantView) -> GrantVersion:
    """Return which grant this is, as it stands."""
    return GrantVersion(grant.namespace, grant.name, grant.uid, str(grant.raw["metadata"].get("resourceVersion", "")))


def card(grant: GrantView, chosen: InboxList = InboxList.REVIEW) -> InboxRow:
    """Return what this list shows of a grant."""
    cells = {column: text for column, (text, _) in zip(COLUMNS, row(grant, wide=False), strict=True)}
    shown = version_of(grant)
    version = f"{shown.version}:{grant.phase}"
    mark = shown.as_it_stands if chosen in _CHANGING else shown
    return InboxRow(grant.namespace, grant.name, cells, grant.until or "", version, str(mark))
