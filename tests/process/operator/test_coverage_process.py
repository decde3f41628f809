"""The process that counts the findings of coverage: it is ended when its time or its memory is over."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bailiwick_kube.access import Access
from bailiwick_operator.coverage.counter import CoverageCounter
from bailiwick_operator.coverageflags import CoverageSettings
from localcluster.ports import free_ports
from support.waits import until

SETTINGS = CoverageSettings(interval=60, timeout=30, memory=128 << 20)


def counter(port: int, settings: CoverageSettings = SETTINGS) -> CoverageCounter:
    where = Access(server=f"https://127.0.0.1:{port}", static_token="a token")
    return CoverageCounter(settings, where, namespace="bailiwick-system", timeout=30, now=time.time)


def children() -> set[str]:
    """Return the processes that this process started."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_an_api_server_that_does_not_answer_is_a_failure_with_its_reason() -> None:
    (port,) = free_ports(1)
    counting = counter(port)
    with capture_logs() as lines:
        await counting.count(SETTINGS)
        await counting.count(SETTINGS)
    assert (dict(counting.outcomes), counting.counts) == ({"failed": 2}, None)
    # One line says so, however often it fails for the same reason.
    assert [line["why"] for line in lines] == [counting.problem]
    assert counting.problem is not None
    assert f"127.0.0.1:{port}" in counting.problem


async def test_a_count_that_takes_too_long_is_ended() -> None:
    before = children()
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        settings = CoverageSettings(interval=60, timeout=3, memory=128 << 20)
        counting = counter(silent.getsockname()[1], settings)
        await counting.count(settings)
    assert dict(counting.outcomes) == {"timeout": 1}
    assert counting.problem == "it takes longer than 3 s: raise --coverage-timeout"
    assert children() == before


async def test_a_count_ends_with_the_operator() -> None:
    before = children()
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        task = asyncio.create_task(counter(silent.getsockname()[1]).run())
        await asyncio.to_thread(until, lambda: children() != before, "the count runs", 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert children() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is limited where there is a /proc")
def test_memory_beyond_the_limit_is_refused_to_the_process_alone() -> None:
    code = """
from bailiwick_process.memorylimit import limit_memory
limit_memory(64 << 20)
held = bytearray(32 << 20)
try:
    held += bytearray(128 << 20)
except MemoryError:
    print("refused")
print(open("/proc/self/oom_score_adj").read().strip())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["refused", "1000"]


def test_an_object_that_cannot_be_judged_is_not_told_as_a_lack_of_memory() -> None:
    code = """
from bailiwick_operator.coverage import countprocess
def fail(request):
    raise KeyError("a name of an object")
countprocess._count = fail
countprocess.main()
"""
    request = json.dumps({"memory": 64 << 20, "seconds": 30})
    ran = subprocess.run([sys.executable, "-c", code], input=request, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["error"].startswith("KeyError while it judged the cluster: `kubectl bailiwick")
    assert "a name of an object" not in ran.stdout
