"""Whether an approval that a rule asks for can be given at all (invariant 23 of hack/invariants.py).

Holds: only what a policy itself decides is a problem. Whom a step finds is decided elsewhere: who is in a group, by
whoever authenticates people; who holds the verb approve, by RBAC; who asks, by the call. So that nobody but the
requester could approve shows in no policy: a requester is one account, a step names groups, and every group that takes
one service account, or one person, is open to others. What shows is a group that takes nobody of the step's kind.
"""

from typing import Final

from bailiwick_api.kinds.approvalrequirement import Step
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule
from bailiwick_engine.problem import Problem

MOST_REVIEWS: Final = 20
"""As many as a grant holds."""
_LONG_SECONDS: Final = 3600
_ACCOUNTS: Final = "system:serviceaccounts"
_AUTHENTICATED: Final = "system:authenticated"
# The API server puts nobody else than these into them.
_MACHINES: Final = frozenset({_ACCOUNTS, "system:nodes"})


def problems(rule: Rule, path: str) -> list[Problem]:
    """Return why nobody could ever approve what this rule gates."""
    if rule.approval is None:
        return []
    found = [
        Problem(f"{path}.approval.steps[{index}].groups", why)
        for index, step in enumerate(rule.approval.steps)
        if (why := _nobody(step)) is not None
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
