"""The keys with which the witness cosigns: one Secret, filled by the leader alone.

Standing: like `bailiwick_operator.keys`, whose discipline it follows. Holds: the Secret comes with the manifests and is
written upon the very version that was read; a key that this process has used is put back where it is gone; no private
key is ever logged. Of a key that was replaced on request, the public key stays and the private key is removed. A key
that is replaced because it was lost breaks the chain of proof, so that is always reported.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_api import secretlist
from bailiwick_api.accounts import SIGNING_KEYS_MANIFEST, SIGNING_KEYS_TYPE, WITNESS_SECRET, Installation
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.times import parse_time as read_time, stamp
from bailiwick_evidence.chainentry import Cosigners, witness_name
from bailiwick_evidence.note import SignatureType, VerifierKey
from bailiwick_kube.paths import CORE, object_path
from bailiwick_operator.kube import Object, OperatorClient, RefusedError

_LOG: Final = structlog.get_logger(__name__)
WITNESS_ENTRY: Final = "witness.json"
BEGUN_ENTRY: Final = "begun"
RENEW_ANNOTATION: Final = "bailiwick.dev/renew-before"
"""On the Secret: a key that was made before this time is replaced, once this time is past."""
KEPT: Final = timedelta(days=400)
"""How long a former public key stays at least: the ConfigMaps of twelve months hold what it cosigned."""
_TRIES: Final = 3
_RAW: Final = 32


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A key that cosigns. `created`: RFC 3339."""

    private: Ed25519PrivateKey
    created: str

    @property
    def public(self) -> bytes:
        """The public key, which verifies its cosignatures."""
        return self.private.public_key().public_bytes_raw()

    @property
    def seed(self) -> bytes:
        """The private key."""
        return self.private.private_bytes_raw()

    def entry(self) -> dict[str, str]:
        """Return it as the Secret holds it."""
        return {"seed": base64.b64encode(self.seed).decode(), "createdTime": self.created}

    def former(self, until: str) -> "FormerKey":
        """Return what is kept of it once another key cosigns."""
        return FormerKey(self.public, self.created, until)


@dataclass(frozen=True, slots=True)
class FormerKey:
    """A key that cosigned, whose private key was removed. `created`, `until`: RFC 3339."""

    public: bytes
    created: str
    until: str

    def entry(self) -> dict[str, str]:
        """Return it as the Secret holds it."""
        public = base64.b64encode(self.public).decode()
        return {"public": public, "createdTime": self.created, "untilTime": self.until}


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """All keys; `signing` is the one that cosigns. `begun`: a log was witnessed already."""

    older: tuple[WitnessKey | FormerKey, ...]
    signing: WitnessKey
    begun: bool = False

    @property
    def all(self) -> tuple[WitnessKey | FormerKey, ...]:
        """The keys in the order of the Secret."""
        return (*self.older, self.signing)

    def verifiers(self, installation: str) -> Cosigners:
        """Return the verifiers of all cosignatures, each with the time until which its key cosigned."""
        name = witness_name(installation)
        keys = tuple(VerifierKey(name, SignatureType.COSIGNATURE, key.public) for key in self.all)
        ends = (read_time(key.until) if isinstance(key, FormerKey) else None for key in self.all)
        return Cosigners(keys, tuple(None if end is None else int(end.timestamp()) for end in ends))

    def rotate(self, now: datetime) -> "WitnessKeys | None":
        """Return these with a new key that cosigns, and no other private key.

        If there are too many, those that ended `KEPT` ago are removed; None: too many ended later than that.
        """
        older = [key.former(stamp(now)) if isinstance(key, WitnessKey) else key for key in self.all]
        while len(older) >= secretlist.MOST:
            end = read_time(older[0].until)
            if end is not None and now - end < KEPT:
                return None
            del older[0]
        return WitnessKeys(tuple(older), _new_key(stamp(now)), self.begun)


