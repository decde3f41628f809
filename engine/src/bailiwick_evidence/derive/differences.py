"""The members in which a record differs from the engine's answer, for a person to read.

Standing: over `derivation`, under the command line. Holds: a contradicted record has at least one such member.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasonrow import Disposition
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import EngineAnswer

NO_RULE: Final = "no rule"


class MemberDifference(NamedTuple):
    """A member of a record, its recorded value, and the engine's value."""

    member: str
    recorded: str
    engine: str

    def __str__(self) -> str:
        """Return the difference as a part of a sentence."""
        return f"{self.member} is {self.recorded} in the record, but {self.engine} by the engine"


def differences(record: Mapping[str, Any], answer: EngineAnswer) -> tuple[MemberDifference, ...]:
    """Return the members in which a record differs, in the order of `docs/reference/record.md`."""
    allowed = answer.outcome == Outcome.ALLOW and record.get("kind") == "evaluation"
    forbidden = answer.outcome == Outcome.FORBIDDEN
    recorded_forbidden = record.get("disposition_id") == Disposition.UNAUTHORIZED
    members = {
        "decision": (_text(record.get("decision")), _text(allowed)),
        "reason": (_text(record.get("reason")), answer.reason),
        "disposition_id": (_disposition(recorded_forbidden), _disposition(forbidden)),
        "policy": (rule_named(record.get("policy")), "/".join(answer.rule) if answer.rule else NO_RULE),
        "hop": (_text(record.get("hop")), _text(answer.hop)),
        "audit": (_audit(record.get("audit")), _rule_list(answer.audit)),
        "dry_run": (_text(record.get("dry_run")), _text(answer.dry_run)),
    }
    if answer.gated and record.get("reason") == Reason.ALLOWED:
        # The engine does not decide whether a grant let the call through.
        members["decision"] = (_text(record.get("decision")), _text(record.get("kind") == "evaluation"))
        grant = record.get("grant")
        name = grant.get("name") if isinstance(grant, Mapping) else None
        members["grant"] = (_text(name), "one that this gate accepts for this call")
    elif answer.gated:
        members["decision"] = (_text(record.get("decision")), "false")
    if answer.uncounted:
        members["history"] = ("without them", f"counted in {', '.join(answer.uncounted)}")
    differing = tuple(MemberDifference(name, *both) for name, both in members.items() if both[0] != both[1])
    # The record of a call that reached the rules must contain it.
    return differing or (MemberDifference("subject", _text(record.get("subject")), "a known party"),)


def rule_named(policy: object) -> str:
    """Return the policy and the rule in a record."""
    return f"{policy.get('name')}/{policy.get('rule')}" if isinstance(policy, Mapping) else NO_RULE


def _disposition(forbidden: bool) -> str:  # noqa: FBT001 - what is said of one
    unauthorized = str(Disposition.UNAUTHORIZED.value)
    return unauthorized if forbidden else f"another than {unauthorized}"


def _audit(rules: object) -> str:
    listed = rules if isinstance(rules, list) else ()
    return _rule_list(
        [str(one.get(key)) for key in ("policy", "rule", "effect")] for one in listed if isinstance(one, Mapping)
    )


def _rule_list(rules: Iterable[Iterable[str]]) -> str:
    return ", ".join("/".join(rule) for rule in rules) or "absent"


def _text(value: object) -> str:
    if value is None:
        return "absent"
    return str(value).lower() if isinstance(value, bool) else str(value)
