"""The Secret of the signing keys, as an administrator sees and breaks it."""

from typing import Any

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.manifests import rbac
from bailiwick_api.signingkeys import SigningKey, read_keys
from support.callers import Callers
from support.installation import accepted, apply
from support.waits import until


class Secret:
    """One installation's."""

    def __init__(self, callers: Callers, installed: Installation) -> None:
        self._admin = callers.admin
        self.path = f"/api/v1/namespaces/{installed.namespace}/secrets/{SIGNING_KEYS_SECRET}"
        self._installed = installed

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = accepted(self._admin.get(self.path))
        return found

    def held(self) -> tuple[SigningKey, ...]:
        return read_keys(self.body().get("data"))

    def exists(self) -> bool:
        return self._admin.get(self.path).ok

    def create(self, kind: str) -> None:
        """Make an empty one of some type."""
        (shipped,) = (
            found for found in rbac.accounts(self._installed) if found["metadata"]["name"] == SIGNING_KEYS_SECRET
        )
        accepted(self._admin.create({**shipped, "type": kind}))

    def names(self) -> set[str]:
        """Return the names of the keys; none while there is no Secret that can be read."""
        try:
            return {key.kid for key in self.held()}
        except (AssertionError, ValueError):
            return set()

    def write(self, data: dict[str, str], **more: object) -> None:
        accepted(self._admin.replace({**self.body(), "data": data, **more}))

    def delete(self) -> None:
        accepted(self._admin.delete(self.path))

    def apply(self) -> None:
        """Apply the manifest that it comes with, once more or anew."""
        apply(self._admin, rbac.accounts(self._installed))

    def await_others(self, than: set[str]) -> set[str]:
        """Wait until it holds keys, and none of these."""
        until(lambda: self.names() and not self.names() & than, "other keys than before")
        return self.names()
