"""The audit of a set of files: it reads the lines of all chains and reports on each chain.

Standing: the top of the audit, which the command line and tests use. Holds: one pass, in any order; only lines that
open or close a chain, those of a ledger, and long lines are parsed. What is judged of a share of the chains is what
would be judged of them among all.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bailiwick_evidence.audit.chainshares import WHOLE, ChainOutline, ChainShare
from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import AHEAD_SECONDS, HeadClaim, RootClaim, ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.doubtfullines import settle
from bailiwick_evidence.audit.findings import ChainReport, FindingCode
from bailiwick_evidence.audit.grantlines import GrantLine, GrantLines
from bailiwick_evidence.audit.judgement import judge_chain, missing_chain
from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.lines import ChainLine, LineReader, parse_line
from bailiwick_evidence.audit.longlines import NOTHING_LACKS, LackingLines, LongLine, LongLines
from bailiwick_evidence.audit.removal import fill, report_removal
from bailiwick_evidence.audit.sayings import OtherSayings
from bailiwick_evidence.audit.vouchers import LEDGER, known_until, latest, vouchers, witnessed_size
from bailiwick_evidence.chain import hash_of

_KIND: Final = b'"kind":"'
_WITHIN: Final = 320
_PARSED: Final = frozenset({b"open", b"close", b"checkpoint", b"policy", b"grant", b"hash", b"ledger"})
# What a long line can say beside decisions. A line about its own chain is never long.
_PARSED_LONG: Final = frozenset({"checkpoint", "policy", "grant"})


class LogAudit:
    """Reads files and judges their chains. `book` has the checkpoints from other sources.

    `kept`: by chain, leaf hashes of lines that may have been removed.
    `share`: the chains that are judged. The others are in `outlines`, unless the share keeps them too.
    `policies` are the members of a ledger's lines, by digest: where there is one whose text has the digest, that one.
    `pages` has the leaf hashes of its lines. `keeps_grants`: it is asked for `grants` later, which take memory.
    """

    def __init__(
        self,
        book: WitnessBook,
        kept: Mapping[str, LeafTable] | None = None,
        share: ChainShare = WHOLE,
        *,
        keeps_grants: bool = False,
    ) -> None:
        self.book = book
        self.share = share
        self._kept = kept or {}
        self.pages = LeafPages()
        self.chains: dict[str, ChainTable] = {}
        self.outlines: dict[str, ChainOutline] = {}
        self.policies: dict[str, Mapping[str, Any]] = {}
        self._grants = GrantLines() if keeps_grants else None
        self.lines = 0
        self._reader = LineReader()
        self._long = LongLines()
        # Long lines that stood before the lines with their hashes, until they are yielded.
        self._found: list[ChainLine] = []
        self._heads: list[HeadClaim] = []
        self._joined: set[str] = set()
        self._owned: dict[str, bool] = {}
        self._witnessed: dict[str, int] = {}

    @property
    def torn(self) -> int:
        """How many lines were cut off."""
        return self.torn_apart + self.torn_in_chains

    @property
    def torn_apart(self) -> int:
        """How many of them were found to be so by themselves, whichever chain they are of."""
        return self._reader.torn

    @property
    def torn_in_chains(self) -> int:
        """How many of them are beginnings of other lines of the chains that are judged."""
        return sum(log.torn for name, log in self.chains.items() if self.share.owns(name))

    @property
    def forked(self) -> int:
        """How many lines of the chains that are judged were not handed on, since another line has their number."""
        return sum(log.unread for name, log in self.chains.items() if self.share.owns(name))

    @property
    def foreign(self) -> int:
        """How many lines are in no chain, not even by their hash."""
        return self._reader.foreign + self._long.outside

    @property
    def unchained(self) -> int:
        """How many lines in no chain look like the record of a decision."""
        return self._reader.unchained + self._long.outside_decisions

    @property
    def unread_apart(self) -> int:
        """How many lines may be decisions and cannot be read, whichever chain they are of.

        They were cut off, are in no chain, or are in one by their hash alone.
        """
        return self.torn_apart + self.unchained + self._long.unread

    def feed(self, data: bytes) -> Iterator[ChainLine]:
        """Take the next piece of a file; yields each line of a chain that is new."""
        return self._take_lines(self._reader.feed(data))

    def end(self) -> Iterator[ChainLine]:
        """Take the end of a file."""
        return self._take_lines(self._reader.end())

    def finish(self) -> Iterator[ChainLine]:
        """Take the end of all files."""
        yield from self._take_lines(self._reader.finish(self._fits, self._doubt, self._long.wanted))
        for log in [one for one in self.chains.values() if one.doubtful]:
            certain = settle(log, self.book.claims_of(log.id))
            # Of the others, none is read: each could be a line that no process wrote.
            numbers = {line.link.seq for line in log.doubtful.values()}
            log.torn += len(numbers.difference(line.link.seq for line in certain))
            for line in certain:
                self.lines += 1
                self._take_claims(log, line)
                yield line
                yield from self._take_found()

    def judges(self, chain: str) -> bool:
        """Tell whether a chain is in the share that is judged. It is called for each line."""
        found = self._owned.get(chain)
        if found is None:
            found = self._owned[chain] = self.share.owns(chain)
        return found

    def opening_of(self, chain: str) -> Mapping[str, Any] | None:
        """Return the first line of a chain, parsed; None if it is not here."""
        log = self.chains.get(chain) or self.outlines.get(chain)
        return None if log is None else log.opening

    @property
    def lacking(self) -> frozenset[str]:
        """The chains that the share must also keep: then read all again. Without them it cannot be judged.

        Lines that were cut are joined by the lines beside them, and a chain that vouches for another must be witnessed.
        """
        wanted = {claim.by for claim in self._heads if self.share.owns(claim.chain) and self.book.claims_of(claim.by)}
        if self.book.quorum > 1:
            own = filter(self.share.owns, self.chains)
            wanted |= {one.by for name in own for one in self.book.checkpoints_held_of(name)}
        return frozenset(name for name in wanted | self._joined if not self.share.keeps(name))

    def witnessed_sizes(self) -> dict[str, int]:
        """Return how many lines of each chain as many witnesses as are required have cosigned."""
        found = {chain: latest(self.book.claims_of(chain), self.book.quorum) for chain in self.book.chains}
        return {chain: claim.size for chain, claim in found.items() if claim is not None}

    def ledger_time(self) -> float:
        """Return when witnesses last cosigned a log of the operator, by times that have come; else minus infinity."""
        times = [
            time
            for chain in self.book.chains
            if (self.opening_of(chain) or {}).get("component") == LEDGER
            and (time := known_until(self.book.claims_of(chain), self.book.quorum)) is not None
        ]
        return max(times, default=-math.inf)

    @property
    def grants(self) -> dict[str, Mapping[str, Any]]:
        """The members of a ledger's lines, by `namespace/name`: of lines that a witness has seen, if one has it."""
        return {line.grant: line.members for line in self._grant_lines()}

    @property
    def unseen_grants(self) -> dict[str, Mapping[str, Any]]:
        """Those of the `grants` of which no witness has seen a line."""
        return {line.grant: line.members for line in self._grant_lines() if not line.seen}

    def _grant_lines(self) -> Iterator[GrantLine]:
        """Return the line about each grant that counts."""
        if self._grants is None:
            raise ValueError("this audit keeps no grants")
        return self._grants.last(self.witnessed_sizes())

    def count_of_chains(self, since: float | None = None) -> int:
        """Return how many reports all shares have together."""
        outside = sum(name not in self.chains for name in self.outlines)
        return len(self.chains) + outside + len(self._only_respelled()) + sum(1 for _ in self._gone(since))

    def absent_clusters(self, since: float | None = None) -> tuple[str, ...]:
        """Return the clusters of which no line is here, and no checkpoint over any line since this time."""
        read = (name for name in self.book.witnessed_chains if name in self.chains or name in self.outlines)
        gone = (roots[0].chain for roots in self._gone(since))
        here = frozenset(owner for names in (read, gone) for name in names for owner in self.book.clusters_of(name))
        return tuple(sorted({*self.book.clusters.values()} - here))

    def _fits(self, line: ChainLine) -> bool | None:
        if not self.share.keeps(line.link.id):
            self._joined.add(line.link.id)
            return False
        log = self.chains.get(line.link.id)
        return None if log is None else log.fits(line.link, line.text)

    def _doubt(self, line: ChainLine) -> None:
        log = self.chains.setdefault(line.link.id, ChainTable(line.link.id, self.pages))
        log.doubt(line.link, line.text)

    def reports(self, since: float | None = None) -> list[ChainReport]:
        """Judge each chain that was read, and each that a witness has seen since this time."""
        # First, because judging a chain replaces some lines by others.
        self._witnessed = {name: self._witnessed_size(name) for name in self._naming()}
        heads: dict[str, list[HeadClaim]] = {}
        for claim in self._heads:
            # Anyone can write a log that no witness saw.
            if self._is_witnessed(claim.by, 0) and self.book.may_accuse(claim.by, claim.chain):
                heads.setdefault(claim.chain, []).append(claim)
        for name, log in self.chains.items():
            log.strays = self._reader.strays[name]
        newest, lacking = self._newest_times(), self._long.lacking()
        judged = [
            (name, self._report(log, heads.get(name, ()), newest, lacking.get(name, NOTHING_LACKS)))
            for name, log in self.chains.items()
        ]
        found = [report for name, report in judged if self.share.owns(name)]
        for name in filter(self.share.owns, self._only_respelled()):
            log = ChainTable(name, self.pages)
            log.strays = self._reader.strays[name]
            found.append(self._report(log, (), newest))
        gone = [roots for roots in self._gone(since) if self.share.owns(roots[0].chain)]
        found += [self._report_missing(roots, heads) for roots in gone]
        return sorted(found, key=ChainReport.rank)

    def _newest_times(self) -> dict[str, float]:
        """Return the last time in what witnesses saw of each cluster; of no name if none is named.

        No line of one cluster says that a process of another should still be seen. A time that has not come says
        nothing.
        """
        every: dict[str, ChainTable | ChainOutline] = {**self.chains, **self.outlines}
        latest = math.inf if self.book.now is None else self.book.now + AHEAD_SECONDS
        found: dict[str, float] = {}
        witnessed = self.book.witnessed_chains
        for name in self.book.chains:
            newest: float = self.book.newest_of(name)
            # Anyone can write a log that no witness saw, with any times.
            ended = every[name].end_time if name in every and name in witnessed else None
            if ended is not None and ended <= latest:
                newest = max(newest, ended)
            for owner in self._owners_of(name):
                found[owner] = max(newest, found.get(owner, 0))
        return found

    def _owners_of(self, chain: str) -> frozenset[str]:
        """Return the clusters of a chain, or no name if none is named."""
        return self.book.clusters_of(chain) if self.book.clusters else frozenset({""})

    def _only_respelled(self) -> list[str]:
        """Return the chains of which no line is here but in a form that no process writes, and that no witness saw.

        A reader of JSON finds in such a line what the audit does not read.
        """
        known = self.chains.keys() | self.outlines.keys() | self.book.witnessed_chains
        return sorted(self._reader.respelled - known)

    def _gone(self, since: float | None) -> Iterator[list[RootClaim]]:
        """Yield the checkpoints of each chain that a witness has seen since this time, and of which no line is here."""
        for name in sorted(self.book.witnessed_chains - self.chains.keys() - self.outlines.keys()):
            roots = self.book.claims_of(name)
            # Of any size: its log may have been set back before it was removed.
            if since is None or any(claim.ahead or claim.time >= since for claim in roots):
                yield roots

    def _report_missing(self, roots: Sequence[RootClaim], heads: Mapping[str, Sequence[HeadClaim]]) -> ChainReport:
        """Judge a chain without lines, by its kept leaves."""
        log = ChainTable(roots[0].chain, self.pages)
        report = self._report(log, heads.get(log.id, ()), {})
        # Nothing can say whether a removed chain was closed.
        findings = tuple(one for one in report.findings if one.code is not FindingCode.UNCLOSED)
        whole = report.removed == max(claim.size for claim in roots)
        if whole:
            return replace(report, findings=findings)
        missing = missing_chain(log.id, roots, self.book.clusters_of(log.id))
        return replace(missing, cluster=report.cluster)

    def _report(
        self,
        log: ChainTable,
        heads: Sequence[HeadClaim],
        newest: Mapping[str, float],
        lacking: LackingLines = NOTHING_LACKS,
    ) -> ChainReport:
        book = self.book
        roots, held, owners = book.claims_of(log.id), book.checkpoints_held_of(log.id), book.clusters_of(log.id)
        vouching = [one for one in held if book.may_vouch(one.by, log.id)]
        said = OtherSayings(
            roots,
            vouchers(log, roots, vouching, book.quorum, self._is_witnessed),
            held,
            heads,
            [one for one in heads if book.may_vouch(one.by, log.id)],
            book.contradictions.get(log.id, ()),
            bool(book.keys),
            book.strangers.get(log.id),
            book.quorum,
            max((newest[owner] for owner in self._owners_of(log.id) if owner in newest), default=None),
            owners,
        )
        if (kept := self._kept.get(log.id)) is not None and not log.removed:
            fill(log, kept, said.vouchers, book.quorum)
        report = report_removal(judge_chain(log, said, lacking), log)
        return replace(report, cluster=min(owners)) if len(owners) == 1 else report

    def _naming(self) -> set[str]:
        """Return the chains whose lines make claims about others."""
        holders = {claim.by for claim in self._heads}
        if self.book.quorum > 1:
            holders |= {held.by for name in self.chains for held in self.book.checkpoints_held_of(name)}
        return holders & self.chains.keys()

    def _witnessed_size(self, chain: str) -> int:
        return witnessed_size(self.chains[chain], self.book.claims_of(chain), self.book.quorum)

    def _is_witnessed(self, chain: str, seq: int) -> bool:
        """Tell whether the witnesses cosigned the line that was read at this place."""
        return seq < self._witnessed.get(chain, 0)

    def _take_lines(self, lines: Iterator[ChainLine | LongLine]) -> Iterator[ChainLine]:
        chains, outlines = self.chains, self.outlines
        for line in lines:
            if isinstance(line, LongLine):
                self._found += [ChainLine(one, line.text) for one in self._long.take(line) if line.text is not None]
                yield from self._take_found()
                continue
            self.lines += 1
            link, text = line
            log: ChainTable | ChainOutline | None = chains.get(link.id)
            if log is None:
                log = outlines.get(link.id) or self._begin(link.id)
            if log.add(link, text):
                self._take_claims(log, line)
                yield line
                if self._found:
                    yield from self._take_found()

    def _take_found(self) -> Iterator[ChainLine]:
        """Take long lines, each with the place of the line that has its hash."""
        found, self._found = self._found, []
        for line in found:
            self.lines += 1
            members = parse_line(line.text)
            log = self.chains.get(line.link.id) or self.outlines.get(line.link.id)
            if log is not None and (kind := members.get("kind")) in _PARSED_LONG:
                self._take_other_claims(log, line, members, kind)
            yield line

    def _begin(self, chain: str) -> ChainTable | ChainOutline:
        """Return what is kept from now on of a chain."""
        if not self.share.keeps(chain):
            return self.outlines.setdefault(chain, ChainOutline())
        return self.chains.setdefault(chain, ChainTable(chain, self.pages))

    def _take_claims(self, log: ChainTable | ChainOutline, line: ChainLine) -> None:
        text = line.text
        at = text.find(_KIND, 0, _WITHIN) + len(_KIND)
        kind = text[at : text.find(b'"', at)]
        if kind in _PARSED:
            self._take_own_claims(log, line, kind.decode())

    def _take_own_claims(self, log: ChainTable | ChainOutline, line: ChainLine, kind: str) -> None:
        """Take the claims of a line about its own chain."""
        members = parse_line(line.text)
        if members.get("kind") != kind:
            return
        if kind == "open" and line.link.seq == 0:
            log.opening = members
            self._head(members.get("previous"), line.link.id)
        elif kind == "close":
            if isinstance(log, ChainTable):
                log.closing, log.closed = members, line.link.seq
        elif kind == "hash":
            digest = members.get("sha256")
            if (long := self._long.name(digest if isinstance(digest, str) else "", line.link)) is not None:
                self._found.append(ChainLine(line.link, long))
        else:
            self._take_other_claims(log, line, members, kind)

    def _take_other_claims(
        self, log: ChainTable | ChainOutline, line: ChainLine, members: Mapping[str, Any], kind: str
    ) -> None:
        """Take the claims of a line about other chains, policies and grants."""
        note, digest = members.get("note"), members.get("digest")
        if kind == "checkpoint" and isinstance(note, str):
            pod = members.get("pod")
            self.book.add(ShownCheckpoint(note, pod if isinstance(pod, str) else None))
        elif kind == "ledger" and isinstance(note, str):
            log.polled = True
            self.book.add_of_line(note, line.link.id, line.link.seq)
        elif kind == "policy" and isinstance(digest, str):
            if digest not in self.policies or _has_digest(members.get("text"), digest):
                self.policies[digest] = members
        elif kind == "grant" and self._grants is not None:
            self._grants.add(line, members)

    def _head(self, previous: object, by: str) -> None:
        """Take the claim of a chain's first line about the previous chain in its file."""
        if not isinstance(previous, Mapping):
            return
        chain, seq, head = previous.get("id"), previous.get("seq"), previous.get("head")
        held = hash_of(head) if isinstance(head, str) else None
        if isinstance(chain, str) and isinstance(seq, int) and seq >= 0 and held is not None and chain != by:
            self._heads.append(HeadClaim(chain, seq + 1, held, by))


def _has_digest(text: object, digest: str) -> bool:
    return isinstance(text, str) and digest == f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def known_upto(reports: Sequence[ChainReport]) -> int | None:
    """Return up to when removals and changes are detected, in seconds since the epoch; None if they never are.

    It is the oldest last cosignature among the chains that could still go on.
    """
    upto = [report.upto for report in reports if report.upto is not None]
    going = [report.upto for report in reports if report.upto is not None and not report.whole]
    return min(going) if going else max(upto, default=None)
