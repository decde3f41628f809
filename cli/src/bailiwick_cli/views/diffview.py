"""How differences are printed: a table for people, JSON, Markdown for a review, SARIF for other programs.

Holds: data only; every text of others is escaped before people see it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bailiwick_cli import reportformats
from bailiwick_cli.reportformats import Level
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line
from bailiwick_governance.markdown import table
from bailiwick_governance.sources.policysides import RulePlace
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import worst
from bailiwick_regions.words import region

Places = Callable[[Change], RulePlace | None]

_STYLES: Final = {
    ChangeClass.WIDER: "bold red",
    ChangeClass.MAY_WIDEN: "yellow",
    ChangeClass.CHANGED: "yellow",
    ChangeClass.NARROWER: "green",
}
_LEVELS: Final[dict[ChangeClass, Level]] = {
    ChangeClass.WIDER: "error",
    ChangeClass.MAY_WIDEN: "error",
    ChangeClass.CHANGED: "warning",
    ChangeClass.NARROWER: "note",
}
_MEANINGS: Final = {
    ChangeClass.WIDER: "Some calls gain access, or need less of an approval.",
    ChangeClass.MAY_WIDEN: "It could not be shown that no call gains access.",
    ChangeClass.CHANGED: "An approval is asked for in another way: stricter in one respect, less strict in another.",
    ChangeClass.NARROWER: "Some calls lose access, or need more of an approval; none gain any.",
}


def lines(changes: Sequence[Change], places: Places) -> Iterator[Line]:
    """Yield a line for each change: `WIDER  Deny → Allow  subject · action · resource  because rule ... (new)`."""
    width = max((len(one.kind.value) for one in changes), default=0)
    for one in changes:
        namespace, endpoint = one.endpoint
        parts = [f"{namespace}/{endpoint}", *region(one)]
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
    lines = [f"**{summary(changes)}**", ""]
    rows: list[list[str]] = []
    for one in changes:
        where = " · ".join(["/".join(one.endpoint), *region(one)])
        cells = (one.kind.value, one.what, where, _because(one, places).removeprefix("  because "))
        rows.append([visible(cell) for cell in cells])
    if rows:
        lines += table(("class", "verdict", "where", "because"), rows)
    return "\n".join(lines) + "\n"


def log(changes: Sequence[Change], places: Places) -> str:
    """Return a log of SARIF."""
    rules = {_id(kind): meaning for kind, meaning in _MEANINGS.items()}
    return reportformats.sarif_text("diff", rules, [_result(one, places) for one in changes])


def _result(change: Change, places: Places) -> dict[str, Any]:
    text = f"{change.what}: {' · '.join(['/'.join(change.endpoint), *region(change)])}{_because(change, places)}"
    found = places(change)
    place = None
    if found is not None:
        file = found.file.partition(":")[2] if not change.of_head and ":" in found.file else found.file
        place = (file, found.line, found.column)
    return reportformats.sarif_result(_id(change.kind), _LEVELS[change.kind], text, place)


def _id(kind: ChangeClass) -> str:
    return kind.value.replace(" ", "-")


def _object(change: Change, place: RulePlace | None) -> dict[str, Any]:
    namespace, endpoint = change.endpoint
    body: dict[str, Any] = {
        "class": change.kind.value,
        "verdict": change.what,
        "namespace": namespace,
        "endpoint": endpoint,
        "region": {name: describe_labels(labels) for name, labels in change.where.items()},
    }
    if change.rule is not None:
        body["rule"] = {"policy": change.rule.policy.name, "rule": change.rule.name, "is": change.why}
    if place is not None:
        body["place"] = {"file": place.file, "line": place.line, "column": place.column}
    if change.when:
        body["when"] = list(change.when)
    return body


def _because(change: Change, places: Places) -> str:
    if change.rule is None:
        return f"  because {change.why}" if change.why else ""
    place = places(change)
    at = "" if place is None else f" at {place}"
    return f"  because rule {change.rule.policy.name}/{change.rule.name} ({change.why}){at}"
