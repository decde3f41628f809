"""Decisions derived again: each record of a log against the policies' texts, counted, and told where it does not hold.

Standing: under `audit verify`, over `bailiwick_evidence.derive`. Holds: what cannot be derived is counted by its stable
reason; it is no finding. A record that the engine contradicts is.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Self

from bailiwick_cli import policytexts
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.lines import ChainLine, parsed
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.derivation import OBSTACLES, Derivation, DerivationClass
from bailiwick_evidence.derive.derive import KINDS, derive
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions

LEDGER: Final = "ledger"
DEVELOPMENT: Final = "development"

_SENTENCES: Final = {
    f"{DerivationClass.UNDERIVABLE}:{DEVELOPMENT}": (
        "A decision point with --development decided. It lets anyone request decisions, so the policies do not decide"
        " alone."
    ),
    **{f"{DerivationClass.UNDERIVABLE}:{obstacle}": said for obstacle, said in OBSTACLES.items()},
}


class DerivedRecords:
    """What records came to. `contradicted`: the place of each, and what the engine says instead."""

    def __init__(self, texts: PolicyTexts) -> None:
        self._texts = texts
        self.counts: Counter[str] = Counter()
        self.contradicted: list[tuple[str, str]] = []

    @classmethod
    def of(cls, source: str, audit: LogAudit) -> Self:
        """Return none yet; the texts are those of the ledger that was read, or of files. Raises `CliError`."""
        return cls(policytexts.of_files(source) if source != LEDGER else texts_of_ledger(audit))

    def add(self, log: ChainTable, line: ChainLine) -> None:
        """Derive a line, if it is the record of a decision."""
        record = parsed(line.text)
        kind = record.get("kind")
        if kind == "policies":
            self._texts.add_list(record)
        elif kind in KINDS and in_development(log.opening):
            # Where anybody may ask, the policies alone do not decide.
            self.counts[f"{DerivationClass.UNDERIVABLE}:{DEVELOPMENT}"] += 1
        elif kind in KINDS:
            found = derive(record, self._texts, versions_of(log.opening))
            self.counts[found.kind.value if found.obstacle is None else f"{found.kind}:{found.obstacle}"] += 1
            if found.kind is DerivationClass.CONTRADICTED:
                self.contradicted.append((f"{line.link.id} {line.link.seq}", _said(record, found)))

    @property
    def totals(self) -> str:
        """Return the counts in a line."""
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return f"{self.counts.total()} decisions: {counted or 'none'}"

    @property
    def notes(self) -> list[str]:
        """Say of each reason why something cannot be derived what it means, and what to do."""
        return [f"{code}: {said}" for code, said in _SENTENCES.items() if self.counts[code]]

    def object(self) -> dict[str, object]:
        """Return the counts and what is contradicted as an object."""
        contradicted = [{"line": place, "message": said} for place, said in self.contradicted]
        return {"total": self.counts.total(), **dict(sorted(self.counts.items())), "contradictedLines": contradicted}


def texts_of_ledger(audit: LogAudit) -> PolicyTexts:
    """Return the texts of the policies that the operator's ledger holds in the files of an audit."""
    texts = PolicyTexts()
    for digest, members in audit.policies.items():
        if isinstance(text := members.get("text"), str):
            texts.add(digest, text.encode())
    return texts


def versions_of(opening: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the versions of what decided, as the line says that opens the chain; None without that line."""
    return None if opening is None else {member: str(opening.get(member)) for member in engine_versions()}


def in_development(opening: Mapping[str, Any] | None) -> bool:
    """Tell whether the line that opens the chain says that anybody may ask."""
    told = (opening or {}).get("settings")
    return isinstance(told, dict) and told.get("development") is True


def _said(record: Mapping[str, Any], found: Derivation) -> str:
    policy = record.get("policy")
    rule = f"{policy.get('name')}/{policy.get('rule')}" if isinstance(policy, dict) else "no rule"
    said = f"the record of {record.get('evaluation_id')} says {record.get('reason')} by {rule}"
    answer = found.answer
    if answer is None:
        return visible(said)
    other = "no rule" if answer.rule is None else "/".join(answer.rule)
    return visible(f"{said}; the engine says {answer.reason} by {other}")
