"""The issuer's two documents over HTTPS, with a certificate of its own authority.

Standing: serves from a thread (`serving`), for a test or as `python -m issuer serve`; reads the keys for every request.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from issuer.signing import Signer
from localcluster.pki import Authority

HOST: Final = "127.0.0.1"
DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"


class Server(ThreadingHTTPServer):
    """`asked` are the paths of all requests so far. `replies` overrides the body of a path, for tests."""

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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def document(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of a path."""
        if path in self.replies:
            return self.replies[path]
        url = self.signer.url
        documents: dict[str, dict[str, Any]] = {
            DISCOVERY: {"issuer": url, "jwks_uri": url + KEYS, "response_types_supported": ["id_token"]},
            KEYS: self.signer.jwks(),
        }
        found = documents.get(path)
        return (404, b"{}", {}) if found is None else (200, json.dumps(found).encode(), {})


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer with a document."""
        self.server.asked.append(self.path)
        status, body, headers = self.server.document(self.path)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


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
