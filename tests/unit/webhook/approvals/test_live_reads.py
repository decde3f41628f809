"""One look at a pending grant before it is told to be pending: by whom, how often, and what comes of it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import ShownApproval, Token
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals.livereads import BURST, INTERVAL, SECONDS, LiveReads, looked_for
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.evaluation import EvaluationRequest
from support.objects import gated_rule
from support.virtualtime import VirtualTime, virtual_time
from unit.engine.cases import AGENT_UID, CALL, NOW, asked as opened, governed, read, verdict_of

__all__ = ["virtual_time"]

GATED: Final = governed(gated_rule())
PENDING: Final = {**opened(GATED), "status": {"phase": "Pending"}}
PLACE: Final = ("crm", "agr-opened")


@dataclass
class Server:
    """Counts its reads, and answers when it is told to."""

    begun: list[tuple[str, str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        self.begun.append((namespace, name))
        self.reached.set()
        await self.go.wait()
        if self.silent:
            raise ClusterUnavailableError("no answer")
        return ApiResponse(200, {"number": len(self.begun)}, NOW)


@dataclass
class Bench:
    """Reads of one decision point."""

    clock: VirtualTime
    server: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        self.server.go.set()
        self.reads = LiveReads(cast("Any", self.server), self.clock.monotonic)

    async def number(self, name: str = "agr-opened", namespace: str = "crm", since: float | None = None) -> int | None:
        """Return the how manyth read a caller gets, None: none."""
        answer = await self.reads.read((namespace, name), since)
        return None if answer is None else answer.body["number"]


@pytest.fixture
async def bench(virtual_time: VirtualTime) -> Bench:
    return Bench(virtual_time)


class TestReads:
    async def test_of_one_grant_are_shared_by_all_who_came_before_it_began(self, bench: Bench) -> None:
        await bench.number()
        # Within the interval of the first: all of them wait for the second.
        assert await asyncio.gather(*(bench.number() for _ in range(50))) == [2] * 50
        assert len(bench.server.begun) == 2

    async def test_that_began_before_a_caller_came_are_not_what_they_get(self, bench: Bench) -> None:
        bench.server.go.clear()
        first = asyncio.create_task(bench.number())
        await bench.server.reached.wait()
        second = asyncio.create_task(bench.number())
        await asyncio.sleep(0)
        bench.server.go.set()
        assert (await first, await second) == (1, 2)

    async def test_of_a_batch_are_taken_from_what_began_since_it_did(self, bench: Bench) -> None:
        since = bench.reads._clock()
        assert [await bench.number(since=since) for _ in range(20)] == [1] * 20
        assert await bench.number() == 2

    async def test_of_one_grant_are_at_most_one_each_interval(self, bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in (1, 2, 3):
            assert await bench.number() == number
        assert loop.time() - began >= 2 * INTERVAL

    async def test_of_one_namespace_are_bounded_and_of_the_others_are_not_touched(self, bench: Bench) -> None:
        many = [await bench.number(f"agr-{number}") for number in range(int(BURST) + 5)]
        assert [one is not None for one in many] == [True] * int(BURST) + [False] * 5
        assert await bench.number("agr-0", "hr") is not None

    async def test_that_have_no_answer_are_given_up_and_nobody_asks_for_a_while(self, bench: Bench) -> None:
        bench.server.go.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await asyncio.gather(*(bench.number(f"agr-{number}") for number in range(5))) == [None] * 5
        assert await bench.number("agr-x") is None
        assert loop.time() - began == pytest.approx(SECONDS)
        assert len(bench.server.begun) == 5
        bench.server.go.set()
        await asyncio.sleep(SECONDS)
        assert await bench.number("agr-x") is not None

    async def test_that_are_refused_are_none(self, bench: Bench) -> None:
        bench.server.silent = True
        assert await bench.number() is None

    async def test_are_forgotten_soon(self, bench: Bench) -> None:
        await asyncio.gather(*(bench.number(f"agr-{number}") for number in range(int(BURST) + 5)))
        await asyncio.sleep(60)
        assert bench.reads._of == {}


def asked(**fields: Any) -> EvaluationRequest:  # noqa: ANN401 - fields of a call
    return EvaluationRequest(replace(CALL, **fields), None, live_identity=True)


def pending(**fields: Any) -> tuple[EvaluationRequest, Verdict]:  # noqa: ANN401 - likewise
    call = asked(**fields)
    return call, verdict_of(GATED, call.call, [read(PENDING)])


class TestWhatIsLookedFor:
    def test_is_the_grant_that_memory_has_as_pending(self) -> None:
        call, verdict = pending()
        assert verdict.reason is Reason.APPROVAL_PENDING
        assert looked_for(call, verdict) == (PLACE, "grant-uid")

    @pytest.mark.parametrize("by_token", [False, True])
    def test_is_the_grant_that_is_shown_and_not_known(self, by_token: bool) -> None:
        token = Token("agr-other.other-uid", None, AGENT_UID) if by_token else None
        call = asked(shown=ShownApproval("agr-other.other-uid", token))
        for known in ([], [read(PENDING)]):
            verdict = verdict_of(GATED, call.call, known)
            assert verdict.reason is Reason.APPROVAL_REQUIRED
            assert looked_for(call, verdict) == (("crm", "agr-other"), "other-uid")

    @pytest.mark.parametrize(
        "shown",
        [
            None,
            ShownApproval("agr-other.uid", invalid=True),
            ShownApproval("../../secrets/x.uid"),
            ShownApproval("x"),
            ShownApproval(".uid"),
            ShownApproval(""),
        ],
    )
    def test_is_nothing_where_nothing_that_can_be_read_is_shown(self, shown: ShownApproval | None) -> None:
        call = asked(shown=shown)
        assert looked_for(call, verdict_of(GATED, call.call)) is None

    def test_is_nothing_for_a_dry_run(self) -> None:
        call, verdict = pending()
        assert looked_for(call, replace(verdict, dry_run=True)) is None

    def test_is_nothing_where_memory_says_anything_else(self) -> None:
        over = {**PENDING, "status": {"phase": "Expired"}}
        call = asked()
        assert looked_for(call, verdict_of(GATED, call.call, [read(over)])) is None
        assert looked_for(call, verdict_of(governed())) is None
