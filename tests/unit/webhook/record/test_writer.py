"""Records: a line that is waited for is written, whole and in order, or the wait ends in an error."""

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest

from bailiwick_webhook.record.limits import QueueLimits
from bailiwick_webhook.record.writer import RecordFailedError, RecordWriter

FULL: Final = Path("/dev/full")


async def test_lines_are_appended_whole_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "records"
    for _ in range(2):
        async with RecordWriter(file, fsync=True) as writer:
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


async def test_a_line_to_spare_is_taken_while_half_of_the_room_is_free(tmp_path: Path) -> None:
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False, limits=QueueLimits(records=8, size=1_000)) as writer:
        assert [writer.spare(b"%d\n" % number) for number in range(6)] == [True] * 4 + [False] * 2
        # Those that answers hang on have the other half.
        assert [writer.take(b"x\n") for _ in range(5)] == [True] * 4 + [False]
    assert file.read_bytes() == b"0\n1\n2\n3\n" + b"x\n" * 4
    assert writer.lost == 0


async def test_a_line_to_spare_is_taken_by_size_too(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False, limits=QueueLimits(records=100, size=40)) as writer:
        assert [writer.spare(b"123456789\n") for _ in range(4)] == [True, True, False, False]


async def test_a_line_to_spare_is_not_waited_for_where_all_others_are(tmp_path: Path) -> None:
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False, limits=QueueLimits(first=True)) as writer:
        assert writer.spare(b"x\n")
    assert file.read_bytes() == b"x\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
async def test_a_line_to_spare_is_not_kept_while_writing_fails() -> None:
    async with RecordWriter(FULL, fsync=False) as writer:
        with pytest.raises(RecordFailedError):
            await writer.write(b"x\n")
        held = writer.held
        assert not writer.spare(b"x\n")
        assert writer.held == held
