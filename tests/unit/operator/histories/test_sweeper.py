"""Retention of histories: what ended goes as it was judged, at a pace; all else stays and is counted."""

import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL
from bailiwick_api.serverclock import ServerClock
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import METADATA_LIST, ApiRequest, UnreachableError
from bailiwick_operator.histories.sweeper import INTERVAL, MOST, PER_SECOND, RETRY, HistorySweeper
from bailiwick_operator.kube import HISTORIES_PATH, OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.reconcile.historyretention import keep_until
from support.objects import Object
from support.transport import FakeTransport

NOW: Final = datetime(2026, 11, 30, 16, 0, 0, tzinfo=UTC)


def hour(hours: int) -> str:
    return (NOW + timedelta(hours=hours)).strftime("%Y-%m-%dT%H")


class Server:
    """An API server with histories of which only the metadata is of interest, and what was asked of it."""

    def __init__(self) -> None:
        self.stored: dict[str, Object] = {}
        self.deletions: list[Object] = []
        self.slept: list[float] = []
        self.refusals: dict[str, int] = {}
        self.list_status = 200
        self.unreachable_from: int | None = None
        self.dated = True
        self.ahead: list[float] = []
        """By how many seconds the API servers are ahead that answer the next pages. The first one has all objects."""
        self.steady = False
        """Whether another one answers something behind each page, whose clock is right."""
        # By our own clock it is the same time, so it is trusted.
        self.clock = ServerClock(lambda: NOW.timestamp() + 0.5, lambda: 1000.0)
        self.clock.record_answer(NOW.timestamp(), 1000.0)
        kube = OperatorClient(FakeTransport(self._answer), lambda: True)
        self.sleep: Callable[[float], Awaitable[None]] = self._note
        self.sweeper = HistorySweeper(kube, Clock(self.clock), sleep=self._wait)

    def store(self, name: str, label: object = ..., version: str = "7") -> None:
        metadata: Object = {"namespace": "crm", "name": name, "uid": f"uid-{name}", "resourceVersion": version}
        self.stored[name] = {"metadata": metadata | ({} if label is ... else {"labels": {KEEP_UNTIL_LABEL: label}})}

    async def _wait(self, seconds: float) -> None:
        await self.sleep(seconds)

    async def _note(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _answer(self, request: ApiRequest) -> ApiResponse:
        date = NOW.timestamp() if self.dated else None
        if request.method == "GET":
            assert (request.path, request.accept) == (HISTORIES_PATH, METADATA_LIST)
            items = [] if "continue" in (request.query or {}) else copy.deepcopy([*self.stored.values()])
            metadata = {"resourceVersion": "9"}
            if self.ahead:
                date = NOW.timestamp() + self.ahead.pop(0)
                self.clock.record_answer(date, 1000.0)
                if self.steady:
                    self.clock.record_answer(NOW.timestamp(), 1000.0)
                metadata["continue"] = "more" if self.ahead else ""
            return ApiResponse(self.list_status, {"metadata": metadata, "items": items}, date)
        assert request.method == "DELETE"
        if self.unreachable_from is not None and len(self.deletions) >= self.unreachable_from:
            raise UnreachableError("gone")
        name = request.path.rpartition("/")[2]
        assert isinstance(request.body, dict)
        self.deletions.append({"name": name, **request.body["preconditions"]})
        status = self.refusals.get(name, 200)
        if status == 200:
            del self.stored[name]
        return ApiResponse(status, {"message": f"no: {status}"}, date)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("2026-11-30T16", NOW.timestamp()),
        ("2026-11-30T00", NOW.timestamp() - 16 * 3600),
        *(
            (bad, None)
            for bad in ("", "2026-11-30", "2026-11-30T16:00", "2026-11-30T24", "2026-02-30T10", "soon", None, 7)
        ),
        *(
            (bad, None)
            for bad in ("2026-11-30t16", "20261130T16", " 2026-11-30T16", "2026-11-30T16\n", "٢٠٢٦-11-30T16")
        ),
    ],
)
def test_only_the_hour_that_the_decision_point_writes_is_a_time(label: object, expected: float | None) -> None:
    assert keep_until({"metadata": {"labels": {KEEP_UNTIL_LABEL: label}}}) == expected


@pytest.mark.parametrize("metadata", [{}, {"labels": None}, {"labels": {}}])
def test_without_the_label_it_is_unknown(metadata: Object) -> None:
    assert keep_until({"metadata": metadata}) is None


async def test_what_ended_is_deleted_as_the_version_that_was_judged(server: Server) -> None:
    server.store("past", hour(-3), "41")
    server.store("just", hour(0), "42")
    server.store("coming", hour(1))
    assert await server.sweeper.round() is False
    assert server.deletions == [
        {"name": "past", "uid": "uid-past", "resourceVersion": "41"},
        {"name": "just", "uid": "uid-just", "resourceVersion": "42"},
    ]
    assert [*server.stored] == ["coming"]
    assert (server.sweeper.objects, server.sweeper.outcomes["deleted"], server.sweeper.problem) == (3, 2, None)


async def test_what_does_not_say_until_when_is_kept_and_counted(server: Server) -> None:
    server.store("bare")
    server.store("odd", "forever")
    server.store("coming", hour(5))
    await server.sweeper.round()
    assert (server.deletions, server.sweeper.objects, server.sweeper.undated) == ([], 3, 2)


