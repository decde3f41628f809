"""The validity: until when a rule holds, and whether its policy is suspended.

Holds: a Deny neither expires with its policy nor is switched off by suspending it.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.kinds.endpointpolicy import Rule
from bailiwick_engine.call import Call
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import CallAtom, CallDraft
from bailiwick_engine.policy.dimensions.clause import CallView, Clause, plain_clause
from bailiwick_engine.policy.dimensions.dimension import (
    Aspect,
    Dimension,
    Limit,
    RecordReader,
    RuleSource,
    no_attributes,
    weightless,
)
from bailiwick_engine.problem import Problem
from bailiwick_engine.reasons import Reason

EXPIRY_CLAUSE: Final = "expiry"
SUSPENSION_CLAUSE: Final = "suspension"


@dataclass(frozen=True, eq=False, kw_only=True)
class ValidityPart:
    """`expires`: seconds since the epoch, the earlier of the rule's and its policy's; never on a Deny."""

    __slots__ = ()

    expires: float | None = None
    suspended: bool = False

    def over(self, now: float) -> bool:
        """Tell whether the rule, or its policy, has expired."""
        return self.expires is not None and now >= self.expires


def _compile(source: RuleSource) -> Mapping[str, Any]:
    times = [time.timestamp() for time in (source.rule.expire_time, source.spec.expire_time) if time is not None]
    ends = source.rule.effect != "Deny"
    return {"expires": min(times) if times and ends else None, "suspended": source.suspended and ends}


def _problems(rule: Rule, path: str) -> Iterable[Problem]:
    if rule.effect == "Deny" and rule.expire_time is not None:
        yield Problem(f"{path}.expireTime", "a Deny rule cannot have an expireTime: remove the rule instead")


def _refusal(rule: ValidityPart, _call: Call, now: float) -> Reason | None:
    if rule.suspended:
        return Reason.POLICY_SUSPENDED
    expires = rule.expires
    # As `over`, without the call: this is on a decision's way.
    return Reason.EXPIRED if expires is not None and now >= expires else None


def _limit(rule: ValidityPart) -> Limit | None:
    return None if rule.expires is None and not rule.suspended else _refusal


def _clauses(rule: ValidityPart, view: CallView) -> Iterable[Clause]:
    if rule.expires is not None:
        yield plain_clause(EXPIRY_CLAUSE, held=not rule.over(view.now))
    if rule.suspended:
        yield plain_clause(SUSPENSION_CLAUSE, held=False)


def _atoms(rules: Sequence[ValidityPart], _keys: AbstractSet[Key], now: float) -> Sequence[CallAtom]:
    """Return now, and each end that is to come: at it, the rule is over."""
    ends = sorted({rule.expires for rule in rules if rule.expires is not None and rule.expires > now})
    return (CallAtom(), *map(_from, ends))


def _from(time: float) -> CallAtom:
    def put(draft: CallDraft) -> CallDraft:
        return draft._replace(now=time)

    return CallAtom(datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z"), put)


def _record_reader(rules: Sequence[ValidityPart], _paths: AbstractSet[Path]) -> RecordReader | None:
    ends = sorted({rule.expires for rule in rules if rule.expires is not None})
    if not ends:
        return None

    def read(record: Mapping[str, Any]) -> object:
        return bisect.bisect_right(ends, record["now"])

    return read


VALIDITY: Final = Dimension(
    name="validity",
    part=ValidityPart,
    written=frozenset({"expire_time"}),
    aspect=Aspect.MOMENT,
    region_key="from",
    compile=_compile,
    problems=_problems,
    limit=_limit,
    limits_with=(Reason.POLICY_SUSPENDED, Reason.EXPIRED),
    clauses=_clauses,
    meaning=lambda rule, _: (rule.expires, rule.suspended),
    atoms=_atoms,
    reads=no_attributes,
    record_reader=_record_reader,
    weight=weightless,
    uncounted={
        ("EndpointPolicySpec", "suspend"): "It is judged at each use: a suspended gate denies.",
        ("EndpointPolicySpec", "expire_time"): (
            "It is judged at each use: an expired gate denies. A grant has its own end."
        ),
        ("Rule", "expire_time"): "It is judged at each use: an expired gate denies. A grant has its own end.",
    },
)
