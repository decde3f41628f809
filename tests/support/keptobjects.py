"""An API server that keeps objects of histories, compares versions, and breaks where a test says so.

Holds: for what a real server cannot be made to show: an answer that is lost, one that never comes, a step in between.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from support.objects import Object, received


def lost() -> None:
    """Lose an answer."""
    message = "no answer"
    raise ClusterUnavailableError(message)


@dataclass
class KeptObjects:
    """`before` and `after` are called with the method around each request; `seconds`: how long each takes.

    `changing` makes of a method and an answer what is answered.
    """

    seconds: float = 0.005
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    before: Callable[[str], Any] = lambda _: None
    after: Callable[[str], Any] = lambda _: None
    changing: Callable[[str, ApiResponse], ApiResponse] = lambda _, answer: answer
    versions: itertools.count = field(default_factory=lambda: itertools.count(1))  # type: ignore[type-arg]

    def count(self, method: str) -> int:
        """Return how many requests of a method there were."""
        return self.requests.count(method)

    async def read_history(self, namespace: str, name: str) -> ApiResponse:
        await self._begin("GET")
        found = self.objects.get((namespace, name))
        answer = ApiResponse(404, {}) if found is None else ApiResponse(200, received(found))
        return await self._end("GET", answer)

    async def create_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        await self._begin("POST")
        key = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        answer = ApiResponse(409, {"message": "exists"}) if key in self.objects else self._put(key, manifest)
        return await self._end("POST", answer)

    async def replace_history(self, manifest: Mapping[str, Any]) -> ApiResponse:
        await self._begin("PUT")
        metadata = manifest["metadata"]
        key = metadata["namespace"], metadata["name"]
        found = self.objects.get(key)
        if found is None:
            answer = ApiResponse(404, {"message": "not found"})
        elif metadata["resourceVersion"] != found["metadata"]["resourceVersion"]:
            answer = ApiResponse(409, {"message": "the object has been modified"})
        else:
            answer = self._put(key, manifest)
        return await self._end("PUT", answer)

    def _put(self, key: tuple[str, str], manifest: Mapping[str, Any]) -> ApiResponse:
        stored = received(dict(manifest))
        stored["metadata"] |= {"resourceVersion": f"{next(self.versions)}"}
        stored["metadata"].setdefault("uid", f"uid-{next(self.versions)}")
        self.objects[key] = stored
        return ApiResponse(200, received(stored))

    async def _begin(self, method: str) -> None:
        self.requests.append(method)
        await asyncio.sleep(self.seconds / 2)
        self.before(method)

    async def _end(self, method: str, answer: ApiResponse) -> ApiResponse:
        self.after(method)
        await asyncio.sleep(self.seconds / 2)
        return self.changing(method, answer)
