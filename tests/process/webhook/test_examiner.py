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
from bailiwick_webhook.admission.comparison import UNCOMPARED
from bailiwick_webhook.admission.review import NothingToReview, PolicyFinding
from support.admission.reviews import UID, sent
from support.objects import policy

pytestmark = pytest.mark.long

# Answers each frame after as many seconds as stand in it, that nothing was to be judged; `die` ends it. Of a review it
# tells the finding, and what follows is as the policy's name says.
SLOW = """
    import os, sys, time
    import msgspec
    from bailiwick_webhook.admission.review import NothingToReview, examine

    def tell(what):
        body = what if isinstance(what, bytes) else msgspec.msgpack.encode(what)
        sys.stdout.buffer.write(len(body).to_bytes(4, "big") + body)
        sys.stdout.buffer.flush()

    time.sleep(float(sys.argv[1]))
    tell(b"")
    while head := sys.stdin.buffer.read(4):
        said = sys.stdin.buffer.read(int.from_bytes(head, "big")).decode()
        if said.startswith("{"):
            finding, edit = examine(said.encode())
            tell(finding)
            if edit.name == "dies":
                os._exit(3)
            if edit.name == "babbles":
                tell(b"junk!")
            else:
                time.sleep({"hangs": 600, "late": 0.5}[edit.name])
                tell(("wider",))
            continue
        if said == "die":
            os._exit(3)
        if said == "babble":
            tell(b"junk!")
        else:
            time.sleep(float(said))
            tell(NothingToReview(said))
"""
PATIENCE = 100.0
Make = Callable[..., PolicyExaminer]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes benches whose worker does as it is told."""
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(SLOW))
    made: list[PolicyExaminer] = []

    def make(*, starting: float = 0.0, **durations: float) -> PolicyExaminer:
        made.append(PolicyExaminer((sys.executable, str(script), f"{starting}"), **{"seconds": PATIENCE, **durations}))
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
    (warning,) = finding.widening
    assert warning.startswith("permits more calls (rule read, new)")
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
    bench._seconds = 0.1
    with pytest.raises(TimeoutError):
        await bench.examine(b"600", at(0.1))
    bench._seconds = PATIENCE
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")
    assert not alive(before)


async def test_a_worker_that_does_not_get_the_processor_is_waited_for(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    bench._seconds = 0.2
    # It sleeps, as one does whose turn does not come.
    assert await bench.examine(b"0.6", at(PATIENCE)) == NothingToReview("0.6")


async def test_a_worker_that_does_not_get_the_processor_is_not_waited_for_while_others_wait(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    bench._seconds = 0.2
    slow = asyncio.create_task(bench.examine(b"600", at(PATIENCE)))
    await asyncio.sleep(0)
    assert await bench.examine(b"0.01", at(PATIENCE), Share("api", "other")) == NothingToReview("0.01")
    with pytest.raises(LostError):
        await slow


async def test_a_worker_that_does_not_get_the_processor_is_not_waited_for_once_its_caller_has_gone(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    bench._seconds = 0.2
    with pytest.raises(TimeoutError):
        await bench.examine(b"600", at(0.1))
    # Nobody else asks, who would have it ended for want of a turn.
    async with asyncio.timeout(PATIENCE):
        while bench.pid is not None:  # noqa: ASYNC110 - there is nothing to wait for but this
            await asyncio.sleep(0.02)


async def test_a_worker_that_is_being_ended_while_we_close_is_waited_for(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    process = bench._process
    assert process is not None
    bench._seconds = 0.1
    slow = asyncio.create_task(bench.examine(b"600", at(0.1)))
    while bench.pid is not None:  # noqa: ASYNC110 - there is nothing to wait for but this
        await asyncio.sleep(0)
    # Killed, and not yet heard of.
    assert process.returncode is None
    await bench.close()
    assert process.returncode is not None
    with pytest.raises(TimeoutError):
        await slow


async def test_a_worker_that_takes_long_to_start_is_no_policys_fault(make: Make) -> None:
    bench = make(starting=1.5, seconds=1.0)
    assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")


async def test_who_cannot_wait_for_a_worker_to_start_leaves_it_to_the_next_one(make: Make) -> None:
    bench = make(starting=1.0)
    with pytest.raises(TimeoutError):
        await bench.examine(b"0", at(0.2))
    pid = bench.pid
    assert await bench.examine(b"0.01", at(PATIENCE)) == NothingToReview("0.01")
    assert bench.pid == pid


class TestWhatFollowsAFinding:
    @pytest.mark.parametrize("how", ["hangs", "dies", "babbles"])
    async def test_and_never_comes_changes_no_verdict(self, make: Make, how: str) -> None:
        bench = make()
        await bench.examine(b"0", at(PATIENCE))
        before = bench.pid
        assert before is not None
        bench._compared_seconds = 0.5
        finding = await bench.examine(sent(policy("crm", how)), at(PATIENCE))
        assert isinstance(finding, PolicyFinding)
        assert (finding.refusal, finding.widening) == (None, (UNCOMPARED,))
        # Nothing that comes later is taken for the answer to the next one.
        assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")
        assert not alive(before)

    async def test_and_comes_too_late_for_its_caller_is_not_waited_for(self, make: Make) -> None:
        bench = make()
        await bench.examine(b"0", at(PATIENCE))
        before = bench.pid
        bench._compared_seconds = PATIENCE
        early = await bench.examine(sent(policy("crm", "late")), at(0.25))
        assert isinstance(early, PolicyFinding)
        assert early.widening == (UNCOMPARED,)
        # The worker is left to end that, and the next one has its own answer.
        assert await bench.examine(b"0", at(PATIENCE)) == NothingToReview("0")
        assert bench.pid == before
        whole = await bench.examine(sent(policy("crm", "late")), at(PATIENCE))
        assert isinstance(whole, PolicyFinding)
        assert whole.widening == ("wider",)


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


async def test_whoever_waits_for_a_turn_while_we_close_starts_no_worker(make: Make) -> None:
    bench = make()
    await bench.examine(b"0", at(PATIENCE))
    works = asyncio.create_task(bench.examine(b"600", at(PATIENCE)))
    await asyncio.sleep(0.05)
    waits = asyncio.create_task(bench.examine(b"0", at(PATIENCE)))
    await asyncio.sleep(0.05)
    await bench.close()
    with pytest.raises(LostError):
        await waits
    with pytest.raises(asyncio.CancelledError):
        await works
    assert bench.pid is None
