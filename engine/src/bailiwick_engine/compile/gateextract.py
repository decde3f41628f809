"""Gate extract: the approval requirements of one rule, read again from a policy that was compiled before.

Standing: over `policies`, for callers that keep digests instead of compiled policies. Holds: no expression is compiled
here, so that it takes as long as one rule without conditions. The digest is that of the whole compilation and is never
computed again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule

_LEFT_OUT: Final = frozenset({"variables", "data", "endpointSettings", "sensitive"})


def gate_extract(raw: Mapping[str, Any], name: str, digests: Mapping[str, str]) -> CompiledRule | None:
    """Return a rule of a sound stored policy, without its conditions; None where there is none of that name.

    `digests` are those of its RequireApproval rules by name, as `CompilationSummary` has them.
    """
    spec = raw["spec"]
    rule = next((rule for rule in spec["rules"] if rule["name"] == name), None)
    if rule is None:
        return None
    part = {member: value for member, value in spec.items() if member not in _LEFT_OUT}
    part["rules"] = [{member: value for member, value in rule.items() if member != "conditions"}]
    part["subjects"] = [subject for subject in spec["subjects"] if subject["name"] in rule["subjects"]]
    compiled = compile_object({**raw, "spec": part})
    if not isinstance(compiled, CompiledPolicy):
        return None
    (found,) = compiled.rules
    if found.gate is None:
        return found
    if name not in digests:
        return None
    known = tuple(replace(one, rule_digest=digests[name]) for one in found.gate.rules)
    return replace(found, gate=replace(found.gate, rules=known))
