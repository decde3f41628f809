"""Answers: rows of what calls come to, and how rows that differ in one dimension become one.

Standing: under the questions. Holds: rows say together what they said one by one; a dimension of which a row has every
label is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bailiwick_engine.keys import Key
from bailiwick_regions.rights.outcomes import AccessWay
from bailiwick_regions.rights.refusals import SubjectRefusal

Where = Mapping[str, tuple[str, ...]]
"""By dimension the labels, see `bailiwick_regions.atoms.describe_labels`."""


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One line of an answer. `way` None: nothing comes through there, though rows of fewer `parts` say that it does.

    `parts`: whom it is about: a party with a key of each. A row goes before those whose parts are among its own.
    """

    subject: str
    parts: tuple[frozenset[Key], ...]
    where: Where
    way: AccessWay | None


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """All rows. `incomplete`: of whom, or of what, there was too much to look at. `refused`: whom revocations name."""

    rows: tuple[AccessRow, ...]
    incomplete: tuple[str, ...] = field(default=())
    refused: tuple[SubjectRefusal, ...] = field(default=())


def join_rows(rows: Iterable[AccessRow], labels: Mapping[str, Sequence[str]]) -> list[AccessRow]:
    """Return the rows with those joined that differ in one of these dimensions only."""
    kept = list(rows)
    for name, every in labels.items():
        groups: dict[object, list[AccessRow]] = {}
        for row in kept:
            groups.setdefault(_rest(row, name), []).append(row)
        kept = [_join(some, name, every) for some in groups.values()]
    return kept


def _rest(row: AccessRow, name: str) -> object:
    return (row.subject, row.way, tuple((one, labels) for one, labels in row.where.items() if one != name))


def _join(rows: Sequence[AccessRow], name: str, every: Sequence[str]) -> AccessRow:
    first = rows[0]
    if name not in first.where:
        return first
    labels = tuple(dict.fromkeys(label for row in rows for label in row.where[name]))
    where = {one: found for one, found in first.where.items() if one != name or not set(every) <= set(labels)}
    return replace(first, where=where if name not in where else {**where, name: labels})
