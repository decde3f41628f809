"""Client certificates of connections, as TLS verified them.

Standing: under `authenticator`. Holds: a certificate counts while it is valid and while the CAs that it was
verified by are still trusted: a connection outlives neither.
"""

import asyncio
import ssl
from typing import Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from cryptography import x509

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.identity.certificates import accounts_of
from bailiwick_webhook.tls.clients import trusted_still


class _Seen(NamedTuple):
    certificate: x509.Certificate
    accounts: tuple[ServiceAccount, ...]


_NOBODY: Final[tuple[ServiceAccount, ...]] = ()
_seen: Final[WeakKeyDictionary[ssl.SSLObject, _Seen]] = WeakKeyDictionary()


class ConnectedPeer(Protocol):
    """Whose connection is known: a `web.BaseRequest`, or where a plain request came from (see `decisionshortcut`)."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None once the connection is lost."""


def certified(peer: ConnectedPeer) -> tuple[ServiceAccount, ...]:
    """Return what a request's sender is called by its client certificate; empty where it shows none that counts."""
    transport = peer.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return _NOBODY
    seen = _seen.get(tls)
    if seen is None:
        # Bytes only where it was verified: else there is no dictionary.
        shown = tls.getpeercert(binary_form=True) if tls.getpeercert() else None
        if shown is None:
            return _NOBODY
        try:
            certificate = x509.load_der_x509_certificate(shown)
            seen = _Seen(certificate, accounts_of(certificate))
        except ValueError:
            return _NOBODY
        _seen[tls] = seen
    certificate, accounts = seen
    return accounts if trusted_still(tls, certificate) else _NOBODY
