"""The load: wrk on its own core, one thread, kept-alive connections, prepared requests in turn.

Standing: under `serve` and `batch`; one call is one round on one server. Holds: an answer that is not an allowed
decision fails the run, so that no server is ever fast by answering something else.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig.cores import pinned
from benchmarks.rig.servers import HOST, MissingError, Server

CONNECTIONS: Final = 32
_SCRIPT: Final = Path(__file__).resolve().with_name("post.lua")
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class WireRequests:
    """Requests as they go over the wire: path, headers, body."""

    file: Path

    @classmethod
    def write(cls, file: Path, requests: Iterable[tuple[str, dict[str, str], bytes]]) -> "WireRequests":
        """Write them for the script of wrk: one in a line, which no part of them breaks."""
        lines = []
        for path, headers, body in requests:
            joined = "\x1f".join(f"{name}={value}" for name, value in headers.items())
            lines.append(f"{path}\t{joined}\t{body.decode()}\n")
        file.write_text("".join(lines), encoding="utf-8")
        return cls(file)


@dataclass(frozen=True, slots=True)
class Round:
    """One round on one server. Latencies are in milliseconds, `cpu` in microseconds of the server's processor time."""

    requests: int
    per_second: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Wrk:
    """The load generator."""

    binary: str
    version: str
    core: int | None

    @classmethod
    def find(cls, core: int | None) -> "Wrk":
        """Find it on the PATH. Raises `MissingError`."""
        binary = shutil.which("wrk")
        if binary is None:
            raise MissingError("wrk is not on the PATH; it makes the load (Debian: apt install wrk)")
        # It has no flag for this alone: `-v` prints the version, then its usage, and fails.
        said = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - found
        return cls(binary, " ".join(said.split()[:2]), core)

    def round(self, server: Server, prepared: WireRequests, seconds: int, connections: int = CONNECTIONS) -> Round:
        """Load a server over so many connections.

        Raises `MissingError` where it did not answer every request as it should.
        """
        url = f"http://{HOST}:{server.port}"
        command = [self.binary, "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
        command += ["--timeout=10s", f"--script={_SCRIPT}", url, "--", str(prepared.file)]
        before = server.cpu_seconds()
        with pinned(self.core):
            answer = subprocess.run(  # noqa: S603 - the wrk that was found
                command, capture_output=True, text=True, check=False, timeout=seconds + _PATIENCE_SECONDS
            )
        used = server.cpu_seconds() - before
        if answer.returncode != 0:
            raise MissingError(f"wrk failed on {server.name}: {(answer.stderr or answer.stdout).strip()[-500:]}")
        said = json.loads(answer.stdout.strip().rsplit("\n", 1)[-1])
        if said["refused"] or said["errors"] or not said["requests"]:
            raise MissingError(
                f"{server.name}: {said['refused']} answers of {said['requests']} were not what they should be, and "
                f"{said['errors']} requests failed:\n{server.running.last_words(5)}"
            )
        count = said["requests"]
        return Round(
            count, count / said["microseconds"] * 1e6, said["p50"] / 1e3, said["p99"] / 1e3, used / count * 1e6
        )
