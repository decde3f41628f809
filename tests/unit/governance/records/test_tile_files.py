"""The files of a log of tiles: what is no file is refused, and a file that is not there is no error."""

import os
from pathlib import Path

import pytest

from bailiwick_governance.errors import UserError
from bailiwick_governance.records.tilefiles import tile_files


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(UserError, match="checkpoint is not a file"):
        tile_files(str(tmp_path))("checkpoint", 9)


def test_no_more_is_read_of_a_file_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"0123456789")
    files = tile_files(str(tmp_path))
    assert (files("checkpoint", 4), files("tile/entries/000", 4)) == (b"0123", None)


def test_a_link_below_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (log / "tile/entries").mkdir(parents=True)
    (log / "tile/entries/000").write_bytes(b"0123")
    (log / "tile/entries/x001").symlink_to(".")
    (log / "checkpoint").symlink_to("tile/entries/000")
    (tmp_path / "place").symlink_to("log")
    files = tile_files(str(tmp_path / "place"))
    assert files("tile/entries/000", 9) == b"0123"
    for path in ("tile/entries/x001/000", "tile/entries/x001/x001/000", "checkpoint"):
        with pytest.raises(UserError, match="is behind a symbolic link, which is not followed"):
            files(path, 9)
