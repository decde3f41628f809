"""How findings are printed: lines for people, JSON, SARIF for programs that show them in a change.

Standing: above `filefindings`. Holds: every text of others is escaped before people see it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bailiwick_cli import output, reportformats
from bailiwick_cli.findings.filefindings import FileFinding, FindingSeverity
from bailiwick_cli.options import Output
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import Line, show_escaped
from bailiwick_governance.sources.policies import PolicySet

_STYLES: Final = {FindingSeverity.ERROR: "bold red", FindingSeverity.WARNING: "bold yellow"}
_SERVER: Final = "refused-by-the-server"
_MEANINGS: Final = {
    FindingSeverity.ERROR.value: "The cluster would refuse it, and calls would be denied.",
    FindingSeverity.WARNING.value: "The cluster would accept it, and it is likely not what you meant.",
    _SERVER: "The API server refused it in a dry run.",
}


def lines(found: PolicySet, findings: Sequence[FileFinding]) -> Iterator[Line]:
    """Yield a line for each finding, and how many there are."""
    for one in findings:
        said = show_escaped(f"{one.problem}{_denying(one)}")
        yield [(one.severity.value, _STYLES[one.severity]), (f": {said}", "")]
    yield [(summary(found, findings), "")]


def summary(found: PolicySet, findings: Sequence[FileFinding]) -> str:
    """Return what was read, and how many findings there are."""
    errors = sum(one.severity is FindingSeverity.ERROR for one in findings)
    data = f", {len(found.data)} of data" if found.data else ""
    return f"{len(found.entries)} policies{data}: {errors} errors, {len(findings) - errors} warnings"


def document(found: PolicySet, findings: Sequence[FileFinding]) -> str:
    """Return all of it as JSON, in ASCII."""
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "PolicyValidation",
        "message": summary(found, findings),
        "policies": len(found.entries),
        "data": len(found.data),
        "ignored": found.ignored,
        "findings": [_object(one) for one in findings],
    }
    return output.document(body, Output.JSON)


def log(findings: Sequence[FileFinding]) -> str:
    """Return a log of SARIF."""
    return reportformats.sarif_text("validate", _MEANINGS, [_result(one) for one in findings])


def _result(one: FileFinding) -> dict[str, Any]:
    rule = _SERVER if one.by_server else one.severity.value
    if one.placed is None:
        return reportformats.sarif_result(rule, one.severity.value, f"{one.problem}{_denying(one)}", None)
    file, line, column, message = one.placed
    return reportformats.sarif_result(rule, one.severity.value, f"{message}{_denying(one)}", (file, line, column))


def _object(one: FileFinding) -> dict[str, Any]:
    body: dict[str, Any] = {"severity": one.severity.value}
    if one.placed is None:
        body["message"] = visible(one.problem)
    else:
        file, line, column, message = one.placed
        body |= {"file": file, "line": line, "column": column, "message": message}
    if one.by_server:
        body["by"] = "server"
    return body | ({} if one.denies is None else {"denies": one.denies})


def _denying(one: FileFinding) -> str:
    return "" if one.denies is None else f"; this denies {one.denies}"
