"""Keys: the signing keys as the operator keeps them, watched (see `signing.keyring`).

Holds: what is deleted, cannot be read or is a Secret of another type than the manifests' is gone: without keys nothing
is signed, and no token proves anything, while all else goes on.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from bailiwick_api.accounts import SIGNING_KEYS_MANIFEST, SIGNING_KEYS_SECRET, SIGNING_KEYS_TYPE, Installation
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_webhook.cluster.client import Collection
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring, keyring_of
from bailiwick_webhook.store.guard import GuardObjects

PATIENCE: Final = 60.0
"""For so many seconds from the start there may be no keys yet: the operator starts too."""

_log = structlog.get_logger()


class Keys:
    """The Secret of an installation, as one watched collection. `why` is why there are no keys, "" where there are."""

    def __init__(self, installation: Installation, clock: Callable[[], float] = time.monotonic) -> None:
        self.collection = Collection(f"/api/v1/namespaces/{installation.namespace}/secrets", SIGNING_KEYS_SECRET)
        self.sink = GuardObjects("Secret", SIGNING_KEYS_SECRET.__eq__, self._take_up)
        self.keyring: Keyring = NO_KEYS
        self.why = "not read yet"
        self._version = ""
        self._clock = clock
        self._patient_until = clock() + PATIENCE
        self._awaited = False

    def _take_up(self) -> None:
        found = self.sink.found.get(SIGNING_KEYS_SECRET)
        version = "" if found is None else found["metadata"]["resourceVersion"]
        if found is not None and version == self._version and not self._awaited:
            # Listed again, and unchanged: to import keys takes a moment.
            return
        self._version = version
        why, awaited = "", self._awaited
        # Filled by the operator after it came with the manifests.
        empty = found is not None and not found.get("data") and found.get("type") == SIGNING_KEYS_TYPE
        self._awaited = empty and self.keyring is NO_KEYS and self._clock() < self._patient_until
        try:
            if found is None:
                raise UnreadableListError(f"secret {SIGNING_KEYS_SECRET} is missing: apply {SIGNING_KEYS_MANIFEST}")
            if found.get("type") != SIGNING_KEYS_TYPE:
                raise UnreadableListError(
                    f"secret {SIGNING_KEYS_SECRET} is of type {found.get('type')}, not {SIGNING_KEYS_TYPE}"
                )
            self.keyring = keyring_of(found.get("data"))
        except UnreadableListError as error:
            self.keyring, why = NO_KEYS, str(error)
        if not why:
            _log.info("signing keys loaded", kids=[key.kid for key in self.keyring.keys])
        elif self._awaited:
            if why != self.why:
                _log.info("no signing keys yet: the operator creates them", why=why)
        elif why != self.why or awaited:
            _log.error("no signing keys: no tokens are issued or accepted", why=why)
        self.why = why
