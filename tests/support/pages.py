"""What a page of the documentation shows: its fenced blocks, and the objects in those of YAML."""

import re
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest
import yaml

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark of what types a page with these programs, which its readers have and no index of Python packages.

    CONTRIBUTING.md says which they are, and that without them such a test is skipped.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"the page types {' and '.join(missing or programs)}")


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for found, body in _FENCE.findall(text) if found == language]


def objects(page: str) -> list[dict[str, Any]]:
    """Return the objects of all blocks of YAML, in order. A block may also be a part of one, such as a list."""
    read = (found for block in blocks(page, "yaml") for found in yaml.safe_load_all(block))
    return [found for found in read if isinstance(found, dict)]


def script(page: str, beginning: str) -> str:
    """Return the block of shell, indented or not, that begins so; it may stand there more than once."""
    text = re.sub(r"^ +(?=```)", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    shell = {dedent(body) for language, body in _FENCE.findall(text) if language == "sh"}
    (found,) = (block for block in shell if block.startswith(beginning))
    return found
