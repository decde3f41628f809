"""What is told by Kubernetes Events, once and for each transition, and how much of a flood."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import pytest
import structlog

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.loop.events import Events
from bailiwick_operator.reconcile import guard
from bailiwick_operator.reconcile.conditions import DesiredCondition, Status, entries
from bailiwick_operator.reconcile.transitions import EventDraft, grant_events, policy_events
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import NOW, active, applied, grant, reconciled

REASONS: Final = {"Pending": "Requested", "Active": "Approved"}
WARNINGS: Final = {"Denied", "Revoked"}


def status_in(phase: str, reason: str = "Because", message: str = "in words") -> Status:
    conditions = entries([DesiredCondition("Ready", "False", reason, message)], {}, 1, NOW)
    return {"phase": phase, "conditions": conditions}


class TestAGrant:
    @pytest.mark.parametrize("phase", ["Pending", "Active", *sorted(TERMINAL_PHASES)])
    def test_tells_its_new_phase_in_the_words_of_its_condition(self, phase: str) -> None:
        (told,) = grant_events({}, status_in(phase))
        assert told.reason == REASONS.get(phase, phase)
        assert told.type == ("Warning" if phase in WARNINGS else "Normal")
        assert told.note == "in words"
        assert told.action.isalpha()
        assert told.action[0].isupper()

    @pytest.mark.parametrize("phase", ["Pending", "Active", *sorted(TERMINAL_PHASES)])
    def test_tells_nothing_where_its_phase_stays(self, phase: str) -> None:
        assert grant_events(status_in(phase), status_in(phase, "Another", "in others")) == ()

    def test_that_fell_void_warns(self) -> None:
        body = grant("dave", status=active())
        (told,) = grant_events(body["status"], guard.void_status(body, NOW))
        assert (told.type, told.reason, told.action) == ("Warning", "GuardUnproven", "Void")

    def test_tells_nothing_in_a_second_pass(self) -> None:
        body = grant("dave")
        outcome = reconciled(body)
        assert outcome.status is not None
        assert [told.reason for told in grant_events({}, outcome.status)] == ["Approved"]
        again = reconciled(applied(body, outcome))
        assert again.status is None

    def test_tells_no_more_than_an_event_takes(self) -> None:
        (told,) = grant_events({}, status_in("Denied", message="\u00e4" * 2000))
        assert len(told.note.encode()) <= 1024
        assert told.note.endswith("\u2026")


def policy_status(accepted: str, ready: str, programmed: str = "Served", *, good: bool = True) -> Status:
    conditions = [
        DesiredCondition("Accepted", "True" if good else "False", accepted, f"a: {accepted}"),
        DesiredCondition("Programmed", "True", programmed, "p"),
        DesiredCondition("Ready", "True" if good else "False", ready, f"r: {ready}"),
    ]
    return {"conditions": entries(conditions, {}, 1, NOW)}


class TestAPolicy:
    @pytest.mark.parametrize(
        ("before", "after", "told"),
        [
            ({}, policy_status("Compiled", "Enforced"), [("Normal", "Compiled"), ("Normal", "Enforced")]),
            (policy_status("Compiled", "Enforced"), policy_status("Compiled", "Enforced"), []),
            (policy_status("Compiled", "Enforced"), policy_status("Compiled", "Expired"), [("Normal", "Expired")]),
            ({}, policy_status("InvalidPolicy", "InvalidPolicy", good=False), [("Warning", "InvalidPolicy")]),
            (
                policy_status("Compiled", "Enforced"),
                policy_status("Conflicted", "Conflicted", good=False),
                [("Warning", "Conflicted")],
            ),
            (policy_status("Compiled", "Enforced"), policy_status("Compiled", "Asking", "Asking"), []),
            (policy_status("Compiled", "Asking", "Asking"), policy_status("Compiled", "Audit"), [("Normal", "Audit")]),
        ],
        ids=["new", "as it was", "expired", "broken", "conflicted", "being taken up", "taken up"],
    )
    def test_tells_where_accepted_or_ready_have_another_reason(
        self, before: Status, after: Status, told: list[tuple[str, str]]
    ) -> None:
        assert [(one.type, one.reason) for one in policy_events(before, after)] == told


class Api:
    """Takes events, or not."""

    def __init__(self) -> None:
        self.leading = True
        self.client = OperatorClient(FakeTransport(self._answer), lambda: self.leading)
        self.events: list[Object] = []
        self.answer = ApiResponse(HTTPStatus.CREATED, {})
        self.reachable = True

    def _answer(self, request: ApiRequest) -> ApiResponse:
        method, path, body = request.method, request.path, request.body
        assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/crm/events")
        assert isinstance(body, dict)
        if not self.reachable:
            raise UnreachableError("nobody there")
        self.events.append(body)
        return self.answer


class Told100:
    """Tells the same again and again."""

    def __init__(self) -> None:
        self.now = 0.0
        self.time = NOW
        self.api = Api()
        self.events = Events(self.api.client, "me", now=lambda: self.time, clock=lambda: self.now)

    def tell(self, times: int, namespace: str = "crm") -> None:
        of = grant("dave")
        of["metadata"] = {**of["metadata"], "namespace": namespace}
        for _ in range(times):
            self.events.tell("ApprovalGrant", of, [EventDraft("Normal", "Approve", "Approved", "yes")])

    async def written(self) -> int:
        task = asyncio.create_task(self.events.run())
        # Nothing in it waits for anything, so it is through once it waits for the next.
        for _ in range(1000):
            await asyncio.sleep(0)
        assert self.events._queue.empty()
        task.cancel()
        return len(self.api.events)


class TestWriting:
    async def test_names_what_it_is_about_and_who_says_it(self) -> None:
        told = Told100()
        told.tell(1)
        await told.written()
        (event,) = told.api.events
        assert event["regarding"]["uid"] == "0b1a"
        assert event["regarding"]["kind"] == "ApprovalGrant"
        assert (event["reportingController"], event["reportingInstance"]) == ("bailiwick.dev/operator", "me")
        assert (event["type"], event["action"], event["reason"], event["note"]) == (
            "Normal",
            "Approve",
            "Approved",
            "yes",
        )

    async def test_gives_each_a_name_of_its_own(self) -> None:
        told = Told100()
        told.tell(20)
        await told.written()
        assert len({event["metadata"]["name"] for event in told.api.events}) == 20

    @pytest.mark.parametrize(
        ("steps", "times"),
        [
            # An answer of the API server narrows what its time may be at the latest.
            ((-0.01, 0.02), ("00.000000", "00.000001", "00.010000")),
            ((-1.5, 0.1), ("00.000000", "00.000001", "00.000002")),
            ((0.0, 0.0), ("00.000000", "00.000001", "00.000002")),
            # Somebody set the clock right.
            ((-5.0, 1.0), ("00.000000", "55.000000", "56.000000")),
        ],
    )
    async def test_sorts_by_time_as_it_was_told(self, steps: tuple[float, ...], times: tuple[str, ...]) -> None:
        told = Told100()
        told.tell(1)
        for step in steps:
            told.time += timedelta(seconds=step)
            told.tell(1)
        await told.written()
        assert [event["eventTime"][-10:-1] for event in told.api.events] == [*times]

    async def test_ab_45_bounds_a_flood_and_says_how_many_were_dropped(self) -> None:
        told = Told100()
        with structlog.testing.capture_logs() as log:
            told.tell(100)
            told.now += 5.0
            told.tell(1)
        assert await told.written() == 26
        assert [entry["event"] for entry in log] == ["events are dropped: too many at once", "events were dropped"]
        assert log[1]["dropped"] == 75

    async def test_ab_45_a_flood_of_one_namespace_leaves_the_others_their_own(self) -> None:
        told = Told100()
        told.tell(100, "other")
        told.tell(3)
        assert told.events._queue.qsize() == 28

    async def test_refills_to_the_burst_and_no_further(self) -> None:
        told = Told100()
        told.tell(100)
        told.now += 1e6
        told.tell(100)
        assert await told.written() == 50

    async def test_never_keeps_more_than_it_can_hold(self) -> None:
        told = Told100()
        for number in range(1200):
            told.tell(1, f"ns-{number}")
            told.now += 1000.0
        assert len(told.events._buckets) <= 1000
        assert told.events._queue.qsize() == 500

    @pytest.mark.parametrize("reachable", [True, False], ids=["refused", "unreachable"])
    async def test_a_failure_is_logged_and_not_tried_again(self, reachable: bool) -> None:
        told = Told100()
        told.api.answer, told.api.reachable = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "no"}), reachable
        told.tell(2)
        with structlog.testing.capture_logs() as log:
            assert await told.written() == (2 if reachable else 0)
        assert [entry["event"] for entry in log] == ["an event was not written"] * 2
