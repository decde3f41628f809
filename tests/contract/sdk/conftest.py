"""One decision point over the policies of MCP for every test below: it takes its time to start on a busy machine."""

from collections.abc import Iterator

import pytest

from bailiwick import testing
from bailiwick.testing import FakePDP
from support.mcp.mcpserver import POLICY


@pytest.fixture(scope="session")
def fake_mcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakePDP]:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_START_SECONDS", 150.0)
        with FakePDP(folder) as running:
            yield running
