"""The file of reviewers' keys, read beside each proof of the guards.

Standing: under `keeper`, which records the newest serial with the proof. Holds: a file is in the ledger before any
review counts by it; what cannot be read, or is older than a file that was in force, gives no keys. The newest serial
that this process has seen, in a file or in the record, is recorded again if the record falls below it.
"""

from collections.abc import Callable
from typing import Final

import structlog

from bailiwick_api.accounts import REVIEWERS_CONFIG_MAP, Installation
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    NO_REVIEWER_KEYS,
    Registrars,
    ReviewerKeyFile,
    ReviewerTrust,
    SerialFloor,
    judge_config_map,
)
from bailiwick_kube.paths import CORE, object_path
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.reconcile.transitions import NOTE_LENGTH, EventDraft

_UNREAD: Final = ReviewerTrust(problem="the file of reviewers' keys is not read yet")
_LOG: Final = structlog.get_logger(__name__)


class ReviewerFile:
    """Whose signatures count. Lives in the main loop. `accepted` takes each file with its serial."""

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        registrars: Registrars,
        *,
        accepted: Callable[[ReviewerKeyFile, int], None] = lambda _file, _serial: None,
        tell: Callable[[EventDraft], None] = lambda _draft: None,
    ) -> None:
        self._kube = kube
        self._path = f"{object_path(CORE, 'configmaps', installation.namespace)}/{REVIEWERS_CONFIG_MAP}"
        self._registrars = registrars
        self._accepted = accepted
        self._tell = tell
        self._newest = self._loaded = NO_FLOOR
        self.trust = _UNREAD if registrars else NO_REVIEWER_KEYS

    @property
    def expected(self) -> bool:
        """Whether there are registrars, so that there can be such a file."""
        return bool(self._registrars)

    def floor(self, recorded: SerialFloor | None) -> SerialFloor:
        """Return the newest that is known, to be recorded. `recorded`: what is recorded now, None where nothing is."""
        known = recorded or NO_FLOOR
        if known.serial > self._newest.serial:
            self._newest = known
        elif known != self._newest:
            note = f"the recorded serial of the reviewers' keys was changed: {self._newest} is recorded again"
            _LOG.error("the recorded serial of the reviewers' keys fell", recorded=str(known), known=str(self._newest))
            self._tell(EventDraft("Warning", "Prove", "ReviewersSerialFell", shorten(note, NOTE_LENGTH)))
        return self._newest

    async def read(self, recorded: SerialFloor | None) -> SerialFloor:
        """Read the file; return what is to be recorded as the newest, see `floor`. Raises `UnreachableError`."""
        floor = self.floor(recorded)
        if not self._registrars:
            return floor
        answer = await self._kube.get(self._path)
        if answer.ok or answer.missing:
            found = answer.body if answer.ok else None
            trust, newest = judge_config_map(found, self._registrars, recorded or NO_FLOOR, floor)
        else:
            found, newest = None, None
            trust = ReviewerTrust(problem=f"ConfigMap {REVIEWERS_CONFIG_MAP} cannot be read: {answer.message}")
        if newest is not None and newest != self._loaded:
            self._accepted(ReviewerKeyFile.from_config_map(found), newest.serial)
            self._newest = self._loaded = newest
            _LOG.info("reviewers' keys loaded", serial=newest.serial)
        if trust.problem and trust.problem != self.trust.problem:
            note = f"no signed review counts: ConfigMap {REVIEWERS_CONFIG_MAP}: {trust.problem}"
            _LOG.error("no reviewers' keys: no signed review counts", why=trust.problem)
            self._tell(EventDraft("Warning", "Prove", "ReviewersRefused", shorten(note, NOTE_LENGTH)))
        self.trust = trust
        return self._newest
