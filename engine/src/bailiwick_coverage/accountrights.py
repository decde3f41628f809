"""`overprivileged`: rights at the API server by which an account gets what no policy decides.

Standing: over `facts`. Holds: a right is gated if a policy of the endpoint `kubernetes`, in the namespace of the right,
names the account; calls outside of namespaces, and over all of them, are of no endpoint. A right to objects by their
names is narrow, and no finding, unless it makes somebody else of the account.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from bailiwick_coverage import manifests
from bailiwick_coverage.facts import BindingFacts, BoundSubject, ClusterFacts, ObjectRef, RoleRule
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix
from bailiwick_engine import keys
from bailiwick_engine.compile.kubenames import ENDPOINT

_EVERYTHING: Final = "*"
_RBAC: Final = manifests.RBAC
_ACCOUNT_GROUPS: Final = "system:serviceaccounts"
_AUTHENTICATED: Final = "system:authenticated"


@dataclass(frozen=True, slots=True)
class DangerousRight:
    """Verbs on a resource that lead further than they say. `by_name`: also where a rule names objects."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    can: str
    by_name: bool = False


RIGHTS: Final = (
    DangerousRight("", "secrets", ("get", "list", "watch"), "read Secrets"),
    DangerousRight("", "pods/exec", ("create", "get"), "run commands in pods"),
    DangerousRight("", "pods/attach", ("create", "get"), "attach to pods"),
    DangerousRight("", "pods/ephemeralcontainers", ("update", "patch"), "add containers to pods that run"),
    DangerousRight("", "serviceaccounts/token", ("create",), "create tokens of accounts", by_name=True),
    DangerousRight("", "nodes/proxy", ("get", "create"), "reach every kubelet"),
    DangerousRight(_RBAC, "roles", ("escalate", "bind"), "give itself any right", by_name=True),
    DangerousRight(_RBAC, "clusterroles", ("escalate", "bind"), "give itself any right", by_name=True),
    DangerousRight("", "users", ("impersonate",), "impersonate users", by_name=True),
    DangerousRight("", "groups", ("impersonate",), "impersonate groups", by_name=True),
    DangerousRight("", "serviceaccounts", ("impersonate",), "impersonate accounts", by_name=True),
    DangerousRight(GROUP, ENDPOINT_POLICIES, ("create", "update", "patch", "delete"), "change policies"),
)
"""The rights that are looked for."""


def overprivileged(facts: ClusterFacts) -> Iterator[CoverageFinding]:
    """Yield a finding for each account and binding, and for each binding that names all accounts."""
    for binding in facts.bindings:
        rights = _rights(binding)
        for subject in binding.subjects:
            ref = _concerned(facts, binding, subject)
            if ref is None:
                continue
            if binding.rules is None:
                yield _unread_role(binding, ref)
                continue
            ungated = [one for one in rights if not _is_gated(facts, binding, subject)]
            if ungated:
                yield _finding(binding, subject, ref, ungated)


def _concerned(facts: ClusterFacts, binding: BindingFacts, subject: BoundSubject) -> ObjectRef | None:
    """Return the object that a finding about a subject is about; None if it is not one that was asked about."""
    if subject.kind == "ServiceAccount":
        asked = subject.namespace in facts.asked
        return ObjectRef(subject.kind, subject.namespace, subject.name) if asked else None
    if subject.kind != "Group":
        return None
    if subject.name in {_AUTHENTICATED, _ACCOUNT_GROUPS}:
        return binding.ref if not binding.ref.namespace or binding.ref.namespace in facts.asked else None
    namespace = subject.name.removeprefix(f"{_ACCOUNT_GROUPS}:")
    return binding.ref if namespace != subject.name and namespace in facts.asked else None


def _rights(binding: BindingFacts) -> list[DangerousRight]:
    return [one for one in RIGHTS if any(_gives(rule, one, binding) for rule in binding.rules or ())]


def _gives(rule: RoleRule, right: DangerousRight, binding: BindingFacts) -> bool:
    if rule.names and not right.by_name:
        return False
    if binding.ref.namespace and right.resource in {"nodes/proxy", "clusterroles", "users", "groups"}:
        # A RoleBinding gives nothing outside of its namespace.
        return False
    return (
        _lists(rule.groups, right.group)
        and any(_lists(rule.verbs, verb) for verb in right.verbs)
        and any(one in rule.resources for one in _spellings(right.resource))
    )


def _lists(names: tuple[str, ...], wanted: str) -> bool:
    return wanted in names or _EVERYTHING in names


def _spellings(resource: str) -> tuple[str, ...]:
    """Return what a rule may write for a resource: its name, everything, and every resource with this part."""
    _, slash, part = resource.partition("/")
    return (resource, _EVERYTHING, *((f"{_EVERYTHING}/{part}",) if slash else ()))


def _is_gated(facts: ClusterFacts, binding: BindingFacts, subject: BoundSubject) -> bool:
    endpoint = facts.endpoints.get((binding.ref.namespace, ENDPOINT))
    if endpoint is None or subject.kind != "ServiceAccount":
        return False
    if endpoint.denied_whole is not None:
        return True
    # An account that no rule names is let alone there: its rights decide.
    key = keys.service_account(f"system:serviceaccount:{subject.namespace}:{subject.name}")
    return key in endpoint.named_subjects or key in endpoint.broken


def _finding(
    binding: BindingFacts, subject: BoundSubject, ref: ObjectRef, rights: list[DangerousRight]
) -> CoverageFinding:
    listed = ", ".join(dict.fromkeys(one.can for one in rights))
    where = f"in {binding.ref.namespace}" if binding.ref.namespace else "in the whole cluster"
    who = "" if subject.kind == "ServiceAccount" else f"every account of the group {subject.name} "
    sentence = f"{who}can {listed} {where}, by the {binding.ref}, and no policy decides that"
    kept = [one for one in binding.subjects if one != subject]
    note = "This takes away all rights of that binding. Bind a narrower role first, if the account needs some of them."
    fix = CoverageFix((manifests.binding_without(binding.ref, binding.role, kept),), note)
    return CoverageFinding(CoverageCode.OVERPRIVILEGED, ref, sentence, fix, f"{binding.ref} {subject.name}")


def _unread_role(binding: BindingFacts, ref: ObjectRef) -> CoverageFinding:
    sentence = f"its rights by the {binding.ref} are unknown: the {' '.join(binding.role)} cannot be read"
    return CoverageFinding(CoverageCode.UNKNOWN, ref, sentence, None, str(binding.ref))
