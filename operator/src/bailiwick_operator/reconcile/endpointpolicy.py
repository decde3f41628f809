"""What the status of an EndpointPolicy says: whether it compiles, whether its endpoint can be asked about. Pure.

Holds: an endpoint has settings from exactly one policy; where two carry them both are told, and where none does each
policy says what to add. Expiry, suspension and Audit are told, and do not make a policy any less accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bailiwick_api.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.compile import Compilation, compile_policy, parse_spec, policy_ref
from bailiwick_engine.problem import Problem
from bailiwick_operator.reconcile.conditions import Condition, Status, differs, entries, shortened, stamp, truth

OWNED: Final = ("observedGeneration", "digest", "conditions")
TYPES: Final = frozenset({"Accepted", "Ready"})
_TOLD: Final = 5
_MESSAGE: Final = 500
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy's spec as compiled. `spec` is None where it could not even be read."""

    spec: EndpointPolicySpec | None
    compilation: Compilation


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known beside the policy: its compilation, and which policies of the endpoint carry settings."""

    judged: Judged
    carriers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is None where nothing is to be written. `wake`: when time alone changes something."""

    status: Status | None
    wake: datetime | None = None


def judge(policy: Object) -> Judged:
    """Compile a stored policy. The most expensive step; the same for the same uid and generation."""
    spec = parse_spec(policy.get("spec"))
    if isinstance(spec, tuple):
        return Judged(None, Compilation(None, spec))
    return Judged(spec, compile_policy(policy_ref(policy), spec))


def carries_settings(policy: Object) -> bool:
    """Tell whether it carries `endpointSettings`, whether or not they can be read."""
    return "endpointSettings" in _spec(policy)


def endpoint_of(policy: Object) -> str:
    """Return the endpoint that it speaks of; one that cannot be read shares the empty name."""
    endpoint = _spec(policy).get("endpoint")
    return endpoint if isinstance(endpoint, str) else ""


def reconcile(policy: Object, observed: Observed, now: datetime) -> Outcome:
    """Return what the policy's status should be."""
    present: Status = policy.get("status") or {}
    generation: int = policy["metadata"]["generation"]
    spec = observed.judged.spec
    accepted = _accepted(policy, observed)
    wanted: Status = {
        "observedGeneration": generation,
        "conditions": entries([accepted, _ready(accepted, observed, now)], present, generation, now),
    }
    if observed.judged.compilation.policy is not None:
        wanted["digest"] = observed.judged.compilation.policy.digest
    expires = spec.expire_time if spec is not None else None
    return Outcome(
        wanted if differs(wanted, present, OWNED, TYPES) else None,
        expires if expires is not None and expires > now else None,
    )


def _accepted(policy: Object, observed: Observed) -> Condition:
    compilation = observed.judged.compilation
    if compilation.problems:
        return Condition("Accepted", "False", "InvalidPolicy", _listed(compilation.problems))
    if carries_settings(policy) and len(observed.carriers) > 1:
        others = sorted(set(observed.carriers) - {policy["metadata"]["name"]})
        return Condition(
            "Accepted",
            "False",
            "Conflicted",
            f"endpointSettings of {endpoint_of(policy)} stand in {_names(others)} too: exactly one policy of an"
            " endpoint carries them, and until then the endpoint denies everything",
        )
    warnings = f"; warnings: {_listed(compilation.warnings)}" if compilation.warnings else ""
    counted = compilation.policy.rules if compilation.policy is not None else ()
    return Condition("Accepted", "True", "Compiled", f"{_many(len(counted), 'rule')} compiled{warnings}")


def _ready(accepted: Condition, observed: Observed, now: datetime) -> Condition:
    spec = observed.judged.spec
    if accepted.status != "True" or spec is None:
        return Condition("Ready", "False", accepted.reason, accepted.message)
    if not observed.carriers:
        return Condition(
            "Ready",
            "False",
            "EndpointUnconfigured",
            f"no policy of {spec.endpoint} carries spec.endpointSettings, so nobody may ask about it: add"
            " endpointSettings.enforcers to exactly one of them",
        )
    if len(observed.carriers) > 1:
        return Condition(
            "Ready",
            "False",
            "Conflicted",
            f"endpointSettings of {spec.endpoint} stand in {_names(observed.carriers)}: only one policy may carry them",
        )
    reason, message = _in_force(spec, now)
    return Condition("Ready", truth(reason != "Expired"), reason, message)


def _in_force(spec: EndpointPolicySpec, now: datetime) -> tuple[str, str]:
    if spec.expire_time is not None and now >= spec.expire_time:
        return "Expired", (
            f"expired at {stamp(spec.expire_time)}: Allow rules no longer match, RequireApproval rules deny,"
            " Deny rules stay"
        )
    until = f" until {stamp(spec.expire_time)}" if spec.expire_time is not None else ""
    if spec.mode == "Audit":
        return "Audit", f"evaluated and recorded{until}, never part of an answer"
    if spec.suspend:
        return "Suspended", f"suspended{until}: Allow rules do not match, RequireApproval rules deny, Deny rules stay"
    return "Enforced", f"in force{until}"


def _spec(policy: Object) -> Object:
    spec = policy.get("spec")
    return spec if isinstance(spec, dict) else {}


def _listed(problems: Sequence[Problem]) -> str:
    told = "; ".join(shortened(str(problem), _MESSAGE) for problem in problems[:_TOLD])
    return f"{told}; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else told


def _names(names: Sequence[str]) -> str:
    told = ", ".join(sorted(names)[:_TOLD])
    return f"{told} and {len(names) - _TOLD} more" if len(names) > _TOLD else told


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
