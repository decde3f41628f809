"""The process that counts the findings of coverage: it is ended when its time or its memory is over."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from bailiwick_coverage.findings import CoverageCode
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
def fail(*_):
    raise KeyError("a name of an object")
countprocess._count = fail
countprocess.main()
"""
    request = json.dumps({"memory": 64 << 20, "seconds": 30})
    ran = subprocess.run([sys.executable, "-c", code], input=request, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["error"].startswith("KeyError while it judged the cluster: `kubectl bailiwick")
    assert "a name of an object" not in ran.stdout


class LargeNamespaceHandler(BaseHTTPRequestHandler):
    """An API server with a Service and its pod in crm, and with many large pods in another namespace."""

    protocol_version = "HTTP/1.1"
    LARGE = 1_000
    TEXT = "x" * 100_000

    def do_GET(self) -> None:
        """Answer a list, in pages."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        plural = url.path.rpartition("/")[2]
        first, most = int(query.get("continue", 0)), int(query.get("limit", 500))
        total = 1 + self.LARGE if plural == "pods" else 2
        numbers = range(first, min(first + most, total))
        items = [item for number in numbers if (item := self._item(plural, number)) is not None]
        more = {"continue": str(numbers.stop)} if numbers.stop < total else {}
        body = json.dumps({"items": items, "metadata": {"resourceVersion": "1", **more}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            # It was longer than the reader takes, which asks for less next.
            self.close_connection = True

    def _item(self, plural: str, number: int) -> dict[str, object] | None:
        if plural == "namespaces":
            return {"metadata": {"name": ("crm", "large")[number]}}
        if plural == "services" and number == 0:
            spec = {"selector": {"app": "api"}, "ports": [{"port": 80}]}
            return {"metadata": {"namespace": "crm", "name": "api"}, "spec": spec}
        if plural == "pods" and number == 0:
            metadata = {"namespace": "crm", "name": "api", "labels": {"app": "api"}}
            return {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}
        if plural == "pods":
            metadata = {"namespace": "large", "name": f"p{number}", "annotations": {"large": self.TEXT}}
            return {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}
        return None

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
        """Say nothing."""


@pytest.fixture
def large() -> Iterator[str]:
    """The address of an API server with one namespace that does not fit."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), LargeNamespaceHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is limited where there is a /proc")
async def test_a_namespace_that_does_not_fit_is_left_out_and_the_others_are_counted(large: str) -> None:
    settings = CoverageSettings(interval=300, timeout=200, memory=64 << 20)
    where = Access(server=large, static_token="a token")
    counting = CoverageCounter(settings, where, namespace="bailiwick-system", timeout=30, now=time.time)
    with capture_logs() as lines:
        await counting.count(settings)
    assert counting.counts is not None, counting.problem
    assert counting.counts.left_out == ("large",)
    assert counting.counts.findings[CoverageCode.UNPROTECTED] == 1
    # Each list of that namespace is unknown, and nothing is concluded from what is missing there.
    assert counting.counts.findings[CoverageCode.UNKNOWN] > 1
    assert [line["namespaces"] for line in lines if line["log_level"] == "warning"] == [["large"]]
