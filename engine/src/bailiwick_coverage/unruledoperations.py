"""`unruled`: operations and tools that exist, and that no rule names.

Standing: over `freecalls`. Holds: what no rule names is denied, so it is dead; what only a rule about every action lets
through was never considered. Which call an operation is, the engine's own routes say.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bailiwick_coverage import gates, manifests
from bailiwick_coverage.facts import ApiOperation, ClusterFacts, ObjectRef
from bailiwick_coverage.findings import CoverageCode, CoverageFinding, CoverageFix
from bailiwick_coverage.freecalls import EndpointRuling
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.routes import CompiledRoute
from bailiwick_engine.policy.snapshot import EndpointKey

_NOT_IN_ACTIONS = str.maketrans(dict.fromkeys(" *\t\n", "-"))


def unruled(
    facts: ClusterFacts,
    rulings: Iterable[EndpointRuling],
    operations: Sequence[ApiOperation],
    target: EndpointKey | None,
) -> Iterator[CoverageFinding]:
    """Yield a finding for each operation without a rule. `operations` are those of the endpoint `target`."""
    for ruling in rulings:
        ref = endpoint_ref(facts, ruling.key)
        if ruling.closed:
            sentence = f"the endpoint {ruling.key[1]} denies every call: its policies are invalid, or carry no settings"
            yield CoverageFinding(CoverageCode.UNKNOWN, ref, sentence, None, ruling.key[1])
            continue
        if not ruling.endpoint.enforced:
            sentence = f"no policy of the endpoint {ruling.key[1]} is in mode Enforce, so no rule decides"
            yield CoverageFinding(CoverageCode.UNRULED, ref, sentence, _enforcing(facts, ruling.key), ruling.key[1])
            continue
        listed = [*_routes(ruling), *(operations if ruling.key == target else ())]
        seen: set[tuple[str | None, str, str | None, str]] = set()
        for one in listed:
            # An API description and a route may say the same.
            key = (one.action, one.type, one.identifier, "" if one.action else one.label)
            if key not in seen:
                seen.add(key)
                yield from _of_operation(facts, ruling, ref, one)


def endpoint_ref(facts: ClusterFacts, key: EndpointKey) -> ObjectRef:
    """Return the policy that carries an endpoint's settings, as the object that a finding about the endpoint names."""
    carriers = facts.endpoints[key].carriers
    names = [one.name for one in carriers] or [one.name for one in gates.policies_of(facts.policies, key)]
    return ObjectRef("EndpointPolicy", key[0], min(names, default=key[1]))


def _routes(ruling: EndpointRuling) -> Iterator[ApiOperation]:
    settings = ruling.endpoint.settings
    for route in () if settings is None or settings.routes is None else settings.routes.routes:
        label = f"{'|'.join(sorted(route.methods))} {_path(route)}"
        yield ApiOperation("route", label, route.action, route.type)


def _path(route: CompiledRoute) -> str:
    parts = [
        f"{{{name}}}" if literal is None else literal for literal, name in zip(route.segments, route.names, strict=True)
    ]
    return "/" + "/".join(parts) + ("/" if route.slash and parts else "")


def _of_operation(
    facts: ClusterFacts, ruling: EndpointRuling, ref: ObjectRef, one: ApiOperation
) -> Iterator[CoverageFinding]:
    detail = f"{one.source} {one.label}"
    if one.action is None:
        sentence = f"{detail}: the endpoint {ruling.key[1]} maps it to no action, so every call of it is denied"
        fix = _route_fix(facts, ruling.key, one)
        yield CoverageFinding(CoverageCode.UNRULED, ref, sentence, fix, detail)
        return
    speaking = [rule for rule, _ in ruling.entries(one.action, one.type, one.identifier)]
    if not speaking:
        sentence = f"{detail}: no rule names {_call(one)}, so every call of it is denied"
    elif any(_names(rule, one.action) for rule in speaking):
        return
    else:
        rules = ruling.allowing(one.action, one.type, one.identifier)
        if rules is None:
            sentence = f"{detail}: there is too much to examine to say who may do {one.action}"
            yield CoverageFinding(CoverageCode.UNKNOWN, ref, sentence, None, detail)
            return
        if not rules:
            return
        sentence = (
            f"{detail}: the rule {rules[0].policy.name}/{rules[0].name} allows {_call(one)}, and names it only by *"
        )
    fix = gates.gate_of_endpoint(facts.policies, ruling.key, one.action, one.type, one.identifier)
    yield CoverageFinding(CoverageCode.UNRULED, ref, sentence, fix, detail)


def _call(one: ApiOperation) -> str:
    """Return the action, and the resource if its type is known: an `operationId` tells none."""
    if not one.type:
        return str(one.action)
    return f"{one.action} on {one.type if one.identifier is None else f'{one.type}/{one.identifier}'}"


def _names(rule: CompiledRule, action: str) -> bool:
    """Tell whether a rule names an action, and not only every action."""
    return action in rule.actions.exact or any(map(action.startswith, rule.actions.prefixes))


def _enforcing(facts: ClusterFacts, key: EndpointKey) -> CoverageFix | None:
    own = gates.policies_of(facts.policies, key)
    made = tuple(manifests.changed_policy(one, {"mode": "Enforce"}) for one in own)
    note = (
        "Before you apply it, replace its rules by rules that name your actions: from then on, they decide. The records"
        " of the decision point say what they would have decided."
    )
    return CoverageFix(made, note) if made else None


def _route_fix(facts: ClusterFacts, key: EndpointKey, one: ApiOperation) -> CoverageFix | None:
    """Return a route for an operation of HTTP, in the policy with the settings, and a gate for its action."""
    if not one.method:
        return None
    carrier = next((each for each in gates.policies_of(facts.policies, key) if _settings(each) is not None), None)
    settings = None if carrier is None else _settings(carrier)
    if carrier is None or settings is None or settings.get("http") is None:
        return None
    action = one.label.translate(_NOT_IN_ACTIONS) if " " not in one.label else manifests.name_from(one.label)
    http = settings["http"]
    route = {
        "methods": [one.method],
        "path": one.path,
        "action": action,
        "resource": {"type": key[1], "id": _identifier(one.path)},
    }
    changed = {**settings, "http": {**http, "routes": [*(http.get("routes") or ()), route]}}
    made = manifests.changed_policy(carrier, {"endpointSettings": changed})
    gate = gates.gate_of_endpoint(facts.policies, key, action, key[1], None)
    return CoverageFix((made, *(() if gate is None else gate.manifests)), "" if gate is None else gate.note)


def _settings(one: Any) -> Any:  # noqa: ANN401 - JSON
    return (one.raw.get("spec") or {}).get("endpointSettings")


def _identifier(path: str) -> str:
    """Return the last name in braces of a path, else a word for all of it."""
    names = [one for one in path.split("/") if one.startswith("{") and one.endswith("}")]
    return names[-1] if names else "all"
