"""Servers: a process that is measured, from start to end.

Standing: under `targets`, which know how to start each. Holds: only what was started here is ended, by pid and start
time; a server that does not come up is a `MissingError` with its last words.
"""

import http.client
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from benchmarks.rig.cores import cpu_seconds, pinned, resident_megabytes
from benchmarks.rig.workload import Request
from localcluster.process import RunningProcess, spawn, stop

HOST: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.01


class MissingError(Exception):
    """Something that a row needs is not there; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that answers AuthZEN bodies. `headers` are those of one request, besides Content-Type."""

    name: str
    version: str
    running: RunningProcess
    port: int
    path: Callable[[Request], str]
    allowed: Callable[[bytes], bool]
    headers: Callable[[Request], Mapping[str, str]] = lambda _: {}
    body: Callable[[Request], bytes] = Request.encoded
    # How long it took from the start of the process to its first answer that it is ready.
    ready_seconds: float = 0.0

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        return cpu_seconds(self.running.handle.pid)

    def resident_megabytes(self) -> float:
        """Resident memory now."""
        return resident_megabytes(self.running.handle.pid)

    def ask(self, request: Request) -> bool:
        """Ask once. Raises `MissingError` where the answer is no decision."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            headers = {"Content-Type": "application/json", **self.headers(request)}
            connection.request("POST", self.path(request), self.body(request), headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise MissingError(f"{self.name} answered {answer.status} to a request: {said[:300].decode()}")
        return self.allowed(said)


@dataclass
class Servers:
    """Every process that one run started; a context that ends them all."""

    folder: Path
    core: int | None
    running: list[RunningProcess] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Nothing to do yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.end(*self.running)

    def spawn(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> RunningProcess:
        """Start a command on the servers' core, or on another one; its output goes to a log of its own."""
        with pinned(self.core if core is None else core):
            running = spawn(name, command, self.folder / f"{name}.log", environment)
        self.running.append(running)
        return running

    @staticmethod
    def end(*running: RunningProcess) -> None:
        """End some of them now."""
        stop([process.id for process in running])
        for process in running:
            process.handle.wait()


def await_answer(running: RunningProcess, port: int, path: str, seconds: float = 60.0) -> float:
    """Wait until a GET is answered with 200, right after the start; return how long that took."""
    began = time.monotonic()
    deadline = began + seconds
    while time.monotonic() < deadline and running.alive:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return time.monotonic() - began
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(_POLL_SECONDS)
    raise MissingError(f"{running.name} did not become ready within {seconds:g} s:\n{running.last_words()}")


def await_port(running: RunningProcess, port: int, seconds: float = 60.0) -> None:
    """Wait until somebody listens on a port, right after the start. Raises `MissingError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running.alive:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    raise MissingError(f"{running.name} does not listen:\n{running.last_words()}")
