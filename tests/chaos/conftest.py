"""A control plane and a Bailiwick for each module, since its tests break them."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from localcluster.controlplane import ControlPlane
from support.pdp.processes import Bailiwick


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """An operator on a control plane of this module alone, and no decision point yet."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=0)


@pytest.fixture(scope="module")
def plane(ours: Bailiwick) -> ControlPlane:
    assert ours.plane is not None
    return ours.plane
