"""A defect in the thread that writes: nothing is given without its record, and whoever runs the process hears of it."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from bailiwick_webhook.record.chainlog import ChainLog
from bailiwick_webhook.record.limits import QueueLimits
from bailiwick_webhook.record.waitingline import RecordFailedError
from bailiwick_webhook.record.writer import RecordWriter

LINE = b'{"number":%d}\n'


class BrokenChain(ChainLog):
    """A chain that numbers the line that opens it, and no other."""

    def number(self, lines: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
        given = list(lines)
        if any(b"number" in line for line, _ in given):
            raise ZeroDivisionError("the text of a record")
        return super().number(given)


async def _broken(writer: RecordWriter) -> None:
    await writer.write(LINE % 1, must=False)
    async with asyncio.timeout(5):
        with pytest.raises(ZeroDivisionError):
            await asyncio.shield(writer.broken)
    # What hears of it hears of it in the same step or the next.
    await asyncio.sleep(0)


def _writer(file: Path, *, timeout: float = 30, required: bool = True) -> RecordWriter:
    limits = QueueLimits(timeout=timeout, required=required)
    return RecordWriter(file, fsync=False, limits=limits, chain=BrokenChain("bailiwick"))


@pytest.mark.parametrize("must", [True, False])
async def test_from_then_on_no_decision_is_given_and_nobody_waits_for_that(tmp_path: Path, must: bool) -> None:
    writer = _writer(tmp_path / "records", timeout=0.3)
    async with writer:
        await _broken(writer)
        assert not writer.take(LINE % 2)
        async with asyncio.timeout(0.25):
            with pytest.raises(RecordFailedError):
                await writer.write(LINE % 2, must=must)


async def test_what_is_said_has_the_kind_of_the_defect_and_nothing_of_a_record(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "records", timeout=0.3)
    async with writer:
        await _broken(writer)
        assert writer.failing == "a defect ended the writing: ZeroDivisionError"


async def test_leaving_counts_what_was_given_without_its_record(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "records", timeout=0.3)
    async with writer:
        await _broken(writer)
    assert (writer.written, writer.lost) == (0, 1)


async def test_one_that_works_is_not_broken(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "records", fsync=False, chain=ChainLog("bailiwick"))
    async with writer:
        await writer.write(LINE % 1)
        assert not writer.broken.done()
