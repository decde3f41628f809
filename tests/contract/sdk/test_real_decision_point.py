"""The SDK against the real decision point, as a process over the quickstart's policies, for threads and for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from bailiwick import AsyncBailiwick, Bailiwick, Call, Denied, HttpRequest, NotSentError, Resource, Unavailable
from bailiwick.testing import FakePDP, ReviewError, token_for
from bailiwick.transports.aiohttp import AiohttpTransport
from bailiwick.transports.http import AsyncHttpTransport, SyncHttpTransport
from support.pages import DOCS

POLICIES: Final = DOCS.parent / "examples" / "quickstart"
ENDPOINT: Final = "crm/crm-api"
TOKEN: Final = token_for("system:serviceaccount:agents:crm-agent")
LIST: Final = Call(token=TOKEN, action="customers.list", resource=Resource("customer", "*"))
EXPORT: Final = Call(
    token=TOKEN, action="customers.export", resource=Resource("customer", "42"), args={"fields": ["name"]}
)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakePDP]:
    with FakePDP(POLICIES) as running:
        yield running


@pytest.fixture
def pdp(fake: FakePDP) -> Iterator[Bailiwick]:
    with fake.client(ENDPOINT) as client:
        yield client


@pytest.fixture(params=[AsyncHttpTransport, AiohttpTransport])
async def aio(fake: FakePDP, request: pytest.FixtureRequest) -> AsyncIterator[AsyncBailiwick]:
    transport = request.param()
    async with AsyncBailiwick(fake.url, endpoint=ENDPOINT, token=lambda: "own", transport=transport) as client:
        yield client


def test_what_a_rule_allows_is_allowed(pdp: Bailiwick) -> None:
    decision = pdp.require(LIST)
    assert (decision.reason, decision.attempts) == ("allowed", 1)
    assert decision.evaluation_id


def test_what_needs_an_approval_is_denied(pdp: Bailiwick) -> None:
    with pytest.raises(Denied) as caught:
        pdp.require(EXPORT)
    assert caught.value.decision.reason == "approval_required"


def test_a_dry_run_says_what_a_call_would_come_to_and_permits_nothing(pdp: Bailiwick) -> None:
    alone = [pdp.evaluate(one, dry_run=True) for one in (LIST, EXPORT)]
    batch = pdp.evaluate_many([LIST, EXPORT], dry_run=True)
    for listed, exported in (alone, batch):
        assert (listed.allowed, listed.would_allow, listed.reason) == (False, True, "dry_run")
        assert (exported.allowed, exported.would_allow, exported.reason) == (False, False, "approval_required")
        assert listed.context["dry_run"] is exported.context["dry_run"] is True


def test_a_batch_is_decided_in_order(pdp: Bailiwick) -> None:
    assert [one.allowed for one in pdp.evaluate_many([LIST, EXPORT, LIST])] == [True, False, True]


@pytest.mark.parametrize(
    ("semantic", "reasons"),
    [
        ("deny_on_first_deny", ["allowed", "approval_required", "not_evaluated"]),
        ("permit_on_first_permit", ["allowed", "not_evaluated", "not_evaluated"]),
    ],
)
def test_a_batch_ends_where_it_is_settled(pdp: Bailiwick, semantic: str, reasons: list[str]) -> None:
    assert [one.reason for one in pdp.evaluate_many([LIST, EXPORT, LIST], semantic=semantic)] == reasons


def test_searches_find_what_the_policy_names(pdp: Bailiwick) -> None:
    assert pdp.search_actions(None, Resource("customer", "42"), token=TOKEN).found == ({"name": "customers.list"},)
    subjects = pdp.search_subjects("serviceAccount", "customers.list", Resource("customer", "42"))
    assert [one["id"] for one in subjects.found] == ["system:serviceaccount:agents:crm-agent"]
    assert pdp.search_resources(None, "customers.list", "customer", token=TOKEN).incomplete


OWNERS: Final = ("crm-owners",)


def export(resource: str) -> Call:
    return Call(token=TOKEN, action="customers.export", resource=Resource("customer", resource), args={"n": 1})


def test_a_request_is_approved_and_used_once(fake: FakePDP, pdp: Bailiwick) -> None:
    call = export("approved")
    requested = pdp.request_approval(call, reason="INC-1")
    assert requested.status == "pending"
    fake.approve(ENDPOINT, groups=OWNERS)
    assert [pdp.evaluate(call).reason for _ in range(2)] == ["allowed", "approval_consumed"]


def test_a_request_is_denied_by_its_task(fake: FakePDP, pdp: Bailiwick) -> None:
    call = export("denied")
    requested = pdp.request_approval(call, reason="INC-1")
    fake.deny(ENDPOINT, groups=OWNERS, task=requested.id)
    assert pdp.evaluate(call).reason == "approval_denied"


def test_a_review_that_the_rule_does_not_accept_is_refused_with_the_reason(fake: FakePDP, pdp: Bailiwick) -> None:
    requested = pdp.request_approval(export("refused"), reason="INC-1")
    with pytest.raises(ReviewError, match="needs a person in the group crm-owners"):
        fake.approve(ENDPOINT, groups=["sales"], task=requested.id)
    with pytest.raises(ReviewError, match="No pending request of this endpoint has this task id"):
        fake.approve(ENDPOINT, groups=OWNERS, task="agr-none.uid")
    fake.deny(ENDPOINT, groups=OWNERS, task=requested.id)


def test_an_endpoint_that_there_is_not_is_an_application_that_may_not_ask(fake: FakePDP) -> None:
    with fake.client("crm/other") as client, pytest.raises(Denied):
        client.require(LIST)


async def test_it_is_the_same_under_asyncio(aio: AsyncBailiwick) -> None:
    assert (await aio.require(LIST)).allowed
    with pytest.raises(Denied):
        await aio.require(EXPORT)
    assert [one.allowed for one in await aio.evaluate_many([LIST, EXPORT])] == [True, False]
    found = await aio.search_actions(None, Resource("customer", "42"), token=TOKEN)
    assert found.found == ({"name": "customers.list"},)


async def test_many_at_once_are_each_their_own(aio: AsyncBailiwick) -> None:
    decisions = await asyncio.gather(*(aio.evaluate(LIST if each % 2 else EXPORT) for each in range(40)))
    assert [one.allowed for one in decisions] == [bool(each % 2) for each in range(40)]
    assert len({one.evaluation_id for one in decisions}) == 40


def test_nobody_at_the_port_is_unavailable_after_three_tries() -> None:
    nowhere = Bailiwick("http://127.0.0.1:9", endpoint=ENDPOINT, token=None, deadline=0.5)
    with nowhere as client, pytest.raises(Unavailable) as caught:
        client.require(LIST)
    assert caught.value.decision.attempts == 3


async def test_nobody_at_the_port_is_known_as_not_sent_by_every_transport() -> None:
    request = HttpRequest("http://127.0.0.1:9/", {}, b"{}")
    with pytest.raises(NotSentError):
        SyncHttpTransport().send(request, 1.0)
    for transport in (AsyncHttpTransport(), AiohttpTransport()):
        with pytest.raises(NotSentError):
            await transport.send(request, 1.0)
        await transport.close()
