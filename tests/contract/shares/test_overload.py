"""More requests at once than may be under way: who is refused and how, and that it costs nobody anything.

Requests wait here for a subject's token, as they do for an API server that is slow.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import pytest

from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.metrics.table import CallerClass, Overload, Use
from bailiwick_webhook.steps import Step
from contract.asking_alone import PEP, LoneClient, asking, body, stored
from support.objects import gated_rule, rule
from support.pdp.alone import Alone, NamedTokens, _proven
from support.pdp.questions import Said

OTHER: Final = "system:serviceaccount:crm:another"
# Of these the enforcers' part is 12, and that of all others 4.
MOST: Final = 16
BOUNDS: Final = Bounds(requests_at_once=MOST, others_percent=25)
# One sender alone has as many as it leaves free of its part.
SHARE: Final = 6
OTHERS_SHARE: Final = 2
# The smallest that there can be: one for enforcers, and one for others.
ONE: Final = Bounds(requests_at_once=1)
ENFORCERS: Final = {"enforcers": [{"namespace": "crm", "name": name} for name in ("crm-api", "another")]}


class Held(NamedTokens):
    """Knows enforcement points, and tells about subjects and about new callers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.proving = False
        self.proven = {PEP, OTHER}

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        return _proven(token) if token in self.proven else super().authenticate(token, audiences)

    async def _prove(self, token: str) -> AuthenticatedAccount | RefusedToken:
        if self.proving:
            await self.let.wait()
        return await super()._prove(token)

    async def _confirm(self, parsed: CompactToken) -> AuthenticatedAccount | RefusedToken:
        await self.let.wait()
        return await super()._confirm(parsed)


class World:
    """A decision point whose requests can be held up."""

    def __init__(self, alone: Alone, ask: LoneClient, tokens: Held) -> None:
        self.alone, self.ask, self.tokens = alone, ask, tokens
        self._held: list[asyncio.Task[Said]] = []

    @property
    def under_way(self) -> int:
        return sum(self.alone.pdp.counts.under_way)

    @property
    def refused(self) -> dict[tuple[Overload, CallerClass], int]:
        return {why: count for why, count in self.alone.pdp.counts.overloads.items() if count}

    async def hold(self, count: int, caller: str | Callable[[int], str] = PEP) -> None:
        """Have so many more requests under way."""
        names = [caller if isinstance(caller, str) else caller(number) for number in range(count)]
        before = self.under_way
        self._held += [asyncio.create_task(self.ask.post("evaluation", body(), name)) for name in names]
        await self.until(before + count)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.under_way != count:  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.01)

    async def let(self) -> list[int]:
        """Have all of them answered; return with what."""
        self.tokens.let.set()
        answers = await asyncio.gather(*self._held)
        self._held.clear()
        return [answer.status for answer in answers]


@asynccontextmanager
async def world(*, bounds: Bounds = BOUNDS, cluster: object = None) -> AsyncIterator[World]:
    tokens = Held()
    policies = [stored(rule(), gated_rule(), endpointSettings=ENFORCERS)]
    alone = Alone(policies, tokens=tokens, bounds=bounds, cluster=cluster)
    async with asking(alone) as ask:
        yield World(alone, ask, tokens)


async def test_over_its_share_a_sender_is_told_at_once_to_take_it_for_a_denial() -> None:
    async with world() as it:
        await it.hold(SHARE)
        said = await it.ask.post("evaluation", body(), headers={"X-Request-ID": "fifth"})
        assert (said.status, said.headers["Retry-After"], said.headers["X-Request-ID"]) == (429, "1", "fifth")
        assert said.headers["Content-Type"] == "application/problem+json"
        assert said.headers["Cache-Control"] == "no-store"
        assert said.body == {
            "type": "https://bailiwick.dev/problems/overloaded",
            "title": "Overloaded",
            "status": 429,
            "detail": (
                "Too many concurrent requests from this client, or for its namespace. Send fewer at a time. Nothing was"
                " decided or used. Treat this as a denial and retry in a moment."
            ),
            "reason": "overloaded",
        }
        assert it.refused == {(Overload.SHARE, CallerClass.ENFORCERS): 1}
        assert await it.let() == [200] * SHARE
        # And once those are answered, there is room again: all of it.
        assert it.under_way == 0
        it.tokens.let.clear()
        await it.hold(SHARE)
        assert await it.let() == [200] * SHARE


async def test_a_sender_that_takes_all_it_can_leaves_places_for_the_others() -> None:
    async with world() as it:
        await it.hold(SHARE)
        assert (await it.ask.post("evaluation", body())).status == 429
        # Nobody has more than are free: of the six that are left, three.
        await it.hold(3, OTHER)
        assert (await it.ask.post("evaluation", body(), OTHER)).status == 429
        assert await it.let() == [200] * (SHARE + 3)


async def test_where_all_places_are_taken_everybody_is_told_so() -> None:
    async with world(bounds=ONE) as it:
        await it.hold(1)
        said = await it.ask.post("evaluation", body(), OTHER)
        assert (said.status, said.body["detail"].split(".")[0]) == (429, "Too many concurrent requests")
        assert it.refused == {(Overload.FULL, CallerClass.ENFORCERS): 1}
        assert await it.let() == [200]


async def test_callers_that_are_not_proven_yet_stand_together_by_where_they_connect_from() -> None:
    async with world() as it:
        it.tokens.proving = True
        # With a name of its own each: before it is proven, it could be anybody's.
        await it.hold(OTHERS_SHARE, lambda number: f"system:serviceaccount:crm:new-{number}")
        assert (await it.ask.post("evaluation", body(), "system:serviceaccount:crm:one-more")).status == 429
        # Whoever is known need not wait for them.
        await it.hold(SHARE, PEP)
        assert await it.let() == [403] * OTHERS_SHARE + [200] * SHARE
        assert it.under_way == 0


