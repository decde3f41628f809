"""What a page of the documentation shows: its fenced blocks, and the objects in those of YAML."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for found, body in _FENCE.findall(text) if found == language]


def objects(page: str) -> list[dict[str, Any]]:
    """Return the objects of all blocks of YAML, in order."""
    return [found for block in blocks(page, "yaml") for found in yaml.safe_load_all(block)]
