"""The keeper of the signing keys: one Secret, filled, rotated and cleared by the leader alone.

Holds: the Secret itself comes with the manifests, and nothing is written where it is missing or of another type than
theirs (`bailiwick_api.manifests.rbac.accounts` says why). It is written upon the very version that was read, so that
two processes that lead for a moment never lose each other's keys. Keys that cannot be read are replaced, because no
decision point signs with them any more, and that is logged. No key is ever logged.
"""

import asyncio
from collections.abc import Callable, Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bailiwick_api.accounts import SIGNING_KEYS_MANIFEST, SIGNING_KEYS_SECRET, SIGNING_KEYS_TYPE, Installation
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.signingkeys import (
    JWKS_MAX_AGE,
    KEYS_ENTRY,
    SigningKey,
    read_keys,
    secret_data,
    thumbprint,
)
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.reconcile.keys import KeyRotation, NewKey, reconcile

_LOG: Final = structlog.get_logger(__name__)
_RETRY_SECONDS: Final = 5.0
_MAX_TRIES: Final = 5
# Even a wake that is already due waits this long, so that the loop never spins.
_SHORTEST: Final = 0.5


@dataclass(frozen=True, slots=True)
class _StoredSecret:
    """The Secret as it was read, and its keys; empty where there are none yet, or they cannot be read."""

    secret: Object
    keys: tuple[SigningKey, ...]


class KeyKeeper:
    """Looks at intervals, and when a change is due, by `now`. Lives in the main loop.

    `changed` is called with the thumbprints of the published and of the removed keys.
    """

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        rotation: KeyRotation,
        *,
        interval: float,
        now: Callable[[], datetime],
        changed: Callable[[AbstractSet[str], AbstractSet[str]], None] = lambda _published, _removed: None,
    ) -> None:
        self._kube = kube
        self._changed = changed
        self._now = now
        self._rotation = rotation
        self._interval = interval
        self._known = False
        self._path = object_path(CORE, "secrets", installation.namespace, SIGNING_KEYS_SECRET)
        self.own: SigningKey | None = None
        """A key that decision points hold too, by which the operator proves itself to them; None before the first."""
        self.problem: str | None = "not checked yet"
        """What is wrong, for a person; None while the keys are as they should be."""
        self.rounds = 0
        """How many rounds have ended, whatever their outcome. For the health of the process."""

    async def run(self) -> None:
        """Keep the keys until cancelled."""
        if self._rotation.publish <= JWKS_MAX_AGE:
            _LOG.warning(
                "new signing keys sign before every client knows them: increase --key-publish-seconds",
                seconds=self._rotation.publish.total_seconds(),
                clients_keep_keys_for=JWKS_MAX_AGE.total_seconds(),
            )
        while True:
            wait = await self.round()
            await asyncio.sleep(wait)

    async def round(self) -> float:
        """Check the keys once, and correct them. Returns the seconds until the next look; `problem` says what is wrong.

        Another writer may write between our read and our write, so it is tried more than once.
        """
        problem: str | None = "another writer changed the signing keys at each attempt: retrying"
        wait = _RETRY_SECONDS
        try:
            for _ in range(_MAX_TRIES):
                wake = await self._try()
                if wake is not None:
                    wait = max(_SHORTEST, min(self._interval, (wake - self._now()).total_seconds()))
                    problem = None
                    break
        except (UnreachableError, RefusedError) as error:
            problem = str(error)
        self._report(problem)
        self.rounds += 1
        return wait

    async def _try(self) -> datetime | None:
        """Read and write once. Returns when to look again; None where another writer wrote in between."""
        stored = await self._read()
        outcome = reconcile(stored.keys, self._now(), self._rotation, make)
        if outcome.keys != stored.keys and not await self._write(stored, outcome.keys):
            return None
        # The oldest key: decision points have known it for longest.
        self.own = min(outcome.keys, key=lambda key: key.age, default=None)
        if outcome.keys == stored.keys:
            return outcome.wake
        self._known = True
        before, after = ({key.kid for key in keys} for keys in (stored.keys, outcome.keys))
        for key in outcome.keys:
            if key.kid not in before:
                _LOG.info("signing key published", kid=key.kid, signs_from=key.sign_from.isoformat())
        for kid in sorted(before - after):
            _LOG.info("signing key removed", kid=kid)
        self._changed(after - before, before - after)
        return outcome.wake

    async def _read(self) -> _StoredSecret:
        answer = await self._kube.get(self._path)
        if answer.missing:
            raise RefusedError(
                f"Secret {SIGNING_KEYS_SECRET} is missing, so nothing is signed: apply {SIGNING_KEYS_MANIFEST}"
            )
        if not answer.ok:
            raise RefusedError(f"the signing keys cannot be read: {answer.message}")
        kind = answer.body.get("type")
        if kind != SIGNING_KEYS_TYPE:
            raise RefusedError(
                f"Secret {SIGNING_KEYS_SECRET} has type {kind} instead of {SIGNING_KEYS_TYPE} and is not used:"
                f" delete it,"
                f" find out who created it, and apply {SIGNING_KEYS_MANIFEST}"
            )
        data = answer.body.get("data")
        if KEYS_ENTRY not in (data or {}):
            if self._known or data:
                _LOG.warning(
                    "the signing keys are gone: approval tokens issued until now are refused",
                    secret=SIGNING_KEYS_SECRET,
                )
            else:
                _LOG.info("no signing keys yet: creating the first one", secret=SIGNING_KEYS_SECRET)
            return _StoredSecret(answer.body, ())
        try:
            keys = read_keys(data)
            for key in keys:
                check(key)
            self._known = True
        except UnreadableListError as error:
            _LOG.error(
                "the signing keys cannot be read, replacing them: approval tokens issued until now are refused",
                secret=SIGNING_KEYS_SECRET,
                why=str(error),
            )
            keys = ()
        return _StoredSecret(answer.body, keys)

    async def _write(self, stored: _StoredSecret, keys: tuple[SigningKey, ...]) -> bool:
        """Write the keys over the version that was read. Returns whether they are stored; raises `RefusedError`."""
        # Labels, annotations and other entries belong to others; only this entry is ours.
        ours = ("metadata", "type", "immutable")
        kept: Object = {name: stored.secret[name] for name in ours if name in stored.secret}
        data = (stored.secret.get("data") or {}) | secret_data(keys)
        answer = await self._kube.replace(self._path, {"apiVersion": "v1", "kind": "Secret", **kept, "data": data})
        if answer.conflict or answer.missing:
            return False
        if not answer.ok:
            raise RefusedError(f"the signing keys cannot be written to Secret {SIGNING_KEYS_SECRET}: {answer.message}")
        return True

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            if problem is None:
                _LOG.info("the signing keys are in order")
            else:
                _LOG.error("the signing keys are not in order", problem=problem)
        self.problem = problem


def make() -> NewKey:
    """Make a key pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return NewKey(_kid(key), pem.decode("ascii"))


def check(key: SigningKey) -> None:
    """See whether a key can sign, and is the one that it is named. Raises `UnreadableListError`."""
    try:
        found = serialization.load_pem_private_key(key.pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnreadableListError(f"{KEYS_ENTRY} holds a pem that is not a private key") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise UnreadableListError(f"{KEYS_ENTRY} holds a key that is not a P-256 key")
    if _kid(found) != key.kid:
        raise UnreadableListError(f"{KEYS_ENTRY} holds a key whose kid belongs to another key")


def _kid(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_numbers()
    return thumbprint(point.x, point.y)
