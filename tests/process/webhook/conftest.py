"""What processes of the decision point are given to write on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.disks import mounted


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder):
        yield folder
