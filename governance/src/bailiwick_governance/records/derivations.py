"""Decisions derived again: each record of a log against the policies' texts, counted, and named where it does not hold.

Standing: under `audit verify` and `explain`, over `bailiwick_evidence.derive`. Holds: what cannot be derived is counted
by its stable reason, an allow apart from all else; it is no finding. A record that the engine contradicts is, and one
that no process writes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from bailiwick_engine.approval.display import visible
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.chain import body
from bailiwick_evidence.derive.derivation import OBSTACLES, UNWRITTEN, Derivation, DerivationClass
from bailiwick_evidence.derive.derive import Retrace, retrace_record
from bailiwick_evidence.derive.differences import NO_RULE, differences, rule_named
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.linekinds import DECISIONS, POLICY_LIST
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.sources import policytexts

LEDGER: Final = "ledger"
DEVELOPMENT: Final = "development"
# What both sentences name.
_OF_A_VERDICT: Final = frozenset({"reason", "policy"})
_FOUND: Final = frozenset({DerivationClass.CONTRADICTED, DerivationClass.UNREADABLE})
RETRACED: Final = 20
"""Of so many contradicted records it is said how their verdict came."""
LISTED: Final = 20
"""So many unproven allows are listed for each reason. Where a ledger is missing there can be millions."""
_NAMED: Final = b'"evaluation_id":'
_LISTS: Final = f'"kind":"{POLICY_LIST}"'.encode()

_SENTENCES: Final[dict[str, str]] = {
    DEVELOPMENT: (
        "A decision point with --development decided. It lets anyone request decisions, so the policies do not decide"
        " alone."
    ),
    **{obstacle.value: said for obstacle, said in OBSTACLES.items()},
}
_UNPROVEN_NOTE: Final = (
    "unproven: these calls are on record as allowed, and nothing shows that policies allow them. A decision point that"
    " lies can write such records. Give what is missing; --fail-on unproven exits with 1 while any is left"
)


@dataclass(frozen=True, slots=True)
class ContradictedRecord:
    """A record that the engine contradicts: its place, and what both say. `retrace` of the first ones: how it came.

    `order`: the number of its line among all lines that were read. `kind` is `UNREADABLE` of one that no process of
    its own version writes.
    """

    place: str
    said: str
    retrace: Retrace | None
    order: int = 0
    kind: DerivationClass = DerivationClass.CONTRADICTED


@dataclass(frozen=True, slots=True)
class UnprovenAllow:
    """A call that is on record as allowed, and whose record cannot be derived. `order`: as of `ContradictedRecord`."""

    order: int
    place: str
    said: str
    code: str


class DerivedRecords:
    """What records came to. `contradicted`: those that the engine contradicts, or that no process writes.

    `unproven`: the first allows of each reason that could not be derived.
    """

    def __init__(self, texts: PolicyTexts) -> None:
        self._texts = texts
        self.counts: Counter[str] = Counter()
        self.contradicted: list[ContradictedRecord] = []
        self.unproven: list[UnprovenAllow] = []

    @classmethod
    def from_source(cls, source: str, audit: LogAudit) -> Self:
        """Return none yet; the texts are those of the ledger that was read, or of files. Raises `UserError`."""
        return cls(_texts(source, audit))

    def add(
        self, opening: Mapping[str, Any] | None, line: ChainLine, order: int, *, counts: bool = True
    ) -> Mapping[str, CompiledHistory] | None:
        """Derive a line, if it is the record of a decision.

        `opening`: the first line of its chain. `order`: its number among all lines. `counts`: False for a line of which
        only the lists and histories are wanted, since it is counted elsewhere.
        Returns the histories of its endpoint then, by name; None if they are not known.
        """
        record = parse_line(line.text)
        retrace: Retrace | None = None
        kind = record.get("kind")
        if kind == POLICY_LIST:
            self._texts.add_list(record)
        elif kind in DECISIONS and in_development(opening):
            # Where anybody may ask, the policies alone do not decide.
            if counts:
                self._count_underivable(record, DEVELOPMENT, line, order)
        elif kind in DECISIONS:
            found, retrace = retrace_record(record, self._texts, versions_of(opening))
            if counts:
                self._count(record, found, retrace, line, order)
        endpoint = None if retrace is None else retrace.endpoint
        return None if endpoint is None else {one.name: one for one in endpoint.histories}

    def _count(
        self, record: Mapping[str, Any], found: Derivation, retrace: Retrace | None, line: ChainLine, order: int
    ) -> None:
        if found.kind is DerivationClass.UNDERIVABLE and found.obstacle is not None:
            self._count_underivable(record, found.obstacle.value, line, order)
            return
        self.counts[found.kind.value if found.obstacle is None else f"{found.kind}:{found.obstacle}"] += 1
        if found.kind in _FOUND:
            kept = retrace if len(self.contradicted) < RETRACED else None
            sentence = _sentence(record, found)
            self.contradicted.append(ContradictedRecord(_place(line), sentence, kept, order, found.kind))

    def _count_underivable(self, record: Mapping[str, Any], why: str, line: ChainLine, order: int) -> None:
        # What is no plain denial may be read as an allow.
        if record.get("decision") is False:
            self.counts[f"{DerivationClass.UNDERIVABLE}:{why}"] += 1
            return
        code = f"{DerivationClass.UNPROVEN}:{why}"
        self.counts[code] += 1
        if self.counts[code] <= LISTED:
            self.unproven.append(UnprovenAllow(order, _place(line), visible(_claim(record)), code))

    @property
    def totals(self) -> str:
        """Return the counts in a line."""
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return f"{self.counts.total()} decisions: {counted or 'none'}"

    @property
    def notes(self) -> list[str]:
        """Say of each reason why something cannot be derived what it means, and what to do."""
        kinds = (DerivationClass.UNDERIVABLE, DerivationClass.UNPROVEN)
        codes = {f"{kind}:{why}": said for kind in kinds for why, said in _SENTENCES.items()}
        found = [f"{code}: {said}" for code, said in codes.items() if self.counts[code]]
        return [*found, _UNPROVEN_NOTE] if count_unproven(self.counts) else found

    def object(self) -> dict[str, object]:
        """Return the counts as an object."""
        return {"total": self.counts.total(), **dict(sorted(self.counts.items()))}


@dataclass(frozen=True, slots=True)
class RecordDerivation:
    """One record, and whether its policies reproduce it. `retrace` None: that is not known (`why`)."""

    record: Mapping[str, Any]
    found: Derivation | None
    retrace: Retrace | None

    @property
    def why(self) -> str:
        """What is in the way, and what would help."""
        if self.found is None:
            return _SENTENCES[DEVELOPMENT]
        if self.found.obstacle is not None and self.found.kind not in _FOUND:
            return OBSTACLES[self.found.obstacle]
        return _sentence(self.record, self.found)


def record_of(wanted: str, item: int | None, files: LogFiles, source: str) -> RecordDerivation:
    """Find the record of an evaluation in log files and derive it. Raises `UserError`.

    `item` of a batch; `source`: where the policies' texts are, see `DerivedRecords.from_source`.
    """
    audit = LogAudit(WitnessBook(()))
    records: dict[bytes, tuple[Mapping[str, Any], ChainTable]] = {}
    lists: list[Mapping[str, Any]] = []
    sought = _NAMED + json.dumps(wanted).encode()
    for line in files.lines(audit, "Reading lines"):
        if _LISTS in line.text:
            lists.append(parse_line(line.text))
        elif sought in line.text:
            members = parse_line(line.text)
            if members.get("evaluation_id") == wanted and (item is None or members.get("item") == item):
                # The same line may stand in several files.
                records.setdefault(body(line.text), (members, audit.chains[line.link.id]))
    record, log = _choose_record(records, wanted, files)
    return derivation_of(record, log, audit, lists, source)


def derivation_of(
    record: Mapping[str, Any], log: ChainTable, audit: LogAudit, lists: Iterable[Mapping[str, Any]], source: str
) -> RecordDerivation:
    """Derive a record of a chain. `lists`: the lists of policies that the log has. Raises `UserError`.

    `source`: where the policies' texts are, see `DerivedRecords.from_source`.
    """
    if in_development(log.opening):
        return RecordDerivation(record, None, None)
    texts = _texts(source, audit)
    for listed in lists:
        texts.add_list(listed)
    return RecordDerivation(record, *retrace_record(record, texts, versions_of(log.opening)))


def _choose_record(
    records: Mapping[bytes, tuple[Mapping[str, Any], ChainTable]], wanted: str, files: LogFiles
) -> tuple[Mapping[str, Any], ChainTable]:
    named = visible(wanted)
    if not records:
        names = ", ".join(files.names)
        raise UserError(f"no record of {named} in {names}: give the files of all decision points of that time")
    decisions = [one for one in records.values() if one[0].get("kind") in DECISIONS]
    if not decisions:
        raise UserError(f"{named} is not a decision on one call: there is nothing to explain")
    if len(decisions) > 1:
        raise UserError(f"{len(decisions)} records of {named}: choose one with --item")
    return decisions[0]


def _texts(source: str, audit: LogAudit) -> PolicyTexts:
    """Return the texts of the ledger that was read, or of files. Raises `UserError`."""
    return policytexts.read_texts(source) if source != LEDGER else texts_of_ledger(audit)


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
    settings = (opening or {}).get("settings")
    return isinstance(settings, dict) and settings.get("development") is True


def count_unproven(counts: Mapping[str, int]) -> int:
    """Return how many of the records that were counted are allows that could not be derived."""
    return sum(count for code, count in counts.items() if code.startswith(f"{DerivationClass.UNPROVEN}:"))


def _place(line: ChainLine) -> str:
    return f"{line.link.id} {line.link.seq}"


def _claim(record: Mapping[str, Any]) -> str:
    """Return the verdict that a record has."""
    return (
        f"the record of {record.get('evaluation_id')} says {record.get('reason')} by {rule_named(record.get('policy'))}"
    )


def _sentence(record: Mapping[str, Any], found: Derivation) -> str:
    """Return what is wrong with a record that the engine contradicts, or that no process writes."""
    if found.obstacle is not None:
        wrong = UNWRITTEN[found.obstacle]
        return visible(f"no process of this version writes such a record of {record.get('evaluation_id')}: {wrong}")
    said = _claim(record)
    answer = found.answer
    if answer is None:
        return visible(said)
    different = differences(record, answer)
    if any(one.member in _OF_A_VERDICT for one in different):
        said += f"; the engine says {answer.reason} by {NO_RULE if answer.rule is None else '/'.join(answer.rule)}"
    others = [str(one) for one in different if one.member not in _OF_A_VERDICT]
    return visible("; ".join([said, *others]))
