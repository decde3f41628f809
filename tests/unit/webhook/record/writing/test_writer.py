"""Records: a line that is waited for is written, whole and in order, or the wait ends in an error."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Final

import pytest

from bailiwick_webhook.record.writing.chainlog import ChainLog
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter
from support.chains import read

FULL: Final = Path("/dev/full")


async def test_lines_are_appended_whole_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "records"
    for _ in range(2):
        # However slow the disk is: how long one waits is not what this is about.
        async with RecordWriter(file, fsync=True, limits=QueueLimits(timeout=60)) as writer:
            await asyncio.gather(*(writer.write(b"%d\n" % number) for number in range(3000)))
    assert file.read_bytes() == b"".join(b"%d\n" % number for number in range(3000)) * 2


async def test_a_line_that_was_waited_for_can_be_read_at_once(tmp_path: Path) -> None:
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False) as writer:
        await writer.write(b"first\n")
        assert file.read_bytes() == b"first\n"


async def test_leaving_writes_what_still_waits(tmp_path: Path) -> None:
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False) as writer:
        waiting = [asyncio.create_task(writer.write(b"%d\n" % number)) for number in range(10)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert len(file.read_bytes().splitlines()) == 10


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
async def test_a_full_disk_fails_every_line_and_not_the_writer() -> None:
    async with RecordWriter(FULL, fsync=False) as writer:
        for _ in range(3):
            outcomes = await asyncio.gather(*(writer.write(b"x\n") for _ in range(20)), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {RecordFailedError}


async def test_a_line_that_a_full_disk_cut_off_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write, room = tmp_path / "records", os.write, [14]

    def until_full(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", until_full)
    async with RecordWriter(file, fsync=False) as writer:
        await writer.write(b'{"n":1}\n')
        with pytest.raises(RecordFailedError):
            await writer.write(b'{"n":2,"long":1}\n')
        room[0] = 1000
        await writer.write(b'{"n":3}\n')
    assert file.read_bytes() == b'{"n":1}\n{"n":2\n{"n":3}\n'


async def test_a_line_that_a_killed_process_left_unfinished_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "records"
    file.write_bytes(b'{"n":1}\n{"n"')
    async with RecordWriter(file, fsync=False) as writer:
        await writer.write(b'{"n":2}\n')
    assert file.read_bytes().splitlines() == [b'{"n":1}', b'{"n"', b'{"n":2}']


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False) as writer:
        await writer.write(b"x\n")
    assert (tmp_path / "records").stat().st_mode & 0o777 == 0o600


class Gone:
    """Counts the lines to spare that are not written."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_lines_to_spare_have_an_eighth_of_the_room(tmp_path: Path) -> None:
    file, gone = tmp_path / "records", Gone()
    async with RecordWriter(file, fsync=False, limits=QueueLimits(records=32, size=1_000)) as writer:
        assert [writer.spare(b"%d\n" % number, gone) for number in range(6)] == [True] * 4 + [False] * 2
        # Those that answers hang on have all the rest.
        assert [writer.take(b"x\n") for _ in range(29)] == [True] * 28 + [False]
    assert file.read_bytes() == b"0\n1\n2\n3\n" + b"x\n" * 28
    assert (writer.lost, gone.count) == (0, 0)


async def test_lines_to_spare_have_an_eighth_of_the_bytes_too(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False, limits=QueueLimits(records=100, size=160)) as writer:
        assert [writer.spare(b"123456789\n", Gone()) for _ in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("limits", [QueueLimits(records=32), QueueLimits(size=64)], ids=["lines", "bytes"])
async def test_a_line_to_spare_is_taken_while_half_of_the_room_is_free(tmp_path: Path, limits: QueueLimits) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False, limits=limits) as writer:
        assert [writer.take(b"1\n") for _ in range(15)] == [True] * 15
        assert writer.spare(b"2\n", Gone())
        assert not writer.spare(b"2\n", Gone())


async def test_there_is_room_to_spare_again_once_lines_are_written(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False, limits=QueueLimits(records=8)) as writer:
        for _ in range(3):
            assert writer.spare(b"1\n", Gone())
            assert not writer.spare(b"1\n", Gone())
            await writer.write(b"2\n")


async def test_a_line_to_spare_is_not_waited_for_where_all_others_are(tmp_path: Path) -> None:
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False, limits=QueueLimits(first=True)) as writer:
        assert writer.spare(b"x\n", Gone())
    assert file.read_bytes() == b"x\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
async def test_a_line_to_spare_is_dropped_where_writing_fails_and_the_kept_ones_stay() -> None:
    gone = Gone()
    async with RecordWriter(FULL, fsync=False) as writer:
        assert writer.take(b"kept\n")
        assert writer.spare(b"x\n", gone)
        with pytest.raises(RecordFailedError):
            await writer.write(b"y\n")
        assert (writer.held, writer.held_bytes, gone.count, writer.lost) == (1, 5, 1, 1)
    assert (gone.count, writer.lost) == (1, 2)


async def test_what_waits_to_spare_is_dropped_where_a_write_does_not_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, gone, goes, write = tmp_path / "records", Gone(), threading.Event(), os.write

    def stuck(descriptor: int, data: memoryview) -> int:
        goes.wait(10)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", stuck)
    async with RecordWriter(file, fsync=False, limits=QueueLimits(timeout=0.05)) as writer:
        first = asyncio.create_task(writer.write(b"1\n"))
        await asyncio.sleep(0)
        assert writer.spare(b"2\n", gone)
        assert writer.take(b"3\n")
        with pytest.raises(RecordFailedError):
            await first
        async with asyncio.timeout(5):
            while writer.failing is None:  # noqa: ASYNC110 - the writer has no event for tests alone
                await asyncio.sleep(0.005)
        assert (gone.count, writer.held) == (1, 2)
        goes.set()
        async with asyncio.timeout(5):
            while writer.held:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.005)
    assert file.read_bytes() == b"1\n3\n"


async def test_a_line_to_spare_that_has_a_number_in_the_chain_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, gone, write, room = tmp_path / "records", Gone(), os.write, [1 << 20]

    def until_full(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", until_full)
    async with RecordWriter(file, fsync=False, chain=ChainLog("unit")) as writer:
        await writer.write(b'{"kind":"x","n":0}\n')
        # Of the first of both, some of its bytes reach the disk.
        room[0] = 20
        assert writer.spare(b'{"kind":"x","n":1}\n', gone)
        assert writer.spare(b'{"kind":"x","n":2}\n', gone)
        with pytest.raises(RecordFailedError):
            await writer.write(b'{"kind":"x","n":3}\n')
        assert gone.count == 1
        room[0] = 1 << 20
        await writer.write(b'{"kind":"x","n":4}\n')
    assert [line["n"] for line in read(file.read_bytes()).records()] == [0, 1, 4]
    assert (gone.count, writer.lost) == (1, 1)


async def test_what_was_to_spare_and_is_left_at_the_end_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, goes, write = Gone(), threading.Event(), os.write

    def stuck(descriptor: int, data: memoryview) -> int:
        goes.wait(10)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", stuck)
    async with RecordWriter(tmp_path / "records", fsync=False, limits=QueueLimits(timeout=0.05)) as writer:
        assert writer.spare(b"x\n", gone)
    assert (gone.count, writer.lost) == (1, 0)
    goes.set()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
async def test_a_line_to_spare_is_not_kept_while_writing_fails() -> None:
    async with RecordWriter(FULL, fsync=False) as writer:
        with pytest.raises(RecordFailedError):
            await writer.write(b"x\n")
        held = writer.held
        assert not writer.spare(b"x\n", Gone())
        assert writer.held == held
