"""One proof: what it reads before what, however long each answer takes, and which of several faults it names."""

import asyncio
import itertools
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.approval.apiroutes import REQUIRED
from bailiwick_engine.approval.fingerprint import paths
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.guard.prover import Prover, UnprovenError
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient, RefusedError
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, right_clock
from unit.operator.fakeapi import FakeApi

TURNS: Final = st.lists(st.integers(0, 9), min_size=1, max_size=40)
"""For how many turns of the loop each request and each answer is on its way, over and over."""
FAULTS: Final = ("a definition of others", "a group that is redirected", "a guard that is missing", "hidden routes")


class LateTransport(FakeTransport):
    """Answers as another one does, but late; keeps what began and what ended, in order."""

    def __init__(self, on_time: FakeTransport, turns: Iterable[int]) -> None:
        super().__init__(on_time.answer)
        self._turns = itertools.cycle(turns)
        self.log: list[str] = []

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        self.log.append(f"{step_of(request)} began")
        await self._pass()
        answer = await super().call(request, most=most)
        await self._pass()
        self.log.append(f"{step_of(request)} ended")
        return answer

    async def _pass(self) -> None:
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)


class EndlessTransport(FakeTransport):
    """Answers as another one does, but the list of definitions never ends."""

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        answer = await super().call(request, most=most)
        if request.path == definitions.PATH:
            await asyncio.sleep(0)
            answer.body["metadata"]["continue"] = "more"
        return answer


def step_of(request: ApiRequest) -> str:
    if "dryRun" in (request.query or {}):
        return "dry run"
    if request.path == GRANTS_PATH:
        return "version"
    return "routes" if request.path == apiroutes.PATH else "read"


def broken_api(faults: Iterable[str]) -> FakeApi:
    api = FakeApi()
    for fault in faults:
        match fault:
            case "a definition of others":
                api.foreign.append("evils.bailiwick.dev")
            case "a group that is redirected":
                api.routes[REQUIRED[0]]["spec"]["service"] = {"name": "x", "namespace": "y"}
            case "a guard that is missing":
                del api.guards[paths(INSTALLATION)[1]]
            case _:
                api.routes_answer = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "apiservices is forbidden"})
    return api


async def prove(transport: FakeTransport) -> object:
    return await Prover(OperatorClient(transport, lambda: True), INSTALLATION, right_clock().now).prove()


@pytest.mark.invariant(27)
@given(turns=TURNS)
def test_the_version_is_read_before_all_else_and_all_else_before_the_dry_runs(turns: list[int]) -> None:
    late = LateTransport(FakeApi().transport, turns)
    asyncio.run(prove(late))
    assert late.log[:2] == ["version began", "version ended"]
    first_dry_run = late.log.index("dry run began")
    before = late.log[2:first_dry_run]
    assert before.count("read ended") == before.count("read began") == late.log.count("read began")
    assert set(before) <= {"read began", "read ended", "routes began", "routes ended"}


@pytest.mark.invariant(27)
@given(turns=TURNS)
def test_the_apiservices_are_read_after_all_that_another_server_could_have_answered(turns: list[int]) -> None:
    late = LateTransport(FakeApi().transport, turns)
    asyncio.run(prove(late))
    last_routes = len(late.log) - late.log[::-1].index("routes began")
    assert "read ended" not in late.log[last_routes:]


@pytest.mark.invariant(27)
@given(turns=TURNS, silent=st.sampled_from([*paths(INSTALLATION), apiroutes.PATH, definitions.PATH]))
def test_nothing_goes_on_behind_a_proof_that_lacks_an_answer(turns: list[int], silent: str) -> None:
    async def left() -> int:
        with pytest.raises(UnreachableError):
            await prove(late)
        return len(asyncio.all_tasks())

    api = FakeApi()
    api.before_read = lambda path: _fall_silent(path, silent)
    late = LateTransport(api.transport, turns)
    assert asyncio.run(left()) == 1


@pytest.mark.invariant(27)
@given(turns=TURNS, steps=st.integers(0, 60))
def test_nothing_goes_on_behind_a_proof_that_was_cancelled(turns: list[int], steps: int) -> None:
    async def left() -> int:
        proof = asyncio.create_task(prove(late))
        for _ in range(steps):
            await asyncio.sleep(0)
        proof.cancel()
        await asyncio.wait([proof])
        assert proof.cancelled() or proof.exception() is None
        return len(asyncio.all_tasks())

    late = LateTransport(FakeApi().transport, turns)
    assert asyncio.run(left()) == 1


@pytest.mark.invariant(27)
@pytest.mark.parametrize("how", ["refused", "silent", "endless"])
def test_a_group_that_is_redirected_is_named_though_definitions_cannot_be_listed(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick_operator.guard.guardreader._LISTING_SECONDS", 0.05)
    api = broken_api(["a group that is redirected"])
    if how == "silent":
        api.before_read = lambda path: _fall_silent(path, definitions.PATH)
    refused = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "customresourcedefinitions is forbidden"})

    def answer(request: ApiRequest) -> ApiResponse:
        hidden = how == "refused" and request.path == definitions.PATH
        return refused if hidden else api.transport.answer(request)

    transport = (EndlessTransport if how == "endless" else FakeTransport)(answer)
    with pytest.raises(UnprovenError, match="grants may be read from another server"):
        asyncio.run(asyncio.wait_for(prove(transport), 5))


@pytest.mark.invariant(27)
def test_a_list_of_definitions_that_never_ends_ends_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_operator.guard.guardreader._LISTING_SECONDS", 0.05)
    with pytest.raises(UnreachableError, match="CustomResourceDefinitions"):
        asyncio.run(asyncio.wait_for(prove(EndlessTransport(FakeApi().transport.answer)), 5))


def _fall_silent(path: str, silent: str) -> None:
    if path == silent:
        message = f"GET {path}: no response"
        raise UnreachableError(message)


@pytest.mark.invariant(27)
@given(turns=TURNS, faults=st.sets(st.sampled_from(FAULTS), min_size=1))
def test_what_is_wrong_is_named_in_one_order_whichever_answer_comes_first(turns: list[int], faults: set[str]) -> None:
    async def outcome(transport: FakeTransport) -> tuple[type[Exception], str, int]:
        try:
            await prove(transport)
        except Exception as error:  # noqa: BLE001 - which one it is, is what is compared
            return type(error), str(error), len(asyncio.all_tasks())
        pytest.fail("proven")

    api = broken_api(sorted(faults))
    late = LateTransport(api.transport, turns)
    on_time, ended_late = asyncio.run(outcome(api.transport)), asyncio.run(outcome(late))
    assert ended_late == on_time
    assert late.log.count("read began") == late.log.count("read ended"), "something goes on behind the proof"
    assert (on_time[0].__name__ == "BypassedError") is ("a definition of others" in faults)


@pytest.mark.invariant(27)
@given(turns=TURNS)
def test_a_collection_that_cannot_be_listed_is_refused(turns: list[int]) -> None:
    api = FakeApi()
    api.routes_answer = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "apiservices is forbidden"})
    with pytest.raises(RefusedError, match="the APIServices cannot be read"):
        asyncio.run(prove(LateTransport(api.transport, turns)))
