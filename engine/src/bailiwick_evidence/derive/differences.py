"""In which members a record differs from what the engine says of its call, for a person to read.

Standing: over `derivation`, under the command line. Holds: of a record that the engine contradicts at least one member
is named.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Disposition, Reason
from bailiwick_evidence.derive.derivation import EngineAnswer

NO_RULE: Final = "no rule"


class MemberDifference(NamedTuple):
    """A member of a record, what stands there, and what the engine says in its place."""

    member: str
    recorded: str
    engine: str

    def __str__(self) -> str:
        """Say it in a part of a sentence."""
        return f"{self.member} is {self.recorded} in the record and {self.engine} by the engine"


def differences(record: Mapping[str, Any], answer: EngineAnswer) -> tuple[MemberDifference, ...]:
    """Return in which members a record differs, in the order of `docs/reference/record.md`."""
    allowed = answer.outcome == Outcome.ALLOW and record.get("kind") == "evaluation"
    forbidden = answer.outcome == Outcome.FORBIDDEN
    recorded_forbidden = record.get("disposition_id") == Disposition.UNAUTHORIZED
    told = {
        "decision": (_text(record.get("decision")), _text(allowed)),
        "reason": (_text(record.get("reason")), answer.reason),
        "disposition_id": (_disposition(recorded_forbidden), _disposition(forbidden)),
        "policy": (rule_named(record.get("policy")), "/".join(answer.rule) if answer.rule else NO_RULE),
        "hop": (_text(record.get("hop")), _text(answer.hop)),
        "audit": (_audit(record.get("audit")), _listed(answer.audit)),
        "dry_run": (_text(record.get("dry_run")), _text(answer.dry_run)),
    }
    if answer.gated and record.get("reason") == Reason.ALLOWED:
        # Whether a grant let the call through is not the engine's word.
        told["decision"] = (_text(record.get("decision")), _text(record.get("kind") == "evaluation"))
        grant = record.get("grant")
        name = grant.get("name") if isinstance(grant, Mapping) else None
        told["grant"] = (_text(name), "one that this gate takes for this call")
    elif answer.gated:
        told["decision"] = (_text(record.get("decision")), "false")
    found = tuple(MemberDifference(name, *both) for name, both in told.items() if both[0] != both[1])
    # What else must be on record of a call that came as far as to the rules.
    return found or (MemberDifference("subject", _text(record.get("subject")), "a party that is known"),)


def rule_named(policy: object) -> str:
    """Return the policy and the rule that a record names."""
    return f"{policy.get('name')}/{policy.get('rule')}" if isinstance(policy, Mapping) else NO_RULE


def _disposition(forbidden: bool) -> str:  # noqa: FBT001 - what is said of one
    unauthorized = str(Disposition.UNAUTHORIZED.value)
    return unauthorized if forbidden else f"another than {unauthorized}"


def _audit(rules: object) -> str:
    listed = rules if isinstance(rules, list) else ()
    return _listed(
        [str(one.get(key)) for key in ("policy", "rule", "effect")] for one in listed if isinstance(one, Mapping)
    )


def _listed(rules: Iterable[Iterable[str]]) -> str:
    return ", ".join("/".join(rule) for rule in rules) or "absent"


def _text(value: object) -> str:
    if value is None:
        return "absent"
    return str(value).lower() if isinstance(value, bool) else str(value)