async def test_a_deletion_waits_so_that_there_are_few_in_a_second(server: Server) -> None:
    for number in range(5):
        server.store(f"h-{number}", hour(-1))
    await server.sweeper.round()
    assert server.slept == [1 / PER_SECOND] * 5


async def test_one_that_was_written_in_between_or_is_gone_is_left_and_no_problem(server: Server) -> None:
    for name in ("written", "gone", "past"):
        server.store(name, hour(-1))
    server.refusals = {"written": 409, "gone": 404}
    await server.sweeper.round()
    assert len(server.deletions) == 3
    outcomes = server.sweeper.outcomes
    assert (outcomes["changed"], outcomes["deleted"], server.sweeper.problem) == (1, 2, None)


async def test_one_that_cannot_be_deleted_keeps_no_other_one(server: Server) -> None:
    for name in ("held", "past"):
        server.store(name, hour(-1))
    server.refusals = {"held": 403}
    await server.sweeper.round()
    assert [*server.stored] == ["held"]
    assert server.sweeper.outcomes["refused"] == 1
    assert server.sweeper.problem == "history crm/held cannot be deleted: no: 403"
    server.refusals = {}
    await server.sweeper.round()
    assert server.sweeper.problem is None
    assert server.stored == {}


async def test_nothing_is_deleted_by_a_clock_that_is_not_trusted(server: Server) -> None:
    server.store("past", hour(-1))
    server.clock.record_answer(NOW.timestamp() + 3600, 1000.0)
    await server.sweeper.round()
    assert server.deletions == []
    assert server.sweeper.problem == "the clocks of the operator and of the API server do not agree"


async def test_nothing_is_deleted_by_the_clock_of_one_server_that_is_ahead_for_a_page(server: Server) -> None:
    server.store("coming", hour(1))
    server.ahead = [7200.0, 0.0]
    await server.sweeper.round()
    assert (server.deletions, server.sweeper.objects) == ([], 1)
    assert server.sweeper.problem == "the clocks of the operator and of the API server do not agree"


async def test_what_a_server_that_is_ahead_calls_over_is_judged_by_the_clock_that_is_trusted(server: Server) -> None:
    server.store("past", hour(-1))
    server.store("coming", hour(1))
    # Another answer comes before the page is looked at.
    server.steady = True
    server.ahead = [7200.0]
    await server.sweeper.round()
    assert [*server.stored] == ["coming"]


async def test_nothing_is_deleted_where_the_server_does_not_say_what_time_it_is(server: Server) -> None:
    server.store("past", hour(-1))
    server.dated = False
    await server.sweeper.round()
    assert (server.deletions, server.sweeper.objects) == ([], 1)


async def test_a_list_that_is_refused_is_a_problem_and_ends_nothing(server: Server) -> None:
    server.store("past", hour(-1))
    server.list_status = 403
    assert await server.sweeper.round() is False
    assert server.sweeper.problem is not None
    server.list_status = 200
    await server.sweeper.round()
    assert server.sweeper.problem is None
    assert server.stored == {}


async def test_without_an_answer_the_round_ends_and_the_next_one_goes_on(server: Server) -> None:
    for name in ("one", "two", "three"):
        server.store(name, hour(-1))
    server.unreachable_from = 1
    assert await server.sweeper.round() is False
    assert (len(server.stored), server.sweeper.problem) == (2, "gone")
    server.unreachable_from = None
    await server.sweeper.round()
    assert server.stored == {}


async def test_where_more_ended_than_a_round_deletes_the_next_round_follows_at_once(server: Server) -> None:
    for number in range(MOST + 1):
        server.store(f"h-{number}", hour(-1))
    steps = server.sweeper.steps
    assert await server.sweeper.round() is True
    assert (len(server.stored), len(server.deletions)) == (1, MOST)
    # The health of the process sees each deletion.
    assert server.sweeper.steps - steps > MOST
    assert await server.sweeper.round() is False
    assert server.stored == {}


async def test_no_namespace_waits_until_another_has_no_more(server: Server) -> None:
    for number in range(MOST + 1):
        server.store(f"h-{number}", hour(-1))
    for number in range(10):
        server.store(f"z-{number}", hour(-1))
        server.stored[f"z-{number}"]["metadata"]["namespace"] = "zoo"
    await server.sweeper.round()
    assert len(server.deletions) == MOST
    assert not [name for name in server.stored if name.startswith("z-")]


class EnoughError(Exception):
    """Ends what runs for ever."""


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([403, 403, 403, 200, 403, 200], [RETRY, 2 * RETRY, 4 * RETRY, INTERVAL, RETRY, INTERVAL]),
        ([403] * 9, [*(RETRY * 2**times for times in range(7)), INTERVAL, INTERVAL]),
    ],
)
async def test_a_round_that_did_not_end_is_soon_tried_again_and_ever_less_often(
    server: Server, statuses: list[int], expected: list[float]
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == len(statuses):
            raise EnoughError
        server.list_status = statuses[len(waits)]

    server.list_status, server.sleep = statuses[0], sleep
    with pytest.raises(EnoughError):
        await server.sweeper.run()
    assert waits == expected
