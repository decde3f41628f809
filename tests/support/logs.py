"""A log of a process, as the decision point keeps one, without the process: it grows, forks, shrinks and answers.

Holds: what it signs is what it has; everything else about it can be made to lie.
"""

import copy
import json
import secrets
from http import HTTPStatus
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.chain import ChainWriter, chain_id
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import Forest, consistency
from bailiwick_evidence.note import SignatureType, sign_note, verifier_key
from support.httpthreads import Reply, ThreadedServer

Answer = tuple[int, dict[str, Any]]


class LoggedProcess:
    """One process's log. `told`: what the witness told of its own, newest last."""

    def __init__(self, lines: int = 1, installation: str = "bailiwick-system", pod: str = "p1") -> None:
        self.signer = Ed25519PrivateKey.generate()
        self.pod = pod
        self.told: list[str] = []
        self.asked: list[int] = []
        self.forgets: set[int] = set()
        """Sizes that it keeps nothing of any more."""
        self.lost: object = 0
        """How many records it says that it lost; None: it says nothing of that, as an older version."""
        self._chain = ChainWriter(chain_id(secrets.token_bytes(16)))
        self._leaves: list[bytes] = []
        self.origin = origin(installation, self._chain.id)
        self.grow(lines)

    @property
    def id(self) -> str:
        return self._chain.id

    @property
    def size(self) -> int:
        return len(self._leaves)

    @property
    def key(self) -> str:
        return str(verifier_key(self.origin, SignatureType.ED25519, self.signer))

    def grow(self, lines: int = 1) -> Self:
        for _ in range(lines):
            self._chain.append(b'{"kind":"evaluation","evaluation_id":"%s"}\n' % secrets.token_hex(8).encode())
            assert self._chain.head is not None
            self._leaves.append(self._chain.head)
        return self

    def forked(self, at: int, lines: int) -> "LoggedProcess":
        """Return the same process with the same key, whose log is another from a size on."""
        other = copy.copy(self)
        other.told, other.asked, other.forgets = [], [], set()
        other._leaves = self._leaves[:at]
        other._chain = ChainWriter(self.id)
        for leaf in other._leaves:
            other._chain.forest.append(leaf)
        other._chain.head = secrets.token_bytes(32)
        return other.grow(lines)

    def note(self) -> str:
        return sign_note(
            Checkpoint(self.origin, self.size, self._forest(0, self.size).root).text(), self.origin, self.signer
        )

    def proof(self, since: int) -> list[bytes]:
        return consistency(self._forest(0, since), self._forest(since, self.size))

    def answer(self, question: dict[str, Any]) -> Answer:
        """Answer `POST /checkpoint`."""
        since = question["from"]
        self.asked.append(since)
        if question["ledger"] is not None:
            self.told.append(question["ledger"])
        if since > self.size or since in self.forgets:
            return HTTPStatus.CONFLICT, {"error": "not kept", "sizes": [self.size]}
        proof = [encode_base64(one) for one in self.proof(since)] if since else []
        body = {"checkpoint": self.note(), "from": since, "proof": proof, "key": self.key, "pod": self.pod}
        return HTTPStatus.OK, body if self.lost is None else {**body, "lost": self.lost}

    def _forest(self, start: int, end: int) -> Forest:
        forest = Forest(start)
        for leaf in self._leaves[start:end]:
            forest.append(leaf)
        return forest


class LogServer(ThreadedServer):
    """Serves the logs of processes over HTTP, each below a path of its own, while the block runs.

    `silent`: those that answer nothing.
    """

    def __init__(self) -> None:
        self.processes: dict[str, LoggedProcess] = {}
        self.silent: set[str] = set()
        super().__init__()

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer by the process of the path."""
        _, name, what = path.split("/")
        status, said = self.answer(name, what, json.loads(body))
        return status, json.dumps(said).encode()

    def answer(self, name: str, what: str, asked: dict[str, Any]) -> Answer:
        """Answer one request."""
        process = self.processes.get(name)
        if name in self.silent:
            return HTTPStatus.SERVICE_UNAVAILABLE, {}
        if what == "served":
            return HTTPStatus.OK, {"ready": True, "served": asked}
        if process is None:
            return HTTPStatus.NOT_FOUND, {"error": "no chain"}
        return process.answer(asked)
