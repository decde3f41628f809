"""What of a page a reader sees, measured in the browser; and that what is read is what was meant, to the character.

Standing: `visibility.js` measures. Holds: it knows nothing of how the console escapes, but that \\uXXXX and \\n stand
for a character as in JSON; no text of the page is believed that is not painted.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PROBE: Final = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
SCREENS: Final = ((320, 100), (600, 100), (600, 200), (1024, 100), (1600, 100))
"""Widths in pixels, each with the size of text in per cent."""
_RESIZE: Final = "(size) => { document.documentElement.style.fontSize = `${size}%`; }"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_MARKS: Final = frozenset({"Mn", "Me"})


@dataclass(frozen=True, slots=True)
class PageView:
    """What was measured. `rows`: label and values of each `dl` of the class `values` or none, as they are painted."""

    problems: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    cells: tuple[str, ...]

    def values(self, label: str) -> list[str]:
        """Return what stands in the rows whose label means this text, each as it is painted."""
        return [value for _, shown, values in self.rows if meaning(shown) == label for value in values]


# As decide.js judges: at most this part of the window.
_JUDGED: Final = """() => {
  const bar = document.querySelector(".bar.pinned");
  return bar === null || bar.offsetHeight <= innerHeight * 0.45;
}"""


def look(page: "Page", width: int, size: int = 100) -> PageView:
    """Measure the page at a width, with texts of this size. Fits the window to no text: it scrolls as a reader does."""
    page.wait_for_load_state()
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(_RESIZE, size)
    _await_judged_bar(page)
    found: Any = page.evaluate(_PROBE)
    rows = tuple((row["list"], row["label"], tuple(row["values"])) for row in found["rows"])
    return PageView(tuple(found["problems"]), rows, tuple(found["cells"]))


def _await_judged_bar(page: "Page") -> None:
    """Wait until a bar that is kept in view was judged by its size of now: a frame later it may no longer be kept."""
    for _ in range(200):
        if page.evaluate(_JUDGED):
            return
        page.wait_for_timeout(50)
    message = "the bar of a request is kept in view, and is too high for that"
    raise AssertionError(message)


def meaning(shown: str) -> str | None:
    """Return the text that a painted one stands for; None where it stands for none."""
    if shown == '""':
        return ""
    quoted = shown.replace('"', '\\"')
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        return None


def unseen(shown: str) -> Iterator[str]:
    """Yield what of a painted text no reader can see or count."""
    marks = 0
    for place, character in enumerate(shown):
        category = unicodedata.category(character)
        if category in _UNSEEN and character != " ":
            yield f"U+{ord(character):04X} at {place}"
        marks = marks + 1 if category in _MARKS else 0
        if marks > 2:
            yield f"a pile of marks at {place}"
    if shown != shown.strip(" ") or "  " in shown:
        yield f"spaces that nobody can count in {shown[:60]!r}"


def seen_in(cells: Iterable[str], text: str) -> bool:
    """Tell whether a text is read in one of the cells, to the character."""
    return any((read := meaning(cell)) is not None and text in read for cell in cells)
