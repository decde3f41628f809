"""Tables of Markdown, for a review.

Standing: under the views. Holds: no text of others ends its cell, or is read as markup or HTML.
"""

from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table. The texts of its rows are such as `visible` has made already."""
    return [_row(headers), "|" + " --- |" * len(headers), *(_row([plain(text) for text in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Return such a text as it stands in a cell, or between words."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
