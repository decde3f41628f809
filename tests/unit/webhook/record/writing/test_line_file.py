"""What a file and a pipe are handed at once: a file all of it, a pipe no more than no other writer comes between."""

import os
import select
from pathlib import Path

import pytest

from bailiwick_webhook.record.writing.linefile import AppendOutcome, LineFile, begun_lines, whole_lines

LINES = [b"%d" % number + b"x" * 1_300 + b"\n" for number in range(20)]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    made: list[bytes] = []
    write = os.write

    def kept(descriptor: int, data: memoryview) -> int:
        made.append(bytes(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", kept)
    return made


def test_a_file_gets_a_batch_in_one_write(tmp_path: Path, writes: list[bytes]) -> None:
    file = LineFile(tmp_path / "records", fsync=True)
    assert file.append(LINES) == AppendOutcome(len(b"".join(LINES)), len(b"".join(LINES)), None)
    assert writes == [b"".join(LINES)]
    file.close()


def test_a_pipe_gets_as_many_lines_as_stay_together_and_a_longer_one_alone(tmp_path: Path, writes: list[bytes]) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = LineFile(tmp_path / "pipe", fsync=True)
    longer = b"y" * 2 * select.PIPE_BUF + b"\n"
    lines = [*LINES, longer, LINES[0]]
    assert file.append(lines).error is None
    assert os.read(reading, 1 << 20) == b"".join(lines)
    assert all(len(write) <= select.PIPE_BUF or write == longer for write in writes)
    assert all(write.endswith(b"\n") for write in writes)
    # Not one write for each line either.
    assert len(writes) < len(lines) / 2
    file.close()
    os.close(reading)


@pytest.mark.parametrize(
    ("size", "whole", "begun"), [(0, 0, 0), (1, 0, 1), (2, 1, 1), (3, 1, 2), (5, 2, 2), (6, 2, 3), (9, 3, 3)]
)
def test_of_so_many_bytes_so_many_lines_are_whole_and_so_many_begun(size: int, whole: int, begun: int) -> None:
    lines = [b"a\n", b"bb\n", b"ccc\n"]
    assert (whole_lines(lines, size), begun_lines(lines, size)) == (whole, begun)
