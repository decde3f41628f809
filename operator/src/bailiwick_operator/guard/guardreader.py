"""The guards as they stand at the API server: read whole when one changed, and by their versions when none did.

Standing: under `prover`, which reads them once for each proof, many times a minute. Definitions are large, and an API
server takes longer to write them out than to judge a dry run. Holds: an object of one uid and one resourceVersion has
one content, but only at one server; so a caller that doubts who answered forgets what is held. All are read whole once
a minute all the same, in case what the API server makes of what it stores has changed, or its store was set back.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval import definitions
from bailiwick_engine.approval.fingerprint import paths
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.guard.together import every
from bailiwick_operator.kube import Object, OperatorClient, RefusedError

ObjectVersion = tuple[str, str]
"""Uid and resourceVersion."""

RIGHTS_REMEDY: Final = (
    "Apply the crds/rbac of this version: both accounts list and watch apiservices, customresourcedefinitions, and"
    " admission policies with their bindings"
)
WHOLE_SECONDS: Final = 60.0
# Another server could answer page after page for ever.
_LISTING_SECONDS: Final = 60.0


class GuardReader:
    """Asks the API server. Lives in the main loop; read one proof's guards at a time. `clock` is in seconds."""

    def __init__(
        self, kube: OperatorClient, installation: Installation, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._paths = paths(installation)
        collections = dict.fromkeys(path.rpartition("/")[0] for path in self._paths)
        self._others: Final = tuple(path for path in collections if path != definitions.PATH)
        self._held: dict[str, Object] = {}
        self._whole_since = clock()

    async def definitions(self) -> dict[str, ObjectVersion]:
        """Return the versions of all CustomResourceDefinitions, by path.

        Raises `RefusedError` where they cannot be listed, `UnreachableError` where the list does not end.
        """
        return await self._versions(definitions.PATH, "CustomResourceDefinitions")

    async def policies(self) -> dict[str, ObjectVersion]:
        """Return the versions of all admission policies and bindings, by path. Raises as `definitions` does."""
        listed = await every(self._versions(path, path.rpartition("/")[2]) for path in self._others)
        return {path: version for versions in listed for path, version in versions.items()}

    async def objects(self, listed: Mapping[str, ObjectVersion]) -> list[Object]:
        """Return those guards that are there, each as it was when it was listed, or later.

        Raises `RefusedError` where one cannot be read.
        """
        if self._clock() - self._whole_since >= WHOLE_SECONDS:
            self.forget()
        there = [path for path in self._paths if path in listed]
        changed = [path for path in there if path not in self._held or version_of(self._held[path]) != listed[path]]
        answers = await every(self._kube.get(path) for path in changed)
        if broken := [answer for answer in answers if not answer.ok and not answer.missing]:
            message = f"the guards cannot be read: {broken[0].message}"
            raise RefusedError(message)
        read = {path: answer.body for path, answer in zip(changed, answers, strict=True) if answer.ok}
        self._held = {path: body for path, body in self._held.items() if path in there and path not in changed} | read
        return [self._held[path] for path in self._paths if path in self._held]

    def forget(self) -> None:
        """Have all of them read whole next time, whatever their versions."""
        self._held.clear()
        self._whole_since = self._clock()

    async def _versions(self, collection: str, named: str) -> dict[str, ObjectVersion]:
        try:
            async with asyncio.timeout(_LISTING_SECONDS):
                return {
                    f"{collection}/{item['metadata']['name']}": version_of(item)
                    async for page in self._kube.metadata_pages(collection)
                    for item in page.items
                }
        except TimeoutError:
            message = f"the {named} were not listed within {_LISTING_SECONDS:g} s"
            raise UnreachableError(message) from None
        except RefusedError as error:
            message = f"the {named} cannot be listed: {error}. {RIGHTS_REMEDY}"
            raise RefusedError(message) from error
        except (KeyError, TypeError) as error:
            # No API server answers so, but another one could end the process by it.
            message = f"the {named} were listed without name, uid or resourceVersion"
            raise RefusedError(message) from error


def version_of(stored: Object) -> ObjectVersion:
    """Return of which object this is which version."""
    return stored["metadata"]["uid"], stored["metadata"]["resourceVersion"]
