"""Where a browser is, or npm, or how to have it.

Holds: found, never fetched; a browser's own builds are for machines that may download them.
"""

from pathlib import Path
from typing import Final

from localcluster.node import needs
from localcluster.node.needs import NodeNeedsError, Program

NPM: Final = Program("npm", "npm")
"""What brings axe-core, by a lock."""


def path_of(program: Program, name: str) -> Path:
    """Return a program. Raises `NodeNeedsError` where there is none, which says how to have it."""
    found = needs.find(program.name)
    if found is None:
        raise NodeNeedsError(
            f"The tests of the browser need {name}, which this machine lacks."
            f"\nOn Debian: apt-get install {program.package}, or `python -m browsers packages`."
        )
    return found
