"""Rule digest: what a RequireApproval rule means by its own policy, so that a grant dies with any change of it.

Standing: over `digestfields`; `settingsdigest` adds what the endpoint's settings make of it. Holds: all that a policy
says counts, but for the exceptions that `digestfields` names, each with its reason.
"""

import hashlib
from collections.abc import Collection

from bailiwick_api.kinds.approvalrequirement import Limits
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule
from bailiwick_engine.call import Json
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.compile.digestfields import meaning

Pairs = Collection[tuple[str, str]]


def rule_digest(spec: EndpointPolicySpec, rule: Rule, variables: Pairs, data: Pairs) -> str:
    """Return the hex SHA-256 of the canonical form of the rule's meaning.

    `variables` are name and text of those that its conditions reach, `data` name and object of what they read.
    """
    if rule.approval is not None:
        # Limits that are all written out as they are without.
        approval = rule.approval.model_copy(update={"limits": rule.approval.limits or Limits()})
        rule = rule.model_copy(update={"approval": approval})
    said: dict[str, Json] = {
        "policy": meaning(spec),
        "rule": meaning(rule),
        "subjects": meaning([subject for subject in spec.subjects if subject.name in rule.subjects]),
        "variables": sorted([name, text] for name, text in variables),
        "data": sorted([name, source] for name, source in data),
    }
    return hashlib.sha256(canonical(said)).hexdigest()
