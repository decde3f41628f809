"""Withheld: what is kept of a policy that is over budget, in place of what it would be compiled to.

Holds: it denies its own subjects on its own endpoint, as a policy that does not compile, and takes hardly any room:
where it names many subjects, lets anybody be acted for or counts calls, the whole endpoint is denied. Of a policy that
compiles it is the same whether it is made from the spec or from what that was compiled to.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bailiwick_engine.compile.policies import salvage
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledSettings, PolicyRef, SettingsMeaning

_MOST_KEYS: Final = 16


def withheld(ref: PolicyRef, spec: object) -> BrokenPolicy:
    """Return what is kept of a spec."""
    members: Mapping[str, Any] = spec if isinstance(spec, dict) else {}
    settings = members.get("endpointSettings")
    if isinstance(settings, dict):
        # With what may be done on somebody's behalf, or is counted, which may be most of it, the endpoint is denied.
        members = {**members, "endpointSettings": {**settings, "delegation": None, "history": None}}
    delegates, counts = (
        isinstance(settings, dict) and settings.get(member) is not None for member in ("delegation", "history")
    )
    found = salvage(ref, {**members, "subjects": _subjects_of_rules(members)})
    return _small(found, found.settings, found.subjects, delegates=delegates, counts=counts)


def withheld_of(policy: CompiledPolicy | BrokenPolicy) -> BrokenPolicy:
    """Return what is kept of a policy that was compiled."""
    settings = policy.settings
    delegates = settings is not None and settings.delegation is not None
    counts = settings is not None and bool(settings.histories)
    if isinstance(policy, BrokenPolicy):
        return _small(policy, settings, policy.subjects, delegates=delegates, counts=counts)
    keys = frozenset(key for rule in policy.rules for key in rule.subjects)
    audit = all(rule.audit for rule in policy.rules)
    bare = BrokenPolicy(
        policy.ref, policy.endpoint, keys, audit, carries_settings=settings is not None, replaces=policy.replaces
    )
    return _small(bare, settings, keys, delegates=delegates, counts=counts)


def _small(
    policy: BrokenPolicy,
    settings: CompiledSettings | None,
    keys: frozenset[Key] | None,
    *,
    delegates: bool,
    counts: bool,
) -> BrokenPolicy:
    """Keep little. `delegates`, `counts`: the settings have a delegation, or histories."""
    few = keys if keys is not None and len(keys) <= _MOST_KEYS and not (delegates or counts) else None
    if settings is not None and (delegates or counts):
        # Without these it is not what was written: no grant may fit it, nor any made for an endpoint without.
        settings = replace(settings, delegation=None, histories=(), meaning=SettingsMeaning())
    # What would be let through uncounted would widen every limit: so the endpoint is denied, whatever the mode.
    return replace(policy, settings=settings, subjects=few, withheld=True, audit=policy.audit and not counts)


def _subjects_of_rules(members: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the subjects that rules name; all where that cannot be read."""
    subjects, rules = members.get("subjects"), members.get("rules")
    if not isinstance(subjects, list) or not isinstance(rules, list):
        return subjects
    names = {
        name
        for rule in rules
        if isinstance(rule, dict) and isinstance(rule.get("subjects"), list)
        for name in rule["subjects"]
        if isinstance(name, str)
    }
    return [one for one in subjects if not isinstance(one, dict) or one.get("name") in names] or subjects
