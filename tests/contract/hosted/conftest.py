"""A console for many people with one grant that carol and dave can review."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.console.manyfold import ManyfoldConsole, manyfold
from unit.console.cases import waiting


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ManyfoldConsole]:
    with manyfold(tmp_path, waiting()) as console:
        yield console
