"""The certificate that the console in the cluster serves with, read again from its files while connections go on.

Holds: a pair that cannot be used leaves the last good one in place, and that is said; no handshake is with a pair that
is half loaded, since the context that listens loads none: it hands each handshake over.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from bailiwick_governance.display import talk

POLL_SECONDS: Final = 5.0
_TLS12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ConsoleCertificate:
    """Watches the two files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._read: tuple[bytes, bytes] | None = None
        self._context: ssl.SSLContext | None = None
        self._problem: str | None = None
        self.listening: Final = _hardened_context()
        """What the port listens with."""
        self.listening.sni_callback = self._hand_over

    @property
    def there(self) -> bool:
        """Whether there is a pair to serve with."""
        return self._context is not None

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Look at the files once, and take what they hold if it can be served with."""
        problem = None
        try:
            self._take()
        except (OSError, ssl.SSLError, ValueError) as error:
            # What OpenSSL says of a key is a number of its source; the key is in none of it.
            problem = f"The certificate in {self._certificate} is not used: {getattr(error, 'strerror', None) or error}"
        if problem is not None and problem != self._problem:
            talk(problem)
        self._problem = problem

    def _take(self) -> None:
        read = (self._certificate.read_bytes(), self._key.read_bytes())
        if read == self._read:
            return
        if not all(part.strip() for part in read):
            raise ValueError("no certificate is issued yet")
        made = _hardened_context()
        made.load_cert_chain(self._certificate, self._key, password=_no_password)
        if (self._certificate.read_bytes(), self._key.read_bytes()) != read:
            raise ValueError("the files are still being written")
        self._context, self._read = made, read
        talk(f"Serving with the certificate in {self._certificate}.")

    def _hand_over(
        self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        if self._context is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._context
        return None


def _hardened_context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(_TLS12)
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return made


def _no_password() -> bytes:
    # Without this OpenSSL would ask at a terminal.
    raise ValueError("the key is encrypted")
