"""A client as a Service makes one of many: round robin over replicas that say that they are ready, and no second try.

Standing: for tests of restarts under load. Holds: readiness is asked as often as a kubelet would at its fastest; a
connection is kept until an answer says that it is the last one, or its replica is not ready any more; whatever does
not get an answer is counted as lost.
"""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import requests

LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Replica:
    """Where a replica is asked, and where it says whether it is ready."""

    url: str
    status_url: str

    def ready(self) -> bool:
        """Ask it."""
        try:
            return requests.get(f"{self.status_url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False


@dataclass
class Balancer:
    """Asks from threads until the block is left. `replicas` may grow meanwhile."""

    path: str
    body: object
    token: str
    replicas: list[Replica]
    workers: int = 4
    answers: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        """Begin."""
        self._over = threading.Event()
        self._ready: Sequence[Replica] = [replica for replica in self.replicas if replica.ready()]
        self._turn = itertools.count()
        self._threads = [threading.Thread(target=self._look)]
        self._threads += [threading.Thread(target=self._work) for _ in range(self.workers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def count(self) -> int:
        """How many answers there were."""
        return sum(self.answers.values())

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._ready = [replica for replica in self.replicas if replica.ready()]

    def _work(self) -> None:
        connections: dict[Replica, http.client.HTTPConnection] = {}
        data = json.dumps(self.body)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        try:
            self._ask(connections, data, headers)
        finally:
            for connection in connections.values():
                connection.close()

    def _ask(self, connections: dict[Replica, http.client.HTTPConnection], data: str, headers: dict[str, str]) -> None:
        while not self._over.is_set():
            ready = self._ready
            for replica in [one for one in connections if one not in ready]:
                connections.pop(replica).close()
            if not ready:
                self.lost.append("no replica is ready")
                time.sleep(LOOK_SECONDS)
                continue
            replica = ready[next(self._turn) % len(ready)]
            address = urlsplit(replica.url)
            connection = connections.pop(replica, None) or http.client.HTTPConnection(address.netloc, timeout=10)
            try:
                connection.request("POST", self.path, data, headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(f"{replica.url}: {type(error).__name__}: {error}")
                connection.close()
                continue
            self.answers[f"{answer.status} {said.get('decision')}"] += 1
            self.asked[replica.url] += 1
            if answer.will_close:
                connection.close()
            else:
                connections[replica] = connection
