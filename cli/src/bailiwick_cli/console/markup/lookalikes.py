"""Words that mix alphabets, which is how one name is made to look like another.

Holds: pure; it marks, and never hides or changes anything. A word in one alphabet, whichever, is not marked.
"""

import re
import unicodedata
from typing import Final

# Those that have letters which look like each other's.
_ALPHABETS: Final = ("ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LATIN")
_WORD: Final = re.compile(r"[^\W\d_]+")


def mixed(text: str) -> tuple[str, ...]:
    """Return the alphabets of the first word that mixes them; none where every word keeps to one."""
    if text.isascii():
        return ()
    # A mark, or a line that joins, would cut the one foreign letter out of its word.
    joined = "".join(letter for letter in text if letter != "_" and not unicodedata.category(letter).startswith("M"))
    for word in _WORD.findall(joined):
        found = sorted({alphabet for letter in word if (alphabet := _alphabet(letter)) is not None})
        if len(found) > 1:
            return tuple(found)
    return ()


def _alphabet(letter: str) -> str | None:
    # Full-width and mathematical letters have their alphabet later in the name.
    name = unicodedata.name(letter, "")
    return next((alphabet.capitalize() for alphabet in _ALPHABETS if alphabet in name.split()), None)
