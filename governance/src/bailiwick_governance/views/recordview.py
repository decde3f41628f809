"""A decision that is on record, as people read it: of `explain`, and on the console.

Standing: over `derivations`. Holds: every text of others is escaped; nothing is decided here.
"""

from collections.abc import Iterator
from typing import Any, Final

from bailiwick_engine.approval.display import visible
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.derive.derive import Retrace
from bailiwick_governance.display import Line
from bailiwick_governance.grants.grantview import gate_terms
from bailiwick_governance.records.derivations import RecordDerivation

_FOLLOWS: Final = {
    DerivationClass.DERIVED: "It follows from the policies of that time.",
    DerivationClass.ATTESTED: "It follows from the policies of that time, and from what only the decision point knew.",
}


def record_lines(found: RecordDerivation, retrace: Retrace) -> Iterator[Line]:
    """Yield verdict, reason, call, rule and approval of a record, and from what it follows."""
    record, reason = found.record, Reason(found.record["reason"])
    allowed = record["decision"] is True
    yield [("allow" if allowed else "deny", f"bold {'green' if allowed else 'red'}"), (f"  {reason.value}", "")]
    yield [(visible(sentence(reason, retrace)), "")]
    for title, text in _facts(record, retrace):
        yield [(f"{title}: ", "bold"), (text, "")]
    if found.found is not None:
        yield [(_FOLLOWS[found.found.kind], "")]


def _facts(record: Any, retrace: Retrace) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a record
    subject = record.get("subject")
    yield (
        "Call",
        visible(
            f"{record['action']} on {record['resource']['type']}/{record['resource']['id']}"
            f" by {'somebody who was not proven' if subject is None else subject['id']} at {record['endpoint']}"
        ),
    )
    if (time := record.get("time")) is not None:
        yield "Time", visible(str(time))
    if (policy := record.get("policy")) is not None:
        yield "Rule", visible(f"{policy['name']}/{policy['rule']}")
    if (grant := record.get("grant")) is not None:
        yield "Approval", visible(str(grant["name"]))
    if retrace.verdict.gate is not None:
        yield "It takes", gate_terms(retrace.verdict.gate)


def sentence(reason: Reason, retrace: Retrace) -> str:
    """Return the policy's own word where it is the one of this reason."""
    return retrace.verdict.sentence if retrace.verdict.reason is reason else EXPLAINED[reason].sentence
