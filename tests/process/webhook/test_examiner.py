"""The worker: started when it is needed, ended when it is not, replaced when it dies, and never waited for too long."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bailiwick_webhook.admission.bench import LostError, PolicyExaminer, Share
from bailiwick_webhook.admission.review import NothingToReview, PolicyFinding
from support.admission.reviews import UID, sent
from support.objects import policy

pytestmark = pytest.mark.long

# Answers each frame after as many seconds as stand in it, that nothing was to be judged; `die` ends it.
SLOW = """
    import os, sys, time
    import msgspec
    from bailiwick_webhook.admission.review import NothingToReview
    while head := sys.stdin.buffer.read(4):
        said = sys.stdin.buffer.read(int.from_bytes(head, "big")).decode()
        if said == "die":
            os._exit(3)
        if said == "babble":
            sys.stdout.buffer.write((5).to_bytes(4, "big") + b"junk!")
        else:
            time.sleep(float(said))
            body = msgspec.msgpack.encode(NothingToReview(said))
            sys.stdout.buffer.write(len(body).to_bytes(4, "big") + body)
        sys.stdout.buffer.flush()
"""
PATIENCE = 100.0
Make = Callable[..., PolicyExaminer]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes benches whose worker does as it is told."""
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(SLOW))
    made: list[PolicyExaminer] = []

    def make(**durations: float) -> PolicyExaminer:
        # A worker starts in a second, or in many where the machine is busy.
        made.append(PolicyExaminer((sys.executable, str(script)), **{"seconds": PATIENCE, **durations}))
        return made[-1]

    yield make
    for bench in made:
        await bench.close()


def at(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_real_worker_compiles_and_goes_with_us() -> None:
    bench = PolicyExaminer(seconds=PATIENCE)
    assert bench.pid is None
    finding = await bench.examine(sent(policy("crm")), at(PATIENCE))
    assert isinstance(finding, PolicyFinding)
    assert finding.refusal is None
    pid = bench.pid
    assert pid is not None
    assert await bench.examine(sent(None, policy("crm")), at(PATIENCE)) == NothingToReview(UID)
    assert bench.pid == pid
    await bench.close()
    assert not alive(pid)


async def test_each_caller_gets_its_own_answer(make: Make) -> None:
    bench = make()
    said = [f"{number / 1000:.3f}" for number in range(12)]
    assert await asyncio.gather(*(bench.examine(one.encode(), at(PATIENCE)) for one in said)) == [
        NothingToReview(one) for one in said
    ]


async def test_a_caller_whose_time_is_over_leaves_its_answer_to_nobody_else(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    with pytest.raises(TimeoutError):
        await bench.examine(b"0.3", at(0.1))
    assert await bench.examine(b"0.01", at(PATIENCE)) == NothingToReview("0.01")


async def test_who_waits_for_others_waits_no_longer_than_its_own_time(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    first = asyncio.create_task(bench.examine(b"0.5", at(PATIENCE)))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        await bench.examine(b"0", at(0.1))
    assert await first == NothingToReview("0.5")
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")


@pytest.mark.parametrize("how", [b"die", b"babble"])
async def test_a_worker_that_dies_or_babbles_is_replaced(make: Make, how: bytes) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    before = bench.pid
    with pytest.raises(LostError):
        await bench.examine(how, at(PATIENCE))
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")
    assert bench.pid != before


@pytest.mark.parametrize("pause", [0.0, 0.2])
async def test_a_worker_that_was_killed_while_nobody_asked_is_replaced_unnoticed(make: Make, pause: float) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    assert bench.pid is not None
    os.kill(bench.pid, signal.SIGKILL)
    await asyncio.sleep(pause)
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")


async def test_a_policy_that_takes_for_ever_ends_the_worker_and_not_the_next_one(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    before = bench.pid
    assert before is not None
    # From here on: a worker takes longer than that to start.
    bench._seconds = 1.0
    with pytest.raises(TimeoutError):
        await bench.examine(b"600", at(0.1))
    bench._seconds = PATIENCE
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")
    assert not alive(before)


async def test_a_worker_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    bench = PolicyExaminer((str(tmp_path / "nothing"),))
    with pytest.raises(LostError):
        await bench.examine(b"0", at(PATIENCE))
    await bench.close()


async def test_when_nobody_asks_for_a_while_there_is_no_worker(make: Make) -> None:
    bench = make(idle=0.2)
    await bench.examine(b"0", at(PATIENCE))
    pid = bench.pid
    assert pid is not None
    await asyncio.sleep(0.6)
    assert bench.pid is None
    assert not alive(pid)
    assert await bench.examine(b"0.3", at(PATIENCE)) == NothingToReview("0.3")


async def test_of_what_waits_each_address_has_its_turn(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    answered: list[str] = []

    async def ask(address: str) -> None:
        await bench.examine(b"0.05", at(PATIENCE), Share(address, ""))
        answered.append(address)

    asking = [asyncio.create_task(ask("crowd")) for _ in range(8)]
    await asyncio.sleep(0)
    asking += [asyncio.create_task(ask("one")), asyncio.create_task(ask("another"))]
    await asyncio.gather(*asking)
    # One of the crowd has the worker already.
    assert answered == ["crowd", "another", "one", *["crowd"] * 7]


async def test_a_turn_that_is_not_waited_for_any_longer_is_the_next_ones(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    works = asyncio.create_task(bench.examine(b"0.5", at(PATIENCE)))
    await asyncio.sleep(0)
    gone = [asyncio.create_task(bench.examine(b"0", at(PATIENCE), Share(f"{number}", ""))) for number in range(3)]
    waits = asyncio.create_task(bench.examine(b"0", at(PATIENCE), Share("one", "")))
    await asyncio.sleep(0.05)
    for task in gone:
        task.cancel()
    assert (await works, await waits) == (NothingToReview("0.5"), NothingToReview("0"))
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")


async def test_whoever_asks_while_we_close_is_let_go(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    pid = bench.pid
    assert pid is not None
    asked = asyncio.create_task(bench.examine(b"600", at(PATIENCE)))
    await asyncio.sleep(0.05)
    await bench.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not alive(pid)
