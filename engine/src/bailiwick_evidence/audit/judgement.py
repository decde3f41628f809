"""The judgement of one chain: compare its lines with each other, and with the claims of others about them.

Standing: above `chaintable` and `vouchers`, under `logaudit`. Holds: a line is altered if another line names a
different hash for it. A change that only a root shows is reported as the range that contains it. The smallest set of
lines that explains everything is called altered.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, Final

from bailiwick_api import times
from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.findings import ChainReport, FindingCode, LogFinding
from bailiwick_evidence.audit.longlines import NOTHING_LACKS, LackingLines
from bailiwick_evidence.audit.ranges import ranges, ranges_without
from bailiwick_evidence.audit.sayings import OtherSayings
from bailiwick_evidence.audit.vouchers import LEDGER, key_of, known_until, latest, signed_by
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import Forest
from bailiwick_evidence.note import NoteError, split

POLL_SECONDS: Final = 10
"""How often a witness polls each process."""

STALE_SECONDS: Final = 120
"""A checkpoint is due each minute, even for an unchanged log: after twice that time it is late."""

_FREE: Final = 3
_TRIED: Final = 100_000
_TRIED_FOR_EACH: Final = 16
"""How many lines are hashed to choose between versions of lines: so many, and so many more for each line. All of them
are reported as forked, whichever is chosen."""


def judge_chain(log: ChainTable, said: OtherSayings, lacking: LackingLines = NOTHING_LACKS) -> ChainReport:
    """Report on a chain with at least one line. `lacking`: the numbers of long lines that were not found or read."""
    return _Judgement(log, said, lacking).report()


def missing_chain(chain: str, roots: Sequence[RootClaim], clusters: frozenset[str]) -> ChainReport:
    """Report on a chain that a witness saw, but of which no line is here. `clusters`: whose keys cosigned it."""
    last = roots[-1]
    seen = [claim.time for claim in roots if claim.time or not claim.ahead]
    when = f" from {times.epoch_stamp(seen[0])} to {times.epoch_stamp(seen[-1])}" if seen else ""
    said = f"a witness saw {last.size} lines of {last.pod or last.origin}{when}, but none of them is here"
    findings = (LogFinding(FindingCode.MISSING, said), *_two_clusters(clusters), *_ahead(roots))
    return ChainReport(chain, 0, last.size, seen[-1] if seen else None, findings, pod=last.pod)


def _ahead(roots: Sequence[RootClaim]) -> Iterator[LogFinding]:
    """Yield the finding that a chain has a cosignature from the future, if it is so."""
    if latest_ahead := max((claim.ahead for claim in roots), default=0):
        said = f"a cosignature from the future does not count: {times.epoch_stamp(latest_ahead)}"
        yield LogFinding(FindingCode.AHEAD, said)


def _two_clusters(clusters: frozenset[str]) -> Iterator[LogFinding]:
    """Yield the finding that more than one cluster cosigned a chain, if it is so."""
    if len(clusters) > 1:
        said = f"the keys of {len(clusters)} clusters cosigned it, and a chain is of one: {', '.join(sorted(clusters))}"
        yield LogFinding(FindingCode.CONTRADICTED, said)


class _Judgement:
    """One chain, while it is judged."""

    def __init__(self, log: ChainTable, said: OtherSayings, lacking: LackingLines) -> None:
        self.log = log
        self.key = key_of(log)
        self.cosigned = said.roots
        unsigned = [one for one in said.roots if not signed_by(self.key, one.notes)]
        self.unsigned = [one for one in unsigned if not one.left_out]
        self.unread = [one for one in unsigned if one.left_out]
        others = {(one.size, one.root) for one in self.unsigned}
        # The key may be what was changed: then no checkpoint is signed with it.
        if len(self.unsigned) == len(said.roots):
            others = set()
        known = {(one.size, one.root) for one in said.roots}
        # The log must agree with every checkpoint that the process itself signed, no matter where it comes from.
        own = [
            RootClaim(one.chain, one.size, one.root, one.time or 0, one.origin, (one.note,))
            for one in said.held
            if self.key is not None and (one.size, one.root) not in known and signed_by(self.key, (one.note,))
        ]
        signed = [one for one in said.roots if (one.size, one.root) not in others]
        self.roots = sorted([*signed, *own], key=lambda one: (one.size, one.time))
        self.vouchers = [one for one in said.vouchers if (one.size, one.root) not in others]
        self.heads = said.heads
        self.fixed = said.fixed
        self.contradictions = said.contradictions
        self.asked = said.asked
        self.stranger = said.stranger
        self.quorum = said.quorum
        self.newest = said.newest
        self.clusters = said.clusters
        self.findings: list[LogFinding] = []
        missing = [seq for seq in lacking.missing if not self._is_being_written(seq)]
        self.altered = dict.fromkeys(missing, "the long line that it has the hash of is missing")
        self.passed_over = lacking.unread
        self.numbered: dict[int, int] = {}

    def _is_being_written(self, seq: int) -> bool:
        """Tell whether the process may have been killed while it wrote a long line behind the last line, its hash.

        It signs a number only once all of both is written. Another chain may name the last line all the same.
        """
        log = self.log
        return log.closed is None and seq == log.leaves.size - 1 and all(claim.size <= seq for claim in self.roots)

    def report(self) -> ChainReport:
        log = self.log
        self._stray()
        self._forks()
        log.believe()
        self._links()
        runs = log.leaves.runs()
        self._gaps(runs)
        self._true_roots(runs)
        forked = {one.first for one in self.findings if one.code is FindingCode.FORKED}
        self.findings += [
            LogFinding(FindingCode.ALTERED, said, seq, seq)
            for seq, said in sorted(self.altered.items())
            if seq not in forked
        ]
        for first, last in ranges(self.passed_over):
            said = "the long lines that they have the hashes of are here, but there was no room to read them"
            self.findings.append(LogFinding(FindingCode.UNKNOWN, said, first, last))
        if log.strays:
            said = f"{log.strays} lines name the chain in another form than a process writes"
            self.findings.append(LogFinding(FindingCode.ALTERED, said))
        began, ended = log.start_time, log.end_time
        witnessed, upto = latest(self.vouchers, self.quorum), known_until(self.vouchers, self.quorum)
        self._doubtful(witnessed)
        self._honest_witness()
        self._ends(witnessed, upto, ended)
        size = log.leaves.size
        return ChainReport(
            log.id,
            log.leaves.count,
            None if witnessed is None else witnessed.size,
            upto,
            tuple(self.findings),
            log.repeated,
            log.torn,
            began,
            ended,
            log.closed is not None and log.closed == size - 1,
            _pod(log.opening) or (None if witnessed is None else witnessed.pod),
        )

    def _stray(self) -> None:
        """Restore lines whose number was changed: the line that they name is here, and the one after it is missing."""
        log = self.log
        lone = {seq: prev for seq, prev in log.unfit.items() if prev and log.leaves.get(seq - 1) is None}
        second = {
            (seq, index): one.prev
            for seq, others in log.others.items()
            for index, one in enumerate(others)
            if one.prev and one.prev != log.leaves.get(seq - 1)
        }
        if not lone and not second:
            return
        named = log.leaves.numbers_of(frozenset({*lone.values(), *second.values()}))
        for seq, prev in lone.items():
            if self._restore(named.get(prev), seq):
                log.remove(seq)
        for (seq, index), prev in sorted(second.items(), reverse=True):
            before = len(self.numbered)
            self._restore(named.get(prev), seq)
            if len(self.numbered) > before:
                del log.others[seq][index]
                if not log.others[seq]:
                    del log.others[seq]

    def _restore(self, before: int | None, seq: int) -> bool:
        """Take a line to be the one behind another, if that one is missing; return whether it is taken so."""
        if before is not None and before + 1 != seq and self.log.leaves.get(before + 1) is None:
            self.numbered[before + 1] = seq
            return True
        return False

    def _forks(self) -> None:
        """For lines with the same number, choose the one that the next line or a witness names."""
        log = self.log
        forked = sorted(log.others, reverse=True)
        for first, last in ranges(log.forks()):
            said = "two different lines have the same number: there were two writers, or a copy was changed"
            self.findings.append(LogFinding(FindingCode.FORKED, said, first, last))
        if not forked:
            return
        self._settle(forked)
        # If no line follows, each version is tried, from its end.
        fits, most = self._fit_of(forked), _TRIED_FOR_EACH * log.leaves.count + _TRIED
        every = sum(map(len, log.others.values()))
        for top in (seq for seq in forked if not self._claimed_hashes(seq)):
            # What one try costs: to hash the lines from the first fork on, and to follow the references.
            cost = max(0, log.leaves.count - forked[-1]) + every - len(log.others[top]) + 1
            tries = 0
            while most > 0 and tries < len(log.others[top]) and not fits():
                log.choose(top, tries)
                self._settle(forked)
                tries += 1
                most -= cost

    def _settle(self, forked: Sequence[int]) -> None:
        """Follow the references from the end."""
        log = self.log
        for seq in forked:
            wanted = self._claimed_hashes(seq)
            if wanted and log.leaves.get(seq) not in wanted:
                fitting = (index for index, one in enumerate(log.others[seq]) if one.leaf in wanted)
                if (index := next(fitting, None)) is not None:
                    log.choose(seq, index)

    def _fit_of(self, forked: Sequence[int]) -> Callable[[], bool]:
        """Return what tells whether the root over the forked lines is the cosigned one, as far as the lines allow."""
        seq = forked[-1]
        end = next((end for start, end in self.log.leaves.runs()[:1] if start == 0), 0)
        claims = [claim for claim in self.roots if claim.seen and seq < claim.size <= end]
        if not claims:
            return lambda: True
        size, root = claims[-1].size, claims[-1].root
        below = Forest()
        below.append_leaves(self.log.leaves.hashes_between(0, seq))

        def fits() -> bool:
            forest = below.copy()
            forest.append_leaves(self.log.leaves.hashes_between(seq, size))
            return forest.root == root

        return fits

    def _claimed_hashes(self, seq: int) -> set[bytes]:
        """Return the hashes of a line by the claims of others."""
        log = self.log
        found = {claim.head for claim in self.heads if claim.size == seq + 1}
        own = log.leaves.get(seq)
        if own is not None and log.leaves.get(seq + 1) is not None:
            found.add(log.unfit.get(seq + 1) or own)
        return found

    def _links(self) -> None:
        """Find lines for which the next line, or a line of another chain, names a different hash."""
        log = self.log
        for seq, prev in log.unfit.items():
            if seq == 0 or not prev:
                self.altered[seq] = "its reference to the previous line does not fit its number"
            elif log.leaves.get(seq - 1) is not None:
                self.altered[seq - 1] = f"line {seq} names a different previous line"
        for claim in self.heads:
            leaf = log.leaves.get(claim.size - 1)
            if leaf is not None and leaf != claim.head:
                self.altered[claim.size - 1] = f"chain {claim.by} names a different line"
        for seq, given in self.numbered.items():
            self.altered[seq] = f"its number was changed to {given}"

    def _doubtful(self, witnessed: RootClaim | None) -> None:
        """Find lines that a witness saw, and that no reader was given: other lines could be made of their pieces."""
        size = 0 if witnessed is None else witnessed.size
        found = {
            line.link.seq for leaf, line in self.log.doubtful.items() if self.log.leaves.get(line.link.seq) == leaf
        }
        for first, last in ranges(sorted(seq for seq in found if seq < size)):
            said = "pieces of these lines make other lines too: they were not read"
            self.findings.append(LogFinding(FindingCode.TRUNCATED, said, first, last))

    def _gaps(self, runs: Sequence[tuple[int, int]]) -> None:
        ends, numbers = [(0, 0), *runs], sorted(self.numbered)
        for (_, end), (start, _) in pairwise(ends):
            # A line whose number was changed is here.
            here = numbers[bisect_left(numbers, end) : bisect_left(numbers, start)]
            for first, last in ranges_without(end, start, here):
                said = f"{last - first + 1} lines are missing before later ones"
                self.findings.append(LogFinding(FindingCode.GAP, said, first, last))
        size = self.log.leaves.size
        seen = self._seen_size()
        if seen > size and not all(seq in self.numbered for seq in range(size, min(seen, size + 1_000))):
            signed = [claim for claim in self.roots if claim.size == seen]
            by = f"{'a witness' if any(claim.seen for claim in signed) else 'another chain'} saw"
            if signed and not any(claim.seen for claim in signed):
                by = "its process signed a checkpoint over"
            said = f"{by} {seen} lines, but only {size} are here"
            self.findings.append(LogFinding(FindingCode.TRUNCATED, said, size, seen - 1))

    def _seen_size(self) -> int:
        """Return how many lines a witness or another chain saw."""
        return max([0, *(claim.size for claim in self.roots), *(claim.size for claim in self.heads)])

    def _witnessed_size(self) -> int:
        """Return how many lines a witness saw, or another chain whose line is itself witnessed."""
        return max([0, *(claim.size for claim in self.vouchers), *(claim.size for claim in self.fixed)])

    def _true_roots(self, runs: Sequence[tuple[int, int]]) -> None:
        """Compare the root with each cosigned one, as far as all hashes are known from a line or from the next one."""
        log = self.log
        # The next line has the hash of a missing line too.
        known = {seq - 1: prev for seq, prev in log.unfit.items() if seq and prev}
        known |= {claim.size - 1: claim.head for claim in self.heads if claim.size - 1 not in known}
        end = 0
        for start, stop in runs:
            while end < start and end in known:
                end += 1
            if end < start:
                break
            end = stop
        claims = [claim for claim in self.roots if claim.size <= end]
        if not claims:
            return
        sizes = [claim.size for claim in claims]
        gone = {seq: leaf for seq, leaf in known.items() if seq < end and log.leaves.get(seq) is None}
        changed = {seq: known[seq] for seq in self.altered if seq in known and seq < end and seq not in gone}
        best: dict[int, bytes] = {}
        for honest in self._guesses(changed):
            instead = gone | {seq: leaf for seq, leaf in changed.items() if seq not in honest}
            made = log.leaves.roots(sizes, instead)
            best = made
            if all(made[claim.size] == claim.root for claim in claims):
                for seq in honest:
                    self.altered.pop(seq, None)
                return
        self._report_ranges(claims, best)

    def _guesses(self, changed: Mapping[int, bytes]) -> Iterator[tuple[int, ...]]:
        """Yield sets of lines that may be unchanged, because the next line is altered and names them wrongly."""
        free = [seq for seq in sorted(changed) if seq + 1 in self.altered]
        if len(free) > _FREE:
            free = []
        for count in range(len(free), -1, -1):
            yield from combinations(free, count)

    def _report_ranges(self, claims: Sequence[RootClaim], made: Mapping[int, bytes]) -> None:
        """Report altered ranges, by the witnesses' roots and by those of the process: neither hides the other."""
        for cosigned in (True, False):
            told = [claim for claim in claims if bool(claim.seen) is cosigned]
            fitting = {claim.size for claim in told if made[claim.size] == claim.root}
            # If one of two checkpoints with the same size fits, the witness has contradicted itself.
            wrong = next((claim.size for claim in told if claim.size not in fitting), None)
            if wrong is None:
                continue
            good = max((size for size in fitting if size < wrong), default=0)
            if not any(good <= seq < wrong for seq in self.altered):
                by = "cosigned" if cosigned else "signed by its own process"
                said = f"the root over {wrong} lines differs from the one that was {by}"
                self.findings.append(LogFinding(FindingCode.ALTERED, said, good, wrong - 1))
                return

    def _honest_witness(self) -> None:
        self.findings += [*_two_clusters(self.clusters), *_ahead(self.cosigned)]
        for one, other in pairwise(self.cosigned):
            if one.size == other.size:
                said = f"a witness cosigned two roots over {one.size} lines"
                self.findings.append(LogFinding(FindingCode.CONTRADICTED, said))
        self._refused_checkpoints()
        last = latest(self.unsigned)
        if last is not None and 0 not in self.altered:
            said = f"the checkpoint over {last.size} lines is not signed by the process that opened the chain"
            self.findings.append(LogFinding(FindingCode.FORGED, said))
        last = latest(self.unread)
        if last is not None:
            said = (
                f"whether the process signed the checkpoint over {last.size} lines is not known: {last.left_out} of the"
                " lines in its name were left out, since there are too many"
            )
            self.findings.append(LogFinding(FindingCode.UNKNOWN, said))

    def _refused_checkpoints(self) -> None:
        """Compare what the process signed and a witness refused, as is said, with the lines: anyone can say so."""
        signed = [one for note in self.contradictions if (one := self._signed_checkpoint(note)) is not None]
        end = next((end for start, end in self.log.leaves.runs()[:1] if start == 0), 0)
        made = self.log.leaves.roots(one.size for one in signed if one.size <= end)
        if any(one.size in made and made[one.size] != one.root for one in signed):
            said = "the process signed a checkpoint that contradicts an earlier one: the witness refused it"
            self.findings.append(LogFinding(FindingCode.CONTRADICTED, said))
        elif beyond := [one.size for one in signed if one.size > end]:
            said = (
                f"the process signed a checkpoint over {max(beyond)} lines, which a witness is said to have refused:"
                f" only {end} are here, so whether it contradicts them is not known"
            )
            self.findings.append(LogFinding(FindingCode.TAIL, said))

    def _signed_checkpoint(self, note: str) -> Checkpoint | None:
        """Return the checkpoint in a note that the process signed; None for one that a witness cosigned."""
        # Without its key, nothing is known to be signed by it.
        if self.key is None or not signed_by(self.key, (note,)):
            return None
        try:
            said = Checkpoint.parse(split(note)[0])
        except NoteError:
            return None
        cosigned = any((claim.size, claim.root) == (said.size, said.root) for claim in self.cosigned)
        return None if cosigned else said

    def _ends(self, witnessed: RootClaim | None, upto: int | None, ended: float | None) -> None:
        log, size = self.log, self.log.leaves.size
        if witnessed is None:
            self._report_unwitnessed()
        elif upto is None:
            said = "when a witness saw the chain is not known: it was cosigned only at times that have not come"
            self.findings.append(LogFinding(FindingCode.UNKNOWN, said))
        seen = self._witnessed_size() if self.quorum == 1 else 0 if witnessed is None else witnessed.size
        if 0 < seen < size:
            said = f"{size - seen} lines after the last cosignature cannot be verified yet"
            self.findings.append(LogFinding(FindingCode.TAIL, said, seen, size - 1))
        if log.closed is None:
            self.findings.append(LogFinding(FindingCode.UNCLOSED, "no line closes the chain"))
            self._stale(upto, ended)
        elif log.closed < size - 1:
            said = f"there are lines after line {log.closed}, which closes the chain"
            self.findings.append(LogFinding(FindingCode.ALTERED, said, log.closed, size - 1))
        lost = (log.closing or {}).get("lost")
        if isinstance(lost, int) and lost > 0:
            self.findings.append(LogFinding(FindingCode.LOST, f"the process could not write {lost} records"))

    def _report_unwitnessed(self) -> None:
        """Report why the chain does not count as seen. A reference from another chain does not show who wrote it."""
        log = self.log
        # A witness has polled a process that received the operator's checkpoint.
        brief = log.lifetime is not None and log.lifetime < POLL_SECONDS and not log.polled
        saw = "no witness saw the chain"
        if (log.opening or {}).get("component") == LEDGER:
            saw = "no witness that you trust cosigned this log of the operator"
        if self.stranger is not None:
            saw = f"you did not give the key of a witness that claims to have seen the chain: {self.stranger}"
            brief = False
        if self.vouchers:
            count = len({name for claim in self.vouchers for name, _ in claim.seen})
            saw, brief = f"{count} of the {self.quorum} required witnesses saw the chain", False
        if brief and self.asked and not any(found.bad for found in self.findings):
            said = "no witness saw the chain, which ended before a witness first polls a process"
            self.findings.append(LogFinding(FindingCode.BRIEF, said))
        else:
            self.findings.append(LogFinding(FindingCode.UNKNOWN, saw))

    def _stale(self, upto: int | None, ended: float | None) -> None:
        """Compare the newest cosignature with later lines, here or in other chains: an idle process writes nothing."""
        if upto is None:
            return
        said = f"no checkpoint since {times.epoch_stamp(upto)}"
        if ended is not None and ended - upto > STALE_SECONDS:
            self.findings.append(LogFinding(FindingCode.STALE, said))
        elif not self.fixed and self.newest is not None and self.newest - upto > STALE_SECONDS:
            # If a witnessed line of another chain names the chain, its process has ended.
            until = times.epoch_stamp(int(self.newest))
            said += f", but other logs go on until {until}: the process was killed, or the witness cannot reach it"
            self.findings.append(LogFinding(FindingCode.STALE, said))


def _pod(opening: Mapping[str, Any] | None) -> str | None:
    """Return where the process ran, from its first line: the pod, or the identity of the operator's ledger."""
    members = opening or {}
    pod = members.get("pod")
    name = pod.get("name") if isinstance(pod, Mapping) else members.get("identity") or members.get("component")
    return str(name) if name else None
