"""Subjects of a policy: from the names that rules use to the keys that identities have.

Holds: every kind of subject has its keys here; a workload narrows a service account and nothing else.
"""

from collections.abc import Iterable, Mapping

from bailiwick_api.endpointpolicy import Subject, Workload
from bailiwick_engine import keys
from bailiwick_engine.compiled import WorkloadRequirement
from bailiwick_engine.keys import Key


def keys_of(subject: Subject) -> frozenset[Key]:
    """Return the keys of one entry of `spec.subjects`."""
    found: set[Key] = set()
    if subject.service_account is not None:
        found.add(keys.service_account(subject.service_account.username))
    if subject.user is not None:
        found.add(keys.user(subject.user.issuer, subject.user.name))
    if subject.group is not None:
        found.add(keys.group(subject.group.issuer, subject.group.name))
    if subject.entity is not None:
        found |= {keys.entity(subject.entity.type, name) for name in subject.entity.ids}
    return frozenset(found)


def keys_of_all(subjects: Iterable[Subject]) -> frozenset[Key]:
    """Return the keys of several entries."""
    return frozenset(key for subject in subjects for key in keys_of(subject))


def workloads_of(subjects: Iterable[Subject]) -> Mapping[Key, tuple[WorkloadRequirement, ...]]:
    """Return what these entries ask of the workload, by key; without a key, nothing is asked.

    Where one entry of a key asks and another does not, the key is named from anywhere.
    """
    asked: dict[Key, list[WorkloadRequirement]] = {}
    free: set[Key] = set()
    for subject in subjects:
        for key in keys_of(subject):
            if subject.workload is None:
                free.add(key)
            else:
                asked.setdefault(key, []).append(_requirement(subject.workload))
    return {key: tuple(requirements) for key, requirements in asked.items() if key not in free}


def _requirement(workload: Workload) -> WorkloadRequirement:
    selector = workload.pod_selector
    return WorkloadRequirement(
        images=frozenset(workload.image_digests) if workload.image_digests else None,
        labels=tuple(sorted(selector.match_labels.items())) if selector else (),
    )


def spelled(subject: Subject) -> str:
    """Return a subject as the rule digest names it: its keys, and what is asked of its workload."""
    workload = _requirement(subject.workload) if subject.workload else None
    asked = "" if workload is None else f"|{sorted(workload.images or ())}|{list(workload.labels)}"
    return ",".join(sorted(keys_of(subject))) + asked
