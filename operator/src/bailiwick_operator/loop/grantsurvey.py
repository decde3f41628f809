"""Which revocations have work left: a grant to end, or an Approve to refuse. They stay until that is done.

Standing: over `reconcile.approvalgrant`, which says what a revocation does to a grant; `revocations` and `signals` ask
before they delete an object. Holds: the grants are listed after the time of the question, as a watch may be late, and
what was written before may still come by it. No object stays for longer than a grant of before can be used. Thousands
of revocations that name one subject hold up nothing else in the loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from msgspec.structs import replace

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.revocations import PartyRevocation, Revocations
from bailiwick_operator.kube import GRANTS_PATH, Object, OperatorClient
from bailiwick_operator.reconcile.approvalgrant import unfinished_revocations
from bailiwick_operator.reconcile.retention import LONGEST_LIFE

_REST: Final = 20.0
"""A survey takes a twentieth of the time at most, however many grants there are, and also where it fails."""
_SLICE: Final = 200
_AT_ONCE: Final = 50
"""So many revocations of one grant are looked for at once. A page has hundreds of grants, and is read in one go."""
_LONGEST_WAIT: Final = LONGEST_LIFE + timedelta(seconds=2 * MAX_SKEW)
"""After this no grant of before can be used. Its creation and its deadline are by other clocks."""


class GrantSurvey:
    """Lists grants. `issuers`: how the API server names the people of each issuer. `clock` is monotonic, in seconds."""

    def __init__(
        self, kube: OperatorClient, issuers: Mapping[str, UsernameTemplate] | None, clock: Callable[[], float]
    ) -> None:
        self._kube = kube
        self._issuers = issuers
        self._clock = clock
        self._rests_until = float("-inf")

    async def find_unfinished(self, past: Iterable[PartyRevocation], earliest: datetime) -> set[str] | None:
        """Return which of these revocations, whose time is past, have work left: their names.

        `earliest`: the earliest time that it can be. None: grants were listed a moment ago, so ask again later. Raises
        `RefusedError` and `UnreachableError`.
        """
        begun, oldest = self._clock(), (earliest - _LONGEST_WAIT).timestamp()
        if begun < self._rests_until:
            return None
        sought = Revocations(self._issuers)
        for number, one in enumerate(past):
            if one.until > oldest:
                sought.put(_as_of_its_end(one))
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        found: set[str] = set()
        # Few, since what was found is sought no more.
        more: list[Iterator[PartyRevocation]] = []

        def look_at(grant: Object) -> Object:
            work = unfinished_revocations(grant, sought, earliest)
            if sought and _take(work, sought, found) == _AT_ONCE:
                more.append(work)
            # Nothing of the grant is kept.
            return {}

        if sought:
            try:
                await self._kube.list(GRANTS_PATH, reduce=look_at)
                for work in more:
                    taken = _AT_ONCE
                    while taken == _AT_ONCE:
                        await asyncio.sleep(0)
                        taken = _take(work, sought, found)
            finally:
                # A list can also fail after its last page but one, each time.
                self._rests_until = begun + (self._clock() - begun) * _REST
        return found


def _take(work: Iterator[PartyRevocation], sought: Revocations, found: set[str]) -> int:
    """Move the next few that have work from `sought` to `found`; return how many they are.

    Each is removed at once: `work` yields the strictest that is left, so that removing one shows the next.
    """
    before = len(found)
    for one in islice(work, _AT_ONCE):
        sought.remove(one.name)
        found.add(one.name)
    return len(found) - before


def _as_of_its_end(one: PartyRevocation) -> PartyRevocation:
    """Return a revocation as it stood at its `until`: a hold ends the grants of before that, and has no later ones.

    Otherwise anyone who writes one grant after the other could keep somebody stopped.
    """
    return replace(one, hold=False, issued_before=one.until + MAX_SKEW) if one.hold else one
