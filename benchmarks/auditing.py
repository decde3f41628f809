"""A log on one core: `kubectl bailiwick audit verify` and `replay` on a million lines; and the memory of the tree.

Standing: writes a log with one key, and runs the command line as a person would. Nothing of it needs a server.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.chain import ChainWriter, chain_id
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import leaf_hash
from bailiwick_evidence.note import SignatureType, cosigned, signed, verifier_key
from benchmarks import replaying
from benchmarks.commandrun import COLUMNS, run_command
from benchmarks.plan import Plan
from benchmarks.results import NONE, Row, Section
from benchmarks.servers import Servers

_LINES: Final = 1_000_000
_QUICK: Final = 50_000
_WITNESS: Final = "bailiwick/bench/witness"
# About as long as a record of a decision by a rule with a condition.
_BODY: Final = (
    b'{"time":"2026-03-05T09:00:00.000+00:00","kind":"evaluation","class_uid":6003,"decision":true,"n":%d,"p":"'
)
_PADDING: Final = b"x" * 700 + b'"}\n'
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
        first, second = _written(folder, count)
        for row, files in (("one file", [first, second]), ("two files, the later one first", [second, first])):
            plan.progress.say(f"Verifying {count:,} lines, {row} ...")
            made.rows.append(_verified(row, folder, files, count))
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-replay-") as name:
        plan.progress.say(f"Replaying {count:,} decisions ...")
        made.rows.append(replaying.row(Path(name), count))
    made.rows.append(tree)
    return made


def _written(folder: Path, count: int) -> tuple[Path, Path]:
    """Write a log in two files, its checkpoint and the witness's key."""
    process, witness = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    writer = ChainWriter(chain_id(os.urandom(16)))
    named = origin("bench", writer.id)
    key = verifier_key(named, SignatureType.ED25519, process)
    files = folder / "first.log", folder / "second.log"
    with files[0].open("wb") as first, files[1].open("wb") as second:
        first.write(writer.append(b'{"kind":"open","key":"%b"}\n' % str(key).encode()))
        for number in range(1, count):
            (first if number < count // 2 else second).write(writer.append(_BODY % number + _PADDING))
    note = signed(Checkpoint(named, writer.size, writer.forest.root).text(), named, process)
    (folder / "notes").write_text(cosigned(note, _WITNESS, witness, int(time.time())), encoding="utf-8")
    (folder / "key").write_text(str(verifier_key(_WITNESS, SignatureType.COSIGNATURE, witness)), encoding="utf-8")
    return files


def _verified(name: str, folder: Path, files: list[Path], count: int) -> Row:
    flags = ("--checkpoints", str(folder / "notes"), "--witness-key", str(folder / "key"))
    return run_command(name, ("audit", "verify", *map(str, files), *flags), count, "< 120 s, < 300 MB")


def _tree(count: int) -> Row:
    """Return what the leaves of a tree hold, by what a process that fills one grows by."""
    before = _resident()
    leaves, leaf = LeafTable(), leaf_hash(b"")
    for seq in range(count):
        leaves.put(seq, leaf)
    held = _resident() - before
    cells = (f"{count:,}", NONE, NONE, NONE, f"{held:.0f}", f"{32 * count / 1e6:.0f} MB of hashes")
    return Row("the leaves of a tree", cells, data={"lines": count, "mb": held})


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _KIBI / _KIBI
