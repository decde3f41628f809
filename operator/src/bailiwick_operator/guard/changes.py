"""Watches what the proof of the guards covers, so that a change of it is looked at soon and not only in time.

Standing: beside `keeper`, which looks at intervals anyway. Holds: an event proves nothing; all that follows from it is
that a look is due. What a watch may have missed makes one due as well. However many changes come, a look is asked for
at once, and then at most every `spacing` seconds; none is asked for later than that after a change.

The races: an event is taken note of before `due` is called, so a change that comes meanwhile makes another look due. A
look reads consistently, so it is never behind the event that it was due by. But an API server loads a guard a moment
after it stores it: a look in between finds it not in force, and `keeper` looks again by itself.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

import structlog

from bailiwick_api.manifests import guards
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_api.manifests.guardpolicy import ADMISSION_VERSION
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_kube.paths import object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import OperatorClient, RefusedError

_LOG: Final = structlog.get_logger(__name__)
_SPACING: Final = 5.0
_AGAIN_FIRST: Final = 0.5
_AGAIN_LAST: Final = 8.0


def _is_definition(name: str) -> bool:
    return name in OUR_CRDS or definitions.is_foreign(name)


_COVERED: Final[dict[str, Callable[[str], bool]]] = {
    object_path(ADMISSION_VERSION, "validatingadmissionpolicies"): frozenset(guards.NAMES).__contains__,
    object_path(ADMISSION_VERSION, "validatingadmissionpolicybindings"): frozenset(guards.NAMES).__contains__,
    apiroutes.PATH: apiroutes.decides,
    definitions.PATH: _is_definition,
}
"""Which names the proof covers, by the path of the collection."""


class GuardChanges:
    """Calls `due` when something that the proof covers has changed. Lives in the main loop."""

    def __init__(self, kube: OperatorClient, due: Callable[[], None], *, spacing: float = _SPACING) -> None:
        self._kube = kube
        self._due = due
        self._spacing = spacing
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for path, covers in _COVERED.items():
                tasks.create_task(self._follow(path, covers))
            tasks.create_task(self._pass_on())

    async def _pass_on(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._due()
            await asyncio.sleep(self._spacing)

    async def _follow(self, path: str, covers: Callable[[str], bool]) -> None:
        """Follow one collection. A watch goes on where the last one ended, so that it misses nothing."""
        version, again = None, _AGAIN_FIRST
        while True:
            try:
                if version is None:
                    version = str(await self._kube.version(path))
                    self._changed.set()
                async for change in self._kube.changes(path, version):
                    version, again = change.version, _AGAIN_FIRST
                    if change.name is not None and covers(change.name):
                        self._changed.set()
            except RefusedError as error:
                # Also where the version is too old to go on from.
                version = None
                _LOG.info("a watch of what guards grants ended, beginning again", path=path, why=str(error))
            except UnreachableError as error:
                _LOG.info("a watch of what guards grants broke, continuing it", path=path, why=str(error))
            await asyncio.sleep(again * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            again = min(2 * again, _AGAIN_LAST)
