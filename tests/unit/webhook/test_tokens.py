"""What is remembered about a token, for how long, and what counts while the API server cannot be asked."""

import asyncio
import base64
import json
from typing import Any, Final

import pytest

from bailiwick_engine.reasons import Reason
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.identity.tokens import FRESH, MAX_TOKEN, Proven, Refused, Tokens

USERNAME: Final = "system:serviceaccount:crm:crm-api"
AUDIENCES: Final = frozenset({"bailiwick"})
STALE_AFTER: Final = 120.0


class Reviews:
    """Stands for TokenReview. `status` is what it answers, None while it cannot be asked."""

    def __init__(self) -> None:
        self.status: dict[str, Any] | None = {
            "authenticated": True,
            "user": {"username": USERNAME, "uid": "uid-1"},
            "audiences": ["bailiwick"],
        }
        self.asked: list[tuple[str, list[str]]] = []

    async def review_token(self, token: str, audiences: list[str]) -> dict[str, Any]:
        self.asked.append((token, audiences))
        await asyncio.sleep(0)
        if self.status is None:
            raise ClusterUnavailableError("down")
        return self.status


class Bench:
    """Tokens over such reviews, and a clock that tests move."""

    def __init__(self) -> None:
        self.reviews = Reviews()
        self.clock = 1000.0
        self.tokens = Tokens(
            self.reviews,  # type: ignore[arg-type]  # stands for the cluster
            max_staleness=STALE_AFTER,
            clock=lambda: self.clock,
            now=lambda: self.clock,
        )

    async def prove(self, token: str = "a.b.c", audiences: frozenset[str] = AUDIENCES) -> Proven | Refused:
        return await self.tokens.prove(token, audiences)

    async def outcome(self, token: str = "a.b.c") -> str | Reason:
        found = await self.prove(token)
        if isinstance(found, Refused):
            return found.reason
        return "live" if found.live else "remembered"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def token_of(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


async def test_an_answer_serves_for_ten_seconds_and_is_then_asked_for_again(bench: Bench) -> None:
    for seconds, asked in ((0, 1), (FRESH - 0.1, 1), (0.2, 2), (FRESH, 2), (0.1, 3)):
        bench.clock += seconds
        assert await bench.outcome() == "live"
        assert len(bench.reviews.asked) == asked


async def test_a_refusal_is_remembered_as_long_and_no_longer(bench: Bench) -> None:
    good, bench.reviews.status = bench.reviews.status, {"authenticated": False}
    assert [await bench.outcome(), await bench.outcome()] == [Reason.IDENTITY_INVALID] * 2
    assert len(bench.reviews.asked) == 1
    bench.reviews.status = good
    bench.clock += FRESH + 0.1
    assert await bench.outcome() == "live"


async def test_audiences_and_tokens_are_remembered_apart(bench: Bench) -> None:
    assert isinstance(await bench.prove(), Proven)
    assert await bench.prove(audiences=frozenset({"crm-api.crm"})) == Refused(Reason.IDENTITY_INVALID)
    assert isinstance(await bench.prove("d.e.f"), Proven)
    assert len(bench.reviews.asked) == 3


async def test_many_calls_with_one_token_ask_once(bench: Bench) -> None:
    outcomes = await asyncio.gather(*(bench.outcome() for _ in range(50)))
    assert (set(outcomes), len(bench.reviews.asked)) == ({"live"}, 1)


async def test_a_caller_that_goes_away_does_not_spoil_the_answer_for_the_others(bench: Bench) -> None:
    first, second = asyncio.create_task(bench.outcome()), asyncio.create_task(bench.outcome())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "live"
    assert len(bench.reviews.asked) == 1


async def test_in_an_outage_the_last_positive_answer_holds_until_it_is_stale_and_is_not_live(bench: Bench) -> None:
    assert await bench.outcome() == "live"
    bench.reviews.status = None
    bench.clock += FRESH
    assert await bench.outcome() == "live"
    bench.clock += 1
    assert await bench.outcome() == "remembered"
    bench.clock += STALE_AFTER - FRESH - 1
    assert await bench.outcome() == "remembered"
    bench.clock += 0.1
    assert await bench.outcome() == Reason.IDENTITY_UNVERIFIABLE


async def test_an_outage_does_not_make_an_answer_younger(bench: Bench) -> None:
    assert await bench.outcome() == "live"
    bench.reviews.status = None
    for _ in range(11):
        bench.clock += STALE_AFTER / 10
        await bench.outcome()
    assert await bench.outcome() == Reason.IDENTITY_UNVERIFIABLE


async def test_in_an_outage_a_token_first_seen_and_one_refused_before_prove_nothing(bench: Bench) -> None:
    bench.reviews.status = {"authenticated": False}
    assert await bench.outcome("refused") == Reason.IDENTITY_INVALID
    bench.reviews.status = None
    bench.clock += FRESH + 1
    assert await bench.outcome("refused") == Reason.IDENTITY_INVALID
    assert await bench.outcome("new") == Reason.IDENTITY_UNVERIFIABLE


async def test_a_deletion_that_was_seen_is_not_forgotten_in_an_outage(bench: Bench) -> None:
    assert await bench.outcome() == "live"
    bench.clock += FRESH + 1
    bench.reviews.status = {"authenticated": False}
    assert await bench.outcome() == Reason.IDENTITY_INVALID
    bench.reviews.status = None
    bench.clock += FRESH + 1
    assert await bench.outcome() == Reason.IDENTITY_INVALID


@pytest.mark.parametrize("down", [False, True])
async def test_a_token_that_ended_is_refused_though_its_answer_is_remembered(bench: Bench, *, down: bool) -> None:
    token = token_of(exp=bench.clock + 5)
    assert await bench.outcome(token) == "live"
    if down:
        bench.reviews.status = None
        bench.clock += FRESH + 1
    else:
        bench.clock += 5
    assert await bench.outcome(token) == Reason.IDENTITY_INVALID


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": "true", "user": {"username": USERNAME, "uid": "u"}, "audiences": ["bailiwick"]},
        {"authenticated": True, "user": {"username": USERNAME, "uid": "u"}},
        {"authenticated": True, "user": {"username": USERNAME, "uid": "u"}, "audiences": []},
        {"authenticated": True, "user": {"username": USERNAME, "uid": "u"}, "audiences": ["another"]},
        {"authenticated": True, "user": {"username": USERNAME}, "audiences": ["bailiwick"]},
        {"authenticated": True, "user": {"username": "carol", "uid": "u"}, "audiences": ["bailiwick"]},
        {"authenticated": True, "user": {"username": "system:node:a", "uid": "u"}, "audiences": ["bailiwick"]},
        {"authenticated": True, "audiences": ["bailiwick"]},
    ],
    ids=["nothing", "a string", "no audiences", "empty", "another", "no uid", "a person", "a node", "nobody"],
)
async def test_what_the_api_server_does_not_confirm_in_full_is_refused(bench: Bench, status: dict[str, Any]) -> None:
    bench.reviews.status = status
    assert await bench.outcome() == Reason.IDENTITY_INVALID