async def test_whoever_was_proven_meanwhile_counts_by_its_name_and_not_twice() -> None:
    async with world() as it:
        # Not known, and proven at once; then the subjects' tokens are waited for.
        it.tokens.proven.clear()
        await it.hold(SHARE, PEP)
        assert (await it.ask.post("evaluation", body(), PEP)).status == 429
        await it.hold(3, OTHER)
        assert await it.let() == [200] * (SHARE + 3)
        assert it.under_way == 0


PATHS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "evaluation": ("evaluation", {}),
    "the same, spelled otherwise": ("%65valuation", {}),
    "a batch": ("evaluations", {"evaluations": [{}, {}]}),
    "a batch of none": ("evaluations", {}),
    "a search for subjects": ("search/subject", {}),
    "a search for resources": ("search/resource", {}),
    "a search for actions": ("search/action", {}),
    "a request for approval": ("requests", {}),
    "its cancellation": ("requests/agr-x.y/cancel", {}),
}


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_that_may_wait_is_bounded_and_gives_its_place_back(path: str) -> None:
    last, more = PATHS[path]
    async with world() as it:
        await it.hold(SHARE)
        said = await it.ask.post(last, {**body(), **more})
        assert (said.status, said.body["reason"]) == (429, "overloaded")
        await it.let()
        for _ in range(MOST):
            assert (await it.ask.post(last, {**body(), **more})).status != 429
        assert it.under_way == 0


async def test_polling_is_bounded_and_gives_its_place_back() -> None:
    async with world() as it:

        async def poll() -> int:
            path, headers = "/endpoints/crm/crm-api/access/v1/requests/none", {"Authorization": f"Bearer {PEP}"}
            async with it.ask._client.get(path, headers=headers) as answer:
                return answer.status

        await it.hold(SHARE)
        assert await poll() == 429
        await it.let()
        for _ in range(MOST):
            assert await poll() == 404
        assert it.under_way == 0


@pytest.mark.parametrize(
    "path", ["/.well-known/authzen-configuration/endpoints/crm/crm-api", "/.well-known/jwks.json", "/nothing"]
)
async def test_what_waits_for_nobody_takes_no_place(path: str) -> None:
    async with world(bounds=ONE) as it:
        await it.hold(1)
        assert (await it.ask.get(path)).status in {200, 404}
        await it.let()


async def test_a_refused_request_is_no_decision_and_leaves_no_record() -> None:
    async with world() as it:
        await it.hold(SHARE)
        decisions = it.alone.pdp.counts.evaluation.outcomes
        before = json.dumps(decisions)
        assert (await it.ask.post("evaluation", body())).status == 429
        assert (json.dumps(decisions), it.alone.records.lines) == (before, [])
        await it.let()
        assert len(it.alone.records.lines) == SHARE


async def test_a_refused_request_is_refused_before_its_body_is_there() -> None:
    async with world() as it:
        await it.hold(SHARE)
        # Whose body never comes: waiting for it would take a place, and ten seconds.
        reader, writer = await asyncio.open_connection("127.0.0.1", it.ask._client._build_url("/").port)
        writer.write(
            b"POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" % PEP.encode()
        )
        assert (await asyncio.wait_for(reader.readline(), 9)).startswith(b"HTTP/1.1 429")
        writer.close()
        await it.let()


ENDS: Final[dict[str, Callable[[LoneClient], Awaitable[Said]]]] = {
    "200": lambda ask: ask.post("evaluation", body()),
    "400": lambda ask: ask.post("evaluation", {}),
    "401": lambda ask: ask.post("evaluation", body(), "nobody"),
    "403": lambda ask: ask.post("evaluation", body(), "system:serviceaccount:no:body"),
    "404": lambda ask: ask.post("nothing", body()),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_place_is_given_back_once_however_its_request_ends(end: str) -> None:
    async with world() as it:
        it.tokens.let.set()
        for _ in range(MOST + 1):
            assert (await ENDS[end](it.ask)).status == int(end)
        assert it.under_way == 0
        # Not one too many, either.
        it.tokens.let.clear()
        await it.hold(SHARE)
        assert (await it.ask.post("evaluation", body())).status == 429
        await it.let()


async def test_a_place_is_given_back_where_its_request_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as it:
        monkeypatch.setattr(it.alone.pdp, "evaluate", None)
        it.tokens.let.set()
        for _ in range(MOST + 1):
            assert (await it.ask.post("evaluation", body())).status == 500
        assert it.under_way == 0


async def test_a_place_is_given_back_where_the_caller_went_away() -> None:
    async with world() as it:
        await it.hold(SHARE)
        for task in it._held:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await it.let()
        await it.until(0)


class Uses:
    """Stands for an API server that no use may reach."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any call
        pytest.fail(f"{name} was asked for")


async def test_a_refused_request_for_what_needs_an_approval_asks_the_api_server_nothing() -> None:
    async with world(cluster=Uses()) as it:
        await it.hold(SHARE)
        for path in ("evaluation", "evaluations", "requests"):
            said = await it.ask.post(path, {**body(action="customers.export"), "evaluations": [{}]})
            assert said.status == 429
        assert it.alone.pdp.counts.uses == dict.fromkeys(Use, 0)
        await it.let()


def test_its_code_is_none_of_a_verdict() -> None:
    # Else an evaluation that was decided could carry it.
    assert "overloaded" not in iter(cast("Iterator[str]", Reason))
