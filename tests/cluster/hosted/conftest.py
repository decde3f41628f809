"""A control plane whose API server trusts an issuer, and the console in front of it."""

from collections.abc import Iterator

import pytest

from support.console.issuertrust import TrustingServer


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustingServer]:
    """The API server, the issuer, and Bailiwick's guards."""
    with TrustingServer.running(tmp_path_factory.mktemp("trusting")) as server:
        yield server
