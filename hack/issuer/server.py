"""The issuer's two documents and its logins over HTTPS, with a certificate of its own authority.

Standing: serves from a thread (`serving`), for a test or as `python -m issuer serve`; reads the keys for every request.
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from issuer.codes import AUTHORIZE, CHOSEN, END_SESSION, TOKEN, Logins
from issuer.keys import Signer
from localcluster.pki import Authority

HOST: Final = "127.0.0.1"
DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"


class Server(ThreadingHTTPServer):
    """`asked` are the paths of all requests so far. `replies` overrides the body of a path, for tests.

    `logins` is who can log in, and how.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, folder: Path, host: str = HOST) -> None:
        """Listen; port 0 takes a free one. The authority's certificate is then `ca_file`."""
        super().__init__((host, port), _Handler)
        authority = Authority.at(folder, "ca")
        pair = authority.serving("issuer", [host, "localhost"])
        self.ca_file = authority.certificate
        self.signer = Signer.at(folder, f"https://{host}:{self.server_address[1]}")
        self.asked: list[str] = []
        self.replies: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.logins = Logins()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def document(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of a path."""
        if path in self.replies:
            return self.replies[path]
        url = self.signer.url
        documents: dict[str, dict[str, Any]] = {
            DISCOVERY: {
                "issuer": url,
                "jwks_uri": url + KEYS,
                "authorization_endpoint": url + AUTHORIZE,
                "token_endpoint": url + TOKEN,
                "response_types_supported": ["code", "id_token"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            },
            KEYS: self.signer.jwks(),
        }
        if self.logins.ends:
            documents[DISCOVERY]["end_session_endpoint"] = url + END_SESSION
        found = documents.get(path)
        return (404, b"{}", {}) if found is None else (200, json.dumps(found).encode(), {})


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer with a document."""
        self.server.asked.append(self.path)
        self._answer(*self._login() or self.server.document(self.path))

    def do_POST(self) -> None:
        """Answer at the token endpoint."""
        self.server.asked.append(self.path)
        form = _single(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        kind, _, pair = self.headers.get("Authorization", "").partition(" ")
        basic = None
        if kind == "Basic":
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            basic = (unquote(name), unquote(secret))
        status, body = self.server.logins.tokens(form, basic, self.server.signer)
        override = self.server.replies.get(self.path)
        self._answer(*override or (status, json.dumps(body).encode(), {}))

    def _login(self) -> tuple[int, bytes, dict[str, str]] | None:
        path, _, query = self.path.partition("?")
        logins, asked = self.server.logins, _single(query)
        if path == AUTHORIZE and logins.people:
            return 200, logins.page(asked).encode(), {"Content-Type": "text/html"}
        if path == CHOSEN and asked.get("person") in logins.people:
            url = logins.answer(asked, self.server.signer.url)
            return (400, b"{}", {}) if url is None else (302, b"", {"Location": url})
        if path == END_SESSION and logins.ends:
            url = logins.ended(asked)
            return (400, b"{}", {}) if url is None else (302, b"", {"Location": url})
        return None

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


@contextmanager
def serving(folder: Path, port: int = 0, host: str = HOST) -> Iterator[Server]:
    """Serve until the end of the block."""
    server = Server(port, folder, host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
