"""The times of a grant, each checked at both ends: not too early, not too late (invariant 12 of hack/invariants.py).

Standing: under `grants`, which decides what a wrong time means for a grant. Pure; times are seconds since the epoch.
Holds: it does not matter which clock stamped a time. The time must fit the creation, which the API server stamps, and
the present.
"""

from collections.abc import Iterable
from typing import Final

from bailiwick_api.serverclock import MAX_SKEW

LONGEST_PENDING: Final = 86_400.0
"""As the guard `open` has it: until when a grant may wait for its reviews, from its creation on."""


def waits_no_longer(created: float, pending_until: float, longest: float) -> bool:
    """Tell whether a grant waits for its reviews at most `longest` seconds.

    The account that opens it stamps the deadline, with a clock that may be off by `MAX_SKEW`.
    """
    return 0 < pending_until - created <= longest + MAX_SKEW


def approval_fits(
    created: float, pending_until: float, longest: float, approved: float, until: float, uses: Iterable[float]
) -> bool:
    """Tell whether an approval was given while its grant waited, ends no later than it may, and was used meanwhile.

    `longest` is how long it may last, in seconds.
    """
    # The API server rounds the creation down and the operator the approval, so no room is needed between the two: one
    # that seems earlier was stamped by a clock that is behind, by which it may have come too late.
    in_time = created <= approved <= pending_until
    # A use is stamped by the API server's clock. The decision point that took it may have been as far from that as the
    # operator was from the decision point.
    meanwhile = all(approved - 2 * MAX_SKEW <= use <= until + MAX_SKEW for use in uses)
    return in_time and 0 < until - approved <= longest and meanwhile


def to_come(moment: float, now: float) -> bool:
    """Tell whether a moment surely lies ahead, whatever clock stamped it."""
    return moment - now > MAX_SKEW
