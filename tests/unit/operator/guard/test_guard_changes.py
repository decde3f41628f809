"""Changes of what the proof covers: which make a look due, how soon, and how often at most."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

import pytest

from bailiwick_api.manifests.guards import NAMES, REVIEW
from bailiwick_api.manifests.keep import DECIDING_ROUTES
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, ApiStream, SilentStreamError
from bailiwick_operator.guard.changes import GuardChanges
from bailiwick_operator.kube import OperatorClient
from support.objects import Object
from support.transport import FakeTransport
from support.virtualtime import virtual_time

POLICIES: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
ROUTES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
pytestmark = pytest.mark.usefixtures("virtual_time")
__all__ = ["virtual_time"]
GONE: Final[Object] = {"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "message": "too old"}}


def event(name: str, version: int, kind: str = "MODIFIED") -> Object:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": f"{version}"}}}


class WatchedCollections(FakeTransport):
    """Lists say version 10. `told` has the lines of each watch, by path, with the seconds before each."""

    def __init__(self) -> None:
        super().__init__(lambda _request: ApiResponse(HTTPStatus.OK, {"metadata": {"resourceVersion": "10"}}))
        self.told: dict[str, Iterator[list[tuple[float, Object | Exception]]]] = {}
        self.asked: list[tuple[str, str]] = []

    def stream(self, request: ApiRequest, *, silence: float) -> AbstractAsyncContextManager[ApiStream]:
        assert request.query is not None
        self.asked.append((request.path, request.query["resourceVersion"]))
        lines = next(self.told.get(request.path, iter(())), [])

        async def said() -> AsyncIterator[bytes]:
            for seconds, line in lines:
                await asyncio.sleep(seconds)
                if isinstance(line, Exception):
                    raise line
                yield json.dumps(line).encode()
            if not lines:
                await asyncio.sleep(1e6)

        @asynccontextmanager
        async def opened() -> AsyncIterator[ApiStream]:
            yield ApiStream(HTTPStatus.OK, said())

        return opened()


async def looks(watched: WatchedCollections, seconds: float) -> list[float]:
    """Return at which seconds a look was due, within so many."""
    due: list[float] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    client = OperatorClient(watched, lambda: True)
    changes = GuardChanges(client, lambda: due.append(round(loop.time() - began, 1)), spacing=5)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changes.run()
    return due


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *((POLICIES, name) for name in NAMES),
        (f"{POLICIES[:-3]}ybindings", REVIEW),
        *((ROUTES, name) for name in (*DECIDING_ROUTES, "v9.bailiwick.dev")),
        (CRDS, "approvalgrants.bailiwick.dev"),
        (CRDS, "evils.bailiwick.dev"),
    ],
)
async def test_a_change_of_what_the_proof_covers_makes_a_look_due_at_once(path: str, name: str) -> None:
    watched = WatchedCollections()
    watched.told[path] = iter([[(20, event(name, 11))]])
    assert await looks(watched, 30) == [0, 20]


@pytest.mark.parametrize(
    ("path", "name"), [(POLICIES, "somebody-elses"), (ROUTES, "v1.apps"), (CRDS, "widgets.example.com")]
)
async def test_a_change_of_what_others_have_makes_none_due(path: str, name: str) -> None:
    watched = WatchedCollections()
    watched.told[path] = iter([[(20, event(name, 11)), (1, event("", 12, "BOOKMARK"))]])
    assert await looks(watched, 30) == [0]


async def test_a_flood_of_changes_makes_one_look_due_in_each_space_and_the_last_change_is_looked_at() -> None:
    watched = WatchedCollections()
    watched.told[POLICIES] = iter([[(20, event(REVIEW, 11)), *((0.01, event(REVIEW, 12 + n)) for n in range(1100))]])
    found = await looks(watched, 60)
    assert found == [0, 20, 25, 30, 35]


async def test_a_watch_goes_on_where_it_broke_and_misses_nothing() -> None:
    watched = WatchedCollections()
    watched.told[POLICIES] = iter(
        [[(20, event("other", 14)), (1, SilentStreamError("silent"))], [(2, event(REVIEW, 15))]]
    )
    (_, later) = await looks(watched, 60)
    assert 23 < later < 24
    assert [version for path, version in watched.asked if path == POLICIES] == ["10", "14", "15"]


async def test_where_a_watch_cannot_go_on_a_look_is_due_for_what_it_missed() -> None:
    watched = WatchedCollections()
    watched.told[POLICIES] = iter([[(20, event("other", 14)), (1, GONE)]])
    (_, later) = await looks(watched, 60)
    assert 21 < later < 22
    assert [version for path, version in watched.asked if path == POLICIES] == ["10", "10"]


async def test_a_line_that_cannot_be_read_begins_anew() -> None:
    watched = WatchedCollections()
    watched.told[POLICIES] = iter([[(20, {"type": "MODIFIED", "object": {}})]])
    (_, later) = await looks(watched, 60)
    assert 20 < later < 21
