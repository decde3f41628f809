"""What the policies tell of a request: how its subject was proven, and the conditions of the rules that it names.

Standing: above `grantfacts`; terminal and console print these facts. Holds: pure. The engine compiles the policy and
says what a condition reads; a value is what the request tells of it, and one that it does not tell is said not to be
shown. Policies that could not be read are a text in place of them, which says why.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bailiwick_engine.approval.display import visible
from bailiwick_engine.cel.reads import Path
from bailiwick_engine.compile.acceptance import carries_settings, endpoint_of
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import BrokenPolicy, CompiledRule, CompiledSettings
from bailiwick_governance.display import Line, legible, legible_escaped
from bailiwick_governance.grants.grantfacts import Fact, FactRows, GrantFact
from bailiwick_governance.grants.grantview import GrantView

Policies = Sequence[Mapping[str, Any]] | str
"""Those of the grant's namespace, or why they could not be read."""

_ARGS: Final = ("context", "args")


def proof(grant: GrantView, policies: Policies) -> Iterator[Fact]:
    """Yield how the subject of the call was proven, as far as the settings of the endpoint tell."""
    if grant.request["origin"] == "PreApproved":
        yield _verification("no: the request names the subject, and no call was made yet", "yellow")
        return
    if isinstance(policies, str):
        yield _verification(f"not known: {legible(policies)}", "yellow")
        return
    settings = _settings(grant.request["endpoint"], policies)
    if settings is None:
        yield _verification("not known: the settings of the endpoint are not in one policy", "yellow")
    elif settings.asserted:
        yield _verification("no: it is only the enforcement point's word (verification: Asserted)", "yellow")
    else:
        yield _verification("by the tokens of the call, as the endpoint is set now", "")


def conditions(grant: GrantView, policies: Policies) -> Iterator[Fact]:
    """Yield what stands in the rules that the grant names, as the policies are now, and what has changed since."""
    if isinstance(policies, str):
        yield _warning(f"not known: {legible(policies)}")
        return
    known = {policy["metadata"]["name"]: policy for policy in policies}
    settings = _settings(grant.request["endpoint"], policies)
    for reference in grant.request["rules"]:
        name = f"{legible(reference['policy'])}/{legible(reference['rule'])}"
        policy = known.get(reference["policy"])
        if policy is None:
            yield _warning(f"{name}: the policy is no longer there")
            continue
        if reference.get("uid") not in {None, policy["metadata"]["uid"]}:
            yield _warning(f"{name}: the policy was deleted and created again since")
        rule = _rule(policy, reference["rule"])
        if rule is None:
            yield _warning(f"{name}: the rule is no longer there, or its policy is invalid")
            continue
        if reference.get("ruleDigest") is not None and reference["ruleDigest"] not in _digests(rule, settings):
            yield _warning(
                f"{name}: the rule, or what the settings of its endpoint make of it, has changed since. An approval of"
                " what it was lets nothing through"
            )
        if rule.conditions:
            yield FactRows(f"Conditions of {name}", tuple(_rows(grant, rule)), note="as the rule is now", aligned=True)
        else:
            yield GrantFact("Conditions", [(f"{name} has none: every such call needs an approval", "")])


def _settings(endpoint: str, policies: Sequence[Mapping[str, Any]]) -> CompiledSettings | None:
    """Return the settings of the endpoint that are in force; None where no policy carries any, or several do."""
    specs = ((policy, policy.get("spec")) for policy in policies)
    carriers = [policy for policy, spec in specs if endpoint_of(spec) == endpoint and carries_settings(spec)]
    return compile_object(carriers[0]).settings if len(carriers) == 1 else None


def _digests(rule: CompiledRule, settings: CompiledSettings | None) -> frozenset[str]:
    """Return the digests that a grant of the rule can have as things are."""
    if rule.gate is None or settings is None:
        return frozenset()
    return frozenset(one.rule_digest for one in settings.gate(rule.gate, rule.actions).rules)


def _rule(policy: Mapping[str, Any], name: str) -> CompiledRule | None:
    compiled = compile_object(policy)
    if isinstance(compiled, BrokenPolicy):
        return None
    return next((rule for rule in compiled.rules if rule.name == name and rule.gate is not None), None)


def _rows(grant: GrantView, rule: CompiledRule) -> Iterator[Line]:
    known = dict(_values(grant))
    for condition in rule.conditions:
        yield [(legible(condition.name), ""), (visible(condition.expression.text), "")]
        for path in sorted(condition.reads):
            # Of an argument all is shown, whichever part of it is read.
            value = known.get(path, known.get(path[:3]) if path[:2] == _ARGS else None)
            shown = "not shown here" if value is None else f"= {legible_escaped(value)}"
            yield [(legible(".".join(path)), "dim"), (shown, "dim" if value is None else "bold")]


def _values(grant: GrantView) -> Iterator[tuple[Path, str]]:
    """Yield what the request tells of the call, by the path under which a condition reads it."""
    request = grant.request
    yield ("subject", "id"), str(request["subject"]["id"])
    yield ("subject", "type"), str(request["subject"].get("type") or "")
    yield ("action", "name"), str(request["action"]["name"])
    yield ("resource", "type"), str(request["resource"]["type"])
    yield ("resource", "id"), str(request["resource"]["id"])
    if request.get("intent"):
        yield ("context", "intent"), str(request["intent"])
    for name, value in (request["resource"].get("properties") or {}).items():
        yield ("resource", "properties", name), str(value)
    for item in request.get("display") or ():
        yield _path(str(item["name"])), str(item["value"])


def _path(name: str) -> Path:
    """Return the path of what is displayed under a name: `args.amount`, `resource.properties.env`, `context.tenant`.

    Only what stands before the name itself is split off: a name may hold dots. Where the policy says what is shown, the
    names are pointers.
    """
    if name.startswith("/"):
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))
    for prefix in ("args", "subject.properties", "action.properties", "resource.properties", "context"):
        if name.startswith(f"{prefix}."):
            begin = _ARGS if prefix == "args" else tuple(prefix.split("."))
            return (*begin, name.removeprefix(f"{prefix}."))
    return (name,)


def _verification(text: str, style: str) -> GrantFact:
    return GrantFact("Verified", [(text, style)])


def _warning(text: str) -> GrantFact:
    return GrantFact("Conditions", [(text, "yellow")])
