"""A disk that is full and a reader that is slow: nobody waits for long, nothing is lost in silence, and it heals."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter
from bailiwick_webhook.threadturns import ThreadTurns
from support.disks import ROOM

FULL: Final = Path("/dev/full")
LINE: Final = b'{"n":%04d,"filled":"' + b"x" * 1000 + b'"}\n'

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")


class Pipe:
    """A reader that takes nothing until it is asked to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self.reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        try:
            return os.read(self.reading, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.reading)


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path / "pipe")


async def failed(writer: RecordWriter, *, must: bool) -> bool:
    """Tell whether a line is refused, and see that this is told within the timeout and a little."""
    started = time.monotonic()
    try:
        await writer.write(LINE % 0, must=must)
    except RecordFailedError:
        return True
    finally:
        assert time.monotonic() - started < 0.8
    return False


async def settled(writer: RecordWriter) -> None:
    """Wait until nothing is on its way."""
    async with asyncio.timeout(10):
        while writer.held:  # noqa: ASYNC110 - the writer has no event for tests alone
            await asyncio.sleep(0.01)


async def failing(writer: RecordWriter) -> None:
    async with asyncio.timeout(5):
        while writer.failing is None:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.005)


class TestAFullDisk:
    @needs_full
    async def test_denies_from_the_first_failure_on(self) -> None:
        async with RecordWriter(FULL, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
            # Taken, since nothing was amiss: kept and tried again.
            assert not await failed(writer, must=False)
            await failing(writer)
            assert await failed(writer, must=False)
            assert await failed(writer, must=True)
            assert (writer.held, writer.written, writer.lost) == (1, 0, 2)
        assert writer.lost == 3

    @needs_full
    async def test_lets_answers_out_where_that_is_the_setting_but_no_use_of_a_grant(self) -> None:
        limits = QueueLimits(records=5, timeout=0.3, required=False)
        async with RecordWriter(FULL, fsync=False, limits=limits) as writer:
            outcomes = [await failed(writer, must=False) for _ in range(20)]
            assert not any(outcomes)
            assert (writer.held, writer.lost) == (5, 15)
            assert await failed(writer, must=True)

    @needs_full
    async def test_is_refused_at_once_where_every_record_comes_before_its_answer(self) -> None:
        async with RecordWriter(FULL, fsync=False, limits=QueueLimits(first=True)) as writer:
            assert await failed(writer, must=False)

    @needs_full
    async def test_is_let_pass_where_records_come_first_but_are_not_required(self) -> None:
        limits = QueueLimits(first=True, required=False, timeout=0.3)
        async with RecordWriter(FULL, fsync=False, limits=limits) as writer:
            assert not await failed(writer, must=False)
            assert await failed(writer, must=True)
            assert writer.held == 1

    @needs_full
    async def test_is_told_of_once_in_a_while(self) -> None:
        with structlog.testing.capture_logs() as logs:
            async with RecordWriter(FULL, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
                for _ in range(50):
                    await failed(writer, must=True)
        told = [entry for entry in logs if entry["event"] == "decision records cannot be written"]
        assert [entry["lost"] for entry in told] == [1, 49]
        assert "No space left" in told[0]["error"]

    @pytest.mark.parametrize("required", [True, False])
    async def test_that_has_room_again_is_written_to_with_every_line_whole(self, small: Path, required: bool) -> None:
        ballast, file = small / "ballast", small / "records"
        ballast.write_bytes(b"x" * (ROOM - 20_000))
        given: list[int] = []
        async with RecordWriter(file, fsync=False, limits=QueueLimits(timeout=0.3, required=required)) as writer:
            for number in range(200):
                try:
                    await writer.write(LINE % number, must=number % 3 == 0)
                except RecordFailedError:
                    continue
                given.append(number)
            assert writer.failing
            assert 10 < len(given) < 200
            ballast.unlink()
            await settled(writer)
            assert writer.failing is None
            await writer.write(LINE % 999)
            lost, written = writer.lost, writer.written
        # What the disk cut off stands there as fragments, on lines of their own.
        whole = [line for line in file.read_bytes().splitlines(keepends=True) if len(line) == len(LINE % 0)]
        assert whole == [LINE % number for number in (*given, 999)]
        assert (lost, written) == (200 - len(given), len(given) + 1)


class TestAPipe:
    async def test_whose_reader_is_slow_holds_nobody_up_for_long(self, pipe: Pipe) -> None:
        async with RecordWriter(pipe.path, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
            given, outcome = 0, False
            while not outcome and given < 1000:
                outcome = await failed(writer, must=True)
                given += not outcome
            assert outcome
            # Since a write does not return, nobody else is kept waiting at all.
            started = time.monotonic()
            assert [await failed(writer, must=False) for _ in range(20)] == [True] * 20
            assert time.monotonic() - started < 0.2
            received = b""
            async with asyncio.timeout(5):
                while writer.failing or writer.held:
                    received += pipe.read()
                    await asyncio.sleep(0.01)
            await writer.write(LINE % 7)
            received += pipe.read()
        lines = received.splitlines(keepends=True)
        assert lines[-1] == LINE % 7
        assert set(lines[:-1]) == {LINE % 0}
        # The one whose write did not return in time was denied, and stands in the record all the same.
        assert len(lines) == given + 2

    async def test_bounds_what_waits_by_bytes(self, pipe: Pipe) -> None:
        limits = QueueLimits(size=200_000, timeout=0.3, required=False)
        async with RecordWriter(pipe.path, fsync=False, limits=limits) as writer:
            for _ in range(1000):
                assert not await failed(writer, must=False)
                assert writer.held_bytes <= 200_000
            assert writer.lost >= 700
            assert await failed(writer, must=True)

    async def test_that_nobody_reads_any_more_is_a_failure_like_any(self, pipe: Pipe) -> None:
        async with RecordWriter(pipe.path, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
            pipe.close()
            assert await failed(writer, must=True)
            assert "Broken pipe" in str(writer.failing)
            pipe.reading = os.open(pipe.path, os.O_RDONLY | os.O_NONBLOCK)
            assert not await failed(writer, must=True)
            assert pipe.read() == LINE % 0

    async def test_while_a_write_has_not_returned_the_loop_takes_turns_with_its_thread(
        self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pauses: list[float] = []
        monkeypatch.setattr("bailiwick_webhook.record.writing.writer.turns_of", lambda _: ThreadTurns(pauses.append))
        async with RecordWriter(pipe.path, fsync=False, limits=QueueLimits(timeout=10)) as writer:
            for number in range(300):
                await writer.write(LINE % number, must=False)
            async with asyncio.timeout(5):
                for _ in iter(lambda: len(pauses) >= 5, True):
                    await asyncio.sleep(0.001)
                while writer.held:
                    pipe.read()
                    await asyncio.sleep(0.001)
            # The timer that is under way finds nothing to do.
            await asyncio.sleep(0.01)
            before = len(pauses)
            await asyncio.sleep(0.02)
            assert len(pauses) == before

    async def test_does_not_keep_the_process_from_stopping(self, pipe: Pipe) -> None:
        started = time.monotonic()
        with structlog.testing.capture_logs() as logs:
            async with RecordWriter(pipe.path, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
                for number in range(300):
                    await writer.write(LINE % number, must=False)
        assert time.monotonic() - started < 2
        assert writer.lost == writer.held > 0
        assert logs[-1]["lost"] == writer.lost
        # Lets the thread go.
        pipe.close()


async def test_a_disk_that_does_not_confirm_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [OSError(5, "Input/output error")]

    def fsync(descriptor: int) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(os, "fsync", fsync)
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=True) as writer:
        with pytest.raises(RecordFailedError, match="Input/output error"):
            await writer.write(b"1\n")
        await writer.write(b"2\n")
    assert file.read_bytes() == b"1\n2\n"


async def test_many_at_once_wait_for_one_write_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    write = os.write

    def counted(descriptor: int, data: Any) -> int:  # noqa: ANN401 - a buffer
        writes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    async with RecordWriter(tmp_path / "records", fsync=False) as writer:
        await asyncio.gather(*(writer.write(b"%d\n" % number) for number in range(900)))
    assert len(writes) < 20


async def test_a_burst_of_more_than_may_wait_is_written_and_refuses_nobody(tmp_path: Path) -> None:
    # A writer that works needs a moment, and has no fault that anybody would have to be denied for.
    path = tmp_path / "records"
    async with RecordWriter(path, fsync=False, limits=QueueLimits(records=50, timeout=10)) as writer:
        await asyncio.gather(*(writer.write(LINE % number, must=False) for number in range(1_000)))
        await settled(writer)
        assert (writer.written, writer.lost, writer.held) == (1_000, 0, 0)
    assert len(set(path.read_bytes().splitlines())) == 1_000


async def test_a_line_is_taken_at_once_only_while_all_is_well(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "kept", fsync=False, limits=QueueLimits(records=2)) as writer:
        assert [writer.take(LINE % number) for number in range(3)] == [True, True, False]
        await settled(writer)
        assert (writer.written, writer.lost) == (2, 0)
    async with RecordWriter(tmp_path / "first", fsync=False, limits=QueueLimits(first=True)) as writer:
        assert not writer.take(LINE % 0)
        assert not writer.held


@needs_full
async def test_no_line_is_taken_at_once_while_writing_fails() -> None:
    async with RecordWriter(FULL, fsync=False, limits=QueueLimits(timeout=0.3)) as writer:
        assert await failed(writer, must=True)
        assert not writer.take(LINE % 0)
