"""The page of one decision: why it came out so, the record as it stands, and what the audit says of its chain.

Standing: over `derivations`, `recordview` and `auditview`, which `explain` and `audit verify` print. Holds: a record
that its own policies do not reproduce is not explained; what the audit does not know is said to be that.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_console.grants.source import AbsentError
from bailiwick_console.threads.recordfiles import LogReading
from bailiwick_evidence.audit.findings import ChainReport, LogFinding
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.audit.logaudit import known_upto
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.linekinds import DECISIONS, POLICY_LIST
from bailiwick_governance.display import Line
from bailiwick_governance.records.derivations import LEDGER, RecordDerivation, derivation_of
from bailiwick_governance.views import auditview
from bailiwick_governance.views.nearview import NearView
from bailiwick_governance.views.recordview import record_lines

_LISTS: Final = f'"kind":"{POLICY_LIST}"'.encode()


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    """What the audit says of all the files (`headline`), and of the chain: each finding, and whether it is of the line.

    `seen`: whether a witness saw the line; None: not known.
    """

    headline: str
    chain: Line
    seq: int
    lines: int
    findings: tuple[tuple[LogFinding, bool], ...]
    seen: bool | None
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """The page. `why`: lines of the explanation; empty, with `problem`: there is none."""

    chain: str
    title: str
    why: tuple[Line, ...]
    problem: str
    contradicted: bool
    text: tuple[str, ...]
    evidence: RecordEvidence


def compose(reading: LogReading, chain: str, seq: int) -> RecordPage:
    """Read all files once, and return the page of a line. Raises `AbsentError` where there is no such decision."""
    audit, lines = reading("Reading lines")
    record: Mapping[str, Any] | None = None
    lists: list[Mapping[str, Any]] = []
    for line in lines:
        if _LISTS in line.text:
            lists.append(parse_line(line.text))
        elif record is None and (line.link.id, line.link.seq) == (chain, seq):
            # A long record has the place of the line with its hash.
            found = parse_line(line.text)
            record = found if found.get("kind") in DECISIONS else None
    if record is None:
        raise AbsentError("there is no such decision in the record files any more")
    reports = audit.reports()
    ours = next(one for one in reports if one.chain == chain)
    derive = functools.partial(derivation_of, record, audit.chains[chain], audit, lists, LEDGER)
    why, problem, contradicted = _explain(derive)
    evidence = RecordEvidence(
        auditview.headline(reports, known_upto(reports)),
        auditview.chain_line(ours),
        seq,
        ours.lines,
        tuple((one, _names(one, seq)) for one in ours.findings),
        _is_witnessed(ours, seq),
        tuple(auditview.hints(audit, checkpoints=False)),
    )
    title = f"{_text(record.get('action'))} by {_text(_member(record.get('subject'), 'id'))}"
    text = json.dumps(record, indent=2, ensure_ascii=False).splitlines()
    return RecordPage(chain, title, why, problem, contradicted, tuple(text), evidence)


def _explain(derive: Callable[[], RecordDerivation]) -> tuple[tuple[Line, ...], str, bool]:
    """Return why a decision came out so; or why that is not shown, and whether its policies say otherwise."""
    try:
        found = derive()
        near = None if found.retrace is None else NearView.from_retrace(found.retrace)
        shown = () if near is None else tuple(near.lines())
        if found.found is not None and found.found.kind is DerivationClass.CONTRADICTED:
            # What the engine weighed explains its own answer, and not the record.
            return shown, found.why, True
        if found.retrace is None:
            return (), found.why, False
        return (*record_lines(found, found.retrace), *shown), "", False
    except (KeyError, TypeError, ValueError, AttributeError):
        return (), "the record has not the shape of one", False


def _names(finding: LogFinding, seq: int) -> bool:
    """Tell whether a finding is of a line."""
    return finding.first is not None and finding.first <= seq <= (finding.last if finding.last is not None else seq)


def _is_witnessed(report: ChainReport, seq: int) -> bool | None:
    """Tell whether a witness saw the line as it is here; None: what it saw is not what is here, or is not known."""
    if report.witnessed is None or report.bad:
        return None
    return seq < report.witnessed


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "(not said)"
