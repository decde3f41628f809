"""Gates as fixes: a policy beside those of an endpoint, by which an action needs an approval.

Standing: under `unruledoperations` and `ungatedactions`. Holds: nothing that exists is changed. The subjects and the
resources are those that the policies of the endpoint name already, and so are the groups of reviewers, if there are
any.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from bailiwick_coverage import manifests
from bailiwick_coverage.facts import PolicyFacts
from bailiwick_coverage.findings import CoverageFix
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import EndpointKey

_MOST_SUBJECTS: Final = 64
_MOST_TYPES: Final = 16
Raw = Mapping[str, Any]


def gate_of_rule(
    policies: Iterable[PolicyFacts], key: EndpointKey, rule: CompiledRule, action: str
) -> CoverageFix | None:
    """Return a gate for an action of the subjects and resources of a rule; None if its policy could not be read."""
    own = policies_of(policies, key)
    for one in own:
        if one.name != rule.policy.name or one.namespace != rule.policy.namespace:
            continue
        for raw in _rules(one):
            if raw.get("name") == rule.name:
                named = set(raw.get("subjects") or ())
                subjects = [each for each in _subjects(one) if each.get("name") in named]
                return _fix(own, key, action, subjects, raw.get("resources") or ())
    return None


def gate_of_endpoint(
    policies: Iterable[PolicyFacts], key: EndpointKey, action: str, kind: str, identifier: str | None
) -> CoverageFix | None:
    """Return a gate for an action of all subjects of an endpoint, on a type of resource, or on one of it.

    `kind` empty: the type is not known, so the gate is on all types that rules of the endpoint name. None if there are
    no subjects, or no types.
    """
    own = policies_of(policies, key)
    kinds = [kind] if kind else sorted(_types(own))[:_MOST_TYPES]
    subjects: dict[str, Raw] = {}
    for one in own:
        for each in _subjects(one):
            subjects.setdefault(str(each.get("name")), each)
    if not subjects or not kinds:
        return None
    chosen = list(subjects.values())[:_MOST_SUBJECTS]
    ids = ["*" if identifier is None else identifier]
    return _fix(own, key, action, chosen, [{"type": one, "ids": ids} for one in kinds])


def policies_of(policies: Iterable[PolicyFacts], key: EndpointKey) -> list[PolicyFacts]:
    """Return the valid policies of an endpoint."""
    return [one for one in policies if one.spec is not None and (one.namespace, one.spec.endpoint) == key]


def _fix(
    own: Sequence[PolicyFacts], key: EndpointKey, action: str, subjects: Sequence[Raw], resources: Sequence[Raw]
) -> CoverageFix:
    groups = sorted(_groups(own))
    note = "A rule that requires an approval beats one that allows."
    if action.endswith("*"):
        note += (
            " This one is about every action of the pattern: if some need no approval, name them in the rule instead."
        )
    if not groups:
        groups = [f"{key[1]}-owners"]
        note += f" Replace {groups[0]} by the group whose people approve."
    return CoverageFix((manifests.gating_policy(*key, subjects, action, resources, groups),), note)


def _groups(own: Sequence[PolicyFacts]) -> set[str]:
    steps: Iterator[Raw] = (
        step for one in own for rule in _rules(one) for step in (rule.get("approval") or {}).get("steps") or ()
    )
    return {str(group) for step in steps for group in step.get("groups") or ()}


def _types(own: Sequence[PolicyFacts]) -> set[str]:
    resources: Iterator[Raw] = (each for one in own for rule in _rules(one) for each in rule.get("resources") or ())
    return {str(each["type"]) for each in resources}


def _rules(one: PolicyFacts) -> Sequence[Raw]:
    spec: Any = one.raw.get("spec") or {}
    found: Sequence[Raw] = spec.get("rules") or ()
    return found


def _subjects(one: PolicyFacts) -> Sequence[Raw]:
    spec: Any = one.raw.get("spec") or {}
    found: Sequence[Raw] = spec.get("subjects") or ()
    return found
