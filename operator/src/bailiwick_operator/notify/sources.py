"""Where the targets come from: the mounted Secret of the installation, the Secret of a fixed name of a namespace.

Holds: read when there is something to send, and not again for a while; of a namespace this one Secret is read and no
other, one object by its name; what cannot be read now stays as it was read last; what is wrong with a target is logged
once for each change, without a URL or a secret.
"""

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from bailiwick_api.accounts import NOTIFICATIONS_SECRET
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.transport import TooLongError, UnreachableError
from bailiwick_notifications.targets import MOST_ENTRIES, Target, TargetProblem, TargetSet, parse
from bailiwick_operator.kube import OperatorClient

INSTALLATION_SECONDS: Final = 10.0
NAMESPACE_SECONDS: Final = 30.0
_KEPT: Final = 2000
AGAIN_SECONDS: Final = 5.0
"""After a read that failed, while the targets are those of the last that did not."""
_MOST_BYTES: Final = 16_384
MOST_ANSWER: Final = 262_144
"""Bytes of a Secret of a namespace, as the API server writes it."""
_MOST_LOGGED: Final = 5
_FORBIDDEN: Final = 403
_LOG: Final = structlog.get_logger(__name__)
_NONE: Final = TargetSet()


class TargetSources:
    """Finds targets. `namespace` None: the installation's. `clock` is monotonic. Lives in the main loop."""

    def __init__(
        self,
        kube: OperatorClient,
        folder: Path | None,
        *,
        namespaces: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._folder = folder
        self._namespaces = namespaces
        self._clock = clock
        self._read: dict[str | None, tuple[float, TargetSet]] = {}
        self._told: dict[str | None, tuple[TargetProblem, ...]] = {}
        self._unread: TargetProblem | None = None

    async def find(self, namespace: str | None) -> tuple[Target, ...]:
        """Return the targets. Raises `UnreachableError` where they cannot be read now and were never read before."""
        lasts = INSTALLATION_SECONDS if namespace is None else NAMESPACE_SECONDS
        known = self._read.get(namespace)
        if known is not None and self._clock() < known[0] + lasts:
            return known[1].targets
        try:
            found = self._of_installation() if namespace is None else await self._of_namespace(namespace)
        except UnreachableError as error:
            if namespace is None:
                self._unread = TargetProblem("Secret", str(error))
            if known is None:
                raise
            self._read[namespace] = (self._clock() - lasts + AGAIN_SECONDS, known[1])
            _LOG.info("targets stay as they were read last", namespace=namespace, why=str(error))
            return known[1].targets
        if namespace is None:
            self._unread = None
        if len(self._read) >= _KEPT:
            self._read.clear()
            self._told.clear()
        self._read[namespace] = (self._clock(), found)
        self._tell(namespace, found)
        return found.targets

    @property
    def problems(self) -> tuple[TargetProblem, ...]:
        """What is wrong with targets of the installation, as they were last read."""
        known = self._read.get(None)
        unread = () if self._unread is None else (self._unread,)
        return unread if known is None else unread + known[1].problems

    def _of_installation(self) -> TargetSet:
        if self._folder is None:
            return _NONE
        data: dict[str, bytes] = {}
        try:
            for path in self._folder.iterdir():
                # The kubelet's own entries begin with two dots, what it mounts are links to files.
                if not path.name.startswith(".") and path.is_file():
                    with path.open("rb") as file:
                        data[path.name] = file.read(_MOST_BYTES)
                if len(data) > MOST_ENTRIES:
                    break
        except OSError as error:
            raise UnreachableError(f"{self._folder} cannot be read: {error.strerror}") from error
        return parse(data)

    async def _of_namespace(self, namespace: str) -> TargetSet:
        if not self._namespaces:
            return _NONE
        try:
            path = f"{object_path(CORE, 'secrets', namespace)}/{NOTIFICATIONS_SECRET}"
            answer = await self._kube.get(path, most=MOST_ANSWER)
        except TooLongError:
            why = f"has more than {MOST_ANSWER >> 10} KiB: none of its entries is used"
            return TargetSet(problems=(TargetProblem(NOTIFICATIONS_SECRET, why),))
        if answer.missing:
            return _NONE
        if answer.status == _FORBIDDEN:
            return TargetSet(
                problems=(TargetProblem(NOTIFICATIONS_SECRET, "the operator has no right to get this Secret"),)
            )
        if not answer.ok:
            raise UnreachableError(f"Secret {namespace}/{NOTIFICATIONS_SECRET} cannot be read: {answer.message}")
        return parse(_decoded(answer.body))

    def _tell(self, namespace: str | None, found: TargetSet) -> None:
        if found.problems != self._told.get(namespace, ()):
            for problem in found.problems[:_MOST_LOGGED]:
                _LOG.warning(
                    "a target of notifications is not used",
                    namespace=namespace,
                    target=problem.entry,
                    why=problem.message,
                )
            if (more := len(found.problems) - _MOST_LOGGED) > 0:
                _LOG.warning("more targets of notifications are not used", namespace=namespace, count=more)
        self._told[namespace] = found.problems


def _decoded(secret: Mapping[str, Any]) -> dict[str, bytes]:
    data: dict[str, bytes] = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            data[name] = base64.b64decode(value, validate=True)[:_MOST_BYTES]
        except (binascii.Error, ValueError, TypeError):
            # Nothing that is base64 decodes to it, so that it is reported as what it is.
            data[name] = b"\xff"
    return data
