"""`--processes N`: a process that stands still is noticed, left out, ended and started again; a slow start is not."""

import ast
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from bailiwick_webhook.process import heartbeat
from support.pdp.several import PROCESSES, Several, written
from support.waiting import until

# The least that can be set.
SILENCE: Final = 5.0
WORKERS: Final = 3
MOST_ASKED: Final = 20_000


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    flags = ("--development", "--process-silence-seconds", f"{SILENCE}")
    with (tmp_path / "log").open("wb") as log:
        process = Several(tmp_path, written(tmp_path), log, *flags, processes=PROCESSES)
        process.await_both()
        yield process
        if process.process.poll() is None:
            process.stop()


def said(several: Several, index: int = 0) -> dict[str, Any]:
    answer = several.status(index)
    return {} if answer is None else answer.json()


def restarts(several: Several) -> list[float]:
    return [several.series(index, "bailiwick_process_restarts_total") for index in range(PROCESSES)]


class Load:
    """Asks over connections of its own, each of which may hang for as long as a client waits, and counts."""

    def __init__(self, several: Several) -> None:
        self._several = several
        self._over = threading.Event()
        self._workers = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        self.lost: list[str] = []
        self.asked = Counter[bool]()

    def _work(self) -> None:
        while not self._over.is_set() and self.asked.total() < MOST_ASKED:
            try:
                self.asked[self._several.allowed(timeout=4 * SILENCE)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(type(error).__name__)
                # Its connections may end a moment before its listening socket does.
                time.sleep(0.1)
            # Bounded, and the machine has others.
            time.sleep(0.005)

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        until(lambda: self.asked[True] > 50, "it is asked")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for worker in self._workers:
            worker.join(4 * SILENCE + 5)


@pytest.mark.parametrize("index", range(PROCESSES))
def test_a_process_that_stands_still_is_ended_and_started_again_and_loses_what_it_held(
    several: Several, index: int
) -> None:
    victim = several.children()[index]
    with Load(several) as load:
        os.kill(victim, signal.SIGSTOP)
        began = time.monotonic()
        until(lambda: victim not in several.children(), "it is ended", SILENCE + 5)
        took = time.monotonic() - began
        until(lambda: restarts(several)[index] == 1, "it is started again and counted", 10)
        several.await_both()
        before, lost = load.asked[True], len(load.lost)
        until(lambda: load.asked[True] > before + 100, "all is answered again")
        assert len(load.lost) == lost
    # Not before it was silent for so long, counted from its last beat.
    assert took > SILENCE - heartbeat.BEAT - 0.5
    # A connection to it waits until it is ended, so that each worker held one at most.
    assert 0 < len(load.lost) <= WORKERS
    assert load.asked[False] == 0
    assert restarts(several)[1 - index] == 0
    assert several.log.read_text().count("process unresponsive") == 1
    assert several.stop() == 0


def test_the_first_process_is_not_ready_while_another_stands_still_and_names_it(several: Several) -> None:
    assert said(several)["unready_processes"] == {}
    assert said(several)["checks"]["processes"] is True
    # The others tell about themselves.
    assert "unready_processes" not in said(several, 1)
    assert "processes" not in said(several, 1)["checks"]
    victim = several.children()[1]
    os.kill(victim, signal.SIGSTOP)
    until(lambda: not several.ready(0), "not ready", SILENCE)
    # Noticed before anything is done about it.
    assert victim in several.children()
    told = said(several)
    assert told["unready_processes"] == {"1": "silent"}
    assert [name for name, held in told["checks"].items() if not held] == ["processes"]
    alive, served = several.status(0, "/healthz"), several.status(0, "/metrics")
    assert alive is not None
    assert alive.ok
    assert served is not None
    assert served.ok
    until(lambda: victim not in several.children(), "it is ended", SILENCE + 5)
    several.await_both()
    assert said(several)["unready_processes"] == {}


def test_one_that_stood_still_for_less_is_left_alone_and_is_ready_again(several: Several) -> None:
    victim = several.children()[1]
    os.kill(victim, signal.SIGSTOP)
    until(lambda: not several.ready(0), "not ready", SILENCE)
    os.kill(victim, signal.SIGCONT)
    until(lambda: several.ready(0), "ready again", 5)
    assert victim in several.children()
    assert restarts(several) == [0, 0]


def test_where_all_stood_still_together_nobody_is_ended_for_it(several: Several) -> None:
    children = several.children()
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    # A little later, so that the parent has taken every beat that was on its way.
    time.sleep(1.2 * heartbeat.BEAT)
    os.kill(several.process.pid, signal.SIGSTOP)
    time.sleep(SILENCE + 2)
    # The parent first: it looks before they can say anything.
    os.kill(several.process.pid, signal.SIGCONT)
    time.sleep(0.3)
    for pid in children:
        os.kill(pid, signal.SIGCONT)
    until(lambda: several.ready(0), "ready again", 5)
    time.sleep(2 * heartbeat.BEAT)
    assert several.children() == children
    assert restarts(several) == [0, 0]


def test_where_the_parent_stands_still_the_first_process_does_not_call_the_others_ready(several: Several) -> None:
    os.kill(several.process.pid, signal.SIGSTOP)
    try:
        until(lambda: not several.ready(0), "not ready", heartbeat.STALE + 5)
        assert said(several)["unready_processes"] == {"1": "unknown"}
        assert several.ready(1)
    finally:
        os.kill(several.process.pid, signal.SIGCONT)
    until(lambda: several.ready(0), "ready again", 5)


# A decision point whose processes are slow to start, stand still, and say what they are told to.
PLAYED: Final = """
import asyncio, os, sys, time
from dataclasses import replace
from bailiwick_webhook.process import logs, parent
from bailiwick_webhook.process.settings import parse

logs.configure("info")

def serve(given):
    return asyncio.run(run(given.place))

def say(text):
    os.write(1, f"{text}\\n".encode())

async def run(place):
    stop = asyncio.Event()
    place.heartbeat.follow(asyncio.get_running_loop(), stop.set)
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    PLAYED
    return 0

given = replace(parse(["--port", "0", "--processes", "2", "--drain-seconds", "0.1"]), **SET)
sys.exit(parent.run(given, serve))
"""


def play(lines: str, **given: float) -> subprocess.CompletedProcess[str]:
    body = lines.strip().replace("\n", "\n    ")
    script = PLAYED.replace("PLAYED", body).replace("SET", repr(given))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def test_a_start_may_take_longer_than_a_process_that_serves_may_be_silent() -> None:
    ended = play(
        """
time.sleep(4)
place.heartbeat.tell_serving(lambda: True)
say(f"served {place.index} {place.restarts}")
await asyncio.sleep(2)
os.kill(os.getppid(), 15)
await stop.wait()
""",
        process_silence=2.0,
        process_start=20.0,
    )
    assert sorted(ended.stdout.splitlines()) == ["served 0 0", "served 1 0"], ended.stderr
    assert "process unresponsive" not in ended.stderr
    assert ended.returncode == 0


def test_a_start_that_waits_with_a_loop_that_turns_may_take_any_time() -> None:
    ended = play(
        """
await asyncio.sleep(5)
place.heartbeat.tell_serving(lambda: True)
say(f"served {place.index} {place.restarts}")
await asyncio.sleep(1)
os.kill(os.getppid(), 15)
await stop.wait()
""",
        process_silence=2.0,
        process_start=2.0,
    )
    assert sorted(ended.stdout.splitlines()) == ["served 0 0", "served 1 0"], ended.stderr
    assert "process unresponsive" not in ended.stderr


def test_a_start_that_stands_still_is_ended_and_where_none_ever_served_the_parent_gives_up() -> None:
    ended = play("time.sleep(40)", process_silence=2.0, process_start=3.0)
    assert "process unresponsive" in ended.stderr
    assert "exiting: processes cannot start" in ended.stderr
    assert ended.returncode == 1


def test_a_loop_that_is_blocked_is_silent_whatever_other_threads_do() -> None:
    ended = play(
        """
place.heartbeat.tell_serving(lambda: True)
if place.index == 1 and not place.restarts:
    import threading
    threading.Thread(target=lambda: [time.sleep(0.1) for _ in range(300)], daemon=True).start()
    time.sleep(30)
say(f"came round {place.index} {place.restarts}")
if place.index == 1:
    os.kill(os.getppid(), 15)
await stop.wait()
""",
        process_silence=3.0,
    )
    assert sorted(ended.stdout.splitlines()) == ["came round 0 0", "came round 1 1"], ended.stderr
    assert ended.stderr.count("process unresponsive") == 1
    assert ended.returncode == 0


def test_the_first_process_is_told_what_the_others_say_of_themselves() -> None:
    ended = play(
        """
from bailiwick_webhook.process.heartbeat import BEAT
began = time.monotonic()
if place.index == 1:
    await asyncio.sleep(3 * BEAT)
place.heartbeat.tell_serving(lambda: time.monotonic() - began > 6 * BEAT)
if place.index == 0:
    seen = []
    while place.others() or not seen:
        if not seen or seen[-1] != place.others():
            seen.append(place.others())
        if time.monotonic() - began > 20:
            break
        await asyncio.sleep(0.05)
    say(seen)
    say(place.others())
    os.kill(os.getppid(), 15)
else:
    assert place.others is None
await stop.wait()
""",
    )
    states = ["unknown", "absent", "starting", "unready"]
    seen, last = (ast.literal_eval(line) for line in ended.stdout.splitlines())
    names = [entry["1"] for entry in seen]
    # Each at most once and in this order; whether it was seen before the other was started at all is chance.
    assert names == [state for state in states if state in names]
    assert {"unknown", "starting", "unready"} <= set(names)
    assert last == {}
