"""A defect in the thread that writes: nothing is given without its record, and whoever runs the process hears of it."""

import asyncio
import traceback
from collections.abc import Iterable
from pathlib import Path

import pytest
import structlog

from bailiwick_webhook.record.writing.chainlog import ChainLog
from bailiwick_webhook.record.writing.recordthread import RecordingBrokenError
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter

LINE = b'{"number":%d}\n'
SECRET = "the text of a record"


class BrokenChain(ChainLog):
    """A chain that numbers the line that opens it, and no other."""

    def number(self, lines: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
        given = list(lines)
        if any(b"number" in line for line, _ in given):
            raise ZeroDivisionError(SECRET)
        return super().number(given)


def _writer(file: Path, *, required: bool = True) -> RecordWriter:
    # Long: whoever waits for a thread that has ended would wait for all of it.
    limits = QueueLimits(timeout=30, required=required)
    return RecordWriter(file, fsync=False, limits=limits, chain=BrokenChain("bailiwick"))


async def _break(writer: RecordWriter) -> None:
    await writer.write(LINE % 1, must=False)
    await _broken(writer)


async def _broken(writer: RecordWriter) -> None:
    with pytest.raises(RecordingBrokenError):
        await asyncio.shield(writer.broken)


@pytest.mark.parametrize("must", [True, False])
async def test_from_then_on_no_decision_is_given(tmp_path: Path, must: bool) -> None:
    async with asyncio.timeout(20), _writer(tmp_path / "records") as writer:
        await _break(writer)
        assert not writer.take(LINE % 2)
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 2, must=must)


async def test_where_records_are_not_required_a_use_of_a_grant_is_refused_all_the_same(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "records", required=False)
    async with asyncio.timeout(20), writer:
        await _break(writer)
        await writer.write(LINE % 2, must=False)
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 3, must=True)
        assert (writer.held, writer.lost) == (2, 1)
    assert writer.lost == 3


async def test_whoever_waits_for_the_line_that_it_broke_at_is_told_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(20), _writer(tmp_path / "records") as writer:
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 1, must=True)
        assert writer.broken.done()


async def test_a_line_to_spare_is_given_back_once(tmp_path: Path) -> None:
    given_back: list[int] = []
    async with asyncio.timeout(20), _writer(tmp_path / "records") as writer:
        assert writer.spare(LINE % 1, lambda: given_back.append(1))
        await _broken(writer)
        assert not writer.spare(LINE % 2, lambda: given_back.append(2))
    assert given_back == [1]


async def test_what_is_told_has_the_kind_of_the_defect_its_place_and_nothing_of_a_record(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(20), _writer(tmp_path / "records") as writer:
            await _break(writer)
            assert writer.failing == "a defect ended the writing: ZeroDivisionError"
    (ended,) = [entry for entry in logs if entry["event"] == "the thread of the records ended"]
    text = "".join(traceback.format_exception(ended["exc_info"]))
    assert "in number" in text
    assert SECRET not in text
    assert all(SECRET not in str(entry.get("error")) for entry in logs)


async def test_leaving_does_not_wait_and_counts_what_was_given_without_its_record(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "records")
    async with asyncio.timeout(20), writer:
        await _break(writer)
    assert (writer.written, writer.lost) == (0, 1)


async def test_one_that_works_is_not_broken(tmp_path: Path) -> None:
    limits = QueueLimits(timeout=30)
    async with RecordWriter(tmp_path / "records", fsync=False, limits=limits, chain=ChainLog("bailiwick")) as writer:
        await writer.write(LINE % 1)
        assert not writer.broken.done()
