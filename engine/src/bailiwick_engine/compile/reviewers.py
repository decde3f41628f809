"""Whether requesters of approvals are known by the usernames under which people review. Pure.

Holds: if the API server's name of a person is unknown, it cannot be detected that they approve their own request
(invariant 1 of hack/invariants.py), so a policy that gates people of such an issuer is not accepted.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Subject
from bailiwick_engine.keys import CLUSTER, Key, key_parts


@dataclass(frozen=True, slots=True)
class People:
    """Of a policy: by rule that people approve, the issuers of its subjects; and those of whom may be acted for.

    `sign`: a step asks for signed reviews.
    """

    gated: tuple[tuple[str, frozenset[str]], ...] = ()
    principals: frozenset[str] = frozenset()
    sign: bool = False


NOBODY: Final = People()


def people_of(spec: EndpointPolicySpec) -> People:
    """Return which issuers a policy draws people from."""
    named = {subject.name: _issuer(subject) for subject in spec.subjects}
    delegation = spec.endpoint_settings.delegation if spec.endpoint_settings else None
    return People(
        tuple(
            (rule.name, _issuers(rule.subjects, named))
            for rule in spec.rules
            if rule.approval is not None and any(step.kind == "Human" for step in rule.approval.steps)
        ),
        _issuers(delegation.principals, named) if delegation else frozenset(),
        any(step.signature is not None for rule in spec.rules if rule.approval for step in rule.approval.steps),
    )


def issuers_of(keys: Iterable[Key]) -> frozenset[str]:
    """Return the issuers of people by their keys, as `people_of` returns them of a policy."""
    parts = [key_parts(key) for key in keys]
    return frozenset(part[1] for part in parts if part[0] in {"user", "group"} and part[1] != CLUSTER)


def unmapped_issuers(people: People, principals: Collection[str], issuers: Mapping[str, bool] | None) -> str | None:
    """Return what is wrong; None where nothing is, or nothing is known of issuers.

    `principals` are the issuers of those who may be acted for at the endpoint; `issuers` says of each one that is
    configured whether it has a `kubernetesUsername`.
    """
    if issuers is None:
        return None
    for rule, own in people.gated:
        for issuer in sorted({*own, *principals}):
            if issuers.get(issuer):
                continue
            lacks = "has no claims.kubernetesUsername" if issuer in issuers else "is not configured"
            whose = "one of its subjects" if issuer in own else "a principal of its endpoint"
            return (
                f"people review approvals of rule {rule}, and {whose} comes from issuer {issuer}, which {lacks}:"
                " Bailiwick could not detect people who approve their own requests"
            )
    return None


def _issuer(subject: Subject) -> str | None:
    issued = subject.user or subject.group
    # The cluster's own are known by the very names that the API server gives them.
    return issued.issuer if issued is not None and issued.issuer != CLUSTER else None


def _issuers(names: Collection[str], named: Mapping[str, str | None]) -> frozenset[str]:
    return frozenset(issuer for name in names if (issuer := named.get(name)) is not None)
