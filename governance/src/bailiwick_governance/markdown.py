"""Tables of Markdown, for a review.

Standing: under the views. Holds: no text of others ends its cell, or is read as markup or HTML: it is no link, and no
image that is fetched where it is rendered.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

# An underscore between letters joins them, and is the commonest one: reasons and names have it.
_MARKUP: Final = re.compile(r"[\\|\[\]*~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table. The texts of its rows are such as `visible` has made already."""
    return [_row(headers), "|" + " --- |" * len(headers), *(_row([plain(text) for text in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Return such a text as it stands in a cell, or between words."""
    escaped = _MARKUP.sub(lambda match: f"\\{match[0]}", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("`", "'")
