"""Rule digest: what a RequireApproval rule means, so that a grant dies with any change of it.

Holds: names of policies, rules, subjects and conditions, messages and written-out defaults do not count.
"""

import hashlib
from collections.abc import Collection

from bailiwick_api.kinds.endpointpolicy import Rule
from bailiwick_engine.approval.binding import canonical
from bailiwick_engine.call import Json


def rule_digest(endpoint: str, rule: Rule, subjects: Collection[str], variables: Collection[tuple[str, str]]) -> str:
    """Return `v1:` and the hex SHA-256 of the canonical form of the rule's meaning.

    `subjects` are the resolved usernames, `variables` name and text of those that the conditions reach.
    """
    meaning: dict[str, Json] = {
        "endpoint": endpoint,
        "effect": rule.effect,
        "subjects": sorted(subjects),
        "actions": sorted(rule.actions),
        "resources": sorted(
            (
                {
                    "type": entry.type,
                    "ids": sorted(entry.ids),
                    "properties": {name: sorted(values) for name, values in (entry.properties or {}).items()},
                }
                for entry in rule.resources
            ),
            key=canonical,
        ),
        "intents": sorted(rule.intents or ()),
        "expressions": sorted(condition.expression for condition in rule.conditions or ()),
        "variables": sorted([name, text] for name, text in variables),
    }
    if rule.approval is not None:
        # Without what says the default, so that writing one out changes nothing, and a new field ends no grant.
        approval = rule.approval.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        for step in approval["steps"]:
            step["groups"] = sorted(step.get("groups", ()))
        approval["steps"] = sorted(approval["steps"], key=lambda step: str(step["name"]))
        if not approval.get("limits"):
            # Limits that are all written out as they are without.
            approval.pop("limits", None)
        for name in {"requiredContext", "show"} & approval.keys():
            approval[name] = sorted(approval[name])
        meaning["approval"] = approval
    return "v1:" + hashlib.sha256(canonical(meaning)).hexdigest()
