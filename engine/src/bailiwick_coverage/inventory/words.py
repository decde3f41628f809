"""The words of actions that look irreversible, from the file of this package.

Standing: for callers that name no file of their own.
"""

from importlib.resources import files
from typing import Final

from bailiwick_coverage.ungatedactions import parse_words

_FILE: Final = "irreversible.txt"


def default_words() -> tuple[str, ...]:
    """Return the words of the package's own file."""
    return parse_words((files("bailiwick_coverage") / _FILE).read_text(encoding="utf-8"))
