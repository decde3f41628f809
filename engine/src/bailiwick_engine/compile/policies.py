"""Compile: an `EndpointPolicy` as the API server stores it, to rules or to problems with their paths.

Holds: never raises on a policy, however broken; a policy that does not compile denies its own subjects and no others.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bailiwick_api.kinds.endpointpolicy import (
    CeilingEntry,
    EndpointPolicy,
    EndpointPolicySpec,
    EndpointSettings,
    Rule,
    Subject,
)
from bailiwick_api.kinds.histories import HistoryDefinition
from bailiwick_api.kinds.httproutes import HttpRoute
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.datascope import scope_steps
from bailiwick_engine.compile import approvable, checks, schemaerrors
from bailiwick_engine.compile.conditions import compile_conditions
from bailiwick_engine.compile.policydigest import policy_digest
from bailiwick_engine.compile.ruledigest import rule_digest
from bailiwick_engine.compile.settings import compile_settings
from bailiwick_engine.compile.subjects import RuleSubjects, Subjects
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.dimension import RuleSource
from bailiwick_engine.policy.dimensions.subject import keys_of
from bailiwick_engine.policy.dimensions.table import compiled_parts, reads_beside_resource
from bailiwick_engine.policy.model import (
    BrokenPolicy,
    CompiledCondition,
    CompiledPolicy,
    CompiledRule,
    CompiledSettings,
    PolicyRef,
)
from bailiwick_engine.policy.replacements import candidate_for, replaced_by
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps, whole

__all__ = [
    "Compilation",
    "PolicyRef",
    "compilation_steps",
    "compile_object",
    "compile_policy",
    "compile_steps",
    "parse_spec",
    "parse_steps",
    "policy_ref",
    "problem_steps",
    "salvage",
]


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
        return schemaerrors.problems(error, EndpointPolicy)


def parse_steps(raw: object) -> Steps[EndpointPolicySpec | tuple[Problem, ...]]:
    """Parse a stored `spec` likewise, an entry of a long list a step: they may hold a million characters."""
    spec = raw
    for path, entry_type in _LONG_LISTS:
        listed = _member(spec, path)
        parsed: list[object] = []
        for entry in listed if isinstance(listed, list) else ():
            try:
                parsed.append(entry_type.validate_python(entry))
            except ValidationError:
                # So that all problems are reported, with the same messages and in the same order.
                return parse_spec(raw)
            yield
        if parsed:
            spec = _with_member(spec, path, parsed)
    return parse_spec(spec)


def _member(value: object, path: Sequence[str]) -> object:
    """Return what stands at a path; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with_member(value: Any, path: Sequence[str], member: object) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with another member at a path where there is one."""
    return {**value, path[0]: _with_member(value[path[0]], path[1:], member)} if path else member


def compile_object(raw: Mapping[str, Any]) -> CompiledPolicy | BrokenPolicy:
    """Compile a stored object for the snapshot; a broken one says whom it denies.

    One that is being deleted gives nothing any more, however long a finalizer holds it: it is as good as suspended.
    """
    return whole(compile_steps(raw))


def compile_steps(raw: Mapping[str, Any]) -> Steps[CompiledPolicy | BrokenPolicy]:
    """Compile a stored object likewise, an expression a step: one policy may hold a thousand."""
    ref = policy_ref(raw)
    spec = yield from parse_steps(raw.get("spec"))
    if isinstance(spec, tuple):
        return salvage(ref, raw.get("spec"))
    scope = yield from scope_steps(spec.variables or (), spec.data or ())
    yield
    compiled = yield from _compile(ref, spec, scope, suspended=spec.suspend or "deletionTimestamp" in raw["metadata"])
    if isinstance(compiled, CompiledPolicy):
        return compiled
    settings, _ = yield from _settings(ref, spec, scope)
    return BrokenPolicy(
        ref,
        spec.endpoint,
        _named_keys(spec.subjects),
        audit=spec.mode == "Audit",
        settings=settings,
        carries_settings=spec.endpoint_settings is not None,
        data=_data(spec),
        replaces=candidate_for(spec.mode, spec.replaces),
    )


def problem_steps(ref: PolicyRef, raw: object) -> Steps[tuple[Problem, ...]]:
    """Return what is wrong with a stored `spec`, in steps likewise; warnings are not looked for."""
    spec = yield from parse_steps(raw)
    if isinstance(spec, tuple):
        return spec
    scope = yield from scope_steps(spec.variables or (), spec.data or ())
    compiled = yield from _compile(ref, spec, scope, suspended=spec.suspend)
    return compiled if isinstance(compiled, tuple) else ()


def compile_policy(ref: PolicyRef, spec: EndpointPolicySpec) -> Compilation:
    """Compile a parsed policy: every expression, and what the schema alone cannot say."""
    return whole(compilation_steps(ref, spec))


def compilation_steps(ref: PolicyRef, spec: EndpointPolicySpec) -> Steps[Compilation]:
    """Compile a parsed policy likewise, an expression or a rule a step."""
    scope = yield from scope_steps(spec.variables or (), spec.data or ())
    compiled = yield from _compile(ref, spec, scope, suspended=spec.suspend)
    if not isinstance(compiled, CompiledPolicy):
        return Compilation(None, compiled)
    warnings = checks.warnings(spec)
    yield
    for index, (rule, made) in enumerate(zip(spec.rules, compiled.rules, strict=True)):
        # Of one rule at a time: to look through the conditions of all takes as long as to compile them.
        found = checks.permissive(spec.model_copy(update={"rules": [rule]}), (made,))
        warnings += [replace(one, path=one.path.replace("rules[0]", f"rules[{index}]", 1)) for one in found]
        warnings += approvable.together(spec, index)
        yield
    return Compilation(compiled, warnings=tuple(warnings))


def _compile(
    ref: PolicyRef, spec: EndpointPolicySpec, scope: Scope, *, suspended: bool
) -> Steps[CompiledPolicy | tuple[Problem, ...]]:
    """Compile without warnings, which a process that only decides does not need."""
    settings, wrong = yield from _settings(ref, spec, scope)
    problems = [*checks.problems(spec, ref.name), *scope.problems, *wrong]
    compiled = []
    for index, rule in enumerate(spec.rules):
        conditions, found = yield from compile_conditions(rule.conditions, scope, f"spec.rules[{index}]")
        problems += found
        compiled.append((rule, conditions))
    if problems:
        # What is wrong with a variable is wrong with each condition that reads it.
        return tuple(_named_place(ref, spec, problem) for problem in dict.fromkeys(problems))
    digest = yield from policy_digest(spec)
    subjects, sensitive = Subjects(spec.subjects), frozenset(spec.sensitive or ())
    rules = []
    for rule, conditions in compiled:
        named = subjects.named(rule.subjects)
        rules.append(_rule(ref, spec, rule, digest, scope, conditions, named, sensitive, suspended=suspended))
        yield
    return CompiledPolicy(
        ref, spec.endpoint, digest, settings, tuple(rules), _data(spec), candidate_for(spec.mode, spec.replaces)
    )


def _data(spec: EndpointPolicySpec) -> tuple[str, ...]:
    """Return the objects of data that a policy may read."""
    return tuple(sorted({source.source for source in spec.data or ()}))


def _named_place(ref: PolicyRef, spec: EndpointPolicySpec, problem: Problem) -> Problem:
    """Add to a problem of an expression the names that its author gave: the path has only numbers."""
    if not problem.line:
        return problem
    names = [f"policy {ref.namespace}/{ref.name}"]
    if (found := _VARIABLE.match(problem.path)) is not None and spec.variables:
        names.append(f"variable {spec.variables[int(found[1])].name}")
    elif (found := _CONDITION.match(problem.path)) is not None:
        rule = spec.rules[int(found[1])]
        names += [f"rule {rule.name}", f"condition {(rule.conditions or [])[int(found[2])].name}"]
    return replace(problem, message=f"{problem.message} ({', '.join(names)})")


_VARIABLE = re.compile(r"spec\.variables\[(\d+)\]")
_CONDITION = re.compile(r"spec\.rules\[(\d+)\]\.conditions\[(\d+)\]")


def _settings(
    ref: PolicyRef, spec: EndpointPolicySpec, scope: Scope
) -> Steps[tuple[CompiledSettings | None, tuple[Problem, ...]]]:
    if spec.endpoint_settings is None:
        return None, ()
    subjects = {subject.name: keys_of(subject) for subject in spec.subjects}
    compiled = yield from compile_settings(ref, spec.endpoint, spec.endpoint_settings, scope, subjects)
    return (compiled, ()) if isinstance(compiled, CompiledSettings) else (None, compiled)


def _rule(  # noqa: PLR0913, PLR0917 - the parts of a rule
    ref: PolicyRef,
    spec: EndpointPolicySpec,
    rule: Rule,
    digest: str,
    scope: Scope,
    conditions: tuple[CompiledCondition, ...],
    named: RuleSubjects,
    sensitive: frozenset[str],
    *,
    suspended: bool,
) -> CompiledRule:
    expressions = [condition.expression for condition in conditions]
    source = RuleSource(
        ref,
        spec,
        rule,
        digest,
        scope,
        named.keys,
        named.workloads,
        conditions,
        sensitive,
        suspended,
        lambda: rule_digest(spec, rule, scope.used_by(expressions), scope.sources_of(expressions)),
    )
    compiled = CompiledRule(**compiled_parts(source))
    if compiled.gate is None:
        return compiled
    # A denial is remembered by what the rule reads, and by the resource in any case.
    return replace(compiled, gate=replace(compiled.gate, reads=reads_beside_resource(compiled)))


def _named_keys(subjects: Sequence[Subject]) -> frozenset[Key] | None:
    """Return whom a broken policy speaks of; None where an entry does not say, or there is none: that is everybody."""
    keys = [keys_of(subject) for subject in subjects]
    return frozenset().union(*keys) if keys and all(keys) else None


def salvage(ref: PolicyRef, spec: object) -> BrokenPolicy:
    """Read of an unreadable spec what says whom it concerns; each part that cannot be read makes the denial wider."""
    members = spec if isinstance(spec, Mapping) else {}
    endpoint = members.get("endpoint")
    try:
        listed = _SUBJECTS.validate_python(members.get("subjects"))
    except ValidationError:
        listed = []
    subjects = _named_keys(listed)
    carries_settings = "endpointSettings" in members
    settings = None
    if carries_settings and isinstance(endpoint, str):
        try:
            parsed = EndpointSettings.model_validate(members["endpointSettings"])
        except ValidationError:
            # The snapshot denies an endpoint whose carrier has no settings that can be read.
            settings = None
        else:
            # With no variables: a ceiling that needs them does not compile, and the endpoint is denied.
            compiled = whole(
                compile_settings(
                    ref, endpoint, parsed, Scope.of(()), {subject.name: keys_of(subject) for subject in listed}
                )
            )
            settings = compiled if isinstance(compiled, CompiledSettings) else None
    return BrokenPolicy(
        ref,
        endpoint if isinstance(endpoint, str) else None,
        subjects,
        audit=members.get("mode") == "Audit",
        settings=settings,
        carries_settings=carries_settings,
        replaces=replaced_by(spec),
    )


_SUBJECTS = TypeAdapter(list[Subject])
_LONG_LISTS: tuple[tuple[tuple[str, ...], TypeAdapter[Any]], ...] = (
    (("rules",), TypeAdapter(Rule)),
    (("endpointSettings", "delegation", "ceiling"), TypeAdapter(CeilingEntry)),
    (("endpointSettings", "http", "routes"), TypeAdapter(HttpRoute)),
    (("endpointSettings", "history"), TypeAdapter(HistoryDefinition)),
)