class WitnessKeyring:
    """Reads the Secret, fills it where it is empty, and replaces its key on request.

    `warn` is called with what a person must know: the reason of an Event, and a note.
    """

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        now: Callable[[], datetime],
        warn: Callable[[str, str], None],
    ) -> None:
        self._kube = kube
        self._now = now
        self._warn = warn
        self._known: WitnessKeys | None = None
        self._misread: str | None = None
        self._full = False
        self._path = object_path(CORE, "secrets", installation.namespace, WITNESS_SECRET)

    async def current(self) -> WitnessKeys:
        """Return the keys. Raises `RefusedError` where the Secret is missing, and `UnreachableError`."""
        return await self._keep(begun=False)

    async def begin(self) -> None:
        """Remember that a log was witnessed. Raises as `current` does."""
        await self._keep(begun=True)

    async def _keep(self, *, begun: bool) -> WitnessKeys:
        for _ in range(_TRIES):
            secret = await self._read()
            stored, problem = _keys(secret)
            was = BEGUN_ENTRY in (secret.get("data") or {})
            begun = begun or was
            sound = stored is not None and _holds(stored, self._known)
            held = stored if sound else self._known
            keys = WitnessKeys((), _new_key(stamp(self._now()))) if held is None else held
            due = held is not None and self._is_due(secret, keys.signing)
            if due:
                after = self._rotate(keys)
                keys, due = after or keys, after is not None
            if not sound or due or begun is not was:
                if not await self._write(secret, keys, begun=begun):
                    continue
                if not sound:
                    self._tell(problem, put_back=self._known is not None)
            self._known = keys
            return replace(keys, begun=begun)
        message = f"Secret {WITNESS_SECRET} was changed by another writer at each attempt"
        raise RefusedError(message)

    def _is_due(self, secret: Object, key: WitnessKey) -> bool:
        """Tell whether a replacement of this key was requested. A value that is not a time is reported once."""
        text = (secret["metadata"].get("annotations") or {}).get(RENEW_ANNOTATION)
        wanted, created = read_time(text), read_time(key.created)
        misread = text if text is not None and wanted is None else None
        if misread is not None and misread != self._misread:
            note = f"the key of the witness is not replaced: {RENEW_ANNOTATION} is not a time of RFC 3339"
            self._warn("RenewalMisread", note)
        self._misread = misread
        if wanted is None or wanted > self._now():
            return False
        # A key's own time has no fractions.
        return created is None or created < wanted.replace(microsecond=0)

    def _rotate(self, keys: WitnessKeys) -> WitnessKeys | None:
        after = keys.rotate(self._now())
        if after is None and not self._full:
            note = (
                f"the key of the witness is not replaced: the Secret holds {secretlist.MOST} keys, all of which"
                f" cosigned within {KEPT.days} days, and each still verifies something"
            )
            self._warn("WitnessKeysFull", note)
        self._full = after is None
        return after

    def _tell(self, problem: str | None, *, put_back: bool) -> None:
        if put_back:
            note = f"the keys of the witness in Secret {WITNESS_SECRET} were removed or changed, and are put back"
            self._warn("WitnessKeyLost", note)
        elif problem is not None:
            self._warn(
                "WitnessKeyLost",
                f"the keys of the witness in Secret {WITNESS_SECRET} cannot be read ({problem}) and are replaced: what"
                " was witnessed until now can no longer be verified here",
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

    async def _write(self, secret: Object, keys: WitnessKeys, *, begun: bool) -> bool:
        listed = [key.entry() for key in keys.all]
        kept: Object = {name: secret[name] for name in ("metadata", "type", "immutable") if name in secret}
        data = (secret.get("data") or {}) | secretlist.secret_entry(WITNESS_ENTRY, listed)
        if begun:
            data[BEGUN_ENTRY] = base64.b64encode(b"true").decode()
        answer = await self._kube.replace(self._path, {"apiVersion": "v1", "kind": "Secret", **kept, "data": data})
        if answer.conflict or answer.missing:
            return False
        if not answer.ok:
            message = f"the keys of the witness cannot be written to Secret {WITNESS_SECRET}: {answer.message}"
            raise RefusedError(message)
        return True


def _new_key(now: str) -> WitnessKey:
    return WitnessKey(Ed25519PrivateKey.generate(), now)


def _holds(stored: WitnessKeys, known: WitnessKeys | None) -> bool:
    """Tell whether the keys that were used are among the stored ones."""
    return known is None or {key.public for key in known.all} <= {key.public for key in stored.all}


def _keys(secret: Object) -> tuple[WitnessKeys | None, str | None]:
    """Return the keys of a Secret, none where it is empty; and what is wrong with its content."""
    data = secret.get("data")
    if not data:
        return None, None
    if set(data) == {BEGUN_ENTRY}:
        return None, f"entry {WITNESS_ENTRY} is missing"
    try:
        *older, last = (_key(each) for each in secretlist.read_list(data, WITNESS_ENTRY, "keys"))
    except UnreadableListError as error:
        return None, str(error)
    if isinstance(last, FormerKey):
        return None, f"the last key of {WITNESS_ENTRY} does not sign any more"
    return WitnessKeys(tuple(older), last), None


def _key(entry: Object) -> WitnessKey | FormerKey:
    created, until = entry.get("createdTime"), entry.get("untilTime")
    if isinstance(created, str):
        if (seed := _raw(entry.get("seed"))) is not None:
            return WitnessKey(Ed25519PrivateKey.from_private_bytes(seed), created)
        if (
            (public := _raw(entry.get("public"))) is not None
            and isinstance(until, str)
            and read_time(until) is not None
        ):
            return FormerKey(public, created, until)
    message = f"{WITNESS_ENTRY} holds what is not a key"
    raise UnreadableListError(message)


def _raw(text: object) -> bytes | None:
    """Return the bytes of a key, None where it is none."""
    try:
        held = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return held if len(held) == _RAW else None
