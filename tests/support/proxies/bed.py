"""One real proxy between an upstream that reports what it received and a witness of what was asked; and calls, by part.

Holds: what `Bed.verify` demands of each call that reached the upstream is what the shipped file of each proxy promises.
"""

import contextlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import TIMEOUT, exchange
from support.proxies.reports import ReportedCall, ReportingUpstream
from support.proxies.scene import Scene
from support.proxies.witness import NotedQuestion, Witness

HOST: Final = "crm.example.com"
OTHER: Final = "other.example.com"
HIDDEN: Final = b"GET /hidden HTTP/1.1\r\nHost: crm.example.com\r\n\r\n"
FORGED: Final = "forged"
# With it a proxy closes the connection behind its answer.
LAST: Final = "Connection: close"
# Of an answer that is not there yet: a call that a proxy waits for the rest of gets none.
IDLE: Final = 0.4
TRAILERS: Final = (
    b"0\r\nX-Bailiwick-Issuer: forged\r\nX-Bailiwick-Subject: forged\r\nX_Bailiwick_Subject: forged\r\n"
    b"Authorization: forged\r\n\r\n"
)
# As every reader reads it: some take other signs for a hyphen or an underscore.
_PLAIN: Final = re.compile(r"[a-z0-9-]+")
# By which some upstreams take a call for another one: of another method, path or host.
REPLACING: Final = (
    *("x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"),
    *("forwarded", "x-forwarded-method", "x-forwarded-uri", "x-forwarded-path", "x-forwarded-prefix"),
    *("x-original-uri", "x-original-method", "x-original-host", "x-host", "x-forwarded-server", "x-http-host-override"),
    "x-script-name",
)


@dataclass(frozen=True)
class Bed:
    """One proxy between its parts."""

    scene: Scene
    proxy: RunningProxy
    upstream: ReportingUpstream
    witness: Witness
    only_http1: bool

    def send(self, raw: bytes, idle: float = IDLE) -> bytes:
        """Send bytes on a connection of their own; return what comes until it is closed, or nothing more comes."""
        with contextlib.suppress(OSError):
            return exchange(self.proxy.port, raw, idle)
        return b""

    def answered(self, raw: bytes) -> bytes:
        """Send a request that is the last of its connection; return its answer, however long it takes to come."""
        return exchange(self.proxy.port, raw, TIMEOUT, ConnectionError)

    def verify(self) -> list[ReportedCall]:
        """Hold what was reported against what was asked; return it, and begin anew."""
        reported, odd = self.upstream.calls[:], self.upstream.odd[:]
        asked = {one.decision: one for one in self.witness.noted if one.decision is not None}
        del self.upstream.calls[: len(reported)], self.upstream.odd[: len(odd)]
        assert odd == []
        seen = [verify(call, asked) for call in reported]
        assert len(seen) == len(set(seen)), "one decision, two calls"
        return reported


def verify(call: ReportedCall, asked: dict[str, NotedQuestion]) -> str:
    """Hold a call that reached the upstream against the question that let it through; return its decision."""
    assert not call.tunnel, call
    (decision,) = call.all("x-bailiwick-decision")
    question = asked[decision]
    assert (call.method, call.all("host"), call.target) == (question.method, [question.host], question.target)
    assert call.all("x-bailiwick-subject") == [question.subject]
    assert call.all("x-bailiwick-issuer") == [question.issuer] != [None]
    # No other name that some reader takes for one of ours, and no list by which the next proxy takes ours away.
    ours = [name for name, _ in call.headers if "bailiwick" in name.lower()]
    assert sorted(name.lower() for name in ours) == [
        "x-bailiwick-decision",
        "x-bailiwick-issuer",
        "x-bailiwick-subject",
    ]
    assert all(value.lower() in {"close", "keep-alive"} for value in call.all("connection"))
    assert not call.trailers
    names = [name.lower() for name, _ in call.headers]
    assert not {"upgrade", "http2-settings", "trailer", *REPLACING} & set(names)
    assert not [name for name in names if _PLAIN.fullmatch(name) is None]
    assert call.all("x-forwarded-host") in ([], [question.host])
    verify_no_other_method(call)
    # The caller may not touch what an upstream that knows no case takes these for.
    assert not call.target.lower().startswith("/admin")
    lengths, codings = call.all("content-length"), call.all("transfer-encoding")
    assert (len(lengths) < 2 and not codings) or (lengths, codings) == ([], ["chunked"])
    return decision


def verify_no_other_method(call: ReportedCall) -> None:
    """Hold that no name in the query, and no form, can say another method."""
    parameters = parse_qsl(urlsplit(call.target).query, keep_blank_values=True)
    names = {name.strip().lower().replace("_", "-").replace(".", "-") for name, _ in parameters}
    assert not {"-method", *REPLACING} & names, call.target
    kinds = call.all("content-type")
    assert len(kinds) < 2
    assert not any("form" in kind.lower() or kind.lower().startswith("multipart") for kind in kinds)
    assert any(kinds) or not call.body, "the type of the body is not said"


@dataclass(frozen=True)
class Call:
    """A request, part by part, as it is written."""

    method: str = "GET"
    target: str = "/customers/42"
    version: str = "HTTP/1.1"
    hosts: tuple[str, ...] = (HOST,)
    lines: tuple[str, ...] = ()
    body: bytes = b""
    behind: bytes = b""

    def raw(self, scene: Scene) -> bytes:
        name, value = scene.bearer()
        lines = [f"{self.method} {self.target} {self.version}", *(f"Host: {host}" for host in self.hosts)]
        lines += [f"{name}: {value}", *self.lines]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body + self.behind


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%s\r\n%s" % (len(body), body, end)
