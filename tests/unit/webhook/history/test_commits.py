"""Calls that wait for one object: shared writes, conflicts, lost answers, reads, and what is not trusted."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.histories import SlidingWindow
from bailiwick_engine.reasons import Reason
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.history.heldstates import hour_of, keep_until_label
from bailiwick_webhook.metrics.table import HistoryCause, HistoryCommit
from support.histories import DAY, history, need
from support.keptobjects import KeptObjects, lost
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import EXPORTS, NEED, CountingReplica, at_most, request

__all__ = ["virtual_time"]

READING = need(reads=(EXPORTS,))
KEY = ("crm", NEED.name)


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects()


@pytest.fixture
def replica(api: KeptObjects, virtual_time: VirtualTime) -> CountingReplica:
    return CountingReplica(api, virtual_time)


async def test_calls_that_wait_together_share_one_write(replica: CountingReplica, api: KeptObjects) -> None:
    answers = await asyncio.gather(*(replica.reserve(number) for number in range(20)))
    assert sum(answer.stands for answer in answers) == 5
    assert api.requests == ["GET", "POST"]
    assert [answer.counts[0].seq for answer in answers if answer.stands] == [1, 2, 3, 4, 5]
    assert replica.tally.calls == 5


async def test_the_numbers_are_those_that_the_call_was_counted_by(replica: CountingReplica) -> None:
    answers = [await replica.reserve(number) for number in range(3)]
    assert [answer.readings.numbers["exports"].count for answer in answers] == [1, 2, 3]


async def test_a_second_call_needs_no_read(replica: CountingReplica, api: KeptObjects) -> None:
    await replica.reserve(1)
    await replica.reserve(2)
    assert api.requests == ["GET", "POST", "PUT"]


async def test_three_replicas_never_exceed_a_limit_together(api: KeptObjects, virtual_time: VirtualTime) -> None:
    replicas = [CountingReplica(api, virtual_time) for _ in range(3)]
    answers = await asyncio.gather(*(replicas[number % 3].reserve(number) for number in range(200)))
    assert sum(answer.stands for answer in answers) == 5
    assert {answer.cause for answer in answers} == {None}
    assert sum(replica.tally.commits[HistoryCommit.CONFLICT] for replica in replicas) > 0


async def test_a_denial_is_by_a_state_that_stood_after_the_call_came(
    api: KeptObjects, virtual_time: VirtualTime
) -> None:
    here, there = (CountingReplica(api, virtual_time) for _ in range(2))
    full = [await here.reserve(number) for number in range(5)]
    await there.keeper.release(full[0])
    assert (await here.reserve(6)).stands


async def test_a_denial_needs_a_read_of_its_own_time_and_writes_nothing(
    replica: CountingReplica, api: KeptObjects
) -> None:
    await asyncio.gather(*(replica.reserve(number) for number in range(5)))
    api.requests.clear()
    assert not (await replica.reserve(6)).stands
    assert api.requests == ["GET"]


async def test_a_denial_says_when_the_first_call_is_out(replica: CountingReplica) -> None:
    await asyncio.gather(*(replica.reserve(number) for number in range(5)))
    denied = await replica.reserve(6)
    assert denied.retry_after is not None
    assert 3600 <= denied.retry_after <= 3600 * 65 / 64 + 1


async def test_a_flood_at_the_limit_reads_four_times_a_second(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await asyncio.gather(*(replica.reserve(number) for number in range(5)))
    api.requests.clear()
    began, numbers = virtual_time.now, iter(range(10, 1_000_000))

    async def insist() -> None:
        while virtual_time.now < began + 2.0:
            assert not (await replica.reserve(next(numbers))).stands

    await asyncio.gather(*(insist() for _ in range(50)))
    assert api.count("GET") <= 10
    assert api.count("PUT") == 0


async def test_readers_wait_for_a_read_while_counted_calls_go_on(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await replica.reserve(1)
    reader = asyncio.ensure_future(replica.reserve(2, at_most(9), READING))
    await asyncio.sleep(0.01)
    began = virtual_time.now
    assert (await replica.reserve(3)).stands
    assert virtual_time.now - began < 0.1
    # The write shows the state as well as a read would.
    answer = await reader
    assert (answer.readings.numbers["exports"].count, answer.stands) == (2, True)
    assert virtual_time.now - began < 0.1
    assert api.count("GET") == 1


async def test_what_only_reads_is_answered_from_a_read_that_began_after_it_came(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    other = CountingReplica(api, virtual_time)
    assert (await replica.reserve(1, at_most(9), READING)).readings.numbers["exports"].count == 0
    await other.reserve(2)
    assert (await replica.reserve(3, at_most(9), READING)).readings.numbers["exports"].count == 1


async def test_a_lost_answer_denies_and_the_same_call_again_counts_once(
    replica: CountingReplica, api: KeptObjects
) -> None:
    api.after = lambda method: lost() if method == "POST" else None
    denied = await replica.reserve(1)
    assert (denied.stands, denied.cause) == (False, HistoryCause.API_SERVER)
    assert denied.readings == HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE)
    api.after = lambda _: None
    again = await replica.reserve(1)
    assert again.stands
    assert again.readings.numbers["exports"].count == 1


async def test_an_api_server_that_is_away_denies_all_that_wait(replica: CountingReplica, api: KeptObjects) -> None:
    api.before = lambda _: lost()
    answers = await asyncio.gather(*(replica.reserve(number) for number in range(10)))
    assert {answer.cause for answer in answers} == {HistoryCause.API_SERVER}
    assert replica.tally.unavailable[HistoryCause.API_SERVER] == 10


async def test_conflicts_for_two_seconds_deny(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await replica.reserve(1)

    def write_first(method: str) -> None:
        if method == "PUT":
            api.objects[KEY]["metadata"]["resourceVersion"] += "0"

    api.before = write_first
    began = virtual_time.now
    denied = await replica.reserve(2)
    assert denied.cause is HistoryCause.CONFLICT
    assert 2.0 <= virtual_time.now - began < 2.5


async def test_a_caller_that_goes_away_takes_no_other_with_it(replica: CountingReplica) -> None:
    calls = [asyncio.ensure_future(replica.reserve(number)) for number in range(3)]
    await asyncio.sleep(0.006)
    calls[0].cancel()
    answers = await asyncio.gather(*calls[1:])
    assert all(answer.stands for answer in answers)


async def test_what_a_caller_that_went_away_was_counted_for_is_taken_out_again(
    replica: CountingReplica, virtual_time: VirtualTime
) -> None:
    gone = asyncio.ensure_future(replica.reserve(1))
    await asyncio.sleep(0.006)
    gone.cancel()
    await asyncio.sleep(0.1)
    assert (await replica.reserve(2)).readings.numbers["exports"].count == 1


async def test_a_defect_concerns_its_own_call_alone(replica: CountingReplica) -> None:
    def broken(_: HistoryReadings) -> bool:
        message = "a defect"
        raise RuntimeError(message)

    answers = await asyncio.gather(replica.reserve(1, broken), replica.reserve(2), return_exceptions=True)
    assert isinstance(answers[0], RuntimeError)
    assert not isinstance(answers[1], BaseException)
    assert answers[1].stands


async def test_a_large_call_is_judged_beside_the_loop(replica: CountingReplica) -> None:
    assert (await replica.reserve(1, large=True)).stands
    assert replica.beside == ["crm"]


async def test_a_state_that_was_set_back_is_not_trusted(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await replica.reserve(1)
    before = dict(api.objects)
    await replica.reserve(2)
    api.objects = before
    replica.store.held.drop(KEY)
    assert (await replica.reserve(3)).cause is HistoryCause.STATE
    virtual_time.now += 3 * 3600
    assert (await replica.reserve(4)).stands


async def test_a_state_that_is_gone_before_its_time_is_not_trusted(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await replica.reserve(1)
    api.objects.clear()
    assert (await replica.reserve(2)).cause is HistoryCause.STATE
    virtual_time.now += 3 * 3600
    assert (await replica.reserve(3)).stands


async def test_an_object_that_a_replica_made_again_is_not_trusted_by_one_that_saw_the_first(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await replica.reserve(1)
    api.objects.clear()
    # It has seen nothing, and counts further than the first had come.
    other = CountingReplica(api, virtual_time)
    for number in range(2, 5):
        assert (await other.reserve(number)).stands
    assert (await replica.reserve(5)).cause is HistoryCause.STATE
    virtual_time.now += 3 * 3600
    assert (await replica.reserve(6)).stands


def sweep(api: KeptObjects, replica: CountingReplica) -> None:
    """Delete what has ended, as the operator does."""
    now = replica.store.bounds()
    assert now is not None
    ends = {key: hour_of(keep_until_label(stored)) for key, stored in api.objects.items()}
    api.objects = {key: stored for key, stored in api.objects.items() if (ends[key] or 0) > now.earliest}


async def test_a_call_that_is_taken_out_again_makes_no_object_end_before_what_another_replica_saw(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    month = need(history(window=SlidingWindow(31 * DAY)))
    counted, other = await replica.reserve(1, at_most(1), month), CountingReplica(api, virtual_time)
    assert not (await other.reserve(2, at_most(1), month)).stands
    await replica.keeper.release(counted)
    virtual_time.now += 2 * DAY / 1000
    sweep(api, replica)
    assert (await other.reserve(3, at_most(1), month)).stands
    virtual_time.now += 40 * DAY / 1000
    sweep(api, replica)
    assert not api.objects
    assert (await replica.reserve(4, at_most(1), month)).stands


@pytest.mark.parametrize("spec", [{"seq": 1}, None, {"endpoint": "another"}])
async def test_a_state_that_cannot_be_read_is_not_trusted(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime, spec: object
) -> None:
    await CountingReplica(api, virtual_time).reserve(1)
    held = api.objects[KEY]
    held["spec"] = {**held["spec"], **spec} if isinstance(spec, dict) and "endpoint" in spec else spec
    assert (await replica.reserve(2)).cause is HistoryCause.STATE


async def test_a_state_that_is_being_deleted_is_not_trusted(
    replica: CountingReplica, api: KeptObjects, virtual_time: VirtualTime
) -> None:
    await CountingReplica(api, virtual_time).reserve(1)
    api.objects[KEY]["metadata"]["deletionTimestamp"] = "2026-11-30T16:00:00Z"
    assert (await replica.reserve(2)).cause is HistoryCause.STATE


async def test_guards_that_are_not_proven_deny_at_once(replica: CountingReplica, api: KeptObjects) -> None:
    replica.proven = False
    assert (await replica.reserve(1)).cause is HistoryCause.GUARD
    assert api.requests == []


async def test_guards_that_are_lifted_while_a_call_is_written_deny(replica: CountingReplica, api: KeptObjects) -> None:
    def lift(method: str) -> None:
        replica.proven = method != "POST"

    api.after = lift
    assert (await replica.reserve(1)).cause is HistoryCause.GUARD


async def test_clocks_that_differ_deny_at_once(replica: CountingReplica, api: KeptObjects) -> None:
    replica.skewed = True
    assert (await replica.reserve(1)).cause is HistoryCause.CLOCK
    assert api.requests == []


async def test_a_write_that_comes_back_changed_denies(replica: CountingReplica, api: KeptObjects) -> None:
    api.changing = lambda method, answer: (
        answer if method == "GET" else replace(answer, body={**answer.body, "spec": {**answer.body["spec"], "seq": 0}})
    )
    assert (await replica.reserve(1)).cause is HistoryCause.REFUSED


@pytest.mark.parametrize("label", ["2020-01-01T00", None])
async def test_a_write_whose_end_comes_back_changed_denies(
    replica: CountingReplica, api: KeptObjects, label: str | None
) -> None:
    # The operator would delete it before its time, or never.
    def changed(method: str, answer: ApiResponse) -> ApiResponse:
        labels = {KEEP_UNTIL_LABEL: label} if label else {}
        body = {**answer.body, "metadata": {**answer.body.get("metadata", {}), "labels": labels}}
        return answer if method == "GET" else replace(answer, body=body)

    api.changing = changed
    assert (await replica.reserve(1)).cause is HistoryCause.REFUSED


@pytest.mark.parametrize("status", [403, 422])
async def test_a_refused_write_denies_and_is_not_tried_again(
    replica: CountingReplica, api: KeptObjects, status: int
) -> None:
    api.changing = lambda method, answer: answer if method == "GET" else ApiResponse(status, {"message": "no"})
    assert (await replica.reserve(1)).cause is HistoryCause.REFUSED
    assert api.count("POST") == 1


async def test_nothing_is_left_when_nothing_waits(replica: CountingReplica) -> None:
    await asyncio.gather(*(replica.reserve(number) for number in range(20)))
    await asyncio.sleep(0)
    assert len(replica.commits) == 0


async def test_what_is_released_counts_no_more(replica: CountingReplica) -> None:
    counted = await replica.reserve(1)
    await replica.keeper.release(counted)
    assert (await replica.reserve(2)).readings.numbers["exports"].count == 1


async def test_a_dry_run_counts_nothing_and_has_a_ration(replica: CountingReplica, api: KeptObjects) -> None:
    asked = request(1, at_most(5))
    seen = await replica.keeper.read(asked, dry_run=True)
    assert seen.readings.numbers["exports"].count == 1
    assert api.count("POST") == 0
    results = await asyncio.gather(*(replica.keeper.read(asked, dry_run=True) for _ in range(40)))
    assert {one.cause for one in results} == {None, HistoryCause.RATION}


async def test_replicas_that_write_one_object_all_the_time_starve_none(
    api: KeptObjects, virtual_time: VirtualTime
) -> None:
    replicas = [CountingReplica(api, virtual_time) for _ in range(3)]
    began, numbers, causes = virtual_time.now, iter(range(1_000_000)), list[HistoryCause | None]()

    async def insist(replica: CountingReplica) -> None:
        while virtual_time.now < began + 10.0:
            causes.append((await replica.reserve(next(numbers), at_most(10**6))).cause)

    await asyncio.gather(*(insist(replicas[number % 3]) for number in range(30)))
    found = Counter(causes)
    # A replica may have bad luck for two seconds.
    assert found[None] > 0.999 * len(causes), found
    assert len(causes) > 10 * 500
