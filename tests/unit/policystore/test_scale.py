"""Ten thousand policies: how long the loop waits for them at most, and that one that is poisoned denies only its own.

What is counted are the calls of each callback of the loop, which are the same on whatever machine.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec
import orjson
import pytest

from bailiwick_engine.call import Party, ServiceAccount
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_kube.lists import ListPage
from bailiwick_policystore.controller import PolicyController
from bailiwick_process import collector
from bailiwick_webhook.cluster.client import GRANTS, POLICIES, Collection, HistoryGoneError
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.listwatch import ListWatch, Sink
from bailiwick_webhook.store.pulse import Pulse
from support.callbackcounts import counted
from support.objects import ENDPOINT, Object, changed, opened_grant, policy, rule, settings, subject
from unit.engine.cases import AROUND, CALL

pytestmark = pytest.mark.long

COUNT: Final = 10_000
TOGETHER: Final = 4
# Of calls and returns in one callback: 5,104 were the most, where the whole took eighteen million.
STEP: Final = 8_000
PAGE: Final = 200
BROKEN, UNREADABLE, EDITED = 7_777, 5_000, 1_234
GONE: Final = range(9_000, 9_100)
CHANGED: Final = 100
BROKEN_RULE: Final = rule(conditions=[{"name": "typed", "expression": "resource.idd == "}])
GATEWAY: Final = ServiceAccount("system:serviceaccount:gateways:gateway", "gateway-uid")


def agent(number: int) -> str:
    return f"system:serviceaccount:agents:agent-{number:05}"


def made(number: int) -> Object:
    """Return one of four policies of an endpoint, each with a subject of its own."""
    namespace = f"team-{number // TOGETHER:05}"
    stored = policy(namespace, f"p{number:05}", subjects=[subject(account=f"agent-{number:05}")])
    stored["metadata"] |= {"uid": f"uid-{number:05}", "generation": 1, "resourceVersion": "1"}
    if number % TOGETHER == 0:
        stored["spec"]["endpointSettings"] = settings("gateways", "gateway")
    if number % 100 == 0:
        stored["spec"]["rules"][0]["conditions"] = [{"name": "any", "expression": "resource.id != 'none'"}]
    if number == BROKEN:
        stored["spec"]["rules"] = [BROKEN_RULE]
    if number == UNREADABLE:
        stored["spec"]["subjects"] = "whoever"
    return stored


def grant(number: int) -> Object:
    stored = opened_grant(f"team-{number // TOGETHER:05}")
    stored["metadata"] |= {"name": f"agr-{number:05}", "uid": f"grant-{number}", "resourceVersion": "1"}
    stored["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    stored["spec"]["request"]["subject"]["uid"] = f"agent-{number}"
    return stored


class Server:
    """Lists its first pages and then the others; tells what is put into `events`; None: that history is gone.

    Text, as on the wire: a million objects of the test's own would have to be walked over by the collector.
    """

    def __init__(self, *lists: list[bytes]) -> None:
        self.events: asyncio.Queue[tuple[str, Object] | None] = asyncio.Queue()
        # Each begins once the list before it is taken up whole.
        self.watches = 0
        self._lists = list(lists)

    async def pages(self, _: Collection) -> AsyncIterator[ListPage]:
        for text in self._lists.pop(0):
            await asyncio.sleep(0)
            yield ListPage(orjson.loads(text), "1")

    async def watch(self, *_: object, **__: object) -> AsyncIterator[tuple[str, Object]]:
        self.watches += 1
        while (event := await self.events.get()) is not None:
            yield event
        raise HistoryGoneError("410")


def texts(objects: Iterator[Object]) -> list[bytes]:
    return [orjson.dumps(page) for page in iter(lambda: list(itertools.islice(objects, PAGE)), [])]


def after_the_gap() -> Iterator[Object]:
    """Yield what is there when a hundred were deleted and a hundred changed while nobody watched."""
    for number in range(COUNT):
        if number == EDITED:
            yield edited()
        elif number < CHANGED:
            yield changed(made(number), "metadata.generation", 2)
        elif number not in GONE:
            yield made(number)


def edited() -> Object:
    return changed(changed(made(EDITED), "metadata.generation", 2), "spec.suspend", True)


@dataclass
class Playthrough:
    """What was seen: the most calls of one callback in each part, all of its calls, and the snapshot after it."""

    longest: dict[str, int] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @contextmanager
    def measured(self, part: str, policies: PolicyController) -> Iterator[None]:
        """Count every callback of the loop that begins and ends within."""
        with counted(policies) as callbacks:
            yield
        self.longest[part], self.whole[part] = max(callbacks), sum(callbacks)


@pytest.fixture(scope="module")
def played() -> Playthrough:
    return asyncio.run(_play())


async def _play() -> Playthrough:
    played = Playthrough()
    server, policies = (
        Server(texts(made(number) for number in range(COUNT)), texts(after_the_gap())),
        PolicyController(),
    )
    held, grants = Server(texts(grant(number) for number in range(COUNT))), Grants()

    async def until(part: str, watches: int = 1) -> None:
        before = policies.snapshot

        def over() -> bool:
            # What was told of a list that is half taken up may be compiled before the rest of it comes.
            new = policies.snapshot is not None and policies.snapshot is not before
            return new and server.watches == watches and policies.settled

        with played.measured(part, policies):
            while not over():  # noqa: ASYNC110 - as `main` waits
                await asyncio.sleep(0)
        # Here ends the callback that was measured last.
        await asyncio.sleep(0)
        assert policies.snapshot is not None
        played.snapshots[part] = policies.snapshot

    with collector.filling() as filled:
        watching = _watching(held, GRANTS, grants)
        with played.measured("list of grants", policies):
            while not tuple(grants.grants_of(f"team-{(COUNT - 1) // TOGETHER:05}", ENDPOINT, f"agent-{COUNT - 1}")):  # noqa: ASYNC110 - as `main` waits
                await asyncio.sleep(0)
        # Here ends the callback that was measured last.
        await asyncio.sleep(0)
        tasks = [watching, asyncio.create_task(policies.run()), _watching(server, POLICIES, policies)]
        await until("first list")
        filled()
    server.events.put_nowait(("MODIFIED", edited()))
    await until("one change")
    server.events.put_nowait(None)
    await until("list after a gap", watches=2)
    for task in tasks:
        task.cancel()
    return played


def _watching(server: Server, collection: Collection, sink: Sink) -> asyncio.Task[None]:
    watching = ListWatch(server, collection, sink, relist_interval=3600, pulse=Pulse(time.monotonic))  # type: ignore[arg-type]  # a server of ours
    return asyncio.create_task(watching.run())


def denied(snapshot: Snapshot) -> dict[int, Reason]:
    """Return why which of the subjects may not do what its policy allows."""
    found = {}
    for number in range(COUNT):
        call = msgspec.structs.replace(
            CALL,
            namespace=f"team-{number // TOGETHER:05}",
            caller=GATEWAY,
            subject=Party("serviceAccount", agent(number), f"agent-{number}"),
            action=msgspec.structs.replace(CALL.action, name="customers.list"),
        )
        verdict = decide(snapshot, call, (), AROUND)
        if verdict.outcome is not Outcome.ALLOW:
            found[number] = verdict.reason
    return found


@pytest.mark.parametrize("part", ["first list", "one change", "list after a gap", "list of grants"])
def test_no_step_does_more_than_a_sliver_of_the_whole(played: Playthrough, part: str) -> None:
    assert 0 < played.longest[part] < STEP
    assert played.whole["first list"] / 1_000 > STEP


def test_a_change_costs_a_change_and_not_ten_thousand(played: Playthrough) -> None:
    assert played.whole["one change"] < played.whole["first list"] / 1_000


def test_a_poisoned_policy_denies_its_own_subjects_and_one_that_names_none_its_endpoint(played: Playthrough) -> None:
    whole = dict.fromkeys(range(UNREADABLE, UNREADABLE + TOGETHER), Reason.POLICY_INVALID)
    assert denied(played.snapshots["first list"]) == {BROKEN: Reason.POLICY_INVALID, **whole}


def test_beside_poisoned_ones_the_others_are_kept_up_to_date(played: Playthrough) -> None:
    first, second = denied(played.snapshots["first list"]), denied(played.snapshots["one change"])
    assert {number: second[number] for number in second.keys() - first.keys()} == {EDITED: Reason.POLICY_SUSPENDED}


def test_a_change_touches_no_other_endpoint(played: Playthrough) -> None:
    before, after = played.snapshots["first list"].endpoints, played.snapshots["one change"].endpoints
    assert [key for key in before if before[key] is not after[key]] == [(f"team-{EDITED // TOGETHER:05}", ENDPOINT)]
    assert before.keys() == after.keys()


def test_what_was_deleted_in_a_gap_is_gone_with_the_next_list_and_nothing_else_is(played: Playthrough) -> None:
    before, after = played.snapshots["one change"].endpoints, played.snapshots["list after a gap"].endpoints
    assert {key[0] for key in before.keys() - after.keys()} == {f"team-{number // TOGETHER:05}" for number in GONE}
    changed_ones = {key[0] for key in after if after[key] is not before[key]}
    assert changed_ones == {f"team-{number // TOGETHER:05}" for number in range(CHANGED)}
