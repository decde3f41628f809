"""Atom: one of the few values of a dimension that stand for all others, for the comparison of policies.

Holds: two calls whose atoms are the same meet the same rules; a fresh name is in no list.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import PodWorkload

FRESH: Final = "~any"
"""The beginning of a name that no policy lists."""


class TooManyError(Exception):
    """More combinations than can be looked at."""


class CallDraft(NamedTuple):
    """What a call has besides its parties, its action and its resource. `workload` None: it is not known."""

    now: float
    context: Mapping[str, Any] = {}
    workload: PodWorkload | None = None

    def with_context(self, name: str, value: object) -> "CallDraft":
        """Return it with a member of the context."""
        return self._replace(context={**self.context, name: value})


class CallAtom(NamedTuple):
    """A value of a dimension. `label` is for people, empty where no rule tells it from any other.

    `put` returns the draft of a call that has the value.
    """

    label: str = ""
    put: Callable[[CallDraft], CallDraft] = lambda draft: draft
