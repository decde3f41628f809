"""Finds the processes of the decision point, and asks one of them which policies it serves.

Holds: every request has a time limit and a size limit; any answer of a process, and no answer too, is a `Reply`. It
affects status alone: a forged answer would grant nothing.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp

from bailiwick_api import statusproof
from bailiwick_api.signingkeys import SigningKey
from bailiwick_kube.paths import object_path
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.reconcile.programmed import Generation, Reply

PORT_NAME: Final = "status"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
_AT_ONCE: Final = 16
_ANSWER_BYTES: Final = 2 * 2**20
_FAMILIES: Final = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class Replica:
    """One process. `vouched`: an EndpointSlice says that it is ready, so it counts even if it cannot be reached.

    `uid` of its pod; of a process that is no pod, its URL.
    """

    name: str
    url: str
    vouched: bool = True
    uid: str = field(default="", compare=False)


class Replicas(Protocol):
    """Finds the processes."""

    async def find(self) -> tuple[Replica, ...]:
        """Return the processes that are listed as ready. Raises `UnreachableError` and `RefusedError`."""

    async def everyone(self) -> tuple[Replica, ...]:
        """Return also those that are not ready, such as those that are ending. Raises likewise."""


@dataclass(frozen=True, slots=True)
class ListedReplicas:
    """Processes that were configured by URL, outside a cluster. Those that run answer."""

    urls: tuple[str, ...]

    async def find(self) -> tuple[Replica, ...]:
        """Return them all."""
        return tuple(Replica(url, url.rstrip("/"), vouched=False, uid=url) for url in self.urls)

    async def everyone(self) -> tuple[Replica, ...]:
        """Return them all."""
        return await self.find()


@dataclass(frozen=True, slots=True)
class OfService:
    """The ready endpoints of the decision point's Service, by its EndpointSlices."""

    kube: OperatorClient
    namespace: str
    service: str

    async def find(self) -> tuple[Replica, ...]:
        """Return the processes of all ready endpoints."""
        return in_slices(await self._slices())

    async def everyone(self) -> tuple[Replica, ...]:
        """Return the processes of all endpoints."""
        return in_slices(await self._slices(), every=True)

    async def _slices(self) -> tuple[dict[str, Any], ...]:
        path = object_path("discovery.k8s.io/v1", "endpointslices", self.namespace)
        return (await self.kube.list(path, {"labelSelector": f"{SERVICE_LABEL}={self.service}"})).items


def in_slices(slices: Iterable[dict[str, Any]], *, every: bool = False) -> tuple[Replica, ...]:
    """Return the processes in EndpointSlices: one for each ready endpoint, at the port named `status`.

    A pod of two address families is in two slices and is one endpoint. `every`: also those that are not ready, which
    are not vouched for.
    """
    replicas: dict[str, Replica] = {}
    for piece in sorted(slices, key=lambda piece: str(piece.get("addressType"))):
        family = piece.get("addressType")
        port = next((port.get("port") for port in piece.get("ports") or () if port.get("name") == PORT_NAME), None)
        if family not in _FAMILIES or not port:
            continue
        for endpoint in piece.get("endpoints") or ():
            # Absent means ready, by the definition of the kind.
            ready = (endpoint.get("conditions") or {}).get("ready", True) is not False
            if not (ready or every) or not endpoint.get("addresses"):
                continue
            address = endpoint["addresses"][0]
            target = endpoint.get("targetRef") or {}
            host = f"[{address}]" if family == "IPv6" else address
            uid = str(target.get("uid") or address)
            replica = Replica(str(target.get("name") or address), f"http://{host}:{port}", vouched=ready, uid=uid)
            replicas.setdefault(uid, replica)
    return tuple(replicas.values())


class SilentReplicaError(Exception):
    """A process gives no answer, or one that is too long; the message says which."""


class AbsentReplicaError(SilentReplicaError):
    """Nothing listens there."""


class ReplicaClient:
    """Sends requests to processes, such as which generations they serve. Close it when done.

    Until `prove_by` is called its requests are unauthenticated.
    """

    def __init__(self, timeout: float) -> None:
        self._key: Callable[[], SigningKey | None] = lambda: None
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._seconds = timeout
        self._places = asyncio.Semaphore(_AT_ONCE)
        # No proxy that the environment names, no cookies: these are our own processes.
        # There is one request in each round, and a kept connection may lead to a process that is gone.
        self._session = aiohttp.ClientSession(
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(force_close=True),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def prove_by(self, key: Callable[[], SigningKey | None]) -> None:
        """Sign requests from now on with the key that `key` returns; None: there is none yet."""
        self._key = key

    async def ask(self, replica: Replica, asked: Collection[Generation]) -> Reply:
        """Ask one process. Never raises, except when cancelled."""
        body = json.dumps([*asked], separators=(",", ":")).encode()
        async with self._places:
            try:
                return await self._ask(replica, frozenset(asked), body)
            except TimeoutError:
                # A process is there: it may still decide, by the policies that it had when it went silent.
                return Reply(replica.name, ready=True, silent=f"timeout after {self._seconds:g} s")
            except aiohttp.ClientConnectorError as error:
                # Nothing listens there. Unless the process is vouched for, there is none.
                return Reply(replica.name, ready=replica.vouched, silent=error.strerror or "no connection")
            except (aiohttp.ClientError, OSError, SilentReplicaError) as error:
                return Reply(replica.name, ready=True, silent=str(error) or type(error).__name__)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                return Reply(replica.name, ready=True, silent="unexpected answer")

    async def post(self, replica: Replica, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        """Return status and answer of one request. Raises `SilentReplicaError`."""
        try:
            return await self._post(replica, path, body, most)
        except TimeoutError as error:
            message = f"timeout after {self._seconds:g} s"
            raise SilentReplicaError(message) from error
        except aiohttp.ClientConnectorError as error:
            message = error.strerror or str(error) or "no connection"
            raise AbsentReplicaError(message) from error
        except (aiohttp.ClientError, OSError) as error:
            message = str(error) or type(error).__name__
            raise SilentReplicaError(message) from error

    async def _post(self, replica: Replica, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if (key := self._key()) is not None:
            headers[statusproof.HEADER] = statusproof.header_for(key, path, body, time.time())
        async with self._session.post(
            f"{replica.url}{path}", data=body, headers=headers, timeout=self._timeout, allow_redirects=False
        ) as answer:
            text = b""
            async for chunk in answer.content.iter_any():
                text += chunk
                if len(text) > most:
                    message = "answer too long"
                    raise SilentReplicaError(message)
            return answer.status, text

    async def _ask(self, replica: Replica, asked: frozenset[Generation], body: bytes) -> Reply:
        status, text = await self._post(replica, "/served", body, _ANSWER_BYTES)
        if not HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST:
            return Reply(replica.name, ready=True, silent=f"status {status}")
        answer = json.loads(text)
        served = frozenset((str(uid), int(generation)) for uid, generation in answer["served"])
        return Reply(replica.name, ready=answer["ready"] is True, served=served & asked)
