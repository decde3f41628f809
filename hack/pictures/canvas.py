"""Canvas: boxes, lines and words, placed by hand, as SVG.

Holds: a drawing has a title, a description and its own background, and takes light or dark from the reader's setting.
A text that would not fit its box raises `CrowdedError`. All measures are in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

_STYLE: Final = """\
    text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
    .note { font-size: 12px; fill: #59636e; }
    .ground { fill: #ffffff; stroke: #d1d9e0; }
    .plain { fill: #f6f8fa; stroke: #818b98; }
    .ours { fill: #ddf4ff; stroke: #0969da; }
    .good { fill: #dafbe1; stroke: #1a7f37; }
    .bad { fill: #ffebe9; stroke: #cf222e; }
    .line { stroke: #59636e; fill: none; }
    .tip { fill: #59636e; }
    .border { stroke: #bc4c00; fill: none; stroke-dasharray: 6 4; }
    .border-word { font-size: 12px; fill: #bc4c00; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .ground { fill: #0d1117; stroke: #3d444d; }
      .plain { fill: #151b23; stroke: #656c76; }
      .ours { fill: #0c2d5a; stroke: #4493f8; }
      .good { fill: #12361f; stroke: #3fb950; }
      .bad { fill: #4a1517; stroke: #f85149; }
      .line { stroke: #9198a1; }
      .tip { fill: #9198a1; }
      .border { stroke: #db6d28; }
      .border-word { fill: #db6d28; }
    }
"""
_LINE: Final = 18
# How wide a letter of 14 and of 12 pixels may be at most, on average, in the fonts that are asked for.
_LETTER: Final = {"": 7.9, "note": 6.9}
_MARGIN: Final = 8


class CrowdedError(ValueError):
    """A text does not fit where it was put."""


@dataclass(slots=True)
class Canvas:
    """A drawing of this size. `told`: what is seen, for those who do not see it."""

    width: int
    height: int
    title: str
    told: str
    _parts: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, height: int, kind: str, *lines: str) -> None:
        """Draw a box with lines of text in its middle. A line that begins with `~` is a note, in small letters."""
        if _LINE * len(lines) > height:
            raise CrowdedError(f"{len(lines)} lines in a box of {height}: {lines[0]}")
        self._add(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        top = y + height / 2 - _LINE * (len(lines) - 1) / 2 + 5
        for number, line in enumerate(lines):
            style, words = ("note", line[1:]) if line.startswith("~") else ("", line)
            if len(words) * _LETTER[style] > width - 2 * _MARGIN:
                raise CrowdedError(f"{width} pixels are too few for: {words}")
            self._text(x + width / 2, top + _LINE * number, words, style, "middle")

    def arrow(self, *points: tuple[int, int], word: str = "", at: tuple[int, int] | None = None) -> None:
        """Draw a line through these points that ends in a tip, with a small word beside the middle, or centred `at`."""
        (x, y), (to_x, to_y) = points[-2], points[-1]
        path = " ".join(f"{'L' if number else 'M'}{left} {top}" for number, (left, top) in enumerate(points))
        self._add(f'<path class="line" d="{path}"/>')
        step_x, step_y = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
        back_x, back_y = to_x - 9 * step_x, to_y - 9 * step_y
        tips = [(to_x, to_y), (back_x - 5 * step_y, back_y - 5 * step_x), (back_x + 5 * step_y, back_y + 5 * step_x)]
        self._add(f'<path class="tip" d="M{" L".join(f"{left} {top}" for left, top in tips)} Z"/>')
        if word:
            middle_x, middle_y = at or ((points[0][0] + to_x) // 2, (points[0][1] + to_y) // 2 - 6)
            self.word(middle_x, middle_y, word)

    def word(self, x: int, y: int, *lines: str, kind: str = "note", anchor: str = "middle") -> None:
        """Write lines of small text, centred at x, or from it (`start`) or up to it (`end`)."""
        for number, line in enumerate(lines):
            wide = len(line) * _LETTER["note"]
            left = {"middle": x - wide / 2, "start": x, "end": x - wide}[anchor]
            if left < 0 or left + wide > self.width:
                raise CrowdedError(f"it reaches over the edge: {line}")
            self._text(x, y + 15 * number, line, kind, anchor)

    def border(self, points: Sequence[tuple[int, int]], word: str, at: tuple[int, int]) -> None:
        """Draw a broken line: where trust changes."""
        path = " ".join(f"{'L' if number else 'M'}{left} {top}" for number, (left, top) in enumerate(points))
        self._add(f'<path class="border" d="{path}"/>')
        self.word(*at, word, kind="border-word")

    def lifeline(self, x: int, top: int, bottom: int) -> None:
        """Draw the line below a party of a sequence."""
        self._add(f'<path class="line" stroke-dasharray="3 5" d="M{x} {top} L{x} {bottom}"/>')

    def svg(self) -> str:
        """Return the file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" aria-labelledby="title told">\n'
            f'  <title id="title">{escape(self.title)}</title>\n  <desc id="told">{escape(self.told)}</desc>\n'
            f"  <style>\n{_STYLE}  </style>\n"
            f'  <rect class="ground" x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="8"/>\n'
        )
        return head + "".join(f"  {part}\n" for part in self._parts) + "</svg>\n"

    def _text(self, x: float, y: float, words: str, kind: str, anchor: str) -> None:
        style = f' class="{kind}"' if kind else ""
        self._add(f'<text{style} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def _add(self, part: str) -> None:
        self._parts.append(part)
