"""Results: sections of rows, as a table for people and as JSON beside it.

Standing: under everything that measures. Holds: a row that could not be measured is still a row, and says why; what the
table shows is in the JSON too, with every single round.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NONE = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `cells` go with the columns of its section; without them `missing` says why there are none."""

    name: str
    cells: tuple[str, ...] = ()
    missing: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Section:
    """Rows that belong together, measured in one go."""

    title: str
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the section as aligned text."""
        names = [row.name for row in self.rows]
        first = max(map(len, ("", *names)))
        shown = [row.cells for row in self.rows if row.cells]
        widths = [max(map(len, column)) for column in zip(self.columns, *shown, strict=True)]
        lines = [self.title, f"  {'':{first}}  {_aligned(self.columns, widths)}".rstrip()]
        for row in self.rows:
            told = _aligned(row.cells, widths) if row.cells else f"NOT MEASURED: {row.missing}"
            lines.append(f"  {row.name:{first}}  {told}".rstrip())
        return [*lines, *(f"  {note}" for note in self.notes)]


@dataclass(slots=True)
class Report:
    """One run."""

    head: dict[str, str]
    sections: list[Section] = field(default_factory=list)

    def missing(self) -> list[str]:
        """Return what was not measured, a line each."""
        return [
            f"{section.title}: {row.name}: {row.missing.splitlines()[0]}"
            for section in self.sections
            for row in section.rows
            if row.missing
        ]

    def text(self) -> str:
        """Return the whole as a person reads it."""
        blocks = [[f"{name}: {value}" for name, value in self.head.items()]]
        blocks += [section.lines() for section in self.sections]
        if missing := self.missing():
            blocks.append(["*** NOT EVERYTHING WAS MEASURED ***", *(f"  {line}" for line in missing)])
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"

    def write(self, file: Path) -> None:
        """Write the whole as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        sections = [
            {
                "title": section.title,
                "rows": [
                    {"name": row.name, "missing": row.missing, **row.data, "cells": _named(section.columns, row.cells)}
                    for row in section.rows
                ],
                "notes": section.notes,
            }
            for section in self.sections
        ]
        file.write_text(json.dumps({"run": self.head, "sections": sections}, indent=1) + "\n", encoding="utf-8")


def _named(columns: Iterable[str], cells: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(columns, cells, strict=True)) if cells else {}


def _aligned(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def ratio(value: float) -> str:
    """Return a ratio with as many digits as mean something."""
    return f"{value:.2f} x" if value < 10 else f"{value:.0f} x"  # noqa: PLR2004 - two digits
