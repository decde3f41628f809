"""A log on one core: its chain, `audit verify`, `replay` and `unused` of a million lines, and the memory of the tree.

Standing: writes a log with one key, and runs the command line as a person would. Nothing of it needs a server.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.merkle import leaf_hash
from bailiwick_webhook.record.writing.chainlog import ChainLog
from benchmarks.rig.commandrun import COLUMNS, run_command
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section
from benchmarks.rig.servers import Servers
from benchmarks.tools import replay, shards
from benchmarks.tools.cosign import WitnessedChain

_LINES: Final = 1_000_000
_QUICK: Final = 50_000
# About as long as a record of a decision by a rule with a condition.
_BODY: Final = (
    b'{"time":"2026-03-05T09:00:00.000+00:00","kind":"evaluation","class_uid":6003,"decision":true,"n":%d,"p":"'
)
_PADDING: Final = b"x" * 700 + b'"}\n'
# A record of a decision by a rule with conditions, and as many at once as the writer finds under load.
_RECORD: Final = b'{"time":"2026-03-05T09:00:00.000+00:00","kind":"evaluation","p":"' + b"x" * 1_230 + b'"}\n'
_AT_ONCE: Final = 64
_KIBI: Final = 1024


def section(plan: Plan, servers: Servers) -> Section:  # noqa: ARG001 - as sections are called
    """Measure."""
    count = _QUICK if plan.quick else _LINES
    made = Section("Verify and replay a log", COLUMNS)
    # First: what writing a log frees in this process would hide what the leaves take.
    tree = _tree(10 * count)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-audit-") as name:
        folder = Path(name)
        plan.progress.say(f"Writing a log of {count:,} lines ...")
        first, second, flags = _written(folder, count)
        for row, files in (("one file", [first, second]), ("two files, the later one first", [second, first])):
            plan.progress.say(f"Verifying {count:,} lines, {row} ...")
            words = ("audit", "verify", *map(str, files), *flags)
            made.rows.append(run_command(f"verify, {row}", words, count, "< 120 s, < 300 MB"))
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-replay-") as name:
        plan.progress.say(f"Deriving and replaying {count:,} decisions, and counting uses ...")
        made.rows += replay.rows(Path(name), count)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-shards-") as name:
        plan.progress.say(f"Dividing {count:,} decisions of many processes ...")
        made.rows += shards.rows(Path(name), count)
    made.rows += (tree, _chain(count // 5, plan.rounds))
    return made


def _written(folder: Path, count: int) -> tuple[Path, Path, tuple[str, ...]]:
    """Write a log in two files, and return them with the flags that name its checkpoint and the witness's key."""
    chain = WitnessedChain()
    with (folder / "first.log").open("wb") as first, (folder / "second.log").open("wb") as second:
        first.write(chain.opening())
        for number in range(1, count):
            (first if number < count // 2 else second).write(chain.append(_BODY % number + _PADDING))
    return folder / "first.log", folder / "second.log", chain.cosign(folder)


def _chain(count: int, rounds: int) -> Row:
    """Return what it costs the writer's thread that a line stands in the chain: the median of so many rounds."""
    given: list[tuple[bytes, bytes | None]] = [(_RECORD, None)] * _AT_ONCE
    batches, times = count // _AT_ONCE, []
    for _ in range(rounds):
        log, began = ChainLog("bench"), time.process_time()
        for _ in range(batches):
            log.stand(log.number(given), _AT_ONCE)
        times.append(time.process_time() - began)
    took, lines = median(times), batches * _AT_ONCE
    us = 1e6 * took / lines
    cells = (f"{lines:,}", NONE, f"{took:.1f}", f"{lines / took:,.0f}", NONE, f"{us:.2f} us a line, < 1.5 us")
    return Row("the chain, lines of 1.3 kB", cells, data={"lines": lines, "us": us, "rounds_s": times})


def _tree(count: int) -> Row:
    """Return what the leaves of a tree hold, by what a process that fills one grows by."""
    before = _resident()
    leaves, leaf = LeafTable(), leaf_hash(b"")
    for seq in range(count):
        leaves.set(seq, leaf)
    held = _resident() - before
    cells = (f"{count:,}", NONE, NONE, NONE, f"{held:.0f}", f"{32 * count / 1e6:.0f} MB of hashes")
    return Row("the leaves of a tree", cells, data={"lines": count, "mb": held})


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _KIBI / _KIBI
