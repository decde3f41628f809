"""Compile: an `EndpointPolicy` as the API server stores it, to rules or to problems with their places.

Holds: never raises on a policy, however broken; what does not compile denies its own subjects and nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bailiwick_api.approvalgrant import GrantStep
from bailiwick_api.endpointpolicy import Approval, EndpointPolicy, EndpointPolicySpec, EndpointSettings, Rule, Subject
from bailiwick_engine.binding import sha256
from bailiwick_engine.compiled import (
    BrokenPolicy,
    CompiledCondition,
    CompiledPolicy,
    CompiledResource,
    CompiledRule,
    CompiledSettings,
    Effect,
    Gate,
    PolicyRef,
)
from bailiwick_engine.conditions import Expression, Scope, matches_whole
from bailiwick_engine.names import NameSet
from bailiwick_engine.problem import Problem
from bailiwick_engine.ruledigest import rule_digest

__all__ = ["Compilation", "PolicyRef", "compile_object", "compile_policy", "parse_spec", "policy_ref", "salvaged"]


@dataclass(frozen=True, slots=True)
class Compilation:
    """`policy` where there are no `problems`, else None. `warnings` never stand in the way."""

    policy: CompiledPolicy | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def policy_ref(raw: Mapping[str, Any]) -> PolicyRef:
    """Return the reference of a stored object."""
    metadata = raw["metadata"]
    return PolicyRef(metadata["namespace"], metadata["name"], metadata["uid"], int(metadata.get("generation", 0)))


def parse_spec(raw: object) -> EndpointPolicySpec | tuple[Problem, ...]:
    """Parse a stored `spec`. Returns the problems, with the paths of what is wrong, instead of raising."""
    try:
        return EndpointPolicy.from_spec(raw).spec
    except ValidationError as error:
        return tuple(Problem(_path(entry["loc"]), entry["msg"]) for entry in error.errors())


def compile_object(raw: Mapping[str, Any]) -> CompiledPolicy | BrokenPolicy:
    """Compile a stored object for the snapshot; a broken one says whom it denies."""
    ref = policy_ref(raw)
    spec = parse_spec(raw.get("spec"))
    if isinstance(spec, tuple):
        return salvaged(ref, raw.get("spec"))
    compilation = compile_policy(ref, spec)
    if compilation.policy is not None:
        return compilation.policy
    return BrokenPolicy(
        ref,
        spec.endpoint,
        frozenset(subject.service_account.username for subject in spec.subjects),
        audit=spec.mode == "Audit",
        settings=_settings(ref, spec.endpoint, spec.endpoint_settings),
        carries_settings=spec.endpoint_settings is not None,
    )


def compile_policy(ref: PolicyRef, spec: EndpointPolicySpec) -> Compilation:
    """Compile a parsed policy: every expression, and what the schema alone cannot say."""
    scope = Scope(spec.variables or ())
    problems = _repeated(spec) + list(scope.problems)
    usernames = {subject.name: subject.service_account.username for subject in spec.subjects}
    digest = sha256(spec.model_dump(mode="json", exclude_none=True))
    rules = []
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        problems += _unknown_subjects(rule, usernames, path) + _misused(rule, path)
        conditions, found = _conditions(rule, scope, path)
        problems += found
        if not problems:
            rules.append(_rule(ref, spec, rule, usernames, digest, scope, conditions))
    if problems:
        return Compilation(None, tuple(problems))
    settings = _settings(ref, spec.endpoint, spec.endpoint_settings)
    return Compilation(CompiledPolicy(ref, spec.endpoint, digest, settings, tuple(rules)))


def _rule(
    ref: PolicyRef,
    spec: EndpointPolicySpec,
    rule: Rule,
    usernames: Mapping[str, str],
    digest: str,
    scope: Scope,
    conditions: tuple[CompiledCondition, ...],
) -> CompiledRule:
    effect = Effect(rule.effect)
    times = [time.timestamp() for time in (rule.expire_time, spec.expire_time) if time is not None]
    subjects = frozenset(usernames[name] for name in rule.subjects)
    used = scope.used_by([condition.expression for condition in conditions])
    return CompiledRule(
        policy=ref,
        policy_digest=digest,
        name=rule.name,
        effect=effect,
        subjects=subjects,
        actions=NameSet.of(rule.actions),
        resources=tuple(
            CompiledResource(
                entry.type,
                NameSet.of(entry.ids),
                {name: frozenset(values) for name, values in (entry.properties or {}).items()},
            )
            for entry in rule.resources
        ),
        intents=frozenset(rule.intents) if rule.intents else None,
        conditions=conditions,
        scope=scope,
        # A Deny neither expires with its policy nor is switched off by suspending it.
        expires=min(times) if times and effect is not Effect.DENY else None,
        suspended=spec.suspend and effect is not Effect.DENY,
        audit=spec.mode == "Audit",
        gate=_gate(ref, rule, rule.approval, rule_digest(spec.endpoint, rule, subjects, used))
        if rule.approval
        else None,
    )


def _gate(ref: PolicyRef, rule: Rule, approval: Approval, digest: str) -> Gate:
    return Gate(
        policy=ref.name,
        policy_uid=ref.uid,
        rule=rule.name,
        rule_digest=digest,
        steps=tuple(
            GrantStep(
                name=f"{ref.name}.{rule.name}.{step.name}",
                policy=ref.name,
                kind=step.kind,
                groups=step.groups,
                count=step.count,
            )
            for step in approval.steps
        ),
        pending_seconds=approval.pending_seconds,
        window_seconds=approval.window_seconds,
        max_uses=approval.max_uses,
        reason=approval.reason,
    )


def _settings(ref: PolicyRef, endpoint: str, settings: EndpointSettings | None) -> CompiledSettings | None:
    if settings is None:
        return None
    identity = settings.identity
    audiences = identity.audiences if identity and identity.audiences else [f"{endpoint}.{ref.namespace}"]
    return CompiledSettings(ref, frozenset(account.username for account in settings.enforcers), frozenset(audiences))


def _conditions(rule: Rule, scope: Scope, path: str) -> tuple[tuple[CompiledCondition, ...], list[Problem]]:
    compiled: list[CompiledCondition] = []
    problems: list[Problem] = []
    for index, condition in enumerate(rule.conditions or ()):
        result = scope.condition(condition.expression, f"{path}.conditions[{index}].expression")
        if isinstance(result, Expression):
            compiled.append(CompiledCondition(condition.name, result, condition.message))
        else:
            problems += result
    return tuple(compiled), problems


def _repeated(spec: EndpointPolicySpec) -> list[Problem]:
    """Judge again what the CRD's own lists keep out: standalone files have no API server before them.

    Of two subjects of one name only one would be meant, and one reviewer would fill two steps of one name.
    """
    lists: list[tuple[str, list[str]]] = [
        ("spec.subjects", [subject.name for subject in spec.subjects]),
        ("spec.variables", [variable.name for variable in spec.variables or ()]),
        ("spec.rules", [rule.name for rule in spec.rules]),
    ]
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        lists.append((f"{path}.conditions", [condition.name for condition in rule.conditions or ()]))
        if rule.approval is not None:
            lists.append((f"{path}.approval.steps", [step.name for step in rule.approval.steps]))
    return [
        Problem(f"{path}[{index}].name", f"the name is taken by an earlier entry: {name!r}")
        for path, names in lists
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _unknown_subjects(rule: Rule, usernames: Mapping[str, str], path: str) -> list[Problem]:
    return [
        Problem(f"{path}.subjects[{index}]", f"no subject of this name in spec.subjects: {name!r}")
        for index, name in enumerate(rule.subjects)
        if name not in usernames
    ]


def _misused(rule: Rule, path: str) -> list[Problem]:
    problems = []
    if (rule.effect == "RequireApproval") != (rule.approval is not None):
        problems.append(Problem(f"{path}.approval", "approval goes with effect RequireApproval, and only with it"))
    if rule.effect == "Deny" and rule.expire_time is not None:
        problems.append(Problem(f"{path}.expireTime", "a Deny rule cannot expire: remove the rule instead"))
    if rule.effect == "Deny" and rule.intents:
        problems.append(Problem(f"{path}.intents", "a Deny rule has no intents"))
    if rule.approval and rule.approval.reason and rule.approval.reason.pattern:
        tried = matches_whole(rule.approval.reason.pattern, "")
        if isinstance(tried, Problem):
            problems.append(Problem(f"{path}.approval.reason.pattern", tried.message))
    return problems


def salvaged(ref: PolicyRef, spec: object) -> BrokenPolicy:
    """Read of an unreadable spec what says whom it concerns; each part that cannot be read makes the denial wider."""
    members = spec if isinstance(spec, Mapping) else {}
    endpoint = members.get("endpoint")
    try:
        # An empty list names nobody whom the rules could speak of: it says as little as an unreadable one.
        subjects = (
            frozenset(
                subject.service_account.username for subject in _SUBJECTS.validate_python(members.get("subjects"))
            )
            or None
        )
    except ValidationError:
        subjects = None
    carries_settings = "endpointSettings" in members
    settings = None
    if carries_settings and isinstance(endpoint, str):
        try:
            parsed = EndpointSettings.model_validate(members["endpointSettings"])
        except ValidationError:
            # The snapshot denies an endpoint whose carrier has no settings that can be read.
            settings = None
        else:
            settings = _settings(ref, endpoint, parsed)
    return BrokenPolicy(
        ref,
        endpoint if isinstance(endpoint, str) else None,
        subjects,
        audit=members.get("mode") == "Audit",
        settings=settings,
        carries_settings=carries_settings,
    )


_SUBJECTS = TypeAdapter(list[Subject])


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")
