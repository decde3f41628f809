"""Who is taken back: the index that grants are judged by, the grants that it ends, and the end of each object.

Standing: beside `grants`, which reads the index. Holds: an object is deleted once its `until` is certainly past at the
API server and the grants that it ends have ended, and only in the version that was judged. Until then it is in force.
Thousands of changes at once look at the grants once.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.revocations import Revocations, parse
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from bailiwick_operator.loop.inventory import Inventory, Key, ObservedObject, Ticks, key_of
from bailiwick_operator.loop.workqueue import WorkItem

_LOG: Final = structlog.get_logger(__name__)
_SETTLE_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 2.0
_SLICE: Final = 200


class RevocationController:
    """Follows the objects. Lives in the main loop; `again` queues a grant.

    `issuers`: how the API server names the people of each issuer. `notice` is called with each object that came,
    changed or went, and with whether it went before its `until`.
    """

    def __init__(
        self,
        kube: OperatorClient,
        ticks: Ticks,
        grants: Inventory,
        clock: Clock,
        again: Callable[[WorkItem], None],
        issuers: Mapping[str, UsernameTemplate] | None,
        notice: Callable[..., None],
    ) -> None:
        self._kube = kube
        self._grants = grants
        self._clock = clock
        self._again = again
        self._notice = notice
        self._changed = asyncio.Event()
        self._survey = GrantSurvey(kube, issuers, clock.monotonic)
        self._unfinished: set[str] = set()
        self.index: Final = Revocations(issuers)
        self.objects: Final = Inventory(ticks, self._take)

    def _take(self, body: Object) -> None:
        gone = self.objects.get(key_of(body)) is None
        if gone:
            self.index.remove(body["metadata"]["name"])
        else:
            self.index.put(parse(body))
            self._changed.set()
        self._notice(body, gone=gone, early=gone and self._is_early(body))

    def _is_early(self, body: Object) -> bool:
        """Tell whether an object that is gone went before its time."""
        return (self._clock.earliest() or self._clock.now()) < _until(body)

    async def run(self) -> None:
        """Queue the grants that may have ended, and delete objects that have served, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(_SETTLE_SECONDS)
                self._changed.clear()
                await self._queue_grants()
            await self._delete_past()

    async def _queue_grants(self) -> None:
        """Have every grant judged that has not ended."""
        for number, seen in enumerate(self._grants.all()):
            if (seen.body.get("status") or {}).get("phase") not in TERMINAL_PHASES:
                self._again(WorkItem("ApprovalGrant", *key_of(seen.body)))
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)

    async def _delete_past(self) -> None:
        earliest = self._clock.trusted_earliest()
        if earliest is None:
            return
        now = earliest.timestamp()
        # By the index, which has read them: to read thousands of objects again at each look would hold up the loop.
        # One that cannot be read has no such time.
        past = [one for one in self.index if one.until and one.until <= now]
        # As they are when they are judged: one that changes meanwhile is not deleted.
        judged = [self.objects.get(Key("", one.name)) for one in past]
        try:
            unfinished = await self._survey.find_unfinished(past, earliest)
            if unfinished is None:
                return
            self._note_unfinished(unfinished)
            for seen in judged:
                if seen is not None and key_of(seen.body).name not in unfinished and self._clock.check():
                    await self._delete(seen)
        except (RefusedError, UnreachableError) as error:
            _LOG.warning("revocations cannot be deleted, trying again", why=str(error))

    def _note_unfinished(self, names: set[str]) -> None:
        if names - self._unfinished:
            _LOG.warning("revocations stay after their time: grants have yet to end", revocations=len(names))
        self._unfinished = names

    async def _delete(self, seen: ObservedObject) -> None:
        """Delete an object as it was judged. Raises `UnreachableError`."""
        name = key_of(seen.body).name
        answer = await self._kube.delete_revocation(seen.body)
        if answer.ok or answer.missing:
            _LOG.info("revocation deleted: its time is over", revocation=name)
            self.objects.forget(seen.body)
        elif not answer.conflict:
            _LOG.warning("a revocation was not deleted, trying again", revocation=name, why=answer.message)


def _until(body: Mapping[str, Any]) -> datetime:
    """Return after which time an object is deleted; one that cannot be read is never."""
    until = parse(body).until
    return datetime.fromtimestamp(until, UTC) if until else datetime.max.replace(tzinfo=UTC)
