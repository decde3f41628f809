"""Makes grants void: by their status, and where that cannot be written, by their name in the guard's record.

Standing: under `keeper`, which says what to make void and keeps the record. Holds: no single object ends a round. An
object that the API server refuses to change or stores otherwise than it was written, that changes each time before it
is written, or that has an unforeseen shape, is named alone. What was named is tried again, a few at a time, until its
own status says that it is void or it is gone.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Final, Literal

import structlog

from bailiwick_api.accounts import Installation
from bailiwick_api.voidgrants import PER_NAMESPACE, VoidGrant, VoidGrants
from bailiwick_kube.paths import grants_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import GRANTS_PATH, Object, OperatorClient
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.guard import is_over, is_own_canary, is_stored_void, must_void, void_status

_LOG: Final = structlog.get_logger(__name__)
_ROUNDS: Final = 10
_AT_ONCE: Final = 8
_MOST_MOVES: Final = 3
_AGAIN_AT_ONCE: Final = 16
_CHANGED: Final = "find out which policy or webhook changes approvalgrants/status, and remove it"

Outcome = Literal["void", "gone", "moved", "refused"]


class Voider:
    """Lives in the main loop. `report` is called with each void grant, and with its status as it is or should be.

    `again`: seconds between two tries of what is void by name, by `clock`, which is monotonic.
    """

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        now: Callable[[], datetime],
        report: Callable[[Object, Status], None],
        *,
        again: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._installation = installation
        self._now = now
        self._report = report
        self._again = again
        self._clock = clock
        self._tried_again = float("-inf")
        self._turn = 0

    async def make_void(self, after: int, known: VoidGrants) -> tuple[int, int, VoidGrants]:
        """Make void what is newer than a resourceVersion.

        Returns the version of a list whose newer grants are all void, how many were made void, and which are void by
        name, with those that were known. Raises `RefusedError` and `UnreachableError` for the list alone.
        """
        version, count, moves, named = after, 0, Counter[str](), dict(known.grants)
        for turn in range(1, _ROUNDS + 1):
            listed = await self._kube.list(GRANTS_PATH)
            version, moved = listed.version, False
            for batch in _batches(grant for grant in listed.items if self._must_void(grant, after, known, named)):
                for grant, outcome in zip(batch, await self._void_all(batch), strict=True):
                    # It was changed between list and write, so its new version was not judged: list again.
                    if outcome == "moved":
                        moved, uid = True, grant["metadata"]["uid"]
                        moves[uid] = _MOST_MOVES if turn == _ROUNDS else moves[uid] + 1
                    if outcome == "refused" or moves[grant["metadata"]["uid"]] >= _MOST_MOVES:
                        self._name(grant, named)
                    count += outcome == "void"
            if not moved:
                break
        return version, count + len(named) - len(known.grants), VoidGrants(named, known.namespaces).within_limits()

    async def try_again(self, known: VoidGrants) -> VoidGrants:
        """Try a few of those that are void by name again, now and then; return which are left."""
        if not known or self._clock() - self._tried_again < self._again:
            return known
        self._tried_again = self._clock()
        namespaces, named = set(known.namespaces), dict(known.grants)
        try:
            for namespace in known.namespaces:
                if (few := await self._few(namespace)) is not None:
                    namespaces.discard(namespace)
                    named |= few
            for uid in self._in_turn(sorted(named)):
                if not await self._still_named(named[uid], uid):
                    del named[uid]
        except UnreachableError as error:
            _LOG.info("retrying the grants that are void by name later", why=str(error))
        return VoidGrants(named, frozenset(namespaces)).within_limits()

    def _in_turn(self, uids: list[str]) -> list[str]:
        """Return the next few, so that all have their turn."""
        start = self._turn % len(uids) if uids else 0
        self._turn += _AGAIN_AT_ONCE
        return [*uids[start:], *uids[:start]][:_AGAIN_AT_ONCE]

    async def _few(self, namespace: str) -> dict[str, VoidGrant] | None:
        """Return the grants of a namespace that are not over, where it holds few; None: it still holds too many."""
        answer = await self._kube.get(grants_path(namespace), {"limit": str(PER_NAMESPACE)})
        if not answer.ok or (answer.body.get("metadata") or {}).get("continue"):
            return None
        grants = (grant for grant in answer.body.get("items") or () if not is_over(grant, self._now()))
        return {grant["metadata"]["uid"]: _void_grant(grant) for grant in grants}

    async def _still_named(self, one: VoidGrant, uid: str) -> bool:
        answer = await self._kube.get(grants_path(*one))
        if answer.missing:
            return False
        if not answer.ok:
            return True
        if answer.body["metadata"]["uid"] != uid or is_over(answer.body, self._now()):
            return False
        return await self._void(answer.body) in {"moved", "refused"}

    def _must_void(self, grant: Object, after: int, known: VoidGrants, named: dict[str, VoidGrant]) -> bool:
        metadata = grant["metadata"]
        if metadata["uid"] in named or metadata["namespace"] in known.namespaces:
            return False
        return must_void(grant, after, self._installation, self._now())

    async def _void_all(self, batch: list[Object]) -> list[Outcome]:
        """Try each. Raises `UnreachableError` where several have no answer: then the cause is not one object."""
        answers = await asyncio.gather(*(self._void(grant) for grant in batch), return_exceptions=True)
        silent = [answer for answer in answers if isinstance(answer, UnreachableError)]
        if len(silent) > 1:
            raise silent[0]
        # If only one has no answer, the cause may be the object. If it is not, nothing can be recorded either.
        return ["refused" if isinstance(answer, BaseException) else answer for answer in answers]

    async def _void(self, grant: Object) -> Outcome:
        metadata = grant["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}"
        status = void_status(grant, self._now())
        answer = await self._kube.apply_status("ApprovalGrant", grant, status)
        if answer.ok and not is_stored_void(answer.body, status):
            # Otherwise a change on admission could have it count like any other.
            _LOG.error("grant is not void: what was written was changed on admission", grant=name, why=_CHANGED)
            return "refused"
        if answer.ok:
            self._report(grant, status)
            _LOG.warning("grant made void", grant=name, version=metadata["resourceVersion"])
            return "void"
        if answer.missing or answer.conflict:
            return "gone" if answer.missing else "moved"
        _LOG.warning("grant cannot be made void", grant=name, why=answer.message)
        return "refused"

    def _name(self, grant: Object, named: dict[str, VoidGrant]) -> None:
        if is_own_canary(grant, self._installation):
            return
        metadata = grant["metadata"]
        named[metadata["uid"]] = _void_grant(grant)
        self._report(grant, void_status(grant, self._now()))
        _LOG.error(
            "grant is void by name: its status cannot be written",
            grant=f"{metadata['namespace']}/{metadata['name']}",
            uid=metadata["uid"],
        )


def _void_grant(grant: Object) -> VoidGrant:
    return VoidGrant(grant["metadata"]["namespace"], grant["metadata"]["name"])


def _batches(grants: Iterable[Object]) -> Iterable[list[Object]]:
    each = iter(grants)
    while batch := list(islice(each, _AT_ONCE)):
        yield batch