async def test_a_refused_token_for_another_audience_is_told_so(bench: Bench) -> None:
    bench.reviews.status = {"authenticated": False}
    for said in ("another", ["another", "third"]):
        assert await bench.outcome(token_of(aud=said)) == Reason.AUDIENCE_MISMATCH
    claims: list[object] = ["bailiwick", ["another", "bailiwick"], None, 7, {}, [7]]
    for claim in claims:
        assert await bench.outcome(token_of(aud=claim)) == Reason.IDENTITY_INVALID


@pytest.mark.parametrize("token", ["", "x" * (MAX_TOKEN + 1), "caf\u00e9.b.c"])
async def test_what_cannot_be_a_token_is_not_even_asked_about(bench: Bench, token: str) -> None:
    assert await bench.outcome(token) == Reason.IDENTITY_INVALID
    assert bench.reviews.asked == []


@pytest.mark.parametrize("payload", ["e30", "W10", "bnVsbA", "!!!", "eyJleHAiOiAic29vbiJ9", "eyJleHAiOiBudWxsfQ", ""])
async def test_claims_that_cannot_be_read_do_not_matter_where_the_api_server_confirms(
    bench: Bench, payload: str
) -> None:
    assert await bench.outcome(f"e30.{payload}.c2ln") == "live"


async def test_a_defect_is_not_remembered_as_an_answer(bench: Bench) -> None:
    good, bench.reviews.status = bench.reviews.status, {"authenticated": True, "user": "carol"}
    with pytest.raises(AttributeError):
        await bench.prove()
    bench.reviews.status = good
    assert await bench.outcome() == "live"
