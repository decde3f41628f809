"""Circumstances: what a decision needs to know besides policies, grants and the call.

Holds: the engine reads no clock; its caller says what time it is, how fresh the store is, and if the guard is proven.
"""

from enum import Enum, auto

import msgspec

from bailiwick_api.accounts import Installation
from bailiwick_api.voidgrants import NONE, VoidGrants
from bailiwick_engine.historynumbers import UNREAD, HistoryReadings
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS, Revocations
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust


class Freshness(Enum):
    """How old the store's view is. STALE denies what depends on grants, DEAD everything."""

    FRESH = auto()
    STALE = auto()
    DEAD = auto()


class Circumstances(msgspec.Struct, frozen=True, gc=False):
    """`now` is seconds since the epoch: the latest time that it can be, by which what gives rights ends.

    `earliest`: the earliest time that it can be, by which what takes them ends: the cool-down of a denial, and the wait
    of a request. None: it is `now`; minus infinity: it is not known, and nothing of that ends.
    `guard_proven`: the guards in force are those that the operator last proved.

    `outdated`: policies of the call's endpoint changed some time ago and are not compiled yet, so that what the present
    ones would allow is denied.
    `void`: the grants of which the operator could say that they are void nowhere but in a list. `history`: the numbers
    of the endpoint's histories; by default none is known, and nothing is counted. `revocations`: who is taken back.
    `reviewers`: whose signatures count; by default none.
    """

    now: float
    freshness: Freshness = Freshness.FRESH
    guard_proven: bool = True
    installation: Installation = msgspec.field(default_factory=Installation)
    outdated: bool = False
    void: VoidGrants = NONE
    history: HistoryReadings = UNREAD
    revocations: Revocations = NO_REVOCATIONS
    reviewers: ReviewerTrust = NO_REVIEWER_KEYS
    earliest: float | None = None

    def surely_past(self, end: float) -> bool:
        """Tell whether a time is past by whatever clock: by this, what takes rights ends."""
        return end <= (self.now if self.earliest is None else self.earliest)
