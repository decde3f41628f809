"""A transmitter of security events as an issuer runs one: HTTPS on loopback, keys, a poll endpoint (RFC 8936).

Holds: it keeps what is not acknowledged, and sends it again; what it is told to do wrong, it does at the next polls.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, Final

from issuer.keys import Signer
from localcluster.pki import Authority
from support.signals.caep import CAEP, PERSON, Example

HOST: Final = "127.0.0.1"
AUDIENCE: Final = "https://bailiwick.example.com/signals"
BEARER: Final = "s3cret-of-the-stream"
_HANGS_SECONDS: Final = 60.0

Fault = Callable[["_Handler"], None]


class SignalTransmitter(ThreadingHTTPServer):
    """`waiting`: tokens by their jti, until they are acknowledged or refused. `polls`: the questions so far.

    `fault` answers polls in place of the transmitter. `waits`: seconds that a poll waits for an event.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, folder: Path, waits: float = 0.2) -> None:
        super().__init__((HOST, 0), _Handler)
        authority = Authority.at(folder, "ca")
        pair = authority.serving("transmitter", [HOST, "localhost"])
        self.ca_file = authority.certificate
        self.url = f"https://{HOST}:{self.server_address[1]}"
        self.signer = Signer.at(folder / "signer", self.url)
        self.token_file = folder / "ssf.token"
        self.token_file.write_text(BEARER + "\n")
        self.waits = waits
        self.waiting: dict[str, str] = {}
        self.acknowledged: list[str] = []
        self.refused: dict[str, dict[str, str]] = {}
        self.polls: list[dict[str, Any]] = []
        self.fault: Fault | None = None
        self.keys_down = False
        self.closing = threading.Event()
        self._changed = threading.Condition()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def issuer(self, name: str = "corp", **signals: object) -> dict[str, Any]:
        """Return its entry in the issuers file."""
        return {
            "name": name,
            "issuer": self.url,
            "jwksURL": f"{self.url}/keys",
            "caFile": str(self.ca_file),
            "allowPrivateAddresses": True,
            "refreshSeconds": 10,
            "claims": {"kubernetesUsername": "oidc:{sub}"},
            "signals": {
                "pollURL": f"{self.url}/poll",
                "tokenFile": str(self.token_file),
                "audience": AUDIENCE,
                "maxTokenSeconds": 3600,
                **signals,
            },
        }

    def sign(self, claims: Mapping[str, Any], **header: object) -> str:
        """Return the token with these claims."""
        return self.signer.sign(claims, {"typ": "secevent+jwt", **header})

    def send(self, jti: str, token: str) -> str:
        """Send a token at the next poll; returns its jti."""
        with self._changed:
            self.waiting[jti] = token
            self._changed.notify_all()
        return jti

    def signal(
        self,
        jti: str,
        sub: str = "dave",
        name: str = "session-revoked",
        uri: str = CAEP,
        at: float | None = None,
        **members: object,
    ) -> str:
        """Send an event about a person; returns its jti."""
        example = Example(name, uri + name, PERSON | {"sub": sub}, "refuse", members=dict(members))
        moment = time.time() if at is None else at
        claims = example.claims(self.url, AUDIENCE, jti, moment)
        return self.send(jti, self.sign(claims | {"iat": int(moment)}))

    def take(self, question: dict[str, Any]) -> dict[str, Any]:
        """Take the reports of a poll, and return what is sent."""
        with self._changed:
            self.polls.append(question)
            for jti in question["ack"]:
                self.acknowledged.append(jti)
                self.waiting.pop(jti, None)
            self.refused |= question["setErrs"]
            for jti in question["setErrs"]:
                self.waiting.pop(jti, None)
            if not self.waiting and not question["returnImmediately"]:
                self._changed.wait(self.waits)
            most = question["maxEvents"]
            return {"sets": dict(islice(self.waiting.items(), most)), "moreAvailable": len(self.waiting) > most}


class _Handler(BaseHTTPRequestHandler):
    server: SignalTransmitter
    timeout = 10

    def do_GET(self) -> None:
        """Answer with the keys."""
        if self.path == "/keys" and not self.server.keys_down:
            self.answer(200, json.dumps(self.server.signer.jwks()).encode())
        else:
            self.answer(404, b"{}")

    def do_POST(self) -> None:
        """Answer a poll."""
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.fault is not None:
            self.server.fault(self)
        elif self.headers.get("Authorization") != f"Bearer {BEARER}" or self.path != "/poll":
            self.answer(401, b"{}")
        else:
            self.answer(200, json.dumps(self.server.take(question)).encode())

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def hang(self) -> None:
        """Send nothing until the end of the fault."""
        until = time.monotonic() + _HANGS_SECONDS
        while self.server.fault is not None and not self.server.closing.wait(0.02) and time.monotonic() < until:
            pass
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


@contextmanager
def transmitting(folder: Path, waits: float = 0.2) -> Iterator[SignalTransmitter]:
    """Serve until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    transmitter = SignalTransmitter(folder, waits)
    thread = threading.Thread(target=transmitter.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield transmitter
    finally:
        transmitter.closing.set()
        transmitter.shutdown()
        transmitter.server_close()
        thread.join()
