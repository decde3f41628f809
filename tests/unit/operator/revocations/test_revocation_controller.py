"""Who is taken back, as the operator follows it: which grants are judged again, and when an object is deleted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import example, given, settings, strategies as st

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.canary import canary
from bailiwick_api.serverclock import ServerClock
from bailiwick_api.times import stamp
from bailiwick_engine.revocations import PartyRevocation, parse
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.inventory import Inventory, Ticks
from bailiwick_operator.loop.workqueue import WorkItem
from bailiwick_operator.revocations import controller
from bailiwick_operator.revocations.controller import RevocationController
from support.objects import Object
from support.revocations import manifest
from support.transport import FakeTransport
from unit.operator.cases import STEP_OF_TWO, grant, stored

NOW: Final = datetime(2026, 11, 30, 16, 0, 0, tzinfo=UTC)
PAST: Final = NOW - timedelta(seconds=1)
ACTIVE: Final = {"phase": "Active", "approvedTime": stamp(NOW - timedelta(minutes=1)), "notAfterTime": stamp(NOW)}
AGENT: Final = "system:serviceaccount:agents:crm-agent"


class Operator:
    """The controller, and what it asked for. `ours` is our clock, in seconds ahead of the API server's.

    `listed`: the grants at the API server. The inventory `grants` is what the watch brought.

    There it is `NOW` and `since` seconds, less than one. Its answers show whole seconds alone.
    """

    def __init__(self, ours: float = 0.0, since: float = 0.0) -> None:
        self.deletions: list[Object] = []
        self.listed: list[Object] = []
        self.lists = 0
        self.status = 200
        self.list_status = 200
        self.while_listing: Callable[[], None] = lambda: None
        self.reachable = True
        self.again: list[WorkItem] = []
        self.noticed: list[tuple[str, bool, bool]] = []
        self.server = server = ServerClock(lambda: NOW.timestamp() + since + ours, lambda: 1000.0)
        server.record_answer(NOW.timestamp(), 1000.0)
        ticks = Ticks()
        self.grants = Inventory(ticks, lambda _: None)
        kube = OperatorClient(FakeTransport(self._answer), lambda: True)
        self.controller = RevocationController(
            kube, ticks, self.grants, Clock(server), self.again.append, None, self._notice
        )

    def _notice(self, body: Object, *, gone: bool, early: bool) -> None:
        self.noticed.append((body["metadata"]["name"], gone, early))

    def _answer(self, request: ApiRequest) -> ApiResponse:
        if not self.reachable:
            raise UnreachableError("gone")
        if request.path == GRANTS_PATH:
            self.lists += 1
            self.while_listing()
            items = {"metadata": {"resourceVersion": "9"}, "items": self.listed}
            return ApiResponse(self.list_status, items if self.list_status == 200 else {"message": "no"})
        assert isinstance(request.body, dict)
        self.deletions.append({"path": request.path, **request.body["preconditions"]})
        return ApiResponse(self.status, {"message": "no"})

    def take(
        self,
        until: datetime,
        *,
        before: datetime = NOW,
        hold: bool = False,
        making: str = "",
        **match: Any,  # noqa: ANN401 - members and their values
    ) -> Object:
        body = manifest(until=until, before=before, hold=hold, making=making, **(match or {"sub": AGENT}))
        body["metadata"] |= {"uid": body["metadata"]["name"], "resourceVersion": "7", "generation": 1}
        self.controller.objects.record(body)
        return body


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(controller, "_LOOK_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def running(operator: Operator) -> AsyncIterator[None]:
    task = asyncio.create_task(operator.controller.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settled() -> None:
    await asyncio.sleep(0.1)


def opened(
    *reviewers: str,
    minutes: float = -30,
    until: datetime = NOW + timedelta(minutes=30),
    **fields: Any,  # noqa: ANN401 - members of the request, and the status
) -> Object:
    """Return a grant of the agent that was opened so many minutes from `NOW`. `until`: until when it waits."""
    body = grant(*reviewers, pendingUntilTime=stamp(until), **fields)
    body["metadata"]["creationTimestamp"] = stamp(NOW + timedelta(minutes=minutes))
    return body


async def test_an_object_is_deleted_after_its_until_in_the_version_that_was_judged() -> None:
    operator = Operator()
    body, kept = operator.take(PAST), operator.take(NOW + timedelta(minutes=1), sub=f"{AGENT}-2")
    name = body["metadata"]["name"]
    async with running(operator):
        await settled()
    (deletion,) = operator.deletions
    assert deletion["path"].endswith(f"/subjectrevocations/{name}")
    assert (deletion["uid"], deletion["resourceVersion"]) == (name, "7")
    assert operator.noticed[-1] == (name, True, False)
    assert [one.name for one in operator.controller.index] == [kept["metadata"]["name"]]


@given(ours=st.floats(-28, 28), since=st.floats(0, 0.999), seconds=st.integers(1, 60))
@example(ours=28.0, since=0.0, seconds=27)
@example(ours=0.0, since=0.5, seconds=1)
@settings(deadline=None, max_examples=40)
async def test_nobody_is_given_back_before_the_time_at_the_api_server(ours: float, since: float, seconds: int) -> None:
    operator = Operator(ours, since)
    operator.take(NOW + timedelta(seconds=seconds))
    async with running(operator):
        await asyncio.sleep(0.02)
    assert operator.deletions == []


async def test_nobody_is_given_back_by_one_answer_of_an_api_server_whose_clock_is_ahead() -> None:
    operator = Operator()
    operator.take(NOW + timedelta(seconds=20))
    operator.server.record_answer(NOW.timestamp() + 25, 1000.0)
    async with running(operator):
        await settled()
    assert operator.deletions == []


async def test_one_that_a_person_deletes_in_its_last_second_went_early() -> None:
    operator = Operator(since=0.5)
    body = operator.take(NOW + timedelta(seconds=1))
    operator.controller.objects.forget(body)
    assert operator.noticed[-1] == (body["metadata"]["name"], True, True)


@pytest.mark.parametrize("status", [409, 403, 500])
async def test_one_that_is_not_deleted_stays_in_force(status: int) -> None:
    operator = Operator()
    operator.status = status
    operator.take(PAST)
    async with running(operator):
        await settled()
    assert len(operator.controller.index) == 1
    assert len(operator.deletions) > 1


async def test_an_api_server_that_does_not_answer_ends_nothing() -> None:
    operator = Operator()
    operator.reachable = False
    operator.take(PAST)
    async with running(operator):
        await settled()
        operator.reachable = True
        await settled()
    assert len(operator.deletions) == 1


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
@pytest.mark.parametrize("known", [True, False], ids=["watched", "not watched yet"])
async def test_an_object_stays_until_the_grants_that_it_ends_have_ended(known: bool) -> None:
    operator = Operator()
    body, other = operator.take(PAST), operator.take(PAST, sub=f"{AGENT}-2")
    living = opened(status=ACTIVE)
    operator.listed = [living]
    if known:
        operator.grants.record(living)
    async with running(operator):
        await settled()
        assert [one.name for one in operator.controller.index] == [body["metadata"]["name"]]
        assert [deletion["uid"] for deletion in operator.deletions] == [other["metadata"]["name"]]
        assert len(operator.again) == known
        operator.listed = [{**living, "status": {**ACTIVE, "phase": "Revoked"}}]
        await settled()
    assert not operator.controller.index


@pytest.mark.invariant(32)
@pytest.mark.parametrize(
    ("work", "left"),
    [
        pytest.param(opened(status=ACTIVE), 1, id="a grant that can be used"),
        pytest.param(opened(status={"phase": "Pending"}), 1, id="a request that waits"),
        pytest.param(opened(), 1, id="a grant that nobody has judged"),
        pytest.param(opened(status={"phase": "Denied"}), 0, id="one that was denied"),
        pytest.param(opened(status=ACTIVE, until=NOW - timedelta(seconds=599)), 1, id="its window is not over"),
        pytest.param(opened(status=ACTIVE, until=NOW - timedelta(seconds=600)), 0, id="its window is over"),
        pytest.param(opened(status=ACTIVE, until=datetime.max.replace(tzinfo=UTC)), 1, id="no time is its end"),
        pytest.param(opened(minutes=1, status=ACTIVE), 0, id="a grant from later"),
        pytest.param({**opened(), "spec": {"request": {}}}, 0, id="one that cannot be read"),
        pytest.param(stored(canary(Installation(), NOW)), 0, id="the canary"),
    ],
)
async def test_only_a_grant_of_before_that_can_still_be_used_keeps_an_object(work: Object, left: int) -> None:
    operator = Operator()
    operator.take(PAST)
    operator.take(PAST, making="everybody", username=AGENT)
    operator.listed = [work]
    async with running(operator):
        await settled()
    assert len(operator.controller.index) == 2 * left


@pytest.mark.invariant(32)
async def test_a_hold_stays_for_the_grants_of_before_its_until_and_for_no_later_ones() -> None:
    operator = Operator()
    operator.take(NOW - timedelta(hours=1), before=NOW - timedelta(days=1), hold=True)
    operator.listed = [opened(minutes=-61, status=ACTIVE)]
    async with running(operator):
        await settled()
        assert len(operator.controller.index) == 1
        # Else anyone who can write such grants could keep the agent stopped.
        operator.listed = [opened(minutes=-59, status={"phase": "Pending"})]
        await settled()
    assert not operator.controller.index


@pytest.mark.invariant(13)
async def test_that_of_a_reviewer_stays_until_their_approves_are_refused() -> None:
    operator = Operator()
    operator.take(PAST, username="dave")
    waiting = opened("dave", steps=[STEP_OF_TWO], status={"phase": "Pending"})
    operator.listed = [waiting]
    async with running(operator):
        await settled()
        assert len(operator.controller.index) == 1
        operator.listed = [{**waiting, "status": {"phase": "Pending", "voided": [{"reviewer": "dave"}]}}]
        await settled()
    assert not operator.controller.index


async def test_no_object_stays_when_no_grant_of_before_can_be_used() -> None:
    operator = Operator()
    operator.take(NOW - timedelta(days=2, minutes=2), username="dave")
    operator.listed = [opened("dave", steps=[STEP_OF_TWO], status={"phase": "Pending"})]
    async with running(operator):
        await settled()
    assert not operator.controller.index
    assert operator.lists == 0


@pytest.mark.parametrize("status", [403, 500, 504])
async def test_while_grants_cannot_be_listed_nothing_is_deleted(status: int) -> None:
    operator = Operator()
    operator.list_status = status
    operator.take(PAST)
    async with running(operator):
        await settled()
        assert operator.deletions == []
        operator.list_status = 200
        await settled()
    assert len(operator.deletions) == 1


async def test_where_nothing_is_past_no_grant_is_listed() -> None:
    operator = Operator()
    operator.take(NOW + timedelta(minutes=1))
    async with running(operator):
        await settled()
    assert operator.lists == 0


async def test_an_object_that_changes_while_the_grants_are_listed_is_judged_again() -> None:
    operator = Operator()
    body = operator.take(PAST)
    newer = {**body, "metadata": {**body["metadata"], "resourceVersion": "8"}}
    operator.status = 409
    operator.while_listing = lambda: operator.controller.objects.record(newer)
    async with running(operator):
        await settled()
    # The next look judges the newer one.
    assert [deletion["resourceVersion"] for deletion in operator.deletions[:2]] == ["7", "8"]


async def test_by_a_clock_that_is_off_nothing_is_deleted() -> None:
    operator = Operator(ours=60.0)
    operator.take(PAST)
    async with running(operator):
        await settled()
    assert operator.deletions == []


async def test_one_that_cannot_be_read_is_never_deleted() -> None:
    operator = Operator()
    odd = {"metadata": {"name": "r-odd", "uid": "u", "resourceVersion": "3"}, "spec": {"issuer": "corp"}}
    operator.controller.objects.record(odd)
    async with running(operator):
        await settled()
    assert operator.deletions == []
    assert len(operator.controller.index) == 1


async def test_a_person_who_deletes_one_early_is_noticed() -> None:
    operator = Operator()
    body = operator.take(NOW + timedelta(minutes=1))
    operator.controller.objects.forget(body)
    assert operator.noticed == [(body["metadata"]["name"], False, False), (body["metadata"]["name"], True, True)]
    assert not operator.controller.index


async def test_many_changes_have_each_living_grant_judged_once() -> None:
    operator = Operator()
    living, ended = grant(status={"phase": "Active"}), grant(status={"phase": "Consumed"})
    ended["metadata"] |= {"name": "agr-ended", "uid": "ended"}
    operator.grants.record(living)
    operator.grants.record(ended)
    for number in range(500):
        operator.take(NOW + timedelta(minutes=1), sub=f"{AGENT}-{number}")
    async with running(operator):
        await settled()
    metadata = living["metadata"]
    assert operator.again == [WorkItem("ApprovalGrant", metadata["namespace"], metadata["name"])]


async def test_a_look_for_what_is_past_reads_no_object_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read one takes up to 50 microseconds of the loop, and there may be any number of them."""
    operator = Operator()
    operator.take(NOW + timedelta(days=1))
    reads: list[str] = []

    def read(body: Object) -> PartyRevocation:
        reads.append(body["metadata"]["name"])
        return parse(body)

    monkeypatch.setattr(controller, "parse", read)
    async with running(operator):
        await settled()
    assert reads == []
