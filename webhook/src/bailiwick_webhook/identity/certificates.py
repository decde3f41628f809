"""Client certificates: the names of a client that shows one, as `enforcers` has them.

Standing: below `http`, which has the certificate that TLS verified. Holds: only subject alternative names count, SPIFFE
IDs and DNS names, whole and exactly as they are written; a certificate proves who enforces, never a subject.
"""

import hashlib
from typing import Final

from cryptography import x509

from bailiwick_api.kinds.enforcers import certificate_username
from bailiwick_engine.call import ServiceAccount

_SPIFFE: Final = "spiffe://"
_MOST: Final = 16


def accounts_of(certificate: x509.Certificate) -> tuple[ServiceAccount, ...]:
    """Return what the bearer of a certificate is called, by each of its names. Raises `ValueError` if unreadable."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    shown = [
        *(uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(_SPIFFE)),
        *(name for name in names.get_values_for_type(x509.DNSName) if ":" not in name),
    ]
    # More than these are not needed, and each is looked up at every call.
    return tuple(ServiceAccount(username, _uid(username)) for username in map(certificate_username, shown[:_MOST]))


def _uid(username: str) -> str:
    """Return a uid of its own, so that two of them share no use of a grant; a grant holds 128 characters."""
    return "certificate:" + hashlib.sha256(username.encode()).hexdigest()
