"""Checks of a policy that the schema alone cannot say, or that it says again for files that no API server has seen.

Holds: each returns problems with the path of what is wrong; none raises.
"""

from collections.abc import Collection

from bailiwick_api.endpointpolicy import EndpointPolicySpec, Rule, Subject
from bailiwick_engine.conditions import matches_whole
from bailiwick_engine.problem import Problem


def problems(spec: EndpointPolicySpec) -> list[Problem]:
    """Return every problem but those of expressions."""
    names = {subject.name for subject in spec.subjects}
    found = _repeated(spec)
    for index, subject in enumerate(spec.subjects):
        found += _subject(spec, subject, f"spec.subjects[{index}]")
    delegation = spec.endpoint_settings.delegation if spec.endpoint_settings else None
    if delegation is not None:
        found += _unknown(delegation.principals, names, "spec.endpointSettings.delegation.principals")
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        found += _unknown(rule.subjects, names, f"{path}.subjects") + _misused(rule, path)
    return found


def warnings(spec: EndpointPolicySpec) -> list[Problem]:
    """Return what compiles and is likely not what was meant."""
    return [
        Problem(
            f"spec.subjects[{index}].workload",
            "a podSelector alone is advisory: whoever creates pods chooses their labels; add imageDigests",
        )
        for index, subject in enumerate(spec.subjects)
        if subject.workload is not None and subject.workload.image_digests is None
    ]


def _repeated(spec: EndpointPolicySpec) -> list[Problem]:
    """Of two subjects of one name only one would be meant, and one reviewer would fill two steps of one name."""
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


def _subject(spec: EndpointPolicySpec, subject: Subject, path: str) -> list[Problem]:
    found = []
    kinds = (subject.service_account, subject.user, subject.group, subject.entity)
    if sum(kind is not None for kind in kinds) != 1:
        found.append(Problem(path, "a subject is exactly one of serviceAccount, user, group, entity"))
    if subject.workload is not None and subject.service_account is None:
        found.append(Problem(f"{path}.workload", "workload goes with serviceAccount only"))
    if subject.workload and not (subject.workload.image_digests or subject.workload.pod_selector):
        found.append(Problem(f"{path}.workload", "workload needs imageDigests, podSelector or both"))
    identity = spec.endpoint_settings.identity if spec.endpoint_settings else None
    if subject.entity and spec.endpoint_settings and (identity is None or identity.verification != "Asserted"):
        found.append(Problem(f"{path}.entity", "a subject of kind entity needs identity.verification Asserted"))
    return found


def _unknown(listed: Collection[str], names: Collection[str], path: str) -> list[Problem]:
    return [
        Problem(f"{path}[{index}]", f"no subject of this name in spec.subjects: {name!r}")
        for index, name in enumerate(listed)
        if name not in names
    ]


def _misused(rule: Rule, path: str) -> list[Problem]:
    found = []
    if (rule.effect == "RequireApproval") != (rule.approval is not None):
        found.append(Problem(f"{path}.approval", "approval goes with effect RequireApproval, and only with it"))
    if rule.effect == "Deny" and rule.expire_time is not None:
        found.append(Problem(f"{path}.expireTime", "a Deny rule cannot expire: remove the rule instead"))
    if rule.effect == "Deny" and rule.intents:
        found.append(Problem(f"{path}.intents", "a Deny rule has no intents"))
    if rule.approval and rule.approval.reason and rule.approval.reason.pattern:
        tried = matches_whole(rule.approval.reason.pattern, "")
        if isinstance(tried, Problem):
            found.append(Problem(f"{path}.approval.reason.pattern", tried.message))
    return found
