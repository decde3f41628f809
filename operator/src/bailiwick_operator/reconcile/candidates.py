"""The condition Shadowing: whether a candidate is judged in place of the policy that it replaces. Pure.

Standing: under `endpointpolicy`. Holds: who stands for whom, the engine says; here it is only put into words, of the
policies as they are known.
"""

from collections.abc import Callable, Iterable
from typing import Any

from bailiwick_engine.policy.replacements import Replacement, replaced_by, standings
from bailiwick_operator.reconcile.conditions import DesiredCondition, truth

Object = dict[str, Any]


def shadowing(
    endpoint: str, policies: Iterable[Object], elsewhere: Callable[[str], str | None]
) -> dict[str, DesiredCondition]:
    """Return the condition of each candidate among all policies of one endpoint, by name.

    `elsewhere` returns the endpoint of a policy of the namespace, None where there is no such policy.
    """
    replaced = {policy["metadata"]["name"]: replaced_by(policy.get("spec")) for policy in policies}
    return {
        name: DesiredCondition("Shadowing", truth(told.standing is Replacement.IN_PLACE), told.standing, told.message)
        for name, told in standings(endpoint, replaced, elsewhere).items()
    }
