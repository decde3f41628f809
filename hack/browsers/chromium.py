"""Where Chromium is, and how it is started so that it speaks to nobody but the page.

Holds: found, never fetched; Playwright's own builds are for machines that may download them.
"""

from pathlib import Path
from typing import Final

from localcluster.node import needs
from localcluster.node.needs import NodeNeedsError, Program

PROGRAM: Final = Program("chromium", "chromium")
ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium() -> Path:
    """Return the program. Raises `NodeNeedsError` where there is none, which says how to have it."""
    found = needs.find(PROGRAM.name)
    if found is None:
        raise NodeNeedsError(
            "The tests of the browser need Chromium, which this machine lacks."
            f"\nOn Debian: apt-get install {PROGRAM.package}, or `python -m browsers packages`."
        )
    return found
