"""The store of policies, step by step: so that a test says between which two of them something comes.

Holds: each look at the clock is longer than a turn, so that each step is one, and nothing runs unless a step is taken.
"""

from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Key


class StepClock:
    """Seconds, which go on by more than a turn with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Look."""
        self.now += 0.0021
        return self.now


def step(policies: PolicyController) -> bool:
    """Take one step, as the store's own task does. Returns whether there is work left."""
    going = policies._queue._rotation.turn()
    policies._publish(idle=not going)
    return going


def finish(policies: PolicyController) -> None:
    """Take steps until there is no work left."""
    for _ in range(50_000):
        if not step(policies) and not len(policies._queue._rotation):
            return
    raise AssertionError("it does not come to an end")


def is_withheld(policies: PolicyController, key: Key) -> bool:
    """Tell whether nothing is kept of a policy, since it is over budget."""
    found = policies._index.get(key)
    return isinstance(found, BrokenPolicy) and found.withheld
