"""A control plane of its own, whose API server asks a decision point before it lets anybody do anything."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.apiserver import AskingServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskingServer]:
    """The API server and everything around it."""
    with ExitStack() as closing:
        yield AskingServer.begin(closing, tmp_path_factory.mktemp("enforcing"))
