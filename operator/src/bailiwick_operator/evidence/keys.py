"""The keys that the witness cosigns by: one Secret, filled by the leader alone.

Standing: like `bailiwick_operator.keys`, whose discipline it follows. Holds: the Secret comes with the manifests and is
written upon the very version that was read; a key that this process has used is put back where it is gone; no key is
ever logged. A key that is replaced is a break in what can be shown, so that is always told.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_api import secretlist
from bailiwick_api.accounts import SIGNING_KEYS_MANIFEST, SIGNING_KEYS_TYPE, WITNESS_SECRET, Installation
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.times import stamp
from bailiwick_evidence.chainentry import witness_name
from bailiwick_evidence.note import SignatureType, VerifierKey, verifier_key
from bailiwick_kube.paths import CORE, object_path
from bailiwick_operator.kube import Object, OperatorClient, RefusedError

_LOG: Final = structlog.get_logger(__name__)
WITNESS_ENTRY: Final = "witness.json"
BEGUN_ENTRY: Final = "begun"
_TRIES: Final = 3
_SEED: Final = 32


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """One key. `created`: RFC 3339."""

    private: Ed25519PrivateKey
    created: str

    def verifier(self, installation: str) -> VerifierKey:
        """Return what verifies its cosignatures."""
        return verifier_key(witness_name(installation), SignatureType.COSIGNATURE, self.private)

    @property
    def seed(self) -> bytes:
        """The private key."""
        return self.private.private_bytes_raw()


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """All that there are, the last of which cosigns. `begun`: something was witnessed already."""

    keys: tuple[WitnessKey, ...]
    begun: bool

    @property
    def signing(self) -> WitnessKey:
        """The one that cosigns."""
        return self.keys[-1]

    def verifiers(self, installation: str) -> tuple[VerifierKey, ...]:
        """Return what verifies what any of them cosigned."""
        return tuple(key.verifier(installation) for key in self.keys)


class WitnessKeyring:
    """Reads the Secret, and fills it where it is empty. `told` hears what a person must know."""

    def __init__(
        self, kube: OperatorClient, installation: Installation, now: Callable[[], datetime], told: Callable[[str], None]
    ) -> None:
        self._kube = kube
        self._now = now
        self._told = told
        self._known: tuple[WitnessKey, ...] = ()
        self._path = object_path(CORE, "secrets", installation.namespace, WITNESS_SECRET)

    async def current(self) -> WitnessKeys:
        """Return the keys. Raises `RefusedError` where there is no Secret to have them from, `UnreachableError`."""
        return await self._settled(begun=False)

    async def begin(self) -> None:
        """Remember that something was witnessed. Raises as `current` does."""
        await self._settled(begun=True)

    async def _settled(self, *, begun: bool) -> WitnessKeys:
        for _ in range(_TRIES):
            secret = await self._read()
            found, problem = _keys(secret)
            begun = begun or BEGUN_ENTRY in (secret.get("data") or {})
            sound = problem is None and _holds(found, self._known)
            keys = found if sound else self._known or (WitnessKey(Ed25519PrivateKey.generate(), stamp(self._now())),)
            if not sound or begun is not (BEGUN_ENTRY in (secret.get("data") or {})):
                if not await self._write(secret, keys, begun=begun):
                    continue
                if not sound:
                    self._tell(problem, put_back=bool(self._known))
            self._known = keys
            return WitnessKeys(keys, begun=begun)
        message = f"Secret {WITNESS_SECRET} was changed by another writer at each attempt"
        raise RefusedError(message)

    def _tell(self, problem: str | None, *, put_back: bool) -> None:
        if put_back:
            self._told(f"the keys of the witness in Secret {WITNESS_SECRET} were removed or changed, and are put back")
        elif problem is not None:
            self._told(
                f"the keys of the witness in Secret {WITNESS_SECRET} cannot be read ({problem}) and are replaced: what"
                " was witnessed until now cannot be verified here any more"
            )
        else:
            _LOG.info("the key of the witness was made", secret=WITNESS_SECRET)

    async def _read(self) -> Object:
        answer = await self._kube.get(self._path)
        if answer.missing:
            message = f"Secret {WITNESS_SECRET} is missing, so nothing is witnessed: apply {SIGNING_KEYS_MANIFEST}"
            raise RefusedError(message)
        if not answer.ok:
            message = f"the keys of the witness cannot be read: {answer.message}"
            raise RefusedError(message)
        if answer.body.get("type") != SIGNING_KEYS_TYPE:
            message = (
                f"Secret {WITNESS_SECRET} has type {answer.body.get('type')} instead of {SIGNING_KEYS_TYPE}: delete it,"
                f" find out who created it, and apply {SIGNING_KEYS_MANIFEST}"
            )
            raise RefusedError(message)
        return answer.body

    async def _write(self, secret: Object, keys: tuple[WitnessKey, ...], *, begun: bool) -> bool:
        listed = [{"seed": base64.b64encode(key.seed).decode(), "createdTime": key.created} for key in keys]
        kept: Object = {name: secret[name] for name in ("metadata", "type", "immutable") if name in secret}
        data = (secret.get("data") or {}) | secretlist.written(WITNESS_ENTRY, listed)
        if begun:
            data[BEGUN_ENTRY] = base64.b64encode(b"true").decode()
        answer = await self._kube.replace(self._path, {"apiVersion": "v1", "kind": "Secret", **kept, "data": data})
        if answer.conflict or answer.missing:
            return False
        if not answer.ok:
            message = f"the keys of the witness cannot be written to Secret {WITNESS_SECRET}: {answer.message}"
            raise RefusedError(message)
        return True


def _holds(found: tuple[WitnessKey, ...], known: tuple[WitnessKey, ...]) -> bool:
    """Tell whether there are keys, and among them those that were used."""
    return bool(found) and {key.seed for key in known} <= {key.seed for key in found}


def _keys(secret: Object) -> tuple[tuple[WitnessKey, ...], str | None]:
    """Return the keys of a Secret, none where it is empty; and what is wrong with what it holds."""
    data = secret.get("data")
    if not data:
        return (), None
    if set(data) == {BEGUN_ENTRY}:
        return (), f"entry {WITNESS_ENTRY} is missing"
    try:
        return tuple(_key(each) for each in secretlist.read(data, WITNESS_ENTRY, "keys")), None
    except UnreadableListError as error:
        return (), str(error)


def _key(entry: Object) -> WitnessKey:
    seed, created = entry.get("seed"), entry.get("createdTime")
    try:
        held = base64.b64decode(seed, validate=True) if isinstance(seed, str) else b""
    except (binascii.Error, ValueError):
        held = b""
    if len(held) != _SEED or not isinstance(created, str):
        message = f"{WITNESS_ENTRY} holds what is not a key"
        raise UnreadableListError(message)
    return WitnessKey(Ed25519PrivateKey.from_private_bytes(held), created)
