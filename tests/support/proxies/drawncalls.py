"""Calls to draw: requests of which some parts are odd, in the ways by which one call has been taken for another."""

import itertools
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st

from support.proxies.bed import FORGED, HIDDEN, HOST, OTHER, TRAILERS, Call, chunked

KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADES: Final = {
    "of websockets": ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY),
    "to HTTP/2": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "to anything": ("Connection: upgrade", "Upgrade: anything/1.0"),
    "without a list": ("Upgrade: h2c",),
    "in two lines": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "to TLS": ("Connection: Upgrade", "Upgrade: TLS/1.2, HTTP/1.1"),
}


PATHS: Final = (
    *(
        "/customers",
        "/customers/42",
        "/customers/42/notice",
        "/rooms/5",
        "/uploads/5",
        "/ADMIN/5",
        "/Admin/5",
        "/admin/5",
    ),
    *("/customers/..", "/customers/%2e%2e/admin/5", "//customers/42", "/rooms/./5", "/rooms%2F5", "/", "*", ""),
)
ENDS: Final = ("/", "%0A", "%00", "%7F", "%0a", "#x", "%23", ";x=1", ".json", "%20", "%FF", "%C0%AF", "\\x", "?", "%3F")
QUERIES: Final = (
    *("?a=1", "?_method=DELETE", "?X-HTTP-Method-Override=DELETE", "?a=1&x-http-method=PUT", "?%5Fmethod=PUT"),
    *(
        "?a=1;_method=PUT",
        "?+_method=PUT",
        "?_method",
        "?a#b",
        "??_method=PUT",
        "?a=%0D%0AX:%20y",
        "?a=\x00",
        "?.method=PUT",
    ),
)
FORMS: Final = (
    *(f"http://{HOST}", f"http://{OTHER}", f"HTTPS://{HOST}:443", f"http://{OTHER}@{HOST}", f"//{OTHER}"),
    *(OTHER, f"http://{HOST}.", "http://", f"ws://{HOST}", f"http:/{OTHER}", f"\\\\{OTHER}"),
)
HOST_LINES: Final = (
    *(HOST, OTHER, HOST.upper(), f"{HOST}:8080", f"{HOST}:", f"{HOST}.", f"{OTHER}@{HOST}", f"{HOST},{OTHER}"),
    *("", "[::1]", f"{HOST}/x", f"{HOST}?x", f"{HOST} {OTHER}", f"{HOST}\t", f"{HOST}:80:80", "crm%2eexample.com"),
)
NAMES: Final = (
    *(
        "X-Bailiwick-Subject",
        "X-Bailiwick-Issuer",
        "X-Bailiwick-Decision",
        "X-Bailiwick-Reason",
        "X-Bailiwick-Approval",
        "X-Bailiwick-Enforcer",
    ),
    *("X-Original-URI", "X-Original-Method", "X-Forwarded-Host", "X-Forwarded-Uri", "X-HTTP-Method-Override", "Host"),
    *("Content-Type", "Content-Length", "Transfer-Encoding", "Authorization", "X-Request-ID", "X-Other"),
)
SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    *(str, str, str, str.lower, str.upper, lambda name: name.replace("-", "_"), lambda name: name.replace("-", "_", 1)),
    *(lambda name: f"{name} ", lambda name: f" {name}", lambda name: f"{name}\x00", lambda name: f"{name}\x0b"),
    *(
        lambda name: f"X: y\r{name}",
        lambda name: f"X: y\n{name}",
        lambda name: name.replace("-", "\u2010".encode().decode("latin-1")),
    ),
)
VALUES: Final = (
    FORGED,
    "",
    "DELETE",
    "/admin/5",
    HOST,
    "0",
    "chunked",
    "x, y",
    "application/x-www-form-urlencoded",
    "\x80",
)
LINES: Final = (
    *itertools.chain.from_iterable(UPGRADES.values()),
    *(
        "Connection: X-Bailiwick-Subject",
        "Connection: close, X-Bailiwick-Decision, X-Bailiwick-Issuer, Host",
        "Connection: Authorization",
    ),
    *(
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive, X-Bailiwick-Subject",
        "TE: trailers",
        "Trailer: X-Bailiwick-Subject",
    ),
    *("Expect: 100-continue", f"Forwarded: host={OTHER};proto=https", "X-Forwarded-Prefix: /admin", f"X-Host: {OTHER}"),
    *(
        "X-Envoy-Original-Path: /admin/5",
        "X-Envoy-Retry-On: 5xx",
        "X-Rewrite-URL: /admin/5",
        "Max-Forwards: 0",
        ":path: /admin",
    ),
    *(
        "Content-Encoding: gzip",
        "Range: bytes=0-1",
        "Upgrade-Insecure-Requests: 1",
        "Content-Type: multipart/form-data; boundary=x",
    ),
)
BODIES: Final[tuple[tuple[tuple[str, ...], bytes], ...]] = (
    (("Content-Type: application/json", "Content-Length: 2"), b"{}"),
    (("Content-Length: 14",), b"_method=DELETE"),
    (("Content-Type: application/x-www-form-urlencoded", "Content-Length: 14"), b"_method=DELETE"),
    (("Content-Type: text/plain", f"Content-Length: {len(HIDDEN)}"), HIDDEN),
    (("Content-Type: text/plain", "Transfer-Encoding: chunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: chunked"), chunked(b"x", TRAILERS)),
    (("Transfer-Encoding: chunked",), chunked(b"_method=DELETE")),
    (("Content-Type: text/plain", "Content-Length: 5", "Transfer-Encoding: chunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: xchunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: gzip, chunked"), chunked(HIDDEN)),
    (("Content-Length: 0",), HIDDEN),
    (("Content-Length: 0", "Content-Length: 14"), b"_method=DELETE"),
)
METHODS: Final = ("GET", "POST", "PUT", "HEAD", "DELETE", "get", "OPTIONS", "CONNECT", "TRACE", "Get", "PRI")
VERSIONS: Final = ("HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "HTTP/0.9", "http/1.1", "HTTP/1.2", "")
FOLLOWING: Final = (
    HIDDEN,
    b"\r\n" + HIDDEN,
    b"GET /customers/43 HTTP/1.1\r\nHost: crm.example.com\r\n\r\n",
    b"\x16\x03\x01",
)


PARTS: Final = ("method", "form", "path", "end", "query", "version", "hosts", "lines", "body", "behind")


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A request of which up to three parts are odd."""
    odd = draw(st.sets(st.sampled_from(PARTS), max_size=3))
    named = st.builds(
        lambda name, spell, value: f"{spell(name)}: {value}",
        st.sampled_from(NAMES),
        st.sampled_from(SPELLINGS),
        st.sampled_from(VALUES),
    )
    method = draw(st.sampled_from(METHODS)) if "method" in odd else draw(st.sampled_from(["GET", "POST"]))
    path = "/customers/42/notice" if method == "POST" else "/customers/42"
    target = [
        draw(st.sampled_from(FORMS)) if "form" in odd else "",
        draw(st.sampled_from(PATHS)) if "path" in odd else path,
        draw(st.sampled_from(ENDS)) if "end" in odd else "",
        draw(st.sampled_from(QUERIES)) if "query" in odd else "",
    ]
    lines, body = draw(st.sampled_from(BODIES)) if "body" in odd else ((), b"")
    told = draw(st.lists(st.one_of(st.sampled_from(LINES), named), max_size=3)) if "lines" in odd else []
    closing = draw(st.sampled_from([("Connection: close",), ("Connection: close",), ()]))
    return Call(
        method,
        "".join(target),
        draw(st.sampled_from(VERSIONS)) if "version" in odd else "HTTP/1.1",
        draw(st.lists(st.sampled_from(HOST_LINES), max_size=2).map(tuple)) if "hosts" in odd else (HOST,),
        (*told, *lines, *closing),
        body,
        draw(st.sampled_from(FOLLOWING)) if "behind" in odd else b"",
    )
