"""Reports that name what they like: the object of another endpoint, by its name and with another key."""

import asyncio
from typing import Final

import pytest

from bailiwick_engine.history.needs import HistoryNeeds
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle
from bailiwick_webhook.history.ports import DeniedCall, ReportedOutcome, ReportResult
from support.histories import KEY, history, need
from support.keptobjects import KeptObjects
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import EXPORTS, CountingReplica

__all__ = ["virtual_time"]

STRAYS: Final = history("strays", what="Denied")
# The name of an object has the first digits of its key alone.
OTHER_KEY: Final = KEY[: len("sha256:") + 40] + 24 * "f"


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects()


async def report(replica: CountingReplica, endpoint: str, key: str) -> ReportResult:
    handle = EntryHandle(64 * "1", (CountedEntry(key, 8 * "0"),), 0)
    made = await replica.keeper.settle(ReportedOutcome("crm", endpoint, "uid", handle, "succeeded", ()))
    assert isinstance(made, ReportResult)
    return made


@pytest.mark.parametrize(("endpoint", "key"), [("another", KEY), ("another", OTHER_KEY), ("crm-api", OTHER_KEY)])
async def test_a_report_never_makes_a_denied_call_count_in_an_object_of_another(
    endpoint: str, key: str, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    replica = CountingReplica(api, virtual_time)
    assert (await report(replica, endpoint, key)).result == "late"
    replica.keeper.count_denied(DeniedCall("crm", "crm-api", HistoryNeeds((need(STRAYS),)), (STRAYS,)))
    await asyncio.sleep(1)
    (stored,) = api.objects.values()
    assert (stored["spec"]["endpoint"], stored["spec"]["key"]) == ("crm-api", KEY)
    assert (await replica.reserve(1)).stands
    assert EXPORTS.digest in api.objects["crm", need().name]["spec"]["lines"]
