"""Reports of outcomes by the clients: what is sent, what comes of it, and that a block never fails by its report."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import pytest

from bailiwick import (
    AsyncBailiwick,
    Bailiwick,
    Call,
    Decision,
    Denied,
    HttpRequest,
    HttpResponse,
    NotSentError,
    OutcomeHandle,
    ReportState,
    Resource,
    TransportError,
    Unavailable,
)
from bailiwick.questions import Questions
from support.sdk.outcomes import UNTIL, ReportScript, SlowReports
from support.sdk.script import Driver, Script, Scripted, allow, answer, deny, header

CALL: Final = Call(token="t", action="refund", resource=Resource("Order", "1"))
HANDLE: Final = {"handle": "h-1", "until": UNTIL}
COUNTED: Final = Decision(allowed=True, reason="allowed", context={"evaluation_id": "e-1", "outcome": HANDLE})
SPENT: Final = 0.2


def client(script: Script, **settings: Any) -> Bailiwick:  # noqa: ANN401 - the client's own
    return Bailiwick("https://pdp.example", endpoint="crm/api", token=lambda: "own", transport=script, **settings)


def aio(script: Script, **settings: Any) -> AsyncBailiwick:  # noqa: ANN401 - the client's own
    transport = settings.pop("transport", script.asynchronous)
    return AsyncBailiwick("https://pdp.example", endpoint="crm/api", token=None, transport=transport, **settings)


# --- the handle ---------------------------------------------------------------------------------------------------

NO_HANDLES: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "null": {"outcome": None},
    "a text": {"outcome": "h-1"},
    "a list": {"outcome": [HANDLE]},
    "no handle": {"outcome": {"until": UNTIL}},
    "an empty handle": {"outcome": {**HANDLE, "handle": ""}},
    "a number": {"outcome": {**HANDLE, "handle": 1}},
    "a handle with a space": {"outcome": {**HANDLE, "handle": "h 1"}},
    "a handle in two lines": {"outcome": {**HANDLE, "handle": "h\n"}},
    "a handle that is not ASCII": {"outcome": {**HANDLE, "handle": "é"}},
    "a handle that is too long": {"outcome": {**HANDLE, "handle": "h" * 4097}},
    "no time": {"outcome": {"handle": "h-1"}},
    "a time that is a number": {"outcome": {**HANDLE, "until": 1764439200}},
    "a time without a zone": {"outcome": {**HANDLE, "until": "2026-11-30T12:10:00"}},
    "a date": {"outcome": {**HANDLE, "until": "2026-11-30"}},
    "no such day": {"outcome": {**HANDLE, "until": "2026-02-30T12:10:00Z"}},
    "no evaluation": {"evaluation_id": None, "outcome": HANDLE},
    "an empty evaluation": {"evaluation_id": "", "outcome": HANDLE},
}


@pytest.mark.parametrize("context", NO_HANDLES.values(), ids=NO_HANDLES)
def test_without_a_usable_handle_an_allow_stays_one_and_nothing_is_reported(context: dict[str, Any]) -> None:
    script = Script(allow(**{"evaluation_id": "e-1", **context}))
    pdp = client(script)
    with pdp.guarded(CALL) as decision:
        assert decision.allowed
    assert decision.outcome is None
    assert pdp.report(decision, "failed").state is ReportState.UNNEEDED
    assert len(script.sent) == 1


@pytest.mark.parametrize("until", [UNTIL, "2026-11-30T12:10:00.123456789+01:00"])
def test_a_handle_is_read_with_its_evaluation_and_its_time(until: str) -> None:
    script = Script(allow(evaluation_id="e-1", outcome={**HANDLE, "until": until, "more": 1}))
    assert client(script).evaluate(CALL).outcome == OutcomeHandle("e-1", "h-1", until)


def test_a_denial_has_no_outcome() -> None:
    assert client(Script(deny(evaluation_id="e-1", outcome=HANDLE))).evaluate(CALL).outcome is None


def test_each_decision_of_a_batch_has_a_handle_of_its_own() -> None:
    items = [{"decision": True, "context": {"evaluation_id": f"e-{n}", "outcome": HANDLE}} for n in (1, 2)]
    decisions = client(Script(answer({"evaluations": items}))).evaluate_many([CALL, CALL])
    assert [one.outcome and one.outcome.evaluation_id for one in decisions] == ["e-1", "e-2"]


# --- one report ---------------------------------------------------------------------------------------------------


def test_a_report_says_which_call_and_what_became_of_it() -> None:
    script = Script(answer({"outcome": "failed"}))
    report = client(script).report(COUNTED, "failed")
    (request,) = script.sent
    assert (request.url, request.method) == ("https://pdp.example/endpoints/crm/api/access/v1/outcomes", "POST")
    assert header(request, "authorization") == "Bearer own"
    assert script.bodies == [{"evaluation_id": "e-1", "handle": "h-1", "outcome": "failed"}]
    assert (report.state, report.lost, report.attempts) == (ReportState.RECORDED, False, 1)


ANSWERS: Final[dict[str, tuple[Scripted, ReportState]]] = {
    "another outcome before": (answer({"detail": "no"}, 409), ReportState.CONFLICT),
    "too late": (answer({"detail": "no"}, 410), ReportState.LATE),
    "malformed": (answer({"detail": "no"}, 400), ReportState.REFUSED),
    "no token": (answer({"detail": "no"}, 401), ReportState.REFUSED),
    "no enforcer": (answer({"detail": "no"}, 403), ReportState.REFUSED),
    "a decision point that knows no outcomes": (answer({"detail": "no"}, 404), ReportState.REFUSED),
    "over a ration": (answer({"detail": "no"}, 503, retry_after="60"), ReportState.UNAVAILABLE),
    "too many requests": (answer({"detail": "no"}, 429, retry_after="60"), ReportState.UNAVAILABLE),
    "a failure": (answer({"detail": "no"}, 500), ReportState.UNAVAILABLE),
    "an answer to another report": (answer({"outcome": "succeeded"}), ReportState.UNAVAILABLE),
    "an answer that is none": (answer([]), ReportState.UNAVAILABLE),
    "an answer to another request": (answer({"outcome": "failed"}, x_request_id="x"), ReportState.UNAVAILABLE),
    "a redirect": (answer({}, 307, location="https://other.example"), ReportState.UNAVAILABLE),
    "no connection": (NotSentError("refused"), ReportState.UNAVAILABLE),
}


@pytest.mark.parametrize(("came", "state"), ANSWERS.values(), ids=ANSWERS)
async def test_what_comes_of_a_report_is_a_value_and_a_lost_one_is_logged(
    came: Scripted, state: ReportState, caplog: pytest.LogCaptureFixture
) -> None:
    reports = client(Script(came)).report(COUNTED, "failed"), await aio(Script(came)).report(COUNTED, "failed")
    assert [(one.state, one.lost) for one in reports] == [(state, True)] * 2
    assert all(one.detail for one in reports)
    assert [(one.name, one.levelno) for one in caplog.records] == [("bailiwick.outcomes", logging.WARNING)] * 2
    assert "e-1 failed" in caplog.text


async def test_a_word_that_is_no_outcome_is_refused() -> None:
    script = Script(answer({"outcome": "done"}))
    for pdp in (client(script), aio(script)):
        with pytest.raises(ValueError, match="cancelled, failed, succeeded"):
            pdp.report(COUNTED, "done")  # type: ignore[arg-type]  # what is tested
    assert script.sent == []


# --- tries and deadline -------------------------------------------------------------------------------------------

AGAIN: Final[dict[str, tuple[Scripted, int]]] = {
    "turned away": (answer({}, 503), 2),
    "turned away for a second": (answer({}, 503, retry_after="1"), 2),
    "turned away for longer than there is": (answer({}, 503, retry_after="9"), 1),
    "no connection": (NotSentError("refused"), 2),
    "a connection that was lost": (TransportError("reset"), 2),
    "another failure": (answer({}, 500), 1),
    "too late": (answer({}, 410), 1),
    "another outcome": (answer({}, 409), 1),
}


@pytest.mark.parametrize(("came", "tries"), AGAIN.values(), ids=AGAIN)
def test_a_report_is_sent_again_once_at_most(came: Scripted, tries: int) -> None:
    driver = Driver(Script(came))
    began = driver.now
    driver.run(Questions("https://pdp", driver.exchanger, 2.0).report(OutcomeHandle("e", "h", UNTIL), "failed"))
    assert len(driver.script.sent) == tries
    assert len({header(request, "x-request-id") for request in driver.script.sent}) == 1
    assert driver.now - began <= 2.0


def test_no_try_begins_after_the_deadline() -> None:
    driver = Driver(Script(TransportError("reset")), takes=[2.0])
    driver.run(Questions("https://pdp", driver.exchanger, 2.0).report(OutcomeHandle("e", "h", UNTIL), "failed"))
    assert driver.script.given == [2.0]
    assert len(driver.script.sent) == 1


def test_reports_that_fail_deny_no_call_and_calls_that_fail_lose_no_report() -> None:
    lost = ReportScript(reports=[TransportError("reset")])
    pdp = client(lost)
    for _ in range(10):
        pdp.report(COUNTED, "failed")
    # After five failures in a row and one more they are left alone for a moment, two tries each.
    assert len(lost.reports) == 12
    assert pdp.evaluate(CALL).allowed

    away = ReportScript(TransportError("reset"))
    pdp = client(away)
    for _ in range(10):
        pdp.evaluate(CALL)
    assert pdp.report(COUNTED, "failed").state is ReportState.RECORDED


# --- a guarded block ----------------------------------------------------------------------------------------------


class FaultError(Exception):
    pass


ENDS: Final[dict[str, tuple[BaseException | None, str]]] = {
    "an end": (None, "succeeded"),
    "an exception": (FaultError(), "failed"),
    "the end of an iteration": (StopIteration(), "failed"),
    "a group of exceptions": (ExceptionGroup("g", [FaultError()]), "failed"),
    "an interrupt": (KeyboardInterrupt(), "failed"),
    "the end of the process": (SystemExit(0), "failed"),
    "a cancelled task": (asyncio.CancelledError(), "cancelled"),
    "a closed generator": (GeneratorExit(), "cancelled"),
    "a time-out": (TimeoutError(), "failed"),
}


@pytest.mark.parametrize(("error", "outcome"), ENDS.values(), ids=ENDS)
def test_the_end_of_a_block_is_the_outcome(error: BaseException | None, outcome: str) -> None:
    script = ReportScript()
    came: BaseException | None = None
    try:
        with client(script).guarded(CALL) as decision:
            assert decision.allowed
            assert script.reports == []
            if error is not None:
                raise error
    except BaseException as caught:  # noqa: BLE001 - what is tested
        came = caught
    assert came is error
    assert script.reports == [{"evaluation_id": "e-1", "handle": "h-1", "outcome": outcome}]


@pytest.mark.parametrize(("error", "outcome"), ENDS.values(), ids=ENDS)
async def test_the_end_of_a_block_is_the_outcome_under_asyncio_too(error: BaseException | None, outcome: str) -> None:
    script = ReportScript()
    came: BaseException | None = None
    async with aio(script) as pdp:
        try:
            async with pdp.guarded(CALL) as decision:
                assert decision.allowed
                assert script.reports == []
                if error is not None:
                    raise error
        except BaseException as caught:  # noqa: BLE001 - what is tested
            came = caught
    assert came is error
    assert script.outcomes == [outcome]


@pytest.mark.parametrize("came", [deny(), NotSentError("refused")])
async def test_the_block_of_a_call_that_is_not_allowed_does_not_run(came: Scripted) -> None:
    script = ReportScript(came)
    expected = Unavailable if isinstance(came, TransportError) else Denied
    with pytest.raises(expected), client(script).guarded(CALL):
        pytest.fail("it ran")
    with pytest.raises(expected):
        async with aio(script).guarded(CALL):
            pytest.fail("it ran")
    assert script.reports == []


class BrokenScript(ReportScript):
    """Fails in a way that no transport may."""

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        if request.url.endswith("/outcomes"):
            raise RuntimeError("broken")
        return super().send(request, seconds)


LOST: Final[dict[str, Callable[[], Script]]] = {
    "no connection": lambda: ReportScript(reports=[NotSentError("refused")]),
    "a refusal": lambda: ReportScript(reports=[answer({}, 403)]),
    "a defect": BrokenScript,
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
@pytest.mark.parametrize("error", [None, FaultError()])
async def test_a_report_that_is_lost_is_logged_and_fails_no_block(
    lost: Callable[[], Script], error: FaultError | None, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[BaseException | None] = []
    for kind in (client, aio):
        pdp: Any = kind(lost())
        try:
            if kind is client:
                with pdp.guarded(CALL):
                    raise error or StopAsyncIteration
            async with pdp.guarded(CALL):
                raise error or StopAsyncIteration
        except (FaultError, StopAsyncIteration) as caught:
            ended.append(caught if error is not None else None)
    assert ended == [error, error]
    assert {one.name for one in caplog.records} == {"bailiwick.outcomes"}
    assert len(caplog.records) == 2


# --- reports and asyncio ------------------------------------------------------------------------------------------


async def test_a_block_ends_after_its_report_so_that_the_next_call_can_depend_on_it() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    pdp = aio(script, transport=slow)

    async def run() -> None:
        async with pdp.guarded(CALL):
            pass

    task = asyncio.create_task(run())
    await asyncio.sleep(SPENT)
    assert not task.done()
    slow.go.set()
    await task
    assert script.outcomes == ["succeeded"]


async def test_a_cancelled_block_ends_at_once_and_is_reported_all_the_same() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    pdp = aio(script, transport=slow)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SPENT), pdp.guarded(CALL):
            await asyncio.Event().wait()
    assert time.monotonic() - began < 2 * SPENT + 1
    assert script.reports == []
    slow.go.set()
    await pdp.close()
    assert (script.outcomes, slow.closed) == (["cancelled"], True)


async def test_a_report_goes_on_where_the_wait_for_it_is_cancelled() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    pdp = aio(script, transport=slow)

    async def run() -> None:
        async with pdp.guarded(CALL):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(), SPENT)
    slow.go.set()
    await pdp.close()
    assert script.outcomes == ["succeeded"]


async def test_a_generator_that_is_closed_in_its_block_was_cancelled() -> None:
    script = ReportScript()
    pdp = aio(script)

    async def rows() -> AsyncIterator[int]:
        async with pdp.guarded(CALL):
            yield 1
            yield 2

    of: Any = rows()
    assert await anext(of) == 1
    await of.aclose()
    await pdp.close()
    assert script.outcomes == ["cancelled"]

    def lines() -> Iterator[int]:
        with client(script).guarded(CALL):
            yield 1

    one: Any = lines()
    next(one)
    one.close()
    assert script.outcomes == ["cancelled"] * 2


def test_a_coroutine_that_is_closed_after_its_loop_ends_without_a_report(caplog: pytest.LogCaptureFixture) -> None:
    script, inside = ReportScript(), list[bool]()

    async def run() -> None:
        async with aio(script).guarded(CALL):
            inside.append(True)
            await asyncio.Event().wait()

    steps, loop = run(), asyncio.new_event_loop()
    task = loop.create_task(steps)
    loop.run_until_complete(asyncio.sleep(SPENT))
    loop.close()
    steps.close()
    # It never ends, and asyncio would say so.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    assert (inside, script.reports) == ([True], [])
    assert "was not reported" in caplog.text


async def test_the_end_of_a_client_waits_for_its_reports_but_not_for_ever() -> None:
    script = ReportScript()
    slow = SlowReports(script)
    pdp = aio(script, transport=slow, deadline=SPENT)
    task = pdp.report(COUNTED, "failed")
    began = time.monotonic()
    await pdp.close()
    assert slow.closed
    assert time.monotonic() - began < 10 * SPENT
    assert task.done() or task.cancelling()


async def test_a_report_that_is_not_awaited_is_sent() -> None:
    script = ReportScript()
    async with aio(script) as pdp:
        pdp.report(await pdp.require(CALL), "succeeded")
    assert script.outcomes == ["succeeded"]
    assert script.closed == 1
