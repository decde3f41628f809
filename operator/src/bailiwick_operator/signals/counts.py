"""What became of signals, as numbers for the metrics.

Holds: the events and outcomes are listed here, so that the number of series is known; issuers are those of the
installation's file.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

from bailiwick_operator.reconcile.securityevent import NAMES, OTHER

POLL: Final = "poll"
Outcome = Literal[
    "stored", "everybody", "unchanged", "unstored", "ignored", "refused", "unverifiable", "answered", "unanswered"
]
OF_POLLS: Final[tuple[Outcome, ...]] = ("answered", "unanswered")
OF_EVENTS: Final[tuple[Outcome, ...]] = (
    *("stored", "everybody", "unchanged", "unstored"),
    *("ignored", "refused", "unverifiable"),
)
EVENTS: Final = (*NAMES.values(), OTHER, POLL)


@dataclass(slots=True)
class SignalCounts:
    """The numbers of one issuer.

    `verified` is when a token of it was last accepted, or else when this process began to receive, in seconds since
    the epoch.
    """

    issuer: str
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    verified: float = 0.0
