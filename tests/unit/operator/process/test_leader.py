"""The election with a lease that misbehaves: nobody leads longer than the lease allows, whatever goes wrong."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration, V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException

from bailiwick_operator.process.leader import NOTIFIED, OBSERVED, Leadership, LostLeaseError
from bailiwick_operator.settings import LeaseTimes
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

Try = Callable[[], Coroutine[Any, Any, bool]]


Candidate = Callable[..., Leadership]


@pytest.fixture
def candidate(virtual_time: VirtualTime) -> Candidate:
    """Makes a candidate whose tries come to what is given, in a time that passes only while all wait."""

    def made(tried: Try, duration: int = 8) -> Leadership:
        times = LeaseTimes(duration, 2, 1)
        client = ApiClient(Configuration())
        leadership = Leadership(client, "bailiwick-system", "me", times, clock=virtual_time.monotonic)
        leadership._election.try_acquire_or_renew = tried  # type: ignore[method-assign]
        return leadership

    return made


def answers(*results: bool | Exception) -> Try:
    """Give these results, the last for ever."""
    left = list(results)

    async def tried() -> bool:
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, Exception):
            raise result
        return result

    return tried


class TestFollowing:
    @pytest.mark.parametrize("error", [OSError("no route"), AssertionError("the library"), ValueError("garbage")])
    async def test_goes_on_whatever_fails(self, candidate: Candidate, error: Exception) -> None:
        leadership = candidate(answers(error, True))
        assert await leadership.acquire(asyncio.Event())
        assert leadership.valid()

    async def test_ends_when_told_though_the_answer_never_comes(self, candidate: Candidate) -> None:
        async def never() -> bool:
            await asyncio.sleep(60)
            return True

        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        async with asyncio.timeout(1):
            assert not await candidate(never).acquire(stop)

    @pytest.mark.parametrize("holder", ["me", "another", None])
    @pytest.mark.parametrize(
        ("annotations", "before"),
        [
            ({OBSERVED: "2026-11-25T11:00:00Z"}, datetime(2026, 11, 25, 11, tzinfo=UTC)),
            (dict.fromkeys((OBSERVED, NOTIFIED), "2026-11-25T11:00:00Z"), datetime(2026, 11, 25, 11, tzinfo=UTC)),
            ({OBSERVED: "lately"}, None),
            ({"x": "2026-11-25T11:00:00Z"}, None),
            (None, None),
        ],
        ids=["marked", "marked twice", "marked with no time", "marked otherwise", "not marked"],
    )
    async def test_learns_what_the_lease_says_of_uses_and_not_when_it_was_renewed(
        self, holder: str | None, annotations: dict[str, str] | None, before: datetime | None
    ) -> None:
        renewed = datetime(2026, 11, 25, 12, 0, 7, 5000, tzinfo=UTC)
        spec = V1LeaseSpec(holder_identity=holder, lease_duration_seconds=0, acquire_time=renewed, renew_time=renewed)
        metadata = V1ObjectMeta(name="it", annotations=annotations)
        lease = V1Lease(metadata=metadata, spec=spec)

        async def read(*_: str) -> V1Lease:
            return lease

        async def replace(**_: object) -> V1Lease:
            return lease

        leadership = Leadership(ApiClient(Configuration()), "bailiwick-system", "me", LeaseTimes(8, 2, 1))
        api: Any = SimpleNamespace(read_namespaced_lease=read, replace_namespaced_lease=replace)
        leadership._lock.api_instance = api
        assert leadership.before is None
        assert await leadership.acquire(asyncio.Event())
        assert leadership.before == before
        assert leadership.notified == (before if NOTIFIED in (annotations or {}) else None)
        # It stays until it is known better.
        assert metadata.annotations == annotations

    async def test_is_not_leading(self, candidate: Candidate) -> None:
        assert not candidate(answers(False)).valid()


class TestLeading:
    async def test_says_in_the_lease_up_to_when_uses_are_observed_and_takes_it_out_once_they_are_not(
        self, virtual_time: VirtualTime
    ) -> None:
        began = datetime(2026, 11, 25, 12, tzinfo=UTC)
        spec = V1LeaseSpec(holder_identity=None, lease_duration_seconds=8, acquire_time=began, renew_time=began)
        metadata = V1ObjectMeta(name="it", annotations={"x": "y"})
        lease = V1Lease(metadata=metadata, spec=spec)
        marks: list[datetime | None] = [began, None]
        said: list[object] = []

        async def read(*_: str) -> V1Lease:
            return lease

        async def replace(**_: object) -> V1Lease:
            said.append(metadata.annotations)
            if len(said) == 3:
                stop.set()
            return lease

        times, stop = LeaseTimes(8, 2, 1), asyncio.Event()
        leadership = Leadership(ApiClient(Configuration()), "ns", "me", times, clock=virtual_time.monotonic)
        api: Any = SimpleNamespace(read_namespaced_lease=read, replace_namespaced_lease=replace)
        leadership._lock.api_instance = api
        await leadership.acquire(stop)
        leadership.add_mark(lambda: marks.pop(0))
        leadership.add_mark(lambda: began, NOTIFIED)
        await leadership.hold(stop)
        told = {"x": "y", NOTIFIED: "2026-11-25T12:00:00Z"}
        assert said == [{"x": "y"}, {**told, OBSERVED: "2026-11-25T12:00:00Z"}, told]

    @pytest.mark.parametrize("failure", [False, OSError("no route"), AssertionError("the library")], ids=str)
    async def test_is_lost_when_no_renewal_succeeds_within_the_deadline(
        self, candidate: Candidate, failure: bool | Exception, virtual_time: VirtualTime
    ) -> None:
        leadership = candidate(answers(True, failure))
        await leadership.acquire(asyncio.Event())
        began = virtual_time.now
        with pytest.raises(LostLeaseError, match="could not be renewed within 2 s"):
            await leadership.hold(asyncio.Event())
        assert virtual_time.now - began == pytest.approx(2, abs=0.2)

    async def test_is_lost_before_the_lease_ends_though_the_answer_never_comes(self, candidate: Candidate) -> None:
        first = True

        async def hangs() -> bool:
            nonlocal first
            if first:
                first = False
                return True
            await asyncio.sleep(60)
            return True

        leadership = candidate(hangs)
        await leadership.acquire(asyncio.Event())
        with pytest.raises(LostLeaseError):
            await leadership.hold(asyncio.Event())
        assert leadership.valid()

    async def test_is_kept_through_failures_that_are_shorter(self, candidate: Candidate) -> None:
        leadership = candidate(answers(True, OSError("no route"), True))
        stop = asyncio.Event()
        await leadership.acquire(stop)
        asyncio.get_running_loop().call_later(2.5, stop.set)
        await leadership.hold(stop)
        assert leadership.valid()

    async def test_counts_from_the_start_of_a_renewal_not_from_its_end(
        self, candidate: Candidate, virtual_time: VirtualTime
    ) -> None:
        async def slow() -> bool:
            await asyncio.sleep(0.5)
            return True

        leadership = candidate(slow)
        began = virtual_time.now
        await leadership.acquire(asyncio.Event())
        assert leadership._renewed == pytest.approx(began)

    @pytest.mark.parametrize("stands_still", ["between two renewals", "between reading the lease and writing it"])
    @pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
    async def test_is_lost_by_a_process_that_stood_still_past_its_lease_though_nobody_else_has_it(
        self, virtual_time: VirtualTime, stands_still: str, gone: bool
    ) -> None:
        spec = V1LeaseSpec(holder_identity=None)
        metadata = V1ObjectMeta(name="it", annotations={})
        lease = V1Lease(metadata=metadata, spec=spec)
        written: list[object] = []
        reads = 0

        async def read(*_: str) -> V1Lease:
            nonlocal reads
            reads += 1
            if reads > 1 and stands_still != "between two renewals":
                virtual_time.now += 60
            if reads > 1 and gone:
                raise ApiException(http_resp=SimpleNamespace(status=404, reason="", data=b'{"code": 404}', headers={}))
            return lease

        async def write(*_: object, **__: object) -> V1Lease:
            written.append(metadata.annotations)
            return lease

        leadership = Leadership(
            ApiClient(Configuration()), "ns", "me", LeaseTimes(8, 2, 1), clock=virtual_time.monotonic
        )
        api: Any = SimpleNamespace(
            read_namespaced_lease=read, replace_namespaced_lease=write, create_namespaced_lease=write
        )
        leadership._lock.api_instance = api
        assert await leadership.acquire(asyncio.Event())
        leadership.add_mark(lambda: datetime(2026, 11, 25, 12, tzinfo=UTC), NOTIFIED)
        if stands_still == "between two renewals":
            asyncio.get_running_loop().call_later(0.5, lambda: setattr(virtual_time, "now", virtual_time.now + 60))
        with pytest.raises(LostLeaseError, match="was stopped for longer than its lease"):
            async with asyncio.timeout(300):
                await leadership.hold(asyncio.Event())
        # What the next leader begins from is as it was before.
        assert written == [{}]

    async def test_is_over_by_our_own_clock_when_nobody_renews(self, candidate: Candidate) -> None:
        leadership = candidate(answers(True), duration=3)
        await leadership.acquire(asyncio.Event())
        assert leadership.valid()
        await asyncio.sleep(3.1)
        assert not leadership.valid()
