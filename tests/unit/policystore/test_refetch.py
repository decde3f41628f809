"""What is read again, because it was over budget and is not any more: an answer that is late, or that never comes."""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.steps import whole
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Key
from bailiwick_policystore.refetch import ObjectRefetch
from support.objects import Object, policy, rule

KEY: Final = ("crm", "b")
DENY: Final = rule("d", effect="Deny")
SIZE: Final = footprint(policy("crm", "b", rules=[rule(), DENY])["spec"]).bytes


def stored(name: str, created: int, generation: int = 1, uid: str = "", **spec: object) -> Object:
    made = policy("crm", name, **spec)
    made["metadata"] |= {"uid": uid or name, "generation": generation, "creationTimestamp": f"00{created}"}
    return made


def older(uid: str) -> Object:
    """Return what has room alone, so that the other one is over budget while it is there."""
    return stored("a", 1, uid=uid, rules=[rule(), DENY])


Read = Callable[[tuple[str, str]], Awaitable[Object | None]]


@asynccontextmanager
async def running(read: Read, *listed: Object) -> AsyncIterator[PolicyController]:
    policies = PolicyController(Budget(namespace=int(SIZE * 1.5)), read=read)
    task = asyncio.create_task(policies.run())
    whole(policies.listing().finish())
    for body in listed:
        hear(policies, body)
    await settled(policies)
    yield policies
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def hear(policies: PolicyController, body: Object) -> None:
    policies.apply("MODIFIED", ("crm", body["metadata"]["name"]), body)


def delete(policies: PolicyController, name: str) -> None:
    policies.apply("DELETED", ("crm", name), {})


async def settled(policies: PolicyController) -> None:
    # Two looks: what is settled may have woken what reads.
    for _ in range(2):
        while not policies.settled:  # noqa: ASYNC110 - as `main` waits
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)


def generation_in_force(policies: PolicyController) -> int | None:
    assert policies.snapshot is not None
    held = policies._index.get(KEY)
    return held.ref.generation if isinstance(held, CompiledPolicy) else None


def test_an_answer_that_is_older_than_what_was_heard_meanwhile_is_read_again() -> None:
    first = stored("b", 2)
    newest = stored("b", 2, generation=2, rules=[rule(), DENY])
    reads = 0

    async def play() -> int | None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def read(_: tuple[str, str]) -> Object:
            nonlocal reads
            reads += 1
            if reads > 1:
                return copy.deepcopy(newest)
            asked.set()
            await answer.wait()
            return copy.deepcopy(first)

        async with running(read, older("a1"), first) as policies:
            delete(policies, "a")
            await asked.wait()
            # It is over budget again, gets its Deny meanwhile, and fits again before the answer comes.
            hear(policies, older("a2"))
            await settled(policies)
            hear(policies, newest)
            await settled(policies)
            delete(policies, "a")
            await settled(policies)
            answer.set()
            async with asyncio.timeout(10):
                while generation_in_force(policies) is None:  # noqa: ASYNC110 - as `main` waits
                    await asyncio.sleep(0.01)
            return generation_in_force(policies)

    assert asyncio.run(play()) == 2
    assert reads == 2


def test_what_was_refused_once_is_read_again_after_the_next_list() -> None:
    body = stored("b", 2)
    answers = [None, body]

    async def play() -> list[int | None]:
        async def read(_: tuple[str, str]) -> Object | None:
            return copy.deepcopy(answers.pop(0))

        async with running(read, older("a1"), body) as policies:
            delete(policies, "a")
            await settled(policies)
            seen = [generation_in_force(policies)]
            listing = policies.listing()
            steps = listing.take(KEY, body)
            assert steps is None
            whole(listing.finish())
            await settled(policies)
            return [*seen, generation_in_force(policies)]

    assert asyncio.run(play()) == [None, 1]


def test_an_answer_that_is_no_policy_ends_nothing_and_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bailiwick_policystore.refetch._AGAIN_SECONDS", 0.0)
    body = stored("b", 2)
    answers = [{}, {"metadata": None}, body]

    async def play() -> int | None:
        async def read(_: tuple[str, str]) -> Object | None:
            return copy.deepcopy(answers.pop(0))

        async with running(read, older("a1"), body) as policies:
            delete(policies, "a")
            async with asyncio.timeout(10):
                while answers:  # noqa: ASYNC110 - as `main` waits
                    await asyncio.sleep(0.01)
            await settled(policies)
            return generation_in_force(policies)

    assert asyncio.run(play()) == 1


def test_an_answer_that_is_no_object_holds_up_none_that_is_read_behind_it() -> None:
    taken: list[Key] = []

    async def play() -> None:
        async def read(_: Key) -> Object:
            return {}

        def take(key: Key, obj: Object) -> None:
            taken.append(key)
            if key[1] == "broken":
                raise KeyError(obj)

        refetch = ObjectRefetch(read, lambda: [("crm", "broken"), ("crm", "sound")], lambda _: None, take)
        task = asyncio.create_task(refetch.run())
        refetch.wake()
        await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert taken == [("crm", "broken"), ("crm", "sound")]
