"""The pulse, on real loops: what is read had not arrived at the moment that is sure, however long a turn took."""

import asyncio
import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Final

import pytest
import uvloop

from bailiwick_webhook.store.pulse import BEAT, LONGEST, Pulse

# How long its turns take, one after the other.
STILL: Final = (0.4, 0.0, 0.9, 0.05, 0.3, 0.3)
LINES: Final = 300
APART: Final = 0.01


def tell(sender: socket.socket) -> None:
    """Send the time, line by line."""
    with sender:
        for _ in range(LINES):
            sender.sendall(f"{time.monotonic()!r}\n".encode())
            time.sleep(APART)


async def stand_still() -> None:
    for seconds in itertools.cycle(STILL):
        time.sleep(seconds)  # noqa: ASYNC251 - as if the process were stopped
        await asyncio.sleep(0)


async def listen() -> list[float]:
    """Return by how much each line was younger than what was sure as it was read."""
    pulse, (ours, theirs) = Pulse(time.monotonic), socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    beside = [asyncio.create_task(pulse.run()), asyncio.create_task(stand_still())]
    with ThreadPoolExecutor(1) as senders:
        senders.submit(tell, theirs)
        margins = [float(line) - pulse.sure async for line in reader]
    for task in beside:
        task.cancel()
    writer.close()
    return margins


@pytest.mark.parametrize("runner", [asyncio, uvloop], ids=["asyncio", "uvloop"])
def test_what_is_read_was_sent_after_the_sure_moment(runner: ModuleType) -> None:
    margins = runner.run(listen())
    assert len(margins) == LINES
    assert min(margins) >= 0


def test_without_beats_nothing_grows_younger() -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    now[0] = 1_000.0
    assert (pulse.sure, pulse.resumed) == (0.0, float("-inf"))


@pytest.mark.parametrize(("seconds", "stop"), [(BEAT, False), (LONGEST, False), (LONGEST + 0.1, True)])
def test_beats_that_are_too_far_apart_are_a_stop(seconds: float, stop: bool) -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    for passed in (BEAT, seconds, BEAT):
        now[0] += passed
        pulse.beat()
    assert (pulse.resumed == BEAT + seconds) is stop
