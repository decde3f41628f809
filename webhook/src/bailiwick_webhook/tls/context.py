"""The TLS context of the decision port.

Holds: TLS 1.2 or later; a pair that does not fit together is refused before anything listens.
"""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context for this pair. Raises `ssl.SSLError` or `OSError` where the files do not make one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
