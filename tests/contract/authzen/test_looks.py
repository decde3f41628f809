"""Looks at requests for approval: what is made up costs the API server a ration, and keeps no decision waiting."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import pytest

from bailiwick import AsyncBailiwick, Call, Resource
from bailiwick.asgi import Guard, Routes, Scope
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals.opener import LOOKS
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics.table import CallerClass, Overload
from contract.asking_alone import AGENT, PEP, stored
from support.objects import rule
from support.pdp.alone import Alone, subject_token
from support.sdk.guardedapps import over_asgi

CALL: Final = Call(token=subject_token(AGENT), action="customers.list", resource=Resource("customer", "42"))


class Cluster:
    """Knows no grant. `hanging`: answers nothing until it is let go."""

    def __init__(self) -> None:
        self.reads = 0
        self.hanging = False
        self.go = asyncio.Event()

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        self.reads += 1
        if self.hanging:
            await self.go.wait()
            raise ClusterUnavailableError("timed out")
        return ApiResponse(404, {}, time.time())


async def application(scope: Scope, receive: object, send: object) -> None:
    raise AssertionError("nothing of the application runs")


class AskingApplication:
    """A guarded application, and the decision point that it asks."""

    def __init__(self, alone: Alone, pdp: AsyncBailiwick, cluster: Cluster) -> None:
        self.alone, self.pdp, self.cluster = alone, pdp, cluster
        self._guard = Guard(application, pdp, Routes([]), approvals="/approvals")

    async def look(self) -> int:
        """Look at a request that there is not, without a credential."""
        made_up = f"agr-{uuid.uuid4().hex[:20]}.{uuid.uuid4()}"
        return (await over_asgi(self._guard, "GET", f"/approvals/{made_up}", headers={})).status


@pytest.fixture
async def guarded() -> AsyncIterator[AskingApplication]:
    cluster = Cluster()
    alone = Alone([stored(rule())], cluster=cluster)
    server = await serve(alone.application, "127.0.0.1", 0)
    async with AsyncBailiwick(f"http://127.0.0.1:{server.port}", endpoint="crm/crm-api", token=lambda: PEP) as pdp:
        yield AskingApplication(alone, pdp, cluster)
    cluster.go.set()
    await server.stop()


async def test_looks_of_people_without_a_credential_cost_the_api_server_a_ration(guarded: AskingApplication) -> None:
    began = time.monotonic()
    said = Counter(await asyncio.gather(*(guarded.look() for _ in range(200))))
    # Ten a second, beside those that there are at once; what has no look is made again by the client, which waits.
    assert guarded.cluster.reads <= LOOKS + 10 * (time.monotonic() - began) + 1
    assert set(said) == {404}
    assert guarded.alone.pdp.counts.overloads[Overload.LOOKS, CallerClass.ENFORCERS] > 0


async def test_looks_that_wait_for_an_api_server_keep_no_decision_waiting(guarded: AskingApplication) -> None:
    guarded.cluster.hanging = True
    looks = [asyncio.create_task(guarded.look()) for _ in range(120)]
    while guarded.cluster.reads < LOOKS:  # noqa: ASYNC110 - of the other side of a socket
        await asyncio.sleep(0.01)
    assert (await guarded.pdp.evaluate(CALL)).reason == "allowed"
    guarded.cluster.go.set()
    for one in looks:
        one.cancel()
    await asyncio.gather(*looks, return_exceptions=True)
