"""SARIF 2.1.0 (OASIS): findings for whoever shows them at their lines.

Standing: under the views. Holds: what is printed is ASCII, and every file is named by a reference that is valid.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, Literal
from urllib.parse import quote

Level = Literal["error", "warning", "note"]
SarifPlace = tuple[str, int, int]
"""File, line and column, the last two from 1."""

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def result(rule: str, level: Level, text: str, place: SarifPlace | None) -> dict[str, Any]:
    """Return one finding. `rule` is one of those that `log` lists."""
    body: dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": text}}
    if place is not None:
        file, line, column = place
        region = {"startLine": line, "startColumn": column}
        body["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": region}}]
    return body


def log(command: str, rules: Mapping[str, str], results: Sequence[Mapping[str, Any]]) -> str:
    """Return a log of one run. `rules`: what each kind of finding means."""
    listed = [{"id": name, "shortDescription": {"text": meaning}} for name, meaning in rules.items()]
    driver = {"name": f"bailiwick {command}", "version": version("bailiwick"), "rules": listed}
    run = {"tool": {"driver": driver}, "results": list(results)}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"
