"""An enforcement point that makes a connection of its own for each call, over TLS, and how long each takes."""

import http.client
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from support.pdp.tenant import Tenant

# An address that no flood comes from; and one that every flood of several addresses comes from, too.
OWN: Final = "127.0.0.1"
SHARED: Final = "127.2.0.0"
_TIMEOUT: Final = 5.0


@dataclass
class Calls:
    """What came of calls."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """The part of the calls that were answered with a decision."""
        count = len(self.seconds) + self.failed.total()
        return len(self.seconds) / count if count else 0.0

    def quantile(self, part: float) -> float:
        """Return within how many seconds this part of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]

    def __str__(self) -> str:
        """Return one line for a person."""
        told = " ".join(f"p{part * 100:g}={self.quantile(part) * 1000:.1f}ms" for part in (0.5, 0.9, 0.99, 1.0))
        return f"{len(self.seconds)} answered, {dict(self.failed)} not, {told if self.seconds else ''}"


@dataclass(frozen=True, slots=True)
class Fresh:
    """Asks one decision point for one tenant. `certificate` is what the decision point serves with."""

    url: str
    certificate: Path
    tenant: Tenant

    def calls(self, seconds: float, source: str = OWN, gap: float = 0.02) -> Calls:
        """Ask one call after the other for so long."""
        calls, ends = Calls(), time.monotonic() + seconds
        body = self.tenant.body("customers.list")
        while time.monotonic() < ends:
            began = time.monotonic()
            try:
                status, said = self.asked(body, source=source)
            except (OSError, http.client.HTTPException) as error:
                calls.failed[type(error).__name__] += 1
            else:
                if status == http.HTTPStatus.OK:
                    assert said["decision"] is True
                    calls.seconds.append(time.monotonic() - began)
                else:
                    calls.failed[f"{status}"] += 1
            time.sleep(gap)
        return calls

    def asked(
        self, body: Mapping[str, Any], path: str = "evaluation", *, source: str = OWN, timeout: float = _TIMEOUT
    ) -> tuple[int, dict[str, Any]]:
        """Ask once; return status and body of the answer. Raises `OSError`, `http.client.HTTPException`."""
        address = (OWN, urlsplit(self.url).port)
        with (
            socket.create_connection(address, timeout=timeout, source_address=(source, 0)) as plain,
            _trusting(self.certificate).wrap_socket(plain, server_hostname=OWN) as secured,
        ):
            secured.sendall(self._request(json.dumps(body).encode(), path))
            answer = http.client.HTTPResponse(secured)
            answer.begin()
            said: dict[str, Any] = json.loads(answer.read())
            return answer.status, said

    def _request(self, body: bytes, path: str) -> bytes:
        lines = [
            f"POST {urlsplit(self.tenant.url(path)).path} HTTP/1.1",
            "Host: elsewhere.example",
            "Content-Type: application/json",
            f"Authorization: Bearer {self.tenant.pep}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


@cache
def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))
