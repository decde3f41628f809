"""`docs/tutorials/protect-an-mcp-server.md`, typed whole in one shell; only the ports are others."""

from pathlib import Path
from typing import Final

import pytest

from support.pages import DOCS
from support.tutorials import outputs, shown, with_free_ports

pytestmark = pytest.mark.long

PAGE: Final = DOCS / "tutorials" / "protect-an-mcp-server.md"


@pytest.fixture(scope="module")
def page() -> str:
    text = with_free_ports(PAGE.read_text(encoding="utf-8"), "8443", "8000", "8001", "8002")
    return text.replace("--development --port", "--development --status-port 0 --port")


def test_the_tutorial_does_what_it_says(page: str, tmp_path: Path) -> None:
    first, *others = outputs(page, tmp_path)
    # What pip and others said comes before the first command whose output is shown.
    assert first.endswith(shown(page)[0])
    assert others == shown(page)[1:]
