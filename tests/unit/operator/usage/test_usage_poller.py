"""Asking for uses round after round, and whose status is looked at for it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import Object
from bailiwick_operator.loop.inventory import Inventory, Ticks
from bailiwick_operator.programmed.replicas import AbsentReplicaError, Replica, SilentReplicaError
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.usage.observation import UsageObservation
from bailiwick_operator.usage.poller import UsagePoller
from support.objects import policy
from support.virtualtime import VirtualTime, virtual_time
from unit.operator.cases import NOW

__all__ = ["virtual_time"]

TODAY: Final = int(NOW.timestamp() // 86_400)
Answer = Callable[[list[Any]], Any]


def quiet(asked: list[Any], memory: str = "m") -> Object:
    return {"memory": memory, "used": [], "shadows": []}


class Bench:
    """Processes by name, and what each answers: JSON, or an error."""

    def __init__(self, virtual: VirtualTime | None = None, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = answers or {"a": quiet}
        self.failure: Exception | None = None
        self.vouched = True
        self.asked: list[list[Any]] = []
        self.policies = Inventory(Ticks(), lambda _: None)
        self.looks: list[Object] = []
        self.due: Callable[[Object], Status | None] = lambda _: None
        clock: Any = self
        self.monotonic = (virtual or VirtualTime(0.0)).monotonic
        self.poller = UsagePoller(self, self, clock, UsageObservation(NOW))  # type: ignore[arg-type]  # it asks

    def now(self) -> Any:  # noqa: ANN401 - a moment
        return NOW

    def add(self, count: int, namespace: str = "crm", **status: object) -> None:
        for number in range(count):
            raw = policy(namespace, f"p{number}")
            raw["metadata"] |= {"uid": f"{namespace}-{number}", "generation": 1, "resourceVersion": "1"}
            self.policies.record({**raw, "status": dict(status)})

    async def everyone(self) -> tuple[Replica, ...]:
        if self.failure is not None:
            raise self.failure
        return tuple(Replica(name, f"http://{name}", vouched=self.vouched, uid=name) for name in self.answers)

    async def post(self, replica: Replica, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        assert path == "/usage"
        self.asked.append(json.loads(body))
        said = self.answers[replica.name](self.asked[-1])
        if isinstance(said, Exception):
            raise said
        return (200, json.dumps(said).encode()) if not isinstance(said, tuple) else said

    async def ask(self) -> None:
        await self.poller.ask(self.policies.all())

    @property
    def known(self) -> Any:  # noqa: ANN401 - a use
        return self.poller.policy_use(self.policies.all()[0].body)


async def test_each_process_is_asked_about_every_policy_and_told_what_is_known_already() -> None:
    bench = Bench(a=quiet, b=lambda _: {"memory": "b", "used": [["crm-0", TODAY]], "shadows": [["crm-1", 1, 7, 2]]})
    bench.add(1, usage={"lastUsedTime": "2026-11-20T00:00:00Z"})
    bench.add(2)
    await bench.ask()
    assert bench.asked == [[["crm-0", TODAY - 5], ["crm-1", 0]]] * 2
    assert (bench.known.day, bench.known.since is not None) == (TODAY, True)
    other = bench.poller.policy_use(bench.policies.all()[1].body)
    assert (other.compared, other.different) == (7, 2)
    await bench.ask()
    assert bench.asked[-1][0] == ["crm-0", TODAY]


async def test_ten_thousand_are_asked_about_in_one_request_and_no_more() -> None:
    bench = Bench()
    bench.add(10_001)
    await bench.ask()
    assert [len(one) for one in bench.asked] == [10_000, 1]


async def test_without_policies_processes_are_known_all_the_same() -> None:
    bench = Bench()
    await bench.ask()
    assert bench.asked == [[]]
    bench.add(1)
    assert bench.known.since is not None


WRONG: Final[list[Any]] = [
    (404, b""),
    (500, b'{"memory": "m", "used": [], "shadows": []}'),
    (429, b""),
    (200, b"{"),
    (200, b"[" * 100_000),
    (200, b'{"used": [], "shadows": []}'),
    {"memory": "", "used": [], "shadows": []},
    {"memory": "m" * 65, "used": [], "shadows": []},
    {"memory": 1, "used": [], "shadows": []},
    {"memory": "m", "used": [["crm-0"]], "shadows": []},
    {"memory": "m", "used": [["crm-0", "x"]], "shadows": []},
    {"memory": "m", "used": 1, "shadows": []},
    {"memory": "m", "used": [], "shadows": [["crm-0", 1, 2]]},
    [],
    SilentReplicaError("timeout"),
    AbsentReplicaError("refused"),
]


@pytest.mark.parametrize("said", WRONG, ids=repr)
async def test_while_one_says_nothing_that_can_be_read_nothing_is_called_observed(said: Any) -> None:  # noqa: ANN401 - any answer
    bench = Bench(a=quiet, b=lambda _: said)
    bench.add(1)
    await bench.ask()
    assert bench.known.since is None
    bench.answers["b"] = quiet
    await bench.ask()
    assert bench.known.since is not None


async def test_where_nobody_says_that_there_should_be_a_process_there_is_none() -> None:
    bench = Bench(a=quiet, b=lambda _: AbsentReplicaError("refused"))
    bench.vouched = False
    bench.add(1)
    await bench.ask()
    assert bench.known.since is not None


async def test_where_processes_cannot_be_found_nothing_is_known() -> None:
    bench = Bench()
    bench.failure = UnreachableError("no route")
    bench.add(1)
    await bench.ask()
    assert bench.known.since is None


class TestRounds:
    async def run(self, bench: Bench, seconds: float) -> None:
        running = bench.poller.run(bench.policies.all, bench.due, bench.looks.append)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(running, seconds)

    async def test_look_at_what_is_to_change_and_once(self, virtual_time: VirtualTime) -> None:
        bench = Bench(virtual_time)
        bench.add(3)
        bench.due = lambda body: {"usage": {"lastUsedTime": "x"}} if body["metadata"]["uid"] == "crm-1" else None
        await self.run(bench, 95)
        assert (len(bench.asked), [one["metadata"]["uid"] for one in bench.looks]) == (9, ["crm-1"])

    async def test_do_not_repeat_what_differs_only_in_moments_of_writing(self, virtual_time: VirtualTime) -> None:
        bench = Bench(virtual_time)
        bench.add(1)
        moments = iter(range(100))
        bench.due = lambda _: {"usage": {"observedSince": next(moments)}, "shadow": {"lastUpdateTime": next(moments)}}
        await self.run(bench, 95)
        assert len(bench.looks) == 1

    async def test_look_again_at_what_is_to_change_again(self, virtual_time: VirtualTime) -> None:
        bench = Bench(virtual_time)
        bench.add(1)
        bench.due = lambda _: {"usage": {"lastUsedTime": f"day {len(bench.asked)}"}}
        await self.run(bench, 35)
        assert len(bench.looks) == 3

    async def test_come_seldom_where_there_are_many_and_look_at_few_of_each_namespace_in_turn(
        self, virtual_time: VirtualTime
    ) -> None:
        bench = Bench(virtual_time)
        bench.add(5_000, "big")
        bench.add(3, "small")
        bench.due = lambda _: {"usage": {"lastUsedTime": "x"}}
        await self.run(bench, 51)
        assert len(bench.looks) == 200
        assert sum(one["metadata"]["namespace"] == "small" for one in bench.looks[:6]) == 3
        assert len({one["metadata"]["uid"] for one in bench.looks}) == 200

    @pytest.mark.parametrize("fails", [False, True], ids=["", "and something fails"])
    async def test_bring_nothing_back_that_went_meanwhile(self, virtual_time: VirtualTime, fails: bool) -> None:
        used = {"memory": "a", "used": [["crm-0", TODAY]], "shadows": [["crm-1", 1, 7, 2]]}
        bench = Bench(virtual_time)
        bench.add(3)
        first, second, third = (seen.body for seen in bench.policies.all())

        def goes_meanwhile(_: list[Any]) -> Object:
            for body in (first, second):
                bench.policies.forget(body)
                bench.poller.forget(body["metadata"]["uid"])
            return used

        def due(body: Object) -> Status:
            bench.policies.forget(third)
            bench.poller.forget(third["metadata"]["uid"])
            return body["no such member"] if fails else {"usage": {"lastUsedTime": "x"}}

        bench.answers["a"], bench.due = goes_meanwhile, due
        await self.run(bench, 15)
        assert (bench.poller._memory.uids(), bench.poller._asked_for) == (set(), {})

    async def test_go_on_after_a_defect_of_ours(self, virtual_time: VirtualTime) -> None:
        bench = Bench(virtual_time)
        bench.add(1)
        bench.due = lambda body: body["no such member"]
        await self.run(bench, 35)
        assert len(bench.asked) == 3


async def test_a_policy_that_is_gone_is_forgotten_and_so_is_what_was_to_be_written(virtual_time: VirtualTime) -> None:
    bench = Bench(virtual_time, a=lambda _: {"memory": "a", "used": [["crm-0", TODAY]], "shadows": []})
    bench.add(1)
    bench.due = lambda _: {"usage": {"lastUsedTime": "x"}}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.poller.run(bench.policies.all, bench.due, bench.looks.append), 15)
    assert (bench.known.day, [*bench.poller._asked_for]) == (TODAY, ["crm-0"])
    bench.poller.forget("crm-0")
    assert (bench.known.day, [*bench.poller._asked_for]) == (0, [])
