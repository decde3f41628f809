"""`docs/tutorials/protect-an-api.md`, typed in one shell; only the ports are others."""

from pathlib import Path
from typing import Final

import pytest

from support.pages import DOCS, needs
from support.tutorials import outputs, section, shown, with_free_ports

pytestmark = [pytest.mark.long, needs("curl", "jq")]

PAGE: Final = DOCS / "tutorials" / "protect-an-api.md"


@pytest.fixture(scope="module")
def page() -> str:
    text = section(PAGE.read_text(encoding="utf-8"), "1. Install", "What you can do next")
    return with_free_ports(text, "8443", "8081", "8000")


def test_the_tutorial_does_what_it_says(page: str, tmp_path: Path) -> None:
    first, *others = outputs(page, tmp_path)
    # What pip and others said comes before the first command whose output is shown.
    assert first.endswith(shown(page)[0])
    assert others == shown(page)[1:]
