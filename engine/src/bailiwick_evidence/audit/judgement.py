"""What became of one chain: its lines against what they say of each other, and against what others say of them.

Standing: above `chaintable` and `vouchers`, under `logaudit`. Holds: a line is called altered where another names it
otherwise; what only a root tells is told as the range in which it lies; the least is called altered that explains all.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, Final

from bailiwick_api import times
from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import RootClaim
from bailiwick_evidence.audit.findings import ChainReport, FindingCode, LogFinding
from bailiwick_evidence.audit.ranges import ranges, without
from bailiwick_evidence.audit.sayings import OtherSayings
from bailiwick_evidence.audit.vouchers import LEDGER, key_of, latest, signed_by

POLL_SECONDS: Final = 10
"""How often a witness asks each process."""

STALE_SECONDS: Final = 120
"""A checkpoint comes each minute, even of an unchanged log: after twice that one is late."""

_FREE: Final = 3


def judged(log: ChainTable, said: OtherSayings, unread: Sequence[int] = ()) -> ChainReport:
    """Say what became of a chain of which there is at least one line. `unread`: lines that stand for ones not found."""
    return _Judgement(log, said, unread).report()


def missing(chain: str, roots: Sequence[RootClaim]) -> ChainReport:
    """Say that no line is here of a chain that a witness saw."""
    last = roots[-1]
    said = (
        f"a witness saw {last.size} lines from {times.epoch_stamp(roots[0].time)} to {times.epoch_stamp(last.time)}"
        f" of {last.pod or last.origin}, and no line of them is here"
    )
    return ChainReport(chain, 0, last.size, last.time, (LogFinding(FindingCode.MISSING, said),), pod=last.pod)


class _Judgement:
    """One chain, while it is judged."""

    def __init__(self, log: ChainTable, said: OtherSayings, unread: Sequence[int]) -> None:
        self.log = log
        self.key = key_of(log)
        self.cosigned = said.roots
        self.unsigned = [one for one in said.roots if not signed_by(self.key, one.notes)]
        others = {(one.size, one.root) for one in self.unsigned}
        # The key may be what was changed: then no checkpoint is signed with it.
        if len(self.unsigned) == len(said.roots):
            others = set()
        known = {(one.size, one.root) for one in said.roots}
        # What the process itself signed its log must agree with, whoever shows it.
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
        self.contradiction = said.contradiction
        self.asked = said.asked
        self.stranger = said.stranger
        self.quorum = said.quorum
        self.newest = said.newest
        self.findings: list[LogFinding] = []
        self.altered = dict.fromkeys(unread, "the long line behind it, of which it has the hash, is not here")
        self.numbered: dict[int, int] = {}

    def report(self) -> ChainReport:
        log = self.log
        self._stray()
        self._forks()
        log.believe()
        self._links()
        runs = log.leaves.runs()
        self._gaps(runs)
        self._true_roots(runs)
        self.findings += [
            LogFinding(FindingCode.ALTERED, said, seq, seq)
            for seq, said in sorted(self.altered.items())
            if not any(one.code is FindingCode.FORKED and one.first == seq for one in self.findings)
        ]
        if log.strays:
            said = f"{log.strays} lines name the chain in another form than a process writes"
            self.findings.append(LogFinding(FindingCode.ALTERED, said))
        began, ended = log.began, log.ended
        witnessed = latest(self.vouchers, self.quorum)
        self._honest_witness()
        self._ends(witnessed, ended)
        size = log.leaves.size
        return ChainReport(
            log.id,
            log.leaves.count,
            None if witnessed is None else witnessed.size,
            None if witnessed is None else witnessed.time,
            tuple(self.findings),
            log.repeated,
            log.torn,
            began,
            ended,
            log.closed is not None and log.closed == size - 1,
            _pod(log.opening) or (None if witnessed is None else witnessed.pod),
        )

    def _stray(self) -> None:
        """Put lines back whose own number was changed: the line that they name is here, and the next one is not."""
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
        named = log.leaves.found(frozenset({*lone.values(), *second.values()}))
        for seq, prev in lone.items():
            self._restore(named.get(prev), seq)
            if seq in self.numbered.values():
                log.remove(seq)
        for (seq, index), prev in sorted(second.items(), reverse=True):
            before = len(self.numbered)
            self._restore(named.get(prev), seq)
            if len(self.numbered) > before:
                del log.others[seq][index]
                if not log.others[seq]:
                    del log.others[seq]

    def _restore(self, before: int | None, seq: int) -> None:
        if before is not None and before + 1 != seq and self.log.leaves.get(before + 1) is None:
            self.numbered[before + 1] = seq

    def _forks(self) -> None:
        """Of lines of one number, put that one in place which the next one names, or a witness."""
        log = self.log
        forked = sorted(log.others, reverse=True)
        for first, last in ranges(log.forks()):
            said = "there are two different lines of one number: two writers, or a copy that was changed"
            self.findings.append(LogFinding(FindingCode.FORKED, said, first, last))
        self._settle(forked)
        # Where no line comes after, each story is tried, from its end.
        for top in (seq for seq in forked if not self._named(seq)):
            tries = 0
            while not self._fits(forked[-1]) and tries < len(log.others[top]):
                log.choose(top, tries)
                self._settle(forked)
                tries += 1

    def _settle(self, forked: Sequence[int]) -> None:
        """Follow the names from the end."""
        log = self.log
        for seq in forked:
            wanted = self._named(seq)
            if log.leaves.get(seq) not in wanted:
                fitting = (index for index, one in enumerate(log.others[seq]) if one.leaf in wanted)
                if (index := next(fitting, None)) is not None:
                    log.choose(seq, index)

    def _fits(self, seq: int) -> bool:
        """Tell whether the root is the cosigned one over a line, as far as it can be told."""
        end = next((end for start, end in self.log.leaves.runs()[:1] if start == 0), 0)
        claims = [claim for claim in self.roots if claim.seen and seq < claim.size <= end]
        return not claims or self.log.leaves.roots([claims[-1].size])[claims[-1].size] == claims[-1].root

    def _named(self, seq: int) -> set[bytes]:
        """Return the hashes that others say a line has."""
        log = self.log
        found = {claim.head for claim in self.heads if claim.size == seq + 1}
        own = log.leaves.get(seq)
        if own is not None and log.leaves.get(seq + 1) is not None:
            found.add(log.unfit.get(seq + 1) or own)
        return found

    def _links(self) -> None:
        """Find lines that others name otherwise: the next one, or one of another chain."""
        log = self.log
        for seq, prev in log.unfit.items():
            if seq == 0 or not prev:
                self.altered[seq] = "the line does not name the one before it as a line of its number does"
            elif log.leaves.get(seq - 1) is not None:
                self.altered[seq - 1] = f"line {seq} names another one before it"
        for claim in self.heads:
            leaf = log.leaves.get(claim.size - 1)
            if leaf is not None and leaf != claim.head:
                self.altered[claim.size - 1] = f"the chain {claim.by} names another line"
        for seq, given in self.numbered.items():
            self.altered[seq] = f"its number was changed to {given}"

    def _gaps(self, runs: Sequence[tuple[int, int]]) -> None:
        ends = [(0, 0), *runs]
        for (_, end), (start, _) in pairwise(ends):
            # A line whose number was changed is here.
            for first, last in without(end, start, self.numbered):
                said = f"{last - first + 1} lines are not here, though later ones are"
                self.findings.append(LogFinding(FindingCode.GAP, said, first, last))
        size = self.log.leaves.size
        seen = self._seen()
        if seen > size and not all(seq in self.numbered for seq in range(size, min(seen, size + 1_000))):
            by = "a witness" if any(claim.size == seen for claim in self.roots) else "another chain"
            said = f"{by} saw {seen} lines, and {size} are here"
            self.findings.append(LogFinding(FindingCode.TRUNCATED, said, size, seen - 1))

    def _seen(self) -> int:
        """Return how many lines anybody saw."""
        return max([0, *(claim.size for claim in self.roots), *(claim.size for claim in self.heads)])

    def _fixed(self) -> int:
        """Return how many lines somebody saw whose word for it is witnessed."""
        return max([0, *(claim.size for claim in self.vouchers), *(claim.size for claim in self.fixed)])

    def _true_roots(self, runs: Sequence[tuple[int, int]]) -> None:
        """Compare the root with each cosigned one, as far as every hash is known: from a line, or from the next one."""
        log = self.log
        # What the next line says is known also of a line that is not here.
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
        self._ranged(claims, best)

    def _guesses(self, changed: Mapping[int, bytes]) -> Iterator[tuple[int, ...]]:
        """Yield sets of lines that may be as they were: such whose next one is altered, and names them wrongly."""
        free = [seq for seq in sorted(changed) if seq + 1 in self.altered]
        if len(free) > _FREE:
            free = []
        for count in range(len(free), -1, -1):
            yield from combinations(free, count)

    def _ranged(self, claims: Sequence[RootClaim], made: Mapping[int, bytes]) -> None:
        """Say where lines are altered, by the word of witnesses and by that of the process: neither hides the other."""
        for cosigned in (True, False):
            told = [claim for claim in claims if bool(claim.seen) is cosigned]
            fitting = {claim.size for claim in told if made[claim.size] == claim.root}
            # Of two checkpoints of one size, of which one fits, the witness has contradicted itself.
            wrong = next((claim.size for claim in told if claim.size not in fitting), None)
            if wrong is None:
                continue
            good = max((size for size in fitting if size < wrong), default=0)
            if not any(good <= seq < wrong for seq in self.altered):
                by = "cosigned" if cosigned else "signed by its own process"
                said = f"the root over {wrong} lines is not the one that was {by}"
                self.findings.append(LogFinding(FindingCode.ALTERED, said, good, wrong - 1))
                return

    def _honest_witness(self) -> None:
        for one, other in pairwise(self.cosigned):
            if one.size == other.size:
                said = f"a witness cosigned two roots over {one.size} lines"
                self.findings.append(LogFinding(FindingCode.CONTRADICTED, said))
        if self.contradiction is not None and self.key is not None and signed_by(self.key, (self.contradiction,)):
            said = "the process signed a checkpoint that contradicts what was witnessed before: the witness refused it"
            self.findings.append(LogFinding(FindingCode.CONTRADICTED, said))
        last = latest(self.unsigned)
        if last is not None and 0 not in self.altered:
            said = f"the checkpoint over {last.size} lines is not signed by the process that opened the chain"
            self.findings.append(LogFinding(FindingCode.FORGED, said))

    def _ends(self, witnessed: RootClaim | None, ended: float | None) -> None:
        log, size = self.log, self.log.leaves.size
        if witnessed is None:
            self._unwitnessed()
        seen = self._fixed() if self.quorum == 1 else 0 if witnessed is None else witnessed.size
        if 0 < seen < size:
            said = f"{size - seen} lines after the last cosignature, of which nothing can be told"
            self.findings.append(LogFinding(FindingCode.TAIL, said, seen, size - 1))
        if log.closed is None:
            self.findings.append(LogFinding(FindingCode.UNCLOSED, "no line closes the chain"))
            self._stale(witnessed, ended)
        elif log.closed < size - 1:
            said = f"lines stand after line {log.closed}, which closes the chain"
            self.findings.append(LogFinding(FindingCode.ALTERED, said, log.closed, size - 1))
        lost = (log.closing or {}).get("lost")
        if isinstance(lost, int) and lost > 0:
            self.findings.append(LogFinding(FindingCode.LOST, f"the process could not write {lost} records"))

    def _unwitnessed(self) -> None:
        """Say why the chain does not count as seen. That another chain names it tells nothing of who wrote it."""
        log = self.log
        # Of one that was told of the operator's log, a witness has asked.
        brief = log.lived is not None and log.lived < POLL_SECONDS and not log.polled
        saw = "no witness saw the chain"
        if (log.opening or {}).get("component") == LEDGER:
            saw = "no witness that you trust cosigned this log of the operator"
        if self.stranger is not None:
            saw, brief = f"of those who say that they saw the chain, no key was given: {self.stranger}", False
        if self.vouchers:
            count = len({name for claim in self.vouchers for name, _ in claim.seen})
            saw, brief = f"{count} of the {self.quorum} witnesses that are needed saw the chain", False
        if brief and self.asked and not any(found.bad for found in self.findings):
            said = "no witness saw the chain, which was over before one asks for the first time"
            self.findings.append(LogFinding(FindingCode.BRIEF, said))
        else:
            self.findings.append(LogFinding(FindingCode.UNKNOWN, saw))

    def _stale(self, witnessed: RootClaim | None, ended: float | None) -> None:
        """Compare the newest cosignature with what came later, here or elsewhere: an idle process writes nothing."""
        if witnessed is None:
            return
        said = f"no checkpoint since {times.epoch_stamp(witnessed.time)}"
        if ended is not None and ended - witnessed.time > STALE_SECONDS:
            self.findings.append(LogFinding(FindingCode.STALE, said))
        elif not self.fixed and self.newest is not None and self.newest - witnessed.time > STALE_SECONDS:
            # Of one that another chain names, as a witness saw, the process is gone.
            until = times.epoch_stamp(int(self.newest))
            said += f", and others go on until {until}: the process was killed, or the witness does not reach it"
            self.findings.append(LogFinding(FindingCode.STALE, said))


def _pod(opening: Mapping[str, Any] | None) -> str | None:
    """Return where the process ran, as its first line says: the pod, or what the operator's ledger calls itself."""
    told = opening or {}
    pod = told.get("pod")
    found = pod.get("name") if isinstance(pod, Mapping) else told.get("identity") or told.get("component")
    return str(found) if found else None
