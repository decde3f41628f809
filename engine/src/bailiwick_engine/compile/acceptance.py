"""Acceptance: whether a policy is accepted, and if not, the message that says why.

Standing: the operator writes it into the condition Accepted, admission answers with it, and the command line prints it.
Holds: pure; the same policy in the same surroundings has the same result for every caller. Problems of the policy
itself come before problems of its surroundings. A policy over budget is not compiled, so that is its only problem.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bailiwick_engine.budget.ledger import MIB, Excess, Limit
from bailiwick_engine.compile.checks import Expiry, expiries
from bailiwick_engine.compile.policies import compilation_steps, parse_steps
from bailiwick_engine.compile.reviewers import NOBODY, People, people_of, unmapped_issuers
from bailiwick_engine.policy.model import CompiledPolicy, PolicyRef, SettingsMeaning
from bailiwick_engine.policy.replacements import replaced_by
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps, whole

_LISTED: Final = 5
_MESSAGE: Final = 500


class NotAcceptedReason(StrEnum):
    """Why a policy is not accepted; the reason of the condition."""

    INVALID = "InvalidPolicy"
    CONFLICTED = "Conflicted"
    TOO_COSTLY = "TooCostly"
    UNMAPPED = "UnmappedIssuer"
    OVER_BUDGET = "OverBudget"


@dataclass(frozen=True, slots=True)
class CompilationSummary:
    """The reported parts of a compilation, without the compiled rules, which are large.

    `gives`: it has a rule that can let a call through. `gated`: the actions of its RequireApproval rules, in order.
    `digests`: of each RequireApproval rule by its name, as the policy alone has it; `meaning`: what the settings that
    it carries make of an approval, None where it carries none.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    digest: str | None = None
    rules: int = 0
    audit: bool = False
    suspend: bool = False
    expire_time: datetime | None = None
    people: People = NOBODY
    expiries: tuple[Expiry, ...] = ()
    gives: bool = False
    gated: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    meaning: SettingsMeaning | None = None


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What is known beside a policy.

    `others`: the names of the other policies that carry the settings of its endpoint. `principals`: the issuers of
    parties on whose behalf others can act there. `issuers`: for each configured one, whether it has a
    `kubernetesUsername`; None if the configuration is unknown. `excess`: the budget that the policy exceeds.
    """

    others: Collection[str] = ()
    principals: Collection[str] = ()
    issuers: Mapping[str, bool] | None = None
    excess: Excess | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a policy is not accepted, for programs and for people."""

    why: NotAcceptedReason
    message: str


def judge(ref: PolicyRef, spec: object) -> CompilationSummary:
    """Compile a policy as it is written. The most expensive step; the same for the same uid and generation."""
    return whole(judge_steps(ref, spec))


def judge_steps(ref: PolicyRef, spec: object) -> Steps[CompilationSummary]:
    """Compile it likewise, an expression or a rule a step."""
    parsed = yield from parse_steps(spec)
    if isinstance(parsed, tuple):
        return CompilationSummary(parsed)
    compilation = yield from compilation_steps(ref, parsed)
    return CompilationSummary(
        compilation.problems,
        compilation.warnings,
        compilation.policy.digest if compilation.policy is not None else None,
        len(parsed.rules),
        parsed.mode == "Audit",
        parsed.suspend,
        parsed.expire_time,
        people_of(parsed),
        expiries(parsed),
        # A suspended policy lets no call through, Audit mode decides nothing, and a Deny gives nothing.
        parsed.mode == "Enforce" and not parsed.suspend and any(rule.effect != "Deny" for rule in parsed.rules),
        tuple(sorted({action for rule in parsed.rules if rule.effect == "RequireApproval" for action in rule.actions})),
        _digests(compilation.policy),
        None
        if compilation.policy is None or compilation.policy.settings is None
        else compilation.policy.settings.meaning,
    )


def _digests(policy: CompiledPolicy | None) -> dict[str, str]:
    rules = () if policy is None else policy.rules
    return {rule.name: known.rule_digest for rule in rules if rule.gate is not None for known in rule.gate.rules}


