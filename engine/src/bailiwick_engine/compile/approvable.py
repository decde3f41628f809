"""Whether an approval that a rule requires can be given at all (invariant 23 of hack/invariants.py).

Holds: only what a policy itself decides is a problem. The reviewers of a step are decided elsewhere: the authenticator
of people decides who is in a group, RBAC decides who has the verb approve, and the call decides who the requester is.
So a policy cannot show that only the requester could approve: a requester is one account, a step names groups, and
every group that accepts one service account, or one person, is open to others. It can show a group that accepts no
reviewer of the step's kind.
"""

from typing import Final

from bailiwick_api.kinds.approvalrequirement import Step
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule
from bailiwick_engine.approval.gates import MAX_RULES, MOST_REVIEWS
from bailiwick_engine.problem import Problem

_LONG_SECONDS: Final = 3600
_FEW: Final = 4
_TOLD: Final = 5
_ACCOUNTS: Final = "system:serviceaccounts"
_AUTHENTICATED: Final = "system:authenticated"
# The API server puts only service accounts and nodes into them.
_MACHINES: Final = frozenset({_ACCOUNTS, "system:nodes"})


def problems(rule: Rule, path: str) -> list[Problem]:
    """Return why no reviewer could ever approve the calls that this rule gates."""
    if rule.approval is None:
        return []
    found = [
        Problem(f"{path}.approval.steps[{index}].groups", why)
        for index, step in enumerate(rule.approval.steps)
        if (why := _nobody(step)) is not None
    ]
    found += [
        Problem(f"{path}.approval.steps[{index}].signature", "signature is allowed only with kind Human")
        for index, step in enumerate(rule.approval.steps)
        if step.signature is not None and step.kind != "Human"
    ]
    reviews = sum(step.count for step in rule.approval.steps)
    if reviews > MOST_REVIEWS:
        found.append(
            Problem(
                f"{path}.approval.steps",
                f"the steps require {reviews} reviews, but a grant holds at most {MOST_REVIEWS}, so no approval could"
                " ever be complete",
            )
        )
    return found


def warnings(spec: EndpointPolicySpec) -> list[Problem]:
    """Return what can be approved and then stays open for long."""
    return [
        Problem(
            f"spec.rules[{index}].approval.windowSeconds",
            f"an approval for one use is valid for {rule.approval.window_seconds} seconds, which gives a stolen"
            f" identity that long to use it: use at most {_LONG_SECONDS} seconds",
        )
        for index, rule in enumerate(spec.rules)
        if rule.approval is not None and rule.approval.max_uses == 1 and rule.approval.window_seconds > _LONG_SECONDS
    ]


def together(spec: EndpointPolicySpec, index: int) -> list[Problem]:
    """Return that every call of a rule needs more approvals than one grant can hold, where that is certain.

    Only rules of the same policy that say so in plain sets are compared, so that it takes microseconds.
    """
    rule = spec.rules[index]
    if rule.approval is None or not _plain(rule):
        return []
    others = [
        (place, other)
        for place, other in enumerate(spec.rules)
        if place != index and other.approval is not None and _always_beside(other, rule)
    ]
    if any(place < index and _always_beside(rule, other) for place, other in others):
        # Said of that one.
        return []
    rules = [rule, *(other for _, other in others)]
    reviews = sum(step.count for one in rules if one.approval is not None for step in one.approval.steps)
    if len(rules) <= MAX_RULES and (reviews <= MOST_REVIEWS or not others):
        return []
    named = ", ".join(other.name for _, other in others[:_TOLD])
    return [
        Problem(
            f"spec.rules[{index}].approval",
            f"every call of this rule also needs the approvals of {named}:"
            f" {len(rules)} rules with {reviews} reviews, but a grant holds at most {MAX_RULES} rules and"
            f" {MOST_REVIEWS} reviews, so such a call is always denied (multiple_gates)",
        )
    ]


def _always_beside(other: Rule, rule: Rule) -> bool:
    """Tell whether a rule gates every call that the other one gates. False where that takes more than plain sets."""
    if other.conditions or other.intents or not _plain(other):
        return False
    return (
        set(rule.subjects) <= set(other.subjects)
        and _within(rule.actions, other.actions)
        and all(
            any(
                wide.type == entry.type and not wide.properties and _within(entry.ids, wide.ids)
                for wide in other.resources
            )
            for entry in rule.resources
        )
    )


def _plain(rule: Rule) -> bool:
    return len(rule.resources) <= _FEW


def _within(names: list[str], others: list[str]) -> bool:
    return "*" in others or set(names) <= set(others)


def _nobody(step: Step) -> str | None:
    """Return why no reviewer of the step's kind is in any of its groups; without groups, any reviewer will do."""
    groups = step.groups or []
    if not groups:
        return None
    if step.kind == "System" and not any(_takes_accounts(group) for group in groups):
        return (
            f"no service account is in {_listed(groups)}: service accounts are only in {_ACCOUNTS},"
            f" {_ACCOUNTS}:<namespace> and {_AUTHENTICATED}"
        )
    if step.kind == "Human" and all(group in _MACHINES or group.startswith(f"{_ACCOUNTS}:") for group in groups):
        return f"no person is in {_listed(groups)}: a Human step needs people as reviewers"
    return None


def _takes_accounts(group: str) -> bool:
    return group in {_ACCOUNTS, _AUTHENTICATED} or group.startswith(f"{_ACCOUNTS}:")


def _listed(groups: list[str]) -> str:
    return ", ".join(sorted(groups))
