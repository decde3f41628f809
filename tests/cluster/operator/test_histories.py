"""Retention of histories on a real API server: what ended goes, and a write between look and deletion wins.

Holds: histories are written by the decision point's account, and looked at and deleted by the operator's.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import KEEP_UNTIL_LABEL
from bailiwick_kube.access import from_kubeconfig
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.histories.sweeper import HistorySweeper
from bailiwick_operator.kube import HISTORIES_PATH, OperatorClient
from bailiwick_operator.loop.clock import Clock
from cluster.operator.operatorprocess import Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, changed, history
from support.waits import until

STEADY_SECONDS: Final = 3.2
FORM: Final = "%Y-%m-%dT%H"


def hour(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime(FORM)


class HeldClient(OperatorClient):
    """The operator's client, held up before each deletion by `before`, which is passed the metadata."""

    before: Callable[[Object], None] = staticmethod(lambda _metadata: None)

    async def delete_history(self, metadata: Object) -> ApiResponse:
        await asyncio.to_thread(self.before, metadata)
        return await super().delete_history(metadata)


@asynccontextmanager
async def sweeping(kubeconfig: Path) -> AsyncIterator[tuple[HeldClient, HistorySweeper]]:
    """Yield the operator's client and a sweeper whose clock is trusted."""
    transport = HttpTransport(from_kubeconfig(kubeconfig), 10.0, "test")
    try:
        kube = HeldClient(transport, lambda: True)
        clock = Clock(transport.clock)
        await kube.get(HISTORIES_PATH, {"limit": "1"})
        assert clock.check() or await _steady(clock)
        yield kube, HistorySweeper(kube, clock)
    finally:
        await transport.close()


async def _steady(clock: Clock) -> bool:
    await asyncio.sleep(STEADY_SECONDS)
    return clock.check()


@pytest.fixture
def pdp(callers: Callers, installed: Installation) -> Rest:
    return callers(installed.webhook)


@pytest.fixture
def store(pdp: Rest, namespace: str) -> Callable[..., Object]:
    def stored(label: str | None, **spec: object) -> Object:
        made = history(namespace, f"h-{secrets.token_hex(20)}", **spec)
        labels = made["metadata"]["labels"] | ({KEEP_UNTIL_LABEL: label} if label is not None else {})
        return accepted(pdp.create(changed(made, "metadata.labels", labels)))

    return stored


@pytest.fixture(autouse=True)
def _gone_after(callers: Callers, installed: Installation, namespace: str) -> Iterator[None]:
    yield
    for one in accepted(callers.admin.get(HISTORIES_PATH))["items"]:
        metadata = one["metadata"]
        callers(installed.operator).delete(f"{path_of(metadata['namespace'])}/{metadata['name']}")


def path_of(namespace: str) -> str:
    return f"/apis/bailiwick.dev/v1alpha1/namespaces/{namespace}/endpointhistories"


def names(admin: Rest) -> set[str]:
    return {one["metadata"]["name"] for one in accepted(admin.get(HISTORIES_PATH))["items"]}


@pytest.mark.invariant(29)
def test_only_what_ended_is_deleted(account: Path, store: Callable[..., Object], callers: Callers) -> None:
    ended = [store(hour(-1)), store(hour(0)), store("2020-01-01T00")]
    kept = [store(hour(1)), store(hour(48)), store(None), store("forever")]
    # An object of the size that the largest state has, since only its metadata is to be read.
    kept.append(store(hour(2), recent="x" * 65_536))

    async def sweep() -> None:
        async with sweeping(account) as (kube, sweeper):
            items = [item async for page in kube.metadata_pages(HISTORIES_PATH) for item in page.items]
            assert (len(items), [item for item in items if "spec" in item]) == (len(ended) + len(kept), [])
            assert await sweeper.round() is False
            assert (sweeper.problem, sweeper.objects, sweeper.undated) == (None, len(ended) + len(kept), 2)
            assert sweeper.outcomes["deleted"] == len(ended)

    asyncio.run(sweep())
    assert names(callers.admin) == {one["metadata"]["name"] for one in kept}


@pytest.mark.invariant(29)
def test_a_write_between_look_and_deletion_wins(
    account: Path, store: Callable[..., Object], pdp: Rest, callers: Callers
) -> None:
    first, second = store(hour(-1)), store(hour(-1))

    def count_further(metadata: Object) -> None:
        if metadata["name"] == first["metadata"]["name"]:
            accepted(pdp.replace(changed(first, "spec.seq", 2)))

    async def sweep() -> None:
        async with sweeping(account) as (kube, sweeper):
            kube.before = count_further
            await sweeper.round()
            assert (sweeper.outcomes["changed"], sweeper.outcomes["deleted"], sweeper.problem) == (1, 1, None)

    asyncio.run(sweep())
    assert names(callers.admin) == {first["metadata"]["name"]}
    assert not callers.admin.get(second).ok


@pytest.mark.invariant(29)
def test_one_that_was_made_anew_in_between_is_not_deleted(
    account: Path, store: Callable[..., Object], pdp: Rest, callers: Callers, installed: Installation
) -> None:
    old = store(hour(-1))

    def make_anew(_metadata: Object) -> None:
        accepted(callers(installed.operator).delete(old))
        accepted(pdp.create({**history(old["metadata"]["namespace"], old["metadata"]["name"])}))

    async def sweep() -> None:
        async with sweeping(account) as (kube, sweeper):
            kube.before = make_anew
            await sweeper.round()
            assert (sweeper.outcomes["changed"], sweeper.problem) == (1, None)

    asyncio.run(sweep())
    assert names(callers.admin) == {old["metadata"]["name"]}


@pytest.mark.invariant(29)
def test_a_write_upon_what_was_deleted_counts_nothing(
    account: Path, store: Callable[..., Object], pdp: Rest, callers: Callers
) -> None:
    stored = store(hour(-1))

    async def sweep() -> None:
        async with sweeping(account) as (_, sweeper):
            await sweeper.round()

    asyncio.run(sweep())
    # The decision point judged by a version that is gone: it has to read again, and begins at the first call.
    answer = pdp.replace(changed(stored, "spec.seq", 2))
    assert (answer.status, names(callers.admin)) == (404, set())


def test_a_leading_operator_deletes_by_itself_as_soon_as_it_leads(
    store: Callable[..., Object], operator_beside: Callable[[], Operator], callers: Callers
) -> None:
    ended, kept = store(hour(-1)), store(hour(1))
    operator_beside()
    until(lambda: names(callers.admin) == {kept["metadata"]["name"]}, "the ended history is gone", 30)
    assert not callers.admin.get(ended).ok


@pytest.fixture
def operator_beside(request: pytest.FixtureRequest) -> Callable[[], Operator]:
    """Start the module's operator only when the test has stored what it needs."""

    def start() -> Operator:
        operator: Operator = request.getfixturevalue("operator")
        return operator

    return start
