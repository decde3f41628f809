"""A watch on every policy of a cluster: the text of each state that any decision point can have decided by.

Standing: beside a running Bailiwick, for whoever derives its records again. Holds: no state between two looks is
missed, since the API server tells all that came after the version that was seen last.
"""

import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP, VERSION
from bailiwick_evidence.derive.texts import PolicyTexts
from localcluster.errors import UnreachableError
from localcluster.rest import Rest
from support.derivations import add_spec
from support.evidence import invariants

_PATH: Final = f"/apis/{GROUP}/{VERSION}/{ENDPOINT_POLICIES}"
_SECONDS: Final = 1
_AGAIN: Final = 0.5
# Between two looks: a lock goes to whoever asks first, and the thread that has just let it go would ask at once again.
_GAP: Final = 0.05


class PolicyWatch:
    """Collects texts from `start` to `stop`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._version = ""
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="policy watch", daemon=True)
        self.texts = PolicyTexts()

    def start(self) -> Self:
        """Begin."""
        self._look(1)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join(_SECONDS + 30)

    def verify(self, files: Iterable[Path]) -> None:
        """Fail unless every record of these files derives or is attested, and every chain is whole."""
        with suppress(UnreachableError):
            # A test may have ended the API server: what was seen before is what there is.
            self._look(1)
        invariants.verify(files, self.texts)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._look(_SECONDS)
            except UnreachableError:
                self._over.wait(_AGAIN)
            self._over.wait(_GAP)

    def _look(self, seconds: int) -> None:
        """Take in what has changed since the last look, for so long."""
        with self._lock:
            if not self._version:
                answer = self._rest.get(_PATH)
                if answer.ok:
                    self._version = answer.body["metadata"]["resourceVersion"]
                    self._take(answer.body["items"])
                else:
                    self._over.wait(_AGAIN)
                return
            answer = self._rest.get(
                _PATH,
                watch="true",
                resourceVersion=self._version,
                timeoutSeconds=f"{seconds}",
                allowWatchBookmarks="true",
            )
            if answer.status == HTTPStatus.GONE:
                self._version = ""
                return
            if not answer.ok:
                self._over.wait(_AGAIN)
                return
            for line in answer.text.splitlines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._version = ""
                    return
                self._version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take([event["object"]])

    def _take(self, objects: Iterable[dict[str, Any]]) -> None:
        for one in objects:
            add_spec(self.texts, one.get("spec"))
