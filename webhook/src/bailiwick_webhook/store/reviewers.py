"""Reviewers: the file of reviewers' keys as it is stored, watched (see `signatures.registrars`).

Holds: what is deleted, cannot be read, or is older than a file that was in force before gives no keys: no signature
counts then. Nor does any before the operator has recorded which is the newest, be it none. The newest serial is
remembered beside the recorded one.
"""

from typing import Final

import structlog

from bailiwick_api.accounts import REVIEWERS_CONFIG_MAP, Installation
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    NO_REVIEWER_KEYS,
    Registrars,
    ReviewerTrust,
    SerialFloor,
    judge_config_map,
)
from bailiwick_webhook.cluster.client import Collection
from bailiwick_webhook.store.guard import GuardObjects

_log = structlog.get_logger()
_UNREAD: Final = ReviewerTrust(problem="the file of reviewers' keys is not read yet")


class ReviewerWatch:
    """The ConfigMap of an installation, as one watched collection. `trust` says whose keys count now."""

    def __init__(self, installation: Installation, registrars: Registrars) -> None:
        path = f"/api/v1/namespaces/{installation.namespace}/configmaps"
        self.collection = Collection(path, REVIEWERS_CONFIG_MAP)
        self.sink = GuardObjects("ConfigMap", REVIEWERS_CONFIG_MAP.__eq__, self._take_up)
        self.trust = _UNREAD if registrars else NO_REVIEWER_KEYS
        self._registrars = registrars
        self._newest = NO_FLOOR
        self._recorded: object = None
        self._judged: tuple[object, str] | None = None

    def floor_changed(self, recorded: object) -> None:
        """Take what the operator recorded of the newest file."""
        if recorded != self._recorded:
            self._recorded = recorded
            if self._judged is not None:
                self._take_up()

    def _take_up(self) -> None:
        if not self._registrars:
            return
        found = self.sink.found.get(REVIEWERS_CONFIG_MAP)
        version = "" if found is None else found["metadata"]["resourceVersion"]
        if (self._recorded, version) == self._judged:
            # Listed again, and unchanged: to read the keys takes a moment.
            return
        self._judged = self._recorded, version
        before = self.trust.problem
        self.trust, newest = judge_config_map(found, self._registrars, SerialFloor.parse(self._recorded), self._newest)
        if newest is not None and self.trust.keys is not None:
            self._newest = newest
            _log.info("reviewers' keys loaded", serial=newest.serial, keys=len(self.trust.keys.entries))
        elif self.trust.problem != before:
            _log.error("no reviewers' keys: no signed review counts", why=self.trust.problem)
