"""Keyring: the signing keys that the operator keeps, imported and ready (`bailiwick_api.signingkeys` has the rules).

Holds: frozen but for what it remembers; a ring of which one key cannot be used is no ring at all, so that nothing is
ever signed with what cannot be read; what leaves here but for signatures is public. Remembered is only that a text
bears a right signature, which stays true: whether its key is accepted, its times and all that it says are judged each
time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey

from bailiwick_api import signingkeys
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.signingkeys import ALGORITHM, KEYS_ENTRY, SigningKey
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_process.jwt.jwks import PublishedKey

REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key of ours: its two halves, imported once, since that takes longer than to sign."""

    private: ECKey
    public: PublishedKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys that have not been removed. Times are seconds since the epoch."""

    keys: tuple[SigningKey, ...]
    held: Mapping[str, HeldKey]
    is_stale: bool = False
    """A key may have been taken out, or put in, without our hearing of it."""
    _right: dict[bytes, None] = field(default_factory=dict, repr=False, compare=False)
    """SHA-256 of the tokens whose signature was found right, the oldest first. It ends with the ring."""

    def signing(self, now: float) -> tuple[str, ECKey] | None:
        """Return name and private half of the key that signs; None where there is none."""
        found = signingkeys.signing(self.keys, _time(now))
        return None if found is None else (found.kid, self.held[found.kid].private)

    def accepted(self, kid: str | None, now: float) -> PublishedKey | None:
        """Return the public half of a key whose signatures are accepted."""
        moment = _time(now)
        if any(key.kid == kid and key.is_accepted(moment) for key in self.keys):
            return self.held[str(kid)].public
        return None

    def verifies(self, key: PublishedKey, parsed: CompactToken) -> bool:
        """Tell whether the key that a token names made its signature. The same token is looked at once.

        What is remembered is the whole text, which names its key, and the name is that key's thumbprint.
        """
        if parsed.digest in self._right:
            return True
        if not key.verifies(parsed):
            return False
        if len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[parsed.digest] = None
        return True

    def published(self, now: float) -> dict[str, Any] | None:
        """Return the JWK Set (RFC 7517) of every key whose signatures are accepted, or will be; None of stale ones.

        Readers keep what they are answered, an empty set as well.
        """
        if self.is_stale:
            return None
        moment = _time(now)
        return {
            "keys": [
                {
                    "kty": "EC",
                    "crv": signingkeys.CURVE,
                    **{name: self.held[key.kid].public.key.as_dict(private=False)[name] for name in ("x", "y")},
                    "kid": key.kid,
                    "use": "sig",
                    "alg": ALGORITHM,
                }
                for key in self.keys
                if key.is_accepted(moment)
            ]
        }


NO_KEYS: Final = Keyring((), {})
STALE_KEYS: Final = Keyring((), {}, is_stale=True)


def keyring_of(data: Mapping[str, Any] | None) -> Keyring:
    """Return the ring of a Secret's `data`. Raises `UnreadableListError`."""
    keys = signingkeys.read_keys(data)
    return Keyring(keys, {key.kid: _load_key(key) for key in keys})


def _load_key(key: SigningKey) -> HeldKey:
    try:
        found = load_pem_private_key(key.pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause, which may quote the content.
        raise UnreadableListError(f"{KEYS_ENTRY} has a pem that is not a private key") from None
    if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
        raise UnreadableListError(f"{KEYS_ENTRY} has a key that does not use {signingkeys.CURVE}")
    private = ECKey.import_key(key.pem)
    if private.thumbprint() != key.kid:
        raise UnreadableListError(f"{KEYS_ENTRY} has a key whose kid belongs to another key")
    public = ECKey.import_key(private.as_dict(private=False))
    # Imported lazily by the library: now, not when somebody waits.
    _ = private.private_key, public.public_key
    return HeldKey(private, PublishedKey(key.kid, frozenset({ALGORITHM}), public))


def _time(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
