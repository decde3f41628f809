"""Whatever a disk does, in any order: the numbered lines of the file are one chain, and every checkpoint is of it."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from hypothesis import given, settings as hypothesis, strategies as st

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import EMPTY, is_consistent, leaf_hash, root
from bailiwick_evidence.note import VerifierKey, open_note
from bailiwick_webhook.record.writing import writer as module
from bailiwick_webhook.record.writing.chainlog import ChainLog, SignedCheckpoint
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter
from support.chains import read

# What one call of the system does: all is well, it writes so many bytes, or it fails.
FAULTS: Final = st.lists(st.none() | st.integers(1, 400) | st.just("fails"), max_size=30)
LINES: Final = st.lists(
    st.tuples(st.integers(0, 200) | st.just(70_000), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)


# The first number of a line to spare.
_SPARE: Final = 1_000


class Faults:
    """A disk that does what it is told, and works from then on."""

    def __init__(self, writes: Sequence[Any], syncs: Sequence[Any]) -> None:
        self.writes, self.syncs = list(writes), list(syncs)
        self.write, self.sync = os.write, os.fsync

    def writing(self, descriptor: int, data: memoryview) -> int:
        fault = self.writes.pop(0) if self.writes else None
        if fault == "fails":
            raise OSError(28, "No space left on device")
        return self.write(descriptor, data if fault is None else data[:fault])

    def syncing(self, descriptor: int) -> None:
        if self.syncs and self.syncs.pop(0) is not None:
            raise OSError(5, "Input/output error")
        self.sync(descriptor)


@given(lines=LINES, writes=FAULTS, syncs=st.lists(st.none() | st.just("fails"), max_size=8), required=st.booleans())
@hypothesis(max_examples=150, deadline=None)
def test_the_numbered_lines_are_one_chain(
    lines: list[tuple[int, bool, bool, bool]], writes: list[Any], syncs: list[Any], required: bool
) -> None:
    asyncio.run(_chained(lines, Faults(writes, syncs), required=required))


async def _chained(lines: list[tuple[int, bool, bool, bool]], faults: Faults, *, required: bool) -> None:
    chain, taken, gone = ChainLog("property"), list[int](), list[int]()
    notes: list[tuple[int, SignedCheckpoint]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records"
        with (
            patch.object(os, "write", faults.writing),
            patch.object(os, "fsync", faults.syncing),
            patch.object(module, "_RETRY", 0.0005),
            patch.object(module, "_FLUSH", 0.0005),
        ):
            limits = QueueLimits(timeout=5, required=required)
            async with RecordWriter(file, fsync=True, limits=limits, chain=chain) as writer:
                size = 0
                for number, (length, must, polled, spared) in enumerate(lines):
                    if spared:
                        spare = _SPARE + number
                        writer.spare(b'{"kind":"x","n":%d}\n' % spare, partial(gone.append, spare))
                    try:
                        await writer.write(b'{"kind":"x","n":%d,"x":"%b"}\n' % (number, b"x" * length), must=must)
                    except RecordFailedError:
                        pass
                    else:
                        taken.append(number)
                    if polled:
                        found = chain.checkpoint(size)
                        assert isinstance(found, SignedCheckpoint)
                        notes.append((size, found))
                        size = Checkpoint.parse(found.note.partition("\n\n")[0] + "\n").size
        stream = read(file.read_bytes())
    assert list(stream.chains) == [chain.id]
    assert stream.lines()[0]["kind"] == "open"
    assert stream.lines()[-1]["kind"] == "close"
    short = [line["n"] for line in stream.records()]
    assert len(short) == len(set(short))
    # A line to spare that was dropped stands nowhere.
    assert not set(short) & set(gone)
    long = [number for number, (length, *_) in enumerate(lines) if length > 65_000]
    # Lines that were refused may stand; those that were taken do, once and in their order.
    assert [number for number in short if number in taken] == [number for number in taken if number not in long]
    leaves = [leaf_hash(line) for line in stream.chains[chain.id]]
    for before, note in notes:
        checkpoint = Checkpoint.parse(open_note(note.note, [VerifierKey.parse(chain.key)]).text)
        assert checkpoint.root == root(leaves[: checkpoint.size])
        proof = [found for found in map(decode_base64, note.proof) if found is not None]
        older = EMPTY if not before else root(leaves[:before])
        assert before == 0 or is_consistent(before, older, checkpoint.size, checkpoint.root, proof)
