"""Witnesses outside of any cluster, for the tests of the pages that speak of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.evidence.litewitness import Witness, litewitness
from support.evidence.outside import OutsideWitness


# To build the other one takes a minute where nothing of Go was ever built.
@pytest.fixture(params=["ours", pytest.param("litewitness", marks=pytest.mark.long)])
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Witness]:
    """A witness that runs, and knows no log yet."""
    folder = tmp_path / "witness"
    folder.mkdir()
    with OutsideWitness() if request.param == "ours" else litewitness(folder) as outside:
        yield outside
