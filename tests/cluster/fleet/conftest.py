"""Two clusters with a running Bailiwick each, and others that are down, that hang, and that lie."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster.fleet.fleetworld import FleetWorld


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetWorld]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    with ExitStack() as closing:
        yield FleetWorld.begin(closing, folder)
