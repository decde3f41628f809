"""How rights are printed: a table for people, Markdown for a review, JSON for scripts.

Holds: data only; every text of others is escaped before people see it; each condition stands as its policy has it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_engine.policy.model import CompiledRule, CompiledSettings
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_engine.truth import UNKNOWN, Truth
from bailiwick_governance import markdown
from bailiwick_governance.display import Line
from bailiwick_governance.grants.grantview import gate_terms
from bailiwick_governance.sources.policysides import RulePlaces
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.outcomes import AccessLevel, GivenCondition

_STYLES: Final = {AccessLevel.ALLOW: "green", AccessLevel.APPROVAL: "yellow"}
_DENIED: Final = "deny"
_HEADERS: Final = ("VERDICT", "GIVEN", "APPROVAL", "EXPIRES", "RULE")
_TRUTHS: Final[tuple[tuple[Truth, str], ...]] = ((True, "true"), (False, "false"), (UNKNOWN, "unknown"))


@dataclass(frozen=True, slots=True)
class RightsView:
    """An answer to be printed. `columns` are the headers of what a row is known by, and its names."""

    kind: str
    asked: Mapping[str, object]
    columns: tuple[tuple[str, str], ...]
    rows: Sequence[AccessRow]
    place: RulePlaces

    def headers(self) -> tuple[str, ...]:
        """Return the headers of all columns."""
        return (*(header for header, _ in self.columns), *_HEADERS)

    def table(self) -> Iterator[Line]:
        """Yield the cells of each row."""
        for row in self.rows:
            style = "red" if row.way is None else _STYLES[row.way.level]
            cells = self._cells(row)
            yield [(cell, style if at == len(self.columns) else "") for at, cell in enumerate(cells)]

    def markdown(self) -> str:
        """Return a table of Markdown."""
        heads = [header.lower() for header in self.headers()]
        return "\n".join(markdown.table(heads, map(self._cells, self.rows))) + "\n"

    def document(self, **more: object) -> str:
        """Return all of it as JSON, in ASCII."""
        body = {
            "apiVersion": "cli.bailiwick.dev/v1alpha1",
            "kind": self.kind,
            **self.asked,
            "answers": [self._object(row) for row in self.rows],
            **more,
        }
        return json.dumps(body, indent=2) + "\n"

    def _cells(self, row: AccessRow) -> list[str]:
        first = [row.subject if name == "subject" else describe_labels(row.where[name]) for _, name in self.columns]
        way = row.way
        if way is None:
            return [*map(visible, first), _DENIED, self._where(row), "", "", ""]
        given = [self._where(row), *(f"{_condition_text(one)}" for one in way.given)]
        return [
            *map(visible, first),
            way.level.value,
            " and ".join(one for one in given if one),
            "" if way.gate is None else gate_terms(way.gate),
            "" if way.until is None else times.epoch_stamp(way.until),
            ", ".join(self._rule(rule) for rule in way.rules),
        ]

    def _where(self, row: AccessRow) -> str:
        names = {name for _, name in self.columns}
        return " and ".join(
            f"{visible(name)}: {visible(describe_labels(row.where[name]))}" for name in row.where if name not in names
        )

    def _rule(self, rule: CompiledRule) -> str:
        at = self.place(rule)
        name = f"{rule.policy.name}/{rule.name}"
        return visible(name if at is None else f"{name} at {at}")

    def _object(self, row: AccessRow) -> dict[str, Any]:
        body: dict[str, Any] = {
            "subject": row.subject,
            "verdict": _DENIED if row.way is None else row.way.level.value,
            "where": {name: describe_labels(labels) for name, labels in row.where.items()},
        }
        way = row.way
        if way is None:
            return body
        body["rules"] = [_place_object(rule, self.place) for rule in way.rules]
        body["given"] = [
            {
                "condition": one.condition.name,
                "rule": f"{one.rule.policy.name}/{one.rule.name}",
                "expression": one.condition.expression.text,
                "is": [word for truth, word in _TRUTHS if truth in one.outcomes],
                **({"data": one.data} if one.data else {}),
                **({"histories": one.histories} if one.histories else {}),
            }
            for one in way.given
        ]
        if way.gate is not None:
            body["approval"] = {
                "steps": [step.model_dump(exclude_none=True) for step in way.gate.steps],
                "windowSeconds": way.gate.window_seconds,
                "maxUses": way.gate.max_uses,
            }
        if way.until is not None:
            body["expires"] = times.epoch_stamp(way.until)
        return body


def notes(key: EndpointKey, settings: CompiledSettings | None, rows: Sequence[AccessRow]) -> Iterator[str]:
    """Say what an answer leaves out, though it depends on it."""
    if settings is not None and settings.delegation is not None:
        yield ("calls on behalf of another party are not listed: the actor can do no more in one than is listed for it")
    given = [one for row in rows if row.way is not None for one in row.way.given]
    if names := sorted({name for one in given for name in one.data}):
        yield (
            f"conditions here read EndpointData ({visible(', '.join(names))}): what it says now was not looked"
            f" at, and a person who can write it in {key[0]} decides them and is not listed"
        )
    if names := sorted({name for one in given for name in one.histories}):
        yield (
            f"conditions here read histories ({visible(', '.join(names))}): the calls that were counted so far were not"
            " looked at, and decide them"
        )


def _place_object(rule: CompiledRule, place: RulePlaces) -> dict[str, Any]:
    at = place(rule)
    body: dict[str, Any] = {"policy": rule.policy.name, "rule": rule.name}
    return body if at is None else {**body, "place": {"file": at.file, "line": at.line, "column": at.column}}


def _condition_text(one: GivenCondition) -> str:
    text = visible(" ".join(one.condition.expression.text.split()))
    words = [word for truth, word in _TRUTHS if truth in one.outcomes]
    return text if words == ["true"] else f"({text}) is {' or '.join(words)}"
