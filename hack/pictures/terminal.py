"""Terminal: what a command printed, with its colours, as SVG.

Standing: beside `canvas`. Holds: a picture loads nothing, takes light or dark from the reader's setting, and has every
character that was printed; a line that is longer than the terminal is wide goes on in the next one, between words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from rich.style import Style
from rich.text import Text

COLUMNS: Final = 112
"""How wide the terminal is, in characters."""

_STYLE: Final = """\
    text { font: 13px ui-monospace, SFMono-Regular, "DejaVu Sans Mono", monospace; fill: #1f2328; white-space: pre; }
    .ground { fill: #f6f8fa; stroke: #d1d9e0; }
    .bold { font-weight: bold; }
    .dim { fill: #59636e; }
    .red { fill: #cf222e; }
    .green { fill: #1a7f37; }
    .yellow { fill: #9a6700; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .ground { fill: #0d1117; stroke: #3d444d; }
      .dim { fill: #9198a1; }
      .red { fill: #f85149; }
      .green { fill: #3fb950; }
      .yellow { fill: #d29922; }
    }
"""
# Of a terminal's eight colours, those that the command line prints in.
_COLOURS: Final = {1: "red", 2: "green", 3: "yellow"}
_LETTER: Final = 7.8
_LINE: Final = 18
_MARGIN: Final = 16


class UnpicturedStyleError(ValueError):
    """Something was printed in a colour that a picture has no name for."""


@dataclass(frozen=True, slots=True)
class TypedCommand:
    """A command as somebody types it, and what it printed, with the escape sequences of its colours."""

    typed: str
    printed: str


def picture(title: str, told: str, commands: Sequence[TypedCommand]) -> str:
    """Return the file. `told`: what is seen, for readers who do not see it. Raises `UnpicturedStyleError`."""
    lines = [line for command in commands for line in _lines(command)][:-1]
    width, height = round(COLUMNS * _LETTER) + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN
    rows = "".join(
        f'  <text x="{_MARGIN}" y="{_MARGIN + _LINE * number + 13}" xml:space="preserve">{_spans(line)}</text>\n'
        for number, line in enumerate(lines)
        if line.plain.strip()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-labelledby="title told">\n'
        f'  <title id="title">{escape(title)}</title>\n  <desc id="told">{escape(told)}</desc>\n'
        f"  <style>\n{_STYLE}  </style>\n"
        f'  <rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>\n{rows}</svg>\n'
    )


def _lines(command: TypedCommand) -> Iterator[Text]:
    yield from _wrapped(Text.assemble(("$ ", "dim"), (command.typed, "bold")))
    for line in Text.from_ansi(command.printed.rstrip("\n")).split("\n", allow_blank=True):
        yield from _wrapped(line)
    yield Text()


def _wrapped(line: Text) -> list[Text]:
    line.rstrip()
    places, start = [], 0
    while len(line) - start > COLUMNS:
        space = line.plain.rfind(" ", start + COLUMNS // 2, start + COLUMNS)
        start = start + COLUMNS if space < 0 else space + 1
        places.append(start)
    return list(line.divide(places))


def _spans(line: Text) -> str:
    made = []
    edges = sorted({0, len(line), *(edge for span in line.spans for edge in (span.start, span.end))})
    for start, end in pairwise(edges):
        piece = line.plain[start:end]
        # A width of its own keeps the columns, whatever font the reader has.
        place = f'x="{_MARGIN + start * _LETTER:g}" textLength="{len(piece) * _LETTER:g}"'
        made.append(f"<tspan{_classes(_style_at(line, start))} {place}>{escape(piece)}</tspan>")
    return "".join(made)


def _style_at(line: Text, at: int) -> Style:
    found = Style.null()
    for span in line.spans:
        if span.start <= at < span.end:
            found += Style.parse(span.style) if isinstance(span.style, str) else span.style
    return found


def _classes(style: Style) -> str:
    names = [name for name, holds in (("bold", style.bold), ("dim", style.dim)) if holds]
    if style.color is not None and not style.color.is_default:
        if style.color.number not in _COLOURS:
            raise UnpicturedStyleError(style.color.name)
        names.append(_COLOURS[style.color.number])
    return f' class="{" ".join(names)}"' if names else ""
