"""Where Chromium is, and how it is started so that it speaks to nobody but the page."""

from pathlib import Path
from typing import Final

from browsers.programs import path_of
from localcluster.node.needs import Program

PROGRAM: Final = Program("chromium", "chromium")
ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium() -> Path:
    """Return the program. Raises `NodeNeedsError`."""
    return path_of(PROGRAM, "Chromium")
