"""The condition Shadowing: whether a candidate is judged in place of the policy that it replaces. Pure.

Standing: under `endpointpolicy`. Holds: who stands for whom, the engine says; here it is only put into words, of the
policies as they are known.
"""

from collections.abc import Callable, Iterable
from typing import Any

from bailiwick_engine.policy.replacements import Replacement, replaced_by, replacements, told
from bailiwick_operator.reconcile.conditions import DesiredCondition, truth

Object = dict[str, Any]


def shadowing(
    endpoint: str, policies: Iterable[Object], elsewhere: Callable[[str], str | None]
) -> dict[str, DesiredCondition]:
    """Return the condition of each candidate among all policies of one endpoint, by name.

    `elsewhere` returns the endpoint of a policy of the namespace, None where there is no such policy.
    """
    candidates: dict[str, str] = {}
    others: set[str] = set()
    for policy in policies:
        name, replaced = policy["metadata"]["name"], replaced_by(policy.get("spec"))
        if replaced is None:
            others.add(name)
        else:
            candidates[name] = replaced
    found: dict[str, DesiredCondition] = {}
    for name, standing in (replacements(candidates, others) if candidates else {}).items():
        replaced, other = candidates[name], None
        if standing is Replacement.NOT_FOUND and (other := elsewhere(replaced)) not in {None, endpoint}:
            standing = Replacement.OTHER_ENDPOINT  # noqa: PLW2901 - the same, told with what else is known
        rivals = {rival for rival, of in candidates.items() if of == replaced and rival != name}
        message = told(standing, endpoint, replaced, rivals, other or "")
        found[name] = DesiredCondition("Shadowing", truth(standing is Replacement.IN_PLACE), standing, message)
    return found
