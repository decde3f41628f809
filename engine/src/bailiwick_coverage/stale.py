"""`stale`: what policies name and is not there, what is not used, and what ends soon.

Standing: over `facts`. Holds: an account counts as missing only in a namespace whose accounts were read. What a
suspended policy names is not looked at, since it lets no call through.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api import times
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_coverage import manifests
from bailiwick_coverage.facts import ClusterFacts, PolicyFacts
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix

_DAY: Final = 86_400.0
_EXTENSION: Final = 90 * _DAY
Raw = Mapping[str, Any]


def stale(facts: ClusterFacts, now: float, near: float, unused: float) -> Iterator[CoverageFinding]:
    """Yield the findings about policies. `near` and `unused`: in seconds, how soon, and since how long."""
    for one in facts.policies:
        spec = one.spec
        if one.namespace not in facts.asked or spec is None or spec.suspend:
            continue
        yield from _missing_subjects(facts, one, spec)
        yield from _missing_enforcers(facts, one, spec)
        yield from _ends(one, spec, now, near)
        if one.unused_since is not None and now - one.unused_since > unused:
            day = times.epoch_stamp(one.unused_since)
            sentence = f"no rule of it let a call through since {day}"
            note = "A suspended policy lets no call through, and its Deny rules stay in force. Delete it later."
            yield _finding(one, sentence, CoverageFix((manifests.changed_policy(one, {"suspend": True}),), note), "use")


def _missing_subjects(facts: ClusterFacts, one: PolicyFacts, spec: EndpointPolicySpec) -> Iterator[CoverageFinding]:
    for subject in spec.subjects:
        account = subject.service_account
        if account is not None and _is_missing(facts, account.namespace, account.name):
            name = f"{account.namespace}/{account.name}"
            sentence = f"its subject {subject.name} is the service account {name}, which does not exist"
            yield _finding(one, sentence, _without_subject(one, subject.name), f"subject {subject.name}")


def _missing_enforcers(facts: ClusterFacts, one: PolicyFacts, spec: EndpointPolicySpec) -> Iterator[CoverageFinding]:
    running = {pod.username for pod in facts.pods}
    for enforcer in () if spec.endpoint_settings is None else spec.endpoint_settings.enforcers:
        if enforcer.certificate is not None or enforcer.namespace is None or enforcer.name is None:
            continue
        name = f"{enforcer.namespace}/{enforcer.name}"
        if _is_missing(facts, enforcer.namespace, enforcer.name):
            sentence = f"its enforcer is the service account {name}, which does not exist"
        elif enforcer.username in running or facts.is_unread("pods", enforcer.namespace):
            continue
        else:
            sentence = f"no pod runs as its enforcer {name}, so nothing asks for decisions in its name"
        yield _finding(one, sentence, _without_enforcer(one, enforcer.namespace, enforcer.name), f"enforcer {name}")


def _is_missing(facts: ClusterFacts, namespace: str, name: str) -> bool:
    known = namespace in facts.account_namespaces or (facts.whole and namespace not in facts.namespaces)
    return known and (namespace, name) not in facts.accounts


def _ends(one: PolicyFacts, spec: EndpointPolicySpec, now: float, near: float) -> Iterator[CoverageFinding]:
    ends = [
        ("it", "", spec.expire_time),
        *((f"its rule {rule.name}", rule.name, rule.expire_time) for rule in spec.rules),
    ]
    for what, rule, moment in ends:
        if moment is None:
            continue
        end = _epoch(moment)
        if end is None or end - now > near:
            continue
        verb = "has expired" if end <= now else "expires"
        sentence = f"{what} {verb} on {times.epoch_stamp(end)}"
        if end <= now:
            fix = _without_rule(one, rule) if rule else _suspended(one)
        else:
            fix = _extended(one, rule, times.epoch_stamp(end + _EXTENSION))
        yield _finding(one, sentence, fix, f"expiry {rule}".strip())


def _epoch(moment: object) -> float | None:
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    parsed = times.parse_time(moment)
    return None if parsed is None else parsed.timestamp()


def _finding(one: PolicyFacts, sentence: str, fix: CoverageFix | None, detail: str) -> CoverageFinding:
    return CoverageFinding(CoverageCode.STALE, one.ref, sentence, fix, detail)


def _raw(one: PolicyFacts) -> Raw:
    spec: Any = one.raw.get("spec") or {}
    found: Raw = spec
    return found


def _suspended(one: PolicyFacts) -> CoverageFix:
    note = "Its Deny rules stay in force. Delete the policy if it has none."
    return CoverageFix((manifests.changed_policy(one, {"suspend": True}),), note)


def _without_subject(one: PolicyFacts, name: str) -> CoverageFix:
    """Return the policy without a subject, and without the rules that were about no other subject."""
    spec = _raw(one)
    rules: list[Raw] = []
    for rule in spec.get("rules") or ():
        left = [each for each in rule.get("subjects") or () if each != name]
        if left:
            rules.append({**rule, "subjects": left})
    subjects = [each for each in spec.get("subjects") or () if each.get("name") != name]
    principals = ((spec.get("endpointSettings") or {}).get("delegation") or {}).get("principals") or ()
    if not rules or not subjects or name in principals:
        return _suspended(one)
    note = "Create the account instead, if it is only not there yet."
    return CoverageFix((manifests.changed_policy(one, {"subjects": subjects, "rules": rules}),), note)


def _without_enforcer(one: PolicyFacts, namespace: str, name: str) -> CoverageFix | None:
    settings = _raw(one).get("endpointSettings") or {}
    left = [
        each
        for each in settings.get("enforcers") or ()
        if (each.get("namespace"), each.get("name")) != (namespace, name)
    ]
    if not left:
        # An endpoint has at least one, and only you know which account enforces.
        return None
    return CoverageFix((manifests.changed_policy(one, {"endpointSettings": {**settings, "enforcers": left}}),))


def _without_rule(one: PolicyFacts, name: str) -> CoverageFix:
    rules: Sequence[Raw] = [each for each in _raw(one).get("rules") or () if each.get("name") != name]
    if not rules:
        return _suspended(one)
    return CoverageFix((manifests.changed_policy(one, {"rules": rules}),), "Extend it instead, if it is still needed.")


def _extended(one: PolicyFacts, rule: str, until: str) -> CoverageFix:
    note = "Apply this if it is still needed. If it is not, let it expire."
    if not rule:
        return CoverageFix((manifests.changed_policy(one, {"expireTime": until}),), note)
    rules = [
        {**each, "expireTime": until} if each.get("name") == rule else each for each in _raw(one).get("rules") or ()
    ]
    return CoverageFix((manifests.changed_policy(one, {"rules": rules}),), note)
