"""The console in this process, before an API server that is a table: for faults, and for what a page says.

Standing: what the guards make of a review, tests/cluster and tests/browser show on a real API server.
"""

import asyncio
import copy
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web  # noqa: TID251 - serves what the console serves

from bailiwick_console.app import build
from bailiwick_console.server import ConsolePort, listen, loopback
from bailiwick_console.threads.recordfiles import RecordFiles
from bailiwick_console.visits.entrance import OPENING, LoopbackEntrance
from bailiwick_console.visits.security import ConsoleAddress
from bailiwick_console.visits.session import ConsoleSession
from bailiwick_console.visits.visitor import ConsoleVisitor
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars
from bailiwick_governance.apiserver.cluster import ClusterClient, Event
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import ApiError, UserError
from support.console.plainhttp import Site
from support.objects import Object

CAROL: Final = CurrentUser("carol", ("crm-owners",), "carol-uid")
NAME: Final = "test"
_PATIENCE: Final = 20.0


@dataclass
class TableCluster:
    """Stands for `ClusterClient`. `lacks` are verb and resource of rights that are missing; `fails` is raised by calls.

    `written` is what was sent; a patch whose tests do not hold is refused as the API server refuses it.
    """

    grants: list[Object] = field(default_factory=list)
    policies: list[Object] = field(default_factory=list)
    data: list[Object] = field(default_factory=list)
    histories: list[Object] = field(default_factory=list)
    """Of these, a list has as many as it is asked for."""
    lacks: set[tuple[str, str]] = field(default_factory=set)
    fails: Callable[[str, str], Exception | None] = lambda method, path: None
    written: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    loses: bool = False
    """Whether the answers to patches are lost once they were stored."""
    namespace: str = "crm"
    installation: str = "bailiwick-system"
    server: str = "https://cluster.example"
    config_maps: dict[str, Object] = field(default_factory=dict)
    """By name, of the namespace of Bailiwick. Every page asks for them, so that they do not stand in `asked`."""
    looked_up: list[str] = field(default_factory=list)
    told: "queue.Queue[Event | Exception | None]" = field(default_factory=queue.Queue)
    """What a watch yields, or raises; with None it ends."""

    def get(self, path: str, **query: str) -> Object:
        if path.startswith(f"/api/v1/namespaces/{self.installation}/configmaps/"):
            return self._config_map(path)
        self._ask("GET", path)
        if path.endswith("/approvalgrants"):
            return {"metadata": {"resourceVersion": "100"}, "items": []}
        if path.endswith("/endpointhistories"):
            most = int(query["limit"])
            more = "more" if len(self.histories) > most else ""
            return {"metadata": {"continue": more}, "items": copy.deepcopy(self.histories[:most])}
        return copy.deepcopy(self._one(path))

    def list_all(self, path: str, **query: str) -> tuple[list[Object], str]:
        self._ask("LIST", path)
        kinds = {"endpointpolicies": self.policies, "endpointdata": self.data}
        stored = kinds.get(path.rpartition("/")[2], self.grants)
        _, within, rest = path.partition("/namespaces/")
        here = [one for one in stored if not within or one["metadata"]["namespace"] == rest.partition("/")[0]]
        return copy.deepcopy(here), "1"

    def watch(self, path: str, version: str, seconds: float, **query: str) -> Iterator[Event]:
        self._ask("WATCH", f"{path}?{version}")
        while (event := self.told.get(timeout=seconds)) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def change(self, version: str, name: str = "agr-wanted") -> None:
        """Have a watch tell that a grant was changed."""
        metadata = {"namespace": "crm", "name": name, "resourceVersion": version}
        self.told.put(Event("MODIFIED", {"metadata": metadata}))

    def create(self, path: str, body: Object) -> Object:
        self._ask("POST", path)
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": (asked["verb"], asked["resource"]) not in self.lacks}}

    def patch(self, path: str, body: Any, kind: str) -> Object:  # noqa: ANN401 - either kind of patch
        self._ask("PATCH", path)
        stored = self._one(path)
        given = {one["path"]: one["value"] for one in body if one["op"] == "test"} if kind == "json" else {}
        metadata = stored["metadata"]
        if kind == "json" and given.get("/metadata/resourceVersion") != metadata["resourceVersion"]:
            raise ApiError("the test operation failed", 422)
        if kind == "merge" and {**metadata, **body["metadata"]} != metadata:
            raise ApiError("metadata.uid: field is immutable", 422)
        if kind == "merge" and stored["spec"].get("revocation") not in (None, body["spec"]["revocation"]):
            raise ApiError("a revocation is final", 422)
        self.written.append((path, body))
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        if kind == "json":
            stored["spec"]["reviews"] = [*(stored["spec"].get("reviews") or ()), body[-1]["value"]]
        else:
            stored["spec"] |= body["spec"]
        if self.loses:
            raise UserError("the API server https://cluster.example does not answer: Connection reset")
        return copy.deepcopy(stored)

    def _config_map(self, path: str) -> Object:
        name = path.rpartition("/")[2]
        self.looked_up.append(name)
        if (error := self.fails("GET", path)) is not None:
            raise error
        if name not in self.config_maps:
            raise ApiError(f'configmaps "{name}" not found', 404)
        return copy.deepcopy(self.config_maps[name])

    def _one(self, path: str) -> Object:
        name = path.rpartition("/")[2]
        for one in (*self.grants, *self.histories):
            if one["metadata"]["name"] == name:
                return one
        raise ApiError(f'approvalgrants.bailiwick.dev "{name}" not found', 404)

    def _ask(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        if (error := self.fails(method, path)) is not None:
            raise error


@dataclass(frozen=True, slots=True)
class ServedConsole:
    """A console that is served. `clock` moves the visit's time."""

    site: Site
    cluster: TableCluster
    visitor: ConsoleVisitor
    clock: "MovedClock"


@dataclass
class MovedClock:
    """A monotonic clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def served(
    *grants: Object,
    policies: Sequence[Object] = (),
    me: CurrentUser = CAROL,
    namespace: str | None = "crm",
    cluster: TableCluster | None = None,
    records: Sequence[Path] = (),
    witness_keys: Sequence[str] = (),
    registrars: Registrars = NO_REGISTRARS,
    cluster_name: str | None = None,
) -> Iterator[ServedConsole]:
    """Serve a console of these grants and record files, on an event loop in a thread of its own."""
    table = cluster or TableCluster(list(grants), list(policies))
    clock = MovedClock()
    session = ConsoleSession(clock)
    sockets = loopback()
    address = ConsoleAddress(NAME, sockets[0].getsockname()[1])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console", daemon=True)
    thread.start()

    files = RecordFiles([str(one) for one in records], witness_keys) if records else None
    known: dict[str, Any] = {
        "installation": table.installation,
        "registrars": registrars,
        "cluster_name": cluster_name,
    }
    visitor = ConsoleVisitor(cast("ClusterClient", table), me, namespace, files, **known)

    async def begin() -> tuple[web.AppRunner, ConsolePort]:
        app = build(LoopbackEntrance(visitor, address, session))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        return runner, await listen(runner, sockets)

    async def end() -> None:
        await listening.close()
        await runner.cleanup()

    runner, listening = asyncio.run_coroutine_threadsafe(begin(), loop).result(_PATIENCE)
    try:
        yield ServedConsole(Site(f"{address.origin}{OPENING}?token={session.opening}"), table, visitor, clock)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
