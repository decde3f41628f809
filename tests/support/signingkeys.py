"""Signing keys for tests, as the operator would have made them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.signingkeys import SigningKey, secret_data
from bailiwick_webhook.signing.keyring import Keyring, keyring_of
from support.objects import Object


def signing_key(now: float, *, begins: float = 0.0, ends: float | None = None) -> SigningKey:
    """Return a key that begins to sign so many seconds from now, and ends so many from now."""
    made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    moment = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    return SigningKey(
        ECKey.import_key(pem).thumbprint(),
        pem,
        moment,
        moment + timedelta(seconds=begins),
        None if ends is None else moment + timedelta(seconds=ends),
    )


def ring(*keys: SigningKey) -> Keyring:
    """Return a ring of these keys."""
    return keyring_of(secret_data(keys))


def secret(keys: Iterable[SigningKey], installation: Installation = Installation()) -> Object:  # noqa: B008 - frozen
    """Return the Secret that holds these keys."""
    metadata = {"name": SIGNING_KEYS_SECRET, "namespace": installation.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": secret_data(keys)}
