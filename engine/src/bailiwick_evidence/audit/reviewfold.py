"""The fold of signed reviews: each one that let a call through is verified again, with registrars' keys of the auditor.

Standing: beside `historyfold`, over `reviewlines`. Holds: pure. A signature is judged by the file of reviewers' keys
that was in force when the review was counted, as the operator's ledger has it, and by nothing that a process says of
it. Memory is bounded, by numbers and by bytes: a review that there is no room for is not verified, and the report says
how many there are. So it does of files of keys, and then nothing is proven: one of them may have removed a key. A line
that cannot be read is a finding.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from sys import getsizeof
from typing import Final, NamedTuple

from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    Registrars,
    RegistrarsError,
    ReviewerKeyFile,
    ReviewerTrust,
    SerialFloor,
)
from bailiwick_engine.signatures.reviewsignature import enrolment_problem, statement_problem
from bailiwick_engine.signatures.statement import review_statement
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.reviewlines import (
    KeyFilePart,
    ReviewOnRecord,
    ReviewShortfall,
    key_file_part,
    reviews_of,
)
from bailiwick_evidence.linekinds import REVIEWERS, may_have

MOST_REVIEWS: Final = 50_000
MOST_REVIEW_BYTES: Final = 96 << 20
"""What the texts of all reviews and shortfalls may take together. 50,000 that people sign take less."""
MOST_FILE_BYTES: Final = 64 << 20
"""Likewise of the files of keys, also of those of which some parts are still to come."""
MOST_FILES: Final = 1_000
MOST_INCOMPLETE: Final = 64
"""Files of which some parts are still to come."""
_MOST_UNREADABLE: Final = 1_000
_PLACE_BYTES: Final = 512
"""What it takes to keep when a file came into force by one chain."""
_NAMED: Final = (b'"signature"', b'"reviewers"')
# Times of reviews have whole seconds, and the two processes that write them may have clocks a little apart.
_APART: Final = 2.0
_UNKNOWN: Final = "no file of reviewers' keys in these logs that these registrars signed was in force then"


class ReviewCode(StrEnum):
    """What is wrong with a review of a step that asks for a signature."""

    UNSIGNED = "unsigned"
    """It has no signature. Or the step has fewer reviews than it needs, and the grant was used all the same."""
    UNENROLLED = "unenrolled"
    """It is signed with a key that was not enrolled for the reviewer when it was counted."""
    BADLY_SIGNED = "badly-signed"
    """Its signature is not one over this review, or was not made as the step asks."""
    UNREADABLE = "unreadable"
    """The line has it in another form than a process writes, so that nothing is known of it."""


@dataclass(frozen=True, slots=True)
class ReviewFinding:
    """A finding about a review. `place`: chain and number of the first line that has it.

    `reviewer` is "" where it is about a step that lacks reviews. Both are "" where the line cannot be read.
    """

    code: ReviewCode
    grant: str
    reviewer: str
    said: str
    place: tuple[str, int]


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """What the fold came to. `files`: versions of the file of reviewers' keys that the registrars signed.

    `files_left_out`: how many there was no room for.
    `verified`: there are keys of registrars. Without, nothing is found.
    """

    reviews: int
    files: int
    left_out: int
    findings: tuple[ReviewFinding, ...] = ()
    verified: bool = False
    files_left_out: int = 0

    @property
    def incomplete(self) -> bool:
        """Whether there was no room for some: added lines could hide one by that."""
        return bool(self.files_left_out or (self.verified and self.left_out))


@dataclass(frozen=True, slots=True)
class _Version:
    """A file that was in force from a time on, until the next one was."""

    since: float
    trust: ReviewerTrust


class _InForce(NamedTuple):
    """Line `seq` of a chain states that a file came into force, in seconds since the epoch."""

    since: float
    chain: str
    seq: int


class _Room:
    """How many more bytes may be kept."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> bool:
        """Take so many, and tell whether there were as many."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


class ReviewFold:
    """Collects signed reviews and files of keys. `most` bounds how many reviews it holds.

    `most_bytes` and `most_file_bytes` bound what the texts of reviews and of files take.
    """

    def __init__(
        self,
        registrars: Registrars,
        most: int = MOST_REVIEWS,
        *,
        most_bytes: int = MOST_REVIEW_BYTES,
        most_file_bytes: int = MOST_FILE_BYTES,
    ) -> None:
        self._registrars = registrars
        self._most = most
        self._reviews: dict[ReviewOnRecord, tuple[str, int]] = {}
        self._parts: dict[tuple[str, str], dict[int, str]] = {}
        self._files: dict[ReviewerKeyFile, dict[str, _InForce]] = {}
        self._shortfalls: dict[ReviewShortfall, tuple[str, int]] = {}
        self._unreadable: list[tuple[str, int]] = []
        self._left_out = self._files_left_out = 0
        self._room, self._file_room = _Room(most_bytes), _Room(most_file_bytes)

    def add(self, line: ChainLine) -> None:
        """Add a line."""
        if not may_have(line.text, *_NAMED):
            return
        record, place = parse_line(line.text), (line.link.id, line.link.seq)
        if record.get("kind") == REVIEWERS:
            part = key_file_part(record)
            if part is None:
                self._leave_unread(place)
            else:
                self._add_part(part, place)
            return
        found = reviews_of(record)
        if found is None:
            self._leave_unread(place)
            return
        for one in found.reviews:
            self._keep(one, place)
        for lack in found.shortfalls:
            if lack in self._shortfalls:
                continue
            size = _size_of(lack.grant, lack.uid, lack.step)
            if len(self._shortfalls) < self._most and self._room.take(size):
                self._shortfalls[lack] = place
            else:
                self._left_out += 1

    def _leave_unread(self, place: tuple[str, int]) -> None:
        if len(self._unreadable) < _MOST_UNREADABLE:
            self._unreadable.append(place)

    def _add_part(self, part: KeyFilePart, place: tuple[str, int]) -> None:
        """Keep a part of a file; of the file, once all of its parts are here, when it came into force."""
        key = (place[0], part.digest)
        if key not in self._parts and len(self._parts) >= MOST_INCOMPLETE:
            self._files_left_out += 1
            return
        parts = self._parts.setdefault(key, {})
        self._file_room.give(_size_of(parts.pop(part.part, None)))
        if not self._file_room.take(_size_of(part.text)):
            self._files_left_out += 1
            return
        parts[part.part] = part.text
        if set(parts) == set(range(part.parts)):
            del self._parts[key]
            self._file_room.give(_size_of(*parts.values()))
            text = "".join(parts[number] for number in range(part.parts))
            self._add_file(ReviewerKeyFile(text, part.signatures), _InForce(part.since, *place))

    def _add_file(self, file: ReviewerKeyFile, stated: _InForce) -> None:
        """Keep a file that enough registrars signed, with what each chain states first of when it came into force."""
        if (held := self._files.get(file)) is not None:
            # It is recorded again at each start of the operator, which begins a chain.
            before = held.get(stated.chain)
            if before is None and not self._file_room.take(_PLACE_BYTES):
                self._files_left_out += 1
            elif before is None or (stated.seq, stated.since) < (before.seq, before.since):
                held[stated.chain] = stated
            return
        try:
            file.judge(self._registrars)
        except RegistrarsError:
            return
        if len(self._files) >= MOST_FILES or not self._file_room.take(_size_of(file.text, file.signatures)):
            self._files_left_out += 1
            return
        self._files[file] = {stated.chain: stated}

    def _keep(self, one: ReviewOnRecord, place: tuple[str, int]) -> None:
        if one in self._reviews:
            return
        grant, review = one.grant, one.review
        size = _size_of(
            *(grant.namespace, grant.name, grant.uid, grant.request, grant.binding),
            *(review.reviewer, review.step, review.group, review.reason, one.signature),
        )
        if len(self._reviews) < self._most and self._room.take(size):
            self._reviews[one] = place
        else:
            self._left_out += 1

    def report(self, witnessed: Mapping[str, int], ledger_time: float = -math.inf) -> ReviewReport:
        """Return what all that was added comes to. `witnessed`: by chain, how many of its lines a witness has seen.

        When a file came into force is what those lines state. A file that none of them has came into force no earlier
        than `ledger_time`, when a witness last saw the operator's log, in seconds since the epoch.
        """
        if not self._registrars:
            return ReviewReport(len(self._reviews), 0, self._left_out)
        versions = list(self._versions(witnessed, ledger_time))
        findings = []
        for one, place in self._reviews.items():
            if (found := self._problem(one, versions)) is not None:
                code, said = found
                name = f"{one.grant.namespace}/{one.grant.name}"
                findings.append(ReviewFinding(code, name, one.review.reviewer, said, place))
        for lack, place in self._shortfalls.items():
            said = f"step {lack.step} needs {lack.needed} signed reviews, but {lack.reviews} are there"
            findings.append(ReviewFinding(ReviewCode.UNSIGNED, lack.grant, "", said, place))
        said = "the line has reviews, or reviewers' keys, in another form than a process writes"
        findings += [ReviewFinding(ReviewCode.UNREADABLE, "", "", said, place) for place in self._unreadable]
        return ReviewReport(
            len(self._reviews),
            len(versions),
            self._left_out,
            tuple(findings),
            verified=True,
            files_left_out=self._files_left_out,
        )

    def _versions(self, witnessed: Mapping[str, int], ledger_time: float) -> Iterator[_Version]:
        """Yield the files that counted, the oldest first, without those that were not signed or were put back."""
        newest: SerialFloor = NO_FLOOR
        files = [(file, _earliest(stated.values(), witnessed, ledger_time)) for file, stated in self._files.items()]
        for file, since in sorted(files, key=lambda found: found[1]):
            try:
                keys = file.judge(self._registrars, newest)
            except RegistrarsError:
                continue
            newest = file.floor(keys)
            yield _Version(since, ReviewerTrust(keys, "", self._registrars.origins))

    def _problem(self, one: ReviewOnRecord, versions: list[_Version]) -> tuple[ReviewCode, str] | None:
        if one.signature is None:
            return ReviewCode.UNSIGNED, f"step {one.review.step} asks for a signature, but the review has none"
        problem = _UNKNOWN
        for trust in _in_force(versions, one.counted):
            found = enrolment_problem(one.review.reviewer, one.signature, trust, one.counted or 0.0)
            if found is None:
                break
            problem = found
        else:
            return ReviewCode.UNENROLLED, problem
        try:
            statement = review_statement(one.grant, one.review)
        except NotCanonicalError as error:
            return ReviewCode.BADLY_SIGNED, str(error)
        wrong = statement_problem(one.signature, statement, self._registrars.origins, verified_user=one.verified_user)
        return None if wrong is None else (ReviewCode.BADLY_SIGNED, wrong)


def _size_of(*texts: str | None) -> int:
    """Return what texts take in memory."""
    return sum(getsizeof(text) for text in texts if text is not None)


def _earliest(stated: Iterable[_InForce], witnessed: Mapping[str, int], ledger_time: float) -> float:
    """Return when a file came into force, by the lines that a witness has seen if any of them states it."""
    every = [*stated]
    seen = [one.since for one in every if one.seq < witnessed.get(one.chain, 0)]
    return min(seen) if seen else max(ledger_time, min(one.since for one in every))


def _in_force(versions: list[_Version], moment: float | None) -> Iterator[ReviewerTrust]:
    """Yield the files that were in force about a time."""
    if moment is None:
        return
    for one, following in pairwise((*versions, None)):
        if (
            one is not None
            and one.since <= moment + _APART
            and (following is None or following.since > moment - _APART)
        ):
            yield one.trust
