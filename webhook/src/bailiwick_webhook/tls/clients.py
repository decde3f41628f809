"""Clients' CAs: by whom a client that shows a certificate must be vouched for.

Standing: with `reload`, which reads the file. Holds: each context of a server carries the CAs that it verifies
by; a certificate that was verified by earlier ones counts only if one of the present ones issued it. Each state of the
file remembers its own verdicts on certificates, and no other state uses them.
"""

import ssl
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_webhook.tls.pair import UnusableError

_MOST: Final = 64
_KEPT: Final = 1_024


class ClientAuthorities:
    """The CAs of one state of the file. `current`: what is trusted now, of this or of a later state."""

    def __init__(self, pem: bytes, current: "CurrentAuthorities") -> None:
        try:
            self.certificates = tuple(x509.load_pem_x509_certificates(pem))
        except ValueError:
            message = "the client CA file has no readable certificate"
            raise UnusableError(message) from None
        if not 0 < len(self.certificates) <= _MOST:
            message = f"the client CA file has {len(self.certificates)} certificates: 1 to {_MOST} are allowed"
            raise UnusableError(message)
        self.pem = pem
        self.current = current
        self._judged: BoundedCache[x509.Certificate, bool] = BoundedCache(_KEPT)

    def apply(self, context: ssl.SSLContext) -> None:
        """Have a context verify clients by these. Raises `UnusableError`."""
        try:
            context.load_verify_locations(cadata=self.pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            message = f"OpenSSL rejects the client CA file: {error}"
            raise UnusableError(message) from None
        asking(context)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Tell whether one of these issued a certificate itself.

        The answer depends on the certificates alone, so each signature is verified once. Envoy resumes TLS sessions,
        and each request on a resumed session asks this. Equal certificates have equal contents and signatures.
        """
        judged = self._judged.get(certificate)
        if judged is None:
            judged = any(_issued(authority, certificate) for authority in self.certificates)
            self._judged.put(certificate, judged)
        return judged


class CurrentAuthorities:
    """What is trusted now; None before the file was read. `clock`: by which clocks certificates begin and end."""

    def __init__(self, clock: ServerClock | None = None) -> None:
        self.now: ClientAuthorities | None = None
        self._clock = clock or ServerClock()

    def in_time(self, certificate: x509.Certificate) -> bool:
        """Tell whether a client's certificate is valid at this moment."""
        # Of two clocks, the later ends it.
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        return self._clock.later() < ends and begins <= self._clock.wall()


def asking(context: ssl.SSLContext) -> None:
    """Have a context ask clients for a certificate, and keep no session that would be taken up without one."""
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def trusted_still(connection: ssl.SSLObject, certificate: x509.Certificate) -> bool:
    """Tell whether a client's certificate that was verified in this connection's handshake counts now."""
    clients = getattr(connection.context, "clients", None)
    if not isinstance(clients, ClientAuthorities):
        return False
    now = clients.current.now
    if now is None:
        return False
    # A session that is taken up again was verified when it began, whatever is trusted since.
    issued = (now.pem == clients.pem and not connection.session_reused) or now.issued(certificate)
    return issued and clients.current.in_time(certificate)


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
