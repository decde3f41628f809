"""Where a browser is, or how to have it.

Holds: found, never fetched; a browser's own builds are for machines that may download them.
"""

from pathlib import Path

from localcluster.node import needs
from localcluster.node.needs import NodeNeedsError, Program


def path_of(program: Program, browser: str) -> Path:
    """Return the program of a browser. Raises `NodeNeedsError` where there is none, which says how to have it."""
    found = needs.find(program.name)
    if found is None:
        raise NodeNeedsError(
            f"The tests of the browser need {browser}, which this machine lacks."
            f"\nOn Debian: apt-get install {program.package}, or `python -m browsers packages`."
        )
    return found