def refusal(judged: CompilationSummary, endpoint: str, around: PolicyContext, *, carries: bool) -> Refusal | None:
    """Return why a policy of this endpoint is not accepted; None where it is. `carries`: it has `endpointSettings`."""
    if around.excess is not None:
        return over_budget(around.excess)
    if judged.problems:
        costly = all(problem.costly for problem in judged.problems)
        return Refusal(
            NotAcceptedReason.TOO_COSTLY if costly else NotAcceptedReason.INVALID, list_problems(judged.problems)
        )
    if carries and around.others:
        return Refusal(
            NotAcceptedReason.CONFLICTED,
            conflict_message(endpoint, around.others),
        )
    if (wrong := unmapped_issuers(judged.people, around.principals, around.issuers)) is not None:
        return Refusal(NotAcceptedReason.UNMAPPED, wrong)
    return None


def conflict_message(endpoint: str, others: Collection[str]) -> str:
    """Return the message for a policy with settings that these policies have too."""
    return (
        f"endpointSettings for {endpoint} are also in {list_names(others)}: keep them in exactly one policy; until then"
        " the endpoint denies every call"
    )


def unconfigured_message(endpoint: str) -> str:
    """Return the message for an endpoint whose settings are in no policy."""
    return (
        f"no policy of {endpoint} has spec.endpointSettings, so no enforcer can request decisions: add"
        " endpointSettings.enforcers to exactly one of its policies"
    )


def over_budget(excess: Excess) -> Refusal:
    """Return the refusal of a policy that is over budget: what is taken, by how much it is over, and what to do."""
    return Refusal(NotAcceptedReason.OVER_BUDGET, _budget_message(excess))


def _budget_message(excess: Excess) -> str:
    needs, used, most = _size(excess.needs), _size(excess.used), _size(excess.most)
    over = f"{_size(excess.needs + excess.used - excess.most)} over the limit"
    match excess.limit:
        case Limit.POLICY:
            return (
                f"the compiled policy needs {needs}, and the limit for one policy is {most} ({over}): shorten its"
                " conditions, or split it into several policies"
            )
        case Limit.POLICIES:
            return (
                f"the namespace has {excess.used} other policies, and the limit is {excess.most} policies in total:"
                " delete policies that you do not need, or combine the rules of several policies into one"
            )
        case Limit.TEXT:
            return (
                f"the spec needs {needs} as JSON, and the other specs of the namespace use {used} of the namespace's"
                f" limit of {most} ({over}): delete policies that you do not need, or shorten them"
            )
        case Limit.NAMESPACE | Limit.SHARE:
            namespace = excess.limit is Limit.NAMESPACE
            whose = "namespace's limit" if namespace else "namespace's share (the decision point is full)"
            return (
                f"the compiled policy needs {needs}, and the other policies of the namespace use {used} of the {whose}"
                f" of {most} ({over}): delete policies that you do not need, shorten them, or ask an administrator for"
                " a larger budget"
            )


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count / 1024:.1f} KiB"


def carries_settings(spec: object) -> bool:
    """Tell whether a spec carries `endpointSettings`, whether or not they can be read. A candidate's hold nowhere."""
    return isinstance(spec, Mapping) and "endpointSettings" in spec and replaced_by(spec) is None


def endpoint_of(spec: object) -> str:
    """Return the endpoint that a spec speaks of; those of which it cannot be read share the empty name."""
    endpoint: Any = spec.get("endpoint") if isinstance(spec, Mapping) else None
    return endpoint if isinstance(endpoint, str) else ""


def list_problems(problems: Sequence[Problem]) -> str:
    """Return problems in one sentence: the first ones, each cut to what can be read, and how many more there are."""
    listed = "; ".join(shorten(str(problem), _MESSAGE) for problem in problems[:_LISTED])
    return f"{listed}; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else listed


def list_names(names: Collection[str]) -> str:
    """Return names in order: the first ones, and how many more there are."""
    listed = ", ".join(sorted(names)[:_LISTED])
    return f"{listed} and {len(names) - _LISTED} more" if len(names) > _LISTED else listed


def shorten(message: str, length: int) -> str:
    """Cut a message to a length."""
    return message if len(message) <= length else message[: length - 1] + "…"
