"""How differences are printed: a table for people, JSON, Markdown for a review, SARIF for whoever shows it at its line.

Holds: data only; every text of others is escaped before people see it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bailiwick_cli.output import Line
from bailiwick_cli.policysides import RulePlace
from bailiwick_cli.regions.atoms import told
from bailiwick_cli.regions.change import Change, ChangeClass
from bailiwick_cli.regions.compare import worst
from bailiwick_engine.approval.display import visible

Places = Callable[[Change], RulePlace | None]

_STYLES: Final = {
    ChangeClass.WIDER: "bold red",
    ChangeClass.MAY_WIDEN: "yellow",
    ChangeClass.CHANGED: "yellow",
    ChangeClass.NARROWER: "green",
}
_LEVELS: Final = {
    ChangeClass.WIDER: "error",
    ChangeClass.MAY_WIDEN: "error",
    ChangeClass.CHANGED: "warning",
    ChangeClass.NARROWER: "note",
}
_MEANINGS: Final = {
    ChangeClass.WIDER: "A call goes further than before.",
    ChangeClass.MAY_WIDEN: "It could not be shown that no call goes further than before.",
    ChangeClass.CHANGED: "An approval asks for more in one place and for less in another.",
    ChangeClass.NARROWER: "A call goes less far than before, and none further.",
}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def lines(changes: Sequence[Change], places: Places) -> Iterator[Line]:
    """Yield a line for each change: `WIDER  Deny → Allow  subject · action · resource  because rule ... (new)`."""
    width = max((len(one.kind.value) for one in changes), default=0)
    for one in changes:
        namespace, endpoint = one.endpoint
        parts = [f"{namespace}/{endpoint}", *_region(one)]
        text = f"  {one.what}  {' · '.join(parts)}{_because(one, places)}"
        yield [(one.kind.value.upper().ljust(width), _STYLES[one.kind]), (visible(text), "")]
    yield [(summary(changes), "bold")]


def summary(changes: Sequence[Change]) -> str:
    """Return how many there are of each class."""
    counts = [(kind, sum(one.kind is kind for one in changes)) for kind in _STYLES]
    listed = ", ".join(f"{count} {kind.value}" for kind, count in counts if count)
    return f"{worst(changes).value}: {listed}" if listed else "same: no call is decided in another way"


def document(changes: Sequence[Change], places: Places) -> str:
    """Return all of it as JSON, in ASCII."""
    counts = {kind.value: sum(one.kind is kind for one in changes) for kind in _STYLES}
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Diff",
        "class": worst(changes).value,
        "totals": counts,
        "changes": [_object(one, places(one)) for one in changes],
    }
    return json.dumps(body, indent=2) + "\n"


def markdown(changes: Sequence[Change], places: Places) -> str:
    """Return a table of Markdown."""
    rows = [f"**{summary(changes)}**", ""]
    if changes:
        rows += ["| class | verdict | where | because |", "| --- | --- | --- | --- |"]
    for one in changes:
        parts = ["/".join(one.endpoint), *_region(one)]
        cells = [one.kind.value, one.what, " · ".join(parts), _because(one, places).removeprefix("  because ")]
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def sarif(changes: Sequence[Change], places: Places, version: str) -> str:
    """Return a log of SARIF 2.1.0 (OASIS)."""
    rules = [
        {"id": kind.value.replace(" ", "-"), "shortDescription": {"text": meaning}}
        for kind, meaning in _MEANINGS.items()
    ]
    driver = {"name": "bailiwick diff", "version": version, "rules": rules}
    results = [_result(one, places) for one in changes]
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(change: Change, places: Places) -> dict[str, Any]:
    text = f"{change.what}: {' · '.join(['/'.join(change.endpoint), *_region(change)])}{_because(change, places)}"
    body: dict[str, Any] = {
        "ruleId": change.kind.value.replace(" ", "-"),
        "level": _LEVELS[change.kind],
        "message": {"text": text},
    }
    place = places(change)
    if place is not None:
        region = {"startLine": place.line, "startColumn": place.column}
        uri = place.file.partition(":")[2] if not change.of_head and ":" in place.file else place.file
        body["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}]
    return body


def _object(change: Change, place: RulePlace | None) -> dict[str, Any]:
    namespace, endpoint = change.endpoint
    body: dict[str, Any] = {
        "class": change.kind.value,
        "verdict": change.what,
        "namespace": namespace,
        "endpoint": endpoint,
        "region": {name: told(labels) for name, labels in change.where.items()},
    }
    if change.rule is not None:
        body["rule"] = {"policy": change.rule.policy.name, "rule": change.rule.name, "is": change.why}
    if place is not None:
        body["place"] = {"file": place.file, "line": place.line, "column": place.column}
    if change.when:
        body["when"] = list(change.when)
    return body


def _region(change: Change) -> Iterator[str]:
    for name, labels in change.where.items():
        words = told(labels)
        yield (
            words
            if name in {"subject", "action", "resource"}
            else f"{name.removeprefix('resource.properties.')}: {words}"
        )
    if change.when:
        yield f"when {', '.join(change.when)}"


def _because(change: Change, places: Places) -> str:
    if change.rule is None:
        return f"  because {change.why}" if change.why else ""
    place = places(change)
    at = "" if place is None else f" at {place}"
    return f"  because rule {change.rule.policy.name}/{change.rule.name} ({change.why}){at}"


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
