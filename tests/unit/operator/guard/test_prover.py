"""One proof: what it reads before what, however long each answer takes, and which of several faults it names."""

import asyncio
import itertools
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.approval.apiroutes import REQUIRED
from bailiwick_engine.approval.fingerprint import paths
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.guard.prover import Prover
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


def step_of(request: ApiRequest) -> str:
    if "dryRun" in (request.query or {}):
        return "dry run"
    return "version" if request.path == GRANTS_PATH else "read"


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
    assert set(late.log[2:first_dry_run]) == {"read began", "read ended"}
    assert late.log[2:first_dry_run].count("read began") == late.log.count("read ended")


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
