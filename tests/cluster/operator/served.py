"""A process of the decision point that serves whatever it is asked about, for tests of an operator alone."""

import json

from support.httpthreads import Reply, ThreadedServer


class ServesAll(ThreadedServer):
    """Says of each policy that it decides by it."""

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer."""
        return 200, json.dumps({"ready": True, "served": json.loads(body)}).encode()
