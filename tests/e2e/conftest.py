"""The stack of `make demo`, on a control plane of its own, for all cases."""

from collections.abc import Iterator

import pytest

from demo.stack import Stack
from support.stacks import demo_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with demo_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
