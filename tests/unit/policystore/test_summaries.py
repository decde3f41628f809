"""Judging policies for their statuses: by namespace in turn, and over budget where the decision point says so too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, Excess, Limit
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import CompilationSummary, judge_steps
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.steps import Steps
from bailiwick_operator.loop.inventory import Inventory, Key, Ticks, key_of
from bailiwick_policystore.summaries import PolicySummaries
from support.admission.reviews import large
from support.objects import Object, policy, rule

BROKEN = rule(conditions=[{"name": "big", "expression": "context.count > nothing.here"}])
SIZE = footprint(policy("crm", "p0")["spec"]).bytes


class Operator:
    """An inventory, and who judges what is in it."""

    def __init__(self, budget: Budget) -> None:
        self.policies = Inventory(Ticks(), self._changed)
        self.judging = PolicySummaries(budget, self._body, self._judged)
        self.told: list[str] = []
        self._heard = asyncio.Event()
        self._version = 0

    def _body(self, key: tuple[str, str]) -> Object | None:
        seen = self.policies.get(Key(*key))
        return None if seen is None else seen.body

    def _judged(self, body: Object) -> None:
        self.told.append(body["metadata"]["name"])
        self._heard.set()

    def _changed(self, body: Object) -> None:
        if self.policies.get(key_of(body)) is None:
            self.judging.gone(body)
        self.judging.changed(key_of(body))

    def put(self, raw: Object, *, generation: int = 1, created: int = 0) -> Object:
        self._version += 1
        metadata = {
            "uid": f"uid-{raw['metadata']['name']}",
            "generation": generation,
            "resourceVersion": str(self._version),
            "creationTimestamp": f"2026-11-25T12:00:{created:02}Z",
        }
        body: Object = {**raw, "metadata": {**raw["metadata"], **metadata}}
        self.policies.record(body)
        return body

    async def of(self, body: Object) -> tuple[CompilationSummary, Excess | None]:
        """Wait until it is judged."""
        async with asyncio.timeout(30):
            while (found := self.judging.summary_of(body)) is None:
                self._heard.clear()
                await self._heard.wait()
        return found

    async def over(self, body: Object) -> Limit | None:
        excess = (await self.of(body))[1]
        return None if excess is None else excess.limit

    async def until(self, body: Object, limit: Limit | None) -> None:
        """Wait until it is over this limit, or over none."""
        async with asyncio.timeout(30):
            while await self.over(body) is not limit:
                self._heard.clear()
                await self._heard.wait()


@asynccontextmanager
async def operator(**budget: int) -> AsyncIterator[Operator]:
    made = Operator(Budget(**budget))
    running = asyncio.create_task(made.judging.run())
    try:
        yield made
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_policy_is_judged_once_for_each_generation() -> None:
    async with operator() as seen:
        sound = seen.put(policy("crm", "sound"))
        broken = seen.put(policy("crm", "broken", rules=[BROKEN]))
        assert (await seen.of(sound))[0].rules == 1
        assert [problem.path for problem in (await seen.of(broken))[0].problems] == [
            "spec.rules[0].conditions[0].expression"
        ]
        first = (await seen.of(broken))[0]
        again = seen.put(policy("crm", "broken", rules=[BROKEN]))
        assert (await seen.of(again))[0] is first
        mended = seen.put(policy("crm", "broken"), generation=2)
        assert seen.judging.summary_of(mended) is None
        assert not (await seen.of(mended))[0].problems


async def test_who_is_over_budget_is_not_compiled_and_is_judged_once_there_is_room() -> None:
    async with operator(namespace=2 * SIZE + SIZE // 2, total=0) as seen:
        bodies = [seen.put(policy("crm", f"p{number}"), created=number) for number in range(3)]
        assert [await seen.over(body) for body in bodies] == [None, None, Limit.NAMESPACE]
        assert (await seen.of(bodies[2]))[0].rules == 0
        # Of another namespace nothing is taken.
        assert await seen.over(seen.put(policy("erp", "p9"))) is None
        seen.told.clear()
        seen.policies.forget(bodies[0])
        await seen.until(bodies[2], None)
        assert (await seen.of(bodies[2]))[0].rules == 1
        assert "p2" in seen.told


async def test_what_one_namespace_leaves_another_has() -> None:
    async with operator(total=4 * SIZE, namespace=0, policies=0) as seen:
        mine = [seen.put(policy("crm", f"p{number}"), created=number) for number in range(3)]
        others = [seen.put(policy("erp", f"q{number}"), created=number) for number in range(3)]
        await seen.until(mine[2], Limit.SHARE)
        await seen.until(others[2], Limit.SHARE)
        seen.policies.forget(others[0])
        seen.policies.forget(others[1])
        await seen.until(mine[2], None)
        await seen.until(others[2], None)


async def test_an_older_policy_that_grows_takes_the_room_of_a_newer_one() -> None:
    wide = policy("crm", "p0", rules=[rule(f"r{number}", actions=[f"a.{number}"]) for number in range(20)])
    most = footprint(wide["spec"]).bytes + SIZE // 2
    async with operator(namespace=most, total=0) as seen:
        bodies = [seen.put(policy("crm", f"p{number}"), created=number) for number in range(2)]
        assert [await seen.over(body) for body in bodies] == [None, None]
        grown = seen.put(wide, generation=2)
        assert await seen.over(grown) is None
        await seen.until(bodies[1], Limit.NAMESPACE)
        assert seen.told[-1] == "p1"


async def test_a_large_namespace_holds_up_nobody() -> None:
    async with operator() as seen:
        for number in range(10):
            body = large(16, 16, 60, "noisy")
            body["metadata"]["name"] = f"large{number}"
            seen.put(body)
        small = seen.put(policy("crm", "small"))
        await seen.of(small)
        # Not one of the large ones, which came before it, is judged by then.
        assert seen.told == ["small"]


async def test_a_policy_that_changes_again_and_again_is_judged_as_it_is_last_and_holds_up_no_sibling() -> None:
    async with operator() as seen:
        sibling, busy = seen.put(policy("crm", "sibling")), policy("crm", "busy")
        for generation in range(1, 30):
            busy = seen.put(policy("crm", "busy", rules=[rule(actions=[f"a.{generation}"])]), generation=generation)
            await asyncio.sleep(0)
        assert (await seen.of(sibling))[0].rules == 1
        assert (await seen.of(busy))[0].digest is not None
        assert seen.told.count("sibling") == 1


async def test_the_first_list_is_claimed_whole_before_any_of_it_is_judged() -> None:
    # All of one namespace would fit, were there no other.
    seen = Operator(Budget(total=4 * SIZE, namespace=0, policies=0))
    mine = [seen.put(policy("crm", f"p{number}"), created=number) for number in range(4)]
    others = [seen.put(policy("erp", f"p{number}"), created=number) for number in range(4)]
    running = asyncio.create_task(seen.judging.run())
    for bodies in (mine, others):
        assert [await seen.over(body) for body in bodies] == [None, None, Limit.SHARE, Limit.SHARE]
    # Nobody was judged and then turned away.
    assert sorted(seen.told) == sorted(f"p{number}" for number in range(4) for _ in range(2))
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_policy_of_which_nobody_thought_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(ref: PolicyRef, spec: object) -> Steps[CompilationSummary]:
        if ref.name == "bad":
            raise RecursionError
        return judge_steps(ref, spec)

    monkeypatch.setattr(acceptance, "judge_steps", failing)
    async with operator() as seen:
        seen.put(policy("crm", "bad"))
        good = seen.put(policy("crm", "good"))
        other = seen.put(policy("erp", "other"))
        assert (await seen.of(other))[0].rules == 1
        assert (await seen.of(good))[0].rules == 1


def test_a_step_looks_at_one_policy_however_many_are_over_budget() -> None:
    bodies = {("crm", f"p{number}"): policy("crm", f"p{number}") for number in range(300)}
    for number, body in enumerate(bodies.values()):
        body["metadata"] |= {"uid": f"{number}", "generation": 1, "creationTimestamp": f"{number:03}"}
    judged: list[str] = []
    judging = PolicySummaries(Budget(policies=1), bodies.get, lambda body: judged.append(body["metadata"]["name"]))
    for key in bodies:
        judging.changed(key)
    most = before = 0
    for _ in judging._work("crm"):
        most, before = max(most, len(judged) - before), len(judged)
    # What came after the last pause is a step too.
    most = max(most, len(judged) - before)
    assert len(judged) == len(bodies)
    assert judging.ledger.over_in("crm") > 200
    assert most <= 1


def test_what_went_while_it_was_compiled_is_not_kept() -> None:
    key, bodies = ("crm", "p"), {("crm", "p"): policy("crm", "p")}
    bodies[key]["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "000"}
    judging = PolicySummaries(Budget(), bodies.get, lambda _: None)
    judging.changed(key)
    steps = judging._work("crm")
    next(steps)
    judging.gone(bodies.pop(key))
    judging.changed(key)
    for _ in steps:
        pass
    assert judging._known == {}
