"""The gateway as a process of its own, and clients of it."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from bailiwick.testing import token_for
from support.waits import until

PROGRAM: Final = (sys.executable, "-P", "-m", "bailiwick.mcp.gateway")
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 30.0


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway that listens. `base` is its URL without a path."""

    process: subprocess.Popen[bytes]
    base: str
    log: Path

    @property
    def url(self) -> str:
        """Where MCP is spoken."""
        return f"{self.base}/mcp"


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[GatewayProcess]:
    """Start a gateway on a free port, with a token of its own unless the flags name one."""
    own = folder / "token"
    if "--token-file" not in flags:
        own.write_text("own", encoding="ascii")
        flags = (*flags, "--token-file", str(own))
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen([*PROGRAM, "--port", "0", *flags], stdout=written, stderr=written)
    try:
        yield GatewayProcess(process, _address(process, log), log)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def client_of(
    url: str, who: str | None = None, token: str | None = None, mode: str = "auto"
) -> AsyncIterator[Client[Any]]:
    """Open a client as somebody whom a decision point of tests believes, or with a token.

    `mode` "legacy": of an MCP before 2026-07-28.
    """
    sent = token if who is None else token_for(who)
    headers = {} if sent is None else {"Authorization": f"Bearer {sent}"}
    async with Client(StreamableHttpTransport(url, headers=headers), mode=mode) as client:
        yield client


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def said() -> str:
        return log.read_text(encoding="utf-8")

    def address() -> re.Match[str] | None:
        return re.search(r"listening on (https?://\S+)/mcp,", said())

    until(lambda: address() or process.poll() is not None, "the gateway listens", _START_SECONDS)
    found = address()
    assert found, f"the gateway does not listen:\n{said()[-2000:]}"
    return found[1]
