"""The answer to one evaluation, as the pipeline hands it to whoever asked.

Holds: frozen; every adapter turns it into its own words, and the metrics count it.
"""

import os
import time

import msgspec

from bailiwick_engine.explain import Explanation
from bailiwick_engine.grants import Grant
from bailiwick_engine.reasons import NextAction
from bailiwick_engine.verdict import Outcome, Verdict
from bailiwick_webhook.metrics.table import Outcome as Counted


class Decision(msgspec.Struct, frozen=True):
    """The answer to one evaluation. `used` is the grant that lets it through, as it stands after this use.

    `explanation` stands where it was asked for and may be seen. Not `askable`: an approval may be what is missing, but
    there is nobody to ask for one.
    """

    verdict: Verdict
    allowed: bool
    evaluation_id: str
    time: float
    revision: str
    age: float
    used: Grant | None = None
    explanation: Explanation | None = None
    askable: bool = True

    @property
    def counted(self) -> Counted:
        """What this counts as in the metrics."""
        if self.allowed:
            return Counted.ALLOW if self.verdict.outcome is Outcome.ALLOW else Counted.GRANT
        return Counted.FORBIDDEN if self.verdict.outcome is Outcome.FORBIDDEN else Counted.DENY

    @property
    def requestable(self) -> bool:
        """An approval can be asked for."""
        return self.askable and self.verdict.requestable

    @property
    def next_action(self) -> NextAction:
        """What the caller can do (ARAP `next_action`)."""
        found = self.verdict.next_action
        return "none" if found == "request" and not self.askable else found

    @property
    def sentence(self) -> str:
        """Why, in one sentence."""
        if self.verdict.next_action == "request" and not self.askable:
            return "This call needs an approval, and without an API server there is nobody to ask for one."
        return self.verdict.sentence


def new_evaluation_id() -> str:
    """Return an id that sorts by time (48 bits of milliseconds) and cannot be guessed (80 random bits)."""
    return f"eval_{int(time.time() * 1000):012x}{os.urandom(10).hex()}"
