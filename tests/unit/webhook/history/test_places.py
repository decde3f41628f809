"""How many requests about one namespace's histories are at the API server at a time."""

import asyncio
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.history.storedobjects import AT_ONCE, PATIENCE
from bailiwick_webhook.metrics.table import HistoryCause
from support.keptobjects import KeptObjects
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import NEED, CountingReplica, at_most, request

__all__ = ["virtual_time"]

SECONDS = 0.1


@dataclass
class CrowdedObjects(KeptObjects):
    """An API server that takes its time; `most`: how many requests were under way at a time."""

    seconds: float = SECONDS
    under_way: int = 0
    most: int = 0

    async def _begin(self, method: str) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await super()._begin(method)

    async def _end(self, method: str, answer: ApiResponse) -> ApiResponse:
        answer = await super()._end(method, answer)
        self.under_way -= 1
        return answer


@pytest.fixture
def api() -> CrowdedObjects:
    return CrowdedObjects()


@pytest.fixture
def replica(api: CrowdedObjects, virtual_time: VirtualTime) -> CountingReplica:
    return CountingReplica(api, virtual_time)


def key_of(number: int) -> ObjectNeed:
    return replace(NEED, name=f"h-{number:040}", key=f"sha256:{number:064}")


async def test_a_crowd_of_keys_is_counted_by_a_few_requests_at_a_time(
    replica: CountingReplica, api: CrowdedObjects
) -> None:
    answers = await asyncio.gather(*(replica.reserve(number, None, key_of(number)) for number in range(20)))
    assert all(answer.stands for answer in answers)
    assert api.most == AT_ONCE
    assert not replica.store.places


async def test_what_waits_for_a_place_for_too_long_is_denied(replica: CountingReplica, api: CrowdedObjects) -> None:
    api.seconds = PATIENCE
    answers = await asyncio.gather(*(replica.reserve(number, None, key_of(number)) for number in range(40)))
    assert {answer.cause for answer in answers if not answer.stands} >= {HistoryCause.RATION}
    assert api.most == AT_ONCE
    await asyncio.sleep(3 * PATIENCE)
    assert not replica.store.places


async def test_callers_that_go_away_leave_their_places(replica: CountingReplica) -> None:
    passes = at_most(5)
    calls = [asyncio.ensure_future(replica.keeper.reserve(request(n, passes, key_of(n)))) for n in range(40)]
    await asyncio.sleep(SECONDS / 2)
    for call in calls[::2]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(10)
    assert not replica.store.places
    assert (await replica.reserve(99)).stands
