r"""The ways in which JSON and YAML spell a text, read back without a parser.

Standing: under `claims`. Holds: what a parser leaves out, or takes apart, is here all the same. Only signatures tell
what of it counts, so reading too much is no harm.
"""

import re
from collections.abc import Iterator
from typing import Final

_FOLD: Final = re.compile(r"\\\r?\n[ \t]*(?:\\(?=[ \t]))?")
"""Where YAML goes on in the next line of a text in double quotes."""
_ESCAPE: Final = re.compile(r"(?<!\\)\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([nrt/ ]))")
"""An escape in double quotes, in as many texts inside of each other as there are; a run of backslashes counts once."""
_CHARACTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "/": "/", " ": " "}
_INDENT: Final = re.compile(r"^[ \t]+", re.MULTILINE)


def spellings(text: str) -> Iterator[str]:
    """Yield a text, then without escapes, and then without indentation, where these are others."""
    plain = _ESCAPE.sub(_character, _FOLD.sub("", text)) if "\\" in text else text
    yield from dict.fromkeys((text, plain, _INDENT.sub("", plain)))


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else _CHARACTERS[escape[3]]
