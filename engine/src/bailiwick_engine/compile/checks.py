"""Checks of a policy that the schema cannot express, or that repeat the schema for files that no API server has seen.

Holds: each returns problems with their paths; none raises.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from bailiwick_api.kinds.approvalgrant import MAX_REASON
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule, Subject
from bailiwick_api.kinds.enforcers import Enforcer
from bailiwick_api.times import stamp
from bailiwick_engine.cel.absence import silent_without
from bailiwick_engine.cel.cost.estimate import LIMIT
from bailiwick_engine.cel.cost.functions import pattern_cost
from bailiwick_engine.cel.cost.polynomials import constant, value
from bailiwick_engine.cel.expressions import matches_whole
from bailiwick_engine.compile import approvable, historychecks, kubenames
from bailiwick_engine.compile.routes import route_warnings
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.subject import keys_of
from bailiwick_engine.policy.dimensions.table import rule_problems
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.problem import Problem


def problems(spec: EndpointPolicySpec, name: str) -> list[Problem]:
    """Return every problem of a policy of this name but those of expressions."""
    names = {subject.name for subject in spec.subjects}
    found = _replacing(spec, name) + _repeated_names(spec)
    for index, subject in enumerate(spec.subjects):
        found += _subject(spec, subject, f"spec.subjects[{index}]")
    delegation = spec.endpoint_settings.delegation if spec.endpoint_settings else None
    for index, enforcer in enumerate(spec.endpoint_settings.enforcers if spec.endpoint_settings else ()):
        found += _enforcer(enforcer, f"spec.endpointSettings.enforcers[{index}]")
    if delegation is not None:
        found += _unknown(delegation.principals, names, "spec.endpointSettings.delegation.principals")
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        found += _unknown(rule.subjects, names, f"{path}.subjects") + _misused(rule, path)
        found += rule_problems(rule, path)
        found += approvable.problems(rule, path)
    return found


def warnings(spec: EndpointPolicySpec) -> list[Problem]:
    """Return what compiles and is likely not what was meant, but for conditions."""
    advisory = [
        Problem(
            f"spec.subjects[{index}].workload",
            "a podSelector alone is advisory, because anyone who can create pods chooses their labels: add"
            " imageDigests",
        )
        for index, subject in enumerate(spec.subjects)
        if subject.workload is not None and subject.workload.image_digests is None
    ]
    http = spec.endpoint_settings.http if spec.endpoint_settings else None
    routes = [] if http is None else route_warnings(http)
    counted = list(historychecks.warnings(spec))
    return advisory + _excluding(spec) + approvable.warnings(spec) + kubenames.warnings(spec) + routes + counted


@dataclass(frozen=True, slots=True)
class Expiry:
    """A problem of a policy from `time` on, in seconds since the epoch."""

    time: float
    problem: Problem


def expiries(spec: EndpointPolicySpec) -> tuple[Expiry, ...]:
    """Return what expires, the policy or single rules of it, and what each then no longer does."""
    found = []
    if (end := spec.expire_time) is not None:
        problem = Problem("spec.expireTime", expiry_message(end))
        found.append(Expiry(end.timestamp(), problem))
    for index, rule in enumerate(spec.rules):
        if (end := rule.expire_time) is not None:
            then = "it no longer allows any call" if rule.effect == "Allow" else "it denies every call that it covers"
            problem = Problem(f"spec.rules[{index}].expireTime", f"rule {rule.name} expired at {stamp(end)}: {then}")
            found.append(Expiry(end.timestamp(), problem))
    return tuple(found)


def expiry_message(end: datetime) -> str:
    """Return the message for a whole policy that has expired."""
    return f"expired at {stamp(end)}: Allow rules no longer match, RequireApproval rules deny, Deny rules stay"


def permissive(spec: EndpointPolicySpec, rules: Sequence[CompiledRule]) -> list[Problem]:
    """Return the conditions that hold a Deny or a gate off where the caller only leaves something out."""
    found = []
    for index, (rule, compiled) in enumerate(zip(spec.rules, rules, strict=True)):
        if rule.effect == "Allow":
            continue
        what = "Deny" if rule.effect == "Deny" else "gate"
        for number, condition in enumerate(compiled.conditions):
            attributes = silent_without(*compiled.scope.trees(condition.expression))
            if attributes:
                without = ", ".join(attributes)
                found.append(
                    Problem(
                        f"spec.rules[{index}].conditions[{number}].expression",
                        f"condition {condition.name} of rule {rule.name} is false for a call without {without}, so a"
                        f" caller can bypass the {what} by omitting it: make the condition true if it is absent, for"
                        f" example `!has({attributes[0]}) || ...`, or read it without a default",
                        1,
                        1,
                    )
                )
    return found


def _excluding(spec: EndpointPolicySpec) -> list[Problem]:
    """Two gates before one call are met by one intent; where they share none, nothing passes both, approved or not."""
    gates = [
        (index, rule) for index, rule in enumerate(spec.rules) if rule.effect == "RequireApproval" and rule.intents
    ]
    keys = {subject.name: keys_of(subject) for subject in spec.subjects}
    found = []
    for (_, one), (index, other) in combinations(gates, 2):
        if set(one.intents or ()) & set(other.intents or ()) or not _meet(one, other, keys):
            continue
        found.append(
            Problem(
                f"spec.rules[{index}].intents",
                f"rules {one.name} and {other.name} can gate the same call but share no intent, so the call is always"
                " denied: give both rules a common intent, or separate their subjects, actions or resources",
            )
        )
    return found


def _meet(one: Rule, other: Rule, keys: Mapping[str, frozenset[Key]]) -> bool:
    """Tell whether two rules may speak of one call, by what they list."""
    named = [{key for name in rule.subjects for key in keys.get(name, ())} for rule in (one, other)]
    if named[0].isdisjoint(named[1]) or not NameSet.of(one.actions).overlaps(NameSet.of(other.actions)):
        return False
    return any(
        left.type == right.type
        and NameSet.of(left.ids).overlaps(NameSet.of(right.ids))
        and all(
            not set(values).isdisjoint((right.properties or {}).get(name, values))
            for name, values in (left.properties or {}).items()
        )
        for left in one.resources
        for right in other.resources
    )


def _replacing(spec: EndpointPolicySpec, name: str) -> list[Problem]:
    if spec.replaces is None:
        return []
    if spec.mode != "Audit":
        return [Problem("spec.replaces", "replaces is allowed only with mode Audit")]
    return [Problem("spec.replaces", "a policy cannot replace itself")] if spec.replaces == name else []


def _repeated_names(spec: EndpointPolicySpec) -> list[Problem]:
    """Of two subjects of one name only one would be meant, and one reviewer would fill two steps of one name."""
    lists: list[tuple[str, list[str]]] = [
        ("spec.subjects", [subject.name for subject in spec.subjects]),
        ("spec.variables", [variable.name for variable in spec.variables or ()]),
        ("spec.rules", [rule.name for rule in spec.rules]),
    ]
    if spec.endpoint_settings is not None:
        histories = spec.endpoint_settings.history or ()
        lists.append(("spec.endpointSettings.history", [history.name for history in histories]))
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        lists.append((f"{path}.conditions", [condition.name for condition in rule.conditions or ()]))
        if rule.approval is not None:
            lists.append((f"{path}.approval.steps", [step.name for step in rule.approval.steps]))
    return [
        Problem(f"{path}[{index}].name", f"an earlier entry already has this name: {name!r}")
        for path, names in lists
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _subject(spec: EndpointPolicySpec, subject: Subject, path: str) -> list[Problem]:
    found = []
    kinds = (subject.service_account, subject.user, subject.group, subject.entity)
    if sum(kind is not None for kind in kinds) != 1:
        found.append(Problem(path, "a subject must have exactly one of serviceAccount, user, group, entity"))
    if subject.workload is not None and subject.service_account is None:
        found.append(Problem(f"{path}.workload", "workload is allowed only with serviceAccount"))
    if subject.workload and not (subject.workload.image_digests or subject.workload.pod_selector):
        found.append(Problem(f"{path}.workload", "workload needs imageDigests, podSelector or both"))
    identity = spec.endpoint_settings.identity if spec.endpoint_settings else None
    if subject.entity and spec.endpoint_settings and (identity is None or identity.verification != "Asserted"):
        found.append(Problem(f"{path}.entity", "a subject with entity needs identity.verification: Asserted"))
    return found


def _enforcer(enforcer: Enforcer, path: str) -> list[Problem]:
    named = (enforcer.namespace is not None, enforcer.name is not None)
    if enforcer.certificate is None:
        ok = all(named)
    else:
        ok = not any(named) and (enforcer.certificate.spiffe is None) != (enforcer.certificate.dns is None)
    message = "an enforcer is a service account, by namespace and name, or a certificate by exactly one of spiffe, dns"
    return [] if ok else [Problem(path, message)]


def _unknown(listed: Collection[str], names: Collection[str], path: str) -> list[Problem]:
    return [
        Problem(f"{path}[{index}]", f"spec.subjects has no subject with this name: {name!r}")
        for index, name in enumerate(listed)
        if name not in names
    ]


def _misused(rule: Rule, path: str) -> list[Problem]:
    found = []
    if (rule.effect == "RequireApproval") != (rule.approval is not None):
        found.append(
            Problem(
                f"{path}.approval",
                "approval is required with effect RequireApproval, and not allowed with any other effect",
            )
        )
    if rule.approval and rule.approval.reason and rule.approval.reason.pattern:
        found += _pattern(rule.approval.reason.pattern, f"{path}.approval.reason.pattern")
    return found


def _pattern(pattern: str, path: str) -> list[Problem]:
    if value(pattern_cost(pattern, constant(MAX_REASON)), {}) > LIMIT:
        message = (
            "matching this pattern could take longer than a decision is allowed to: use fewer repetitions and no"
            " Unicode classes"
        )
        return [Problem(path, message, costly=True)]
    tried = matches_whole(pattern, "")
    return [Problem(path, tried.message)] if isinstance(tried, Problem) else []
