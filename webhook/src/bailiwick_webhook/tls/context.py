"""The TLS contexts of the decision port.

Holds: TLS 1.2 with AEAD and forward secrecy, and TLS 1.3; nothing older, nothing anonymous, no compression, no
renegotiation.
"""

import ssl
from typing import Final

from bailiwick_webhook.tls.clients import ClientAuthorities

_TLS12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServingContext(ssl.SSLContext):
    """A context of a server. `clients`: by whom it verifies clients' certificates; None: it asks for none."""

    clients: ClientAuthorities | None = None


def hardened() -> ServingContext:
    """Return a context of a server, without a certificate yet."""
    context = ServingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Those of TLS 1.3 are all AEAD, and OpenSSL keeps them apart.
    context.set_ciphers(_TLS12)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context
