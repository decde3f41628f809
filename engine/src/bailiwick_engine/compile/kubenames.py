"""Names of the API server's calls under which nothing is asked about, because the same thing has another name too.

Standing: below `checks`, which warns of policies that name one; the decision point's adapters resolve calls by the same
constants. Holds: pure. Only policies of the endpoint for calls of the API server are looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule, Subject
from bailiwick_api.kinds.matches import ResourceMatch
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_engine.keys import USER
from bailiwick_engine.problem import Problem

ENDPOINT: Final = "kubernetes"
EVICTION: Final = "pods/eviction"
"""To create one deletes a pod."""
SAME: Final[Mapping[str, str]] = {"events.k8s.io/events": "events", "bindings": "pods/binding"}
"""Kinds that the API server keeps as one: an object of the first is an object of the second."""
PROXIED: Final = frozenset({"pods/proxy", "services/proxy", "nodes/proxy"})
"""What a call names with a scheme and a port."""


def warnings(spec: EndpointPolicySpec) -> list[Problem]:
    """Return the names of subjects and in rules that no call of the API server is ever asked about by."""
    if spec.endpoint != ENDPOINT:
        return []
    return [*_unmet(spec.subjects), *_unasked_names(spec.rules)]


def _unmet(subjects: Iterable[Subject]) -> Iterator[Problem]:
    for index, subject in enumerate(subjects):
        if subject.entity is None or subject.entity.type != USER:
            continue
        for name in subject.entity.ids:
            if name.startswith(SERVICE_ACCOUNT_PREFIX):
                message = (
                    f"the id {name} of subject {subject.name} never matches, since a service account is no user: name"
                    " it by serviceAccount"
                )
                yield Problem(f"spec.subjects[{index}].entity.ids", message)


def _unasked_names(rules: Iterable[Rule]) -> list[Problem]:
    return [
        Problem(f"spec.rules[{index}].resources[{number}].{member}", message)
        for index, rule in enumerate(rules)
        for number, entry in enumerate(rule.resources)
        for member, message in _unasked(rule, entry)
    ]


def _unasked(rule: Rule, entry: ResourceMatch) -> Iterator[tuple[str, str]]:
    effect = f"rule {rule.name} ({rule.effect}) never matches"
    if entry.type == EVICTION:
        yield "type", f"{effect}: an eviction is asked about as delete of pods: name the type pods, action delete"
    elif entry.type in SAME:
        same = SAME[entry.type]
        yield "type", f"{effect}: {entry.type} are asked about as {same}: name the type {same}"
    elif entry.type in PROXIED:
        for name in entry.ids:
            if ":" in name:
                message = (
                    f"the id {name} of rule {rule.name} ({rule.effect}) never matches: name the object alone, and its"
                    " scheme and port by the properties scheme, port and portName"
                )
                yield "ids", message
