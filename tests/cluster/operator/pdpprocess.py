"""A process of the decision point that serves whatever it is asked about, for tests of an operator alone."""

import json

from support.httpthreads import Reply, ThreadedServer


class ServesAll(ThreadedServer):
    """Says of each policy that it decides by it, and what it is told to say of their use. Days are since the epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = "first"
        self.used: dict[str, int] = {}
        self.shadows: dict[str, tuple[int, int, int]] = {}
        self.silent = False

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer."""
        if path == "/usage":
            if self.silent:
                return 503, b""
            asked = {uid for uid, _ in json.loads(body)}
            used = [(uid, day) for uid, day in self.used.items() if uid in asked]
            shadows = [(uid, *counts) for uid, counts in self.shadows.items() if uid in asked]
            return 200, json.dumps({"memory": self.memory, "used": used, "shadows": shadows}).encode()
        return 200, json.dumps({"ready": True, "served": json.loads(body)}).encode()
