"""A signing key that lives as long as the process, so that rules with `presentation: Token` work in development.

Holds: the key is made here, stored nowhere and published as every key of ours is.
"""

from datetime import UTC, datetime

from joserfc.jwk import ECKey

from bailiwick_api.signingkeys import CURVE, SigningKey, secret_data
from bailiwick_webhook.signing.keyring import Keyring, keyring_of


def fresh_keyring() -> Keyring:
    """Return a ring with one new key."""
    private, now = ECKey.generate_key(CURVE, private=True), datetime.now(UTC)
    pem = private.as_pem(private=True).decode()
    return keyring_of(secret_data((SigningKey(private.thumbprint(), pem, now, now, None),)))
