"""A witness as C2SP tlog-witness has it, in the test's own process: it knows some logs beforehand, and each one's size.

Holds: it answers as the text of C2SP asks for, in statuses too; what it does not know it does not cosign.
"""

import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import decoded
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import consistent
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, cosigned, opened, split, verifier_key

Said = tuple[int, str]


class OutsideWitness:
    """Listens while the block runs. `known`: the keys of the logs that it cosigns, by their origins."""

    def __init__(self, name: str = "example.org/witness") -> None:
        self.known: dict[str, VerifierKey] = {}
        self._name: Final = name
        self._key: Final = Ed25519PrivateKey.generate()
        self._held: dict[str, Checkpoint] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, said = owner.add(raw.decode()) if self.path == "/add-checkpoint" else (HTTPStatus.NOT_FOUND, "")
                self.send_response(status)
                self.send_header("Content-Length", str(len(said.encode())))
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def key(self) -> str:
        """What verifies its cosignatures."""
        return str(verifier_key(self._name, SignatureType.COSIGNATURE, self._key))

    def add(self, body: str) -> Said:
        """Answer one request."""
        head, _, note = body.partition("\n\n")
        first, *proof = head.split("\n")
        word, _, size = first.partition(" ")
        try:
            checkpoint = Checkpoint.parse(split(note)[0])
        except NoteError:
            return HTTPStatus.BAD_REQUEST, ""
        if word != "old" or not size.isdecimal() or int(size) > checkpoint.size:
            return HTTPStatus.BAD_REQUEST, ""
        if (key := self.known.get(checkpoint.origin)) is None:
            return HTTPStatus.NOT_FOUND, ""
        try:
            opened(note, [key])
        except NoteError:
            return HTTPStatus.FORBIDDEN, ""
        before = self._held.get(checkpoint.origin)
        if int(size) != (0 if before is None else before.size):
            return HTTPStatus.CONFLICT, f"{0 if before is None else before.size}\n"
        hashes = [one for line in proof if (one := decoded(line)) is not None]
        if len(hashes) != len(proof) or (before is None and proof):
            return HTTPStatus.BAD_REQUEST, ""
        if before is not None and not consistent(before.size, before.root, checkpoint.size, checkpoint.root, hashes):
            return HTTPStatus.UNPROCESSABLE_ENTITY, ""
        self._held[checkpoint.origin] = checkpoint
        return HTTPStatus.OK, cosigned(note, self._name, self._key, int(time.time())).removeprefix(note)

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
