"""The pair that the decision port serves with, read again from its files while connections go on.

Kubernetes swaps a mounted Secret by one symbolic link, and other tools write one file after the other: so the files
are read at intervals, and whatever they hold is first made a context of its own, beside the one that is served with.

Holds: a pair that is served with was looked at and loaded whole (`pair.look`, then OpenSSL) from files that did not
move meanwhile; one that cannot be used leaves the last good one in place, and that is said; connections that are open
stay as they are, and each new handshake is with the newest pair. A handshake is never with a pair that is half loaded,
since the context that listens never loads one: it hands each handshake over. By whom clients are vouched for is heeded
by itself, whatever the pair is like.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from bailiwick_api.serverclock import ServerClock
from bailiwick_webhook.tls.clients import ClientAuthorities, CurrentAuthorities, asking
from bailiwick_webhook.tls.pair import NotIssuedError, Pair, UnusableError, look

PATIENCE: Final = 60.0
"""For so many seconds from the start the first certificate may not be there yet: its issuer starts too."""
_LOG: Final = structlog.get_logger(__name__)

_TLS12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServingContext(ssl.SSLContext):
    """A context of a server. `clients`: by whom it verifies clients' certificates; None: it asks for none."""

    clients: ClientAuthorities | None = None


def hardened() -> ServingContext:
    """Return a context of a server, without a certificate yet.

    It has TLS 1.2 with AEAD and forward secrecy, and TLS 1.3; nothing older or anonymous, no compression and no
    renegotiation.
    """
    context = ServingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Those of TLS 1.3 are all AEAD, and OpenSSL keeps them apart.
    context.set_ciphers(_TLS12)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


class Certificates:
    """Watches the files of one pair. `names`: what it must be for, besides being for something.

    `clients`: the file of the CAs by which clients' certificates are verified; None: none is asked for. `clock` judges
    our own pair, and `clients_clock` what clients show, which gives rights.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        interval: float,
        names: Iterable[str] = (),
        clients: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        clients_clock: ServerClock | None = None,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._interval = interval
        self._wanted = tuple(names)
        self._clock = clock
        self._patient_until = clock() + timedelta(seconds=PATIENCE)
        self._said: tuple[str | None, bool] = (None, False)
        self._clients = clients
        self._trusted = CurrentAuthorities(clients_clock)
        self._read: tuple[bytes, bytes, bytes | None] | None = None
        self._served: Pair | None = None
        self._context: ssl.SSLContext | None = None
        self._first = asyncio.Event()
        self.problem: str | None = "not checked yet"
        """Why what the files hold is not served with, for a person; None while it is."""
        self.listening: Final = hardened()
        """What the decision port listens with."""
        self.listening.sni_callback = self._hand_over
        if clients is not None:
            # Whether a certificate is asked for is settled before a handshake is handed over, by whom is not.
            asking(self.listening)

    @property
    def not_after(self) -> datetime | None:
        """When the pair that is served with ends; None where there is none yet."""
        return None if self._served is None else self._served.not_after

    @property
    def good(self) -> bool:
        """Whether clients can accept what is served."""
        return self._served is not None and self._clock() < self._served.not_after

    @property
    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Chain, key and clients' CAs that are served with. Raises `UnusableError` before there are any."""
        if self._read is None:
            raise UnusableError("there is no certificate yet")
        return self._read

    @property
    def authorities(self) -> ClientAuthorities | None:
        """The CAs that a client's certificate must be of now; None: no certificate is asked for."""
        return self._trusted.now

    async def first(self) -> None:
        """Wait until there is a pair to serve with."""
        await self._first.wait()

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            # In a thread: a disk may hang, and keys take their time.
            await asyncio.to_thread(self.look)
            if self._served is not None:
                self._first.set()
            await asyncio.sleep(self._interval)

    def look(self) -> None:
        """Look at the files once, and take what they hold if it can be served with."""
        problem, awaited = None, False
        try:
            if self._clients is not None:
                self._heed(self._clients)
            read = self._files()
            if read != self._read:
                # Looked at again each time while it cannot be used: it may be about to begin.
                self._take(read)
        except UnusableError as error:
            problem = str(error)
            awaited = isinstance(error, NotIssuedError) and self._served is None and self._clock() < self._patient_until
        if problem is not None and (problem, awaited) != self._said:
            kept = None if self._served is None else self._served.serial
            if awaited:
                _LOG.info("waiting for the first certificate", why=problem)
            else:
                _LOG.error("the certificate in the files is not used", why=problem, kept=kept)
        self._said = (problem, awaited)
        self.problem = problem

    def _take(self, read: tuple[bytes, bytes, bytes | None]) -> None:
        certificate, key, authorities = read
        context = hardened()
        if authorities is not None:
            context.clients = ClientAuthorities(authorities, self._trusted)
            context.clients.apply(context)
        pair = look(certificate, key, self._clock(), self._wanted)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UnusableError(f"OpenSSL rejects the certificate and key: {error}") from None
        if self._files() != read:
            raise UnusableError("the files are still being written")
        self._context, self._served, self._read = context, pair, read
        _LOG.info(
            "serving certificate loaded", serial=pair.serial, not_after=pair.not_after.isoformat(), names=pair.names
        )

    def _heed(self, file: Path) -> None:
        """Trust the CAs that their file has now, also if there is no pair beside it that can be served with.

        A CA that was taken out is one that somebody else may hold: that it counts no more must not wait for
        a serving certificate. Handshakes are with the last good pair and its CAs until then, but what they
        let in counts only if one of these issued it.
        """
        pem = _bytes(file)
        if self._trusts(pem):
            return
        clients = ClientAuthorities(pem, self._trusted)
        clients.apply(hardened())
        if _bytes(file) != pem:
            raise UnusableError("the files are still being written")
        self._trusted.now = clients
        if self._context is not None:
            _LOG.info("client CAs loaded", count=len(clients.certificates))

    def _trusts(self, authorities: bytes | None) -> bool:
        """Tell whether what is trusted now is what a state of the file has."""
        now = self._trusted.now
        return authorities == (None if now is None else now.pem)

    def _files(self) -> tuple[bytes, bytes, bytes | None]:
        clients = None if self._clients is None else _bytes(self._clients)
        return _bytes(self._certificate), _bytes(self._key), clients

    def _hand_over(
        self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        """Give a handshake the pair of this moment; OpenSSL calls it after the client's first words."""
        if self._context is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._context
        return None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnusableError(f"{error.filename} cannot be read: {error.strerror}") from None


def _no_password() -> bytes:
    # Without this OpenSSL would ask at a terminal.
    raise ValueError("the key is encrypted")
