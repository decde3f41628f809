"""A witness as C2SP tlog-witness has it, in the test's own process: it knows some logs beforehand, and each one's size.

Holds: it answers as the text of C2SP asks for, in statuses too; what it does not know it does not cosign.
"""

import time
from http import HTTPStatus
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import is_consistent
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, cosign_note, open_note, split, verifier_key
from support.httpthreads import Reply, ThreadedServer

Said = tuple[int, str]


class OutsideWitness(ThreadedServer):
    """Listens while the block runs."""

    unknown: Final = HTTPStatus.NOT_FOUND

    def __init__(self, name: str = "example.org/witness") -> None:
        self._known: dict[str, VerifierKey] = {}
        self._name: Final = name
        self._key: Final = Ed25519PrivateKey.generate()
        self._held: dict[str, Checkpoint] = {}
        super().__init__()

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer one request."""
        status, said = self.add(body.decode()) if path == "/add-checkpoint" else (HTTPStatus.NOT_FOUND, "")
        return status, said.encode()

    @property
    def key(self) -> str:
        """What verifies its cosignatures."""
        return str(verifier_key(self._name, SignatureType.COSIGNATURE, self._key))

    def know(self, key: VerifierKey) -> None:
        """Have it cosign the log of this key, from its beginning."""
        self._known[key.name] = key

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
        if (key := self._known.get(checkpoint.origin)) is None:
            return self.unknown, ""
        try:
            open_note(note, [key])
        except NoteError:
            return HTTPStatus.FORBIDDEN, ""
        before = self._held.get(checkpoint.origin)
        if int(size) != (0 if before is None else before.size):
            return HTTPStatus.CONFLICT, f"{0 if before is None else before.size}\n"
        hashes = [one for line in proof if (one := decode_base64(line)) is not None]
        if len(hashes) != len(proof) or (before is None and proof):
            return HTTPStatus.BAD_REQUEST, ""
        if before is not None and not is_consistent(before.size, before.root, checkpoint.size, checkpoint.root, hashes):
            return HTTPStatus.UNPROCESSABLE_ENTITY, ""
        self._held[checkpoint.origin] = checkpoint
        return HTTPStatus.OK, cosign_note(note, self._name, self._key, int(time.time())).removeprefix(note)
