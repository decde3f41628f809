"""HTTP as clients and attackers speak it: every answer is a closed one, and tells what it is about."""

import contextlib
import json
import re
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote, urlsplit

import pytest
import requests

from bailiwick_webhook.http.shares.bounds import PACE
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant
from support.waits import until

pytestmark = pytest.mark.long

_WAIT: Final = 5.0


def _raw(tenant: Tenant, *parts: bytes, to_its_end: bool = False) -> bytes:
    """Send bytes as they are; return the first whole answer, or all that comes before the connection ends."""
    address = urlsplit(tenant.points[0])
    out = b""
    with socket.create_connection((address.hostname, address.port), timeout=_WAIT) as connection:
        for part in parts:
            connection.sendall(part)
        while to_its_end or not _whole(out):
            chunk = connection.recv(65536)
            if not chunk:
                break
            out += chunk
    return out


def _whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(found) and length is not None and len(body) >= int(length[1])


def _head(tenant: Tenant, *headers: str, method: str = "POST", target: str = "", version: str = "1.1") -> bytes:
    lines = [
        f"{method} {target or urlsplit(tenant.url()).path} HTTP/{version}",
        "Host: elsewhere.example",
        f"Authorization: Bearer {tenant.pep}",
        "Content-Type: application/json",
        "X-Request-ID: raw",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _body(tenant: Tenant) -> bytes:
    return json.dumps(tenant.body("customers.list")).encode()


def test_a_body_in_chunks_is_read(tenant: Tenant) -> None:
    body = _body(tenant)
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    answer = _raw(tenant, _head(tenant, "Transfer-Encoding: chunked", "Connection: close"), chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"decision":true' in answer


def test_chunks_without_end_are_cut_at_a_mib(tenant: Tenant) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = _raw(tenant, _head(tenant, "Transfer-Encoding: chunked", "Connection: close"), chunk * 20)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"larger than 1048576 bytes" in answer


def test_a_body_that_says_it_is_huge_is_refused_before_it_is_sent(tenant: Tenant) -> None:
    answer = _raw(tenant, _head(tenant, "Content-Length: 99999999999", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(("version", "headers"), [("1.0", ()), ("1.1", ("Connection: close",))])
def test_a_connection_that_is_to_be_closed_is_closed_after_the_answer(
    tenant: Tenant, version: str, headers: tuple[str, ...]
) -> None:
    body = _body(tenant)
    sent = _head(tenant, *headers, f"Content-Length: {len(body)}", version=version) + body
    answer = _raw(tenant, sent, to_its_end=True)
    assert b" 200 OK\r\n" in answer
    assert answer.endswith(b"}")
    assert b"\r\nX-Request-ID: raw\r\n" in answer


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: +2",),
        ("Transfer-Encoding: chunked, identity",),
        ("Authorization : Bearer x",),
        ("X-Long: " + "x" * 20_000,),
        ("X-Nul: \0",),
    ],
    ids=["both", "twice", "negative", "plus", "odd", "blank", "long", "nul"],
)
def test_a_request_that_can_be_read_in_two_ways_is_not_read_at_all(tenant: Tenant, lines: tuple[str, ...]) -> None:
    answer = _raw(tenant, _head(tenant, *lines) + b"0\r\n\r\n", to_its_end=True)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b'"decision"' not in answer


def test_ab_37_what_could_not_be_parsed_is_counted_and_does_not_get_into_the_log(
    tenant: Tenant, pdp: Bailiwick
) -> None:
    before = _malformed(pdp)
    _raw(tenant, b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer open-sesame-1\r\n\r\n")
    _raw(tenant, b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer open-sesame-2\x01\r\n\r\n")
    # In one piece: of a body that breaks off later, the parser tells only its own log, and the call ends as too slow.
    _raw(tenant, _head(tenant, "Transfer-Encoding: chunked") + b"open-sesame-3\r\n\r\n")
    until(lambda: _malformed(pdp) >= before + 2, "they are counted")
    assert "open-sesame" not in pdp.points[0].process.log.read_text()


def _malformed(pdp: Bailiwick) -> float:
    text = requests.get(f"{pdp.points[0].status_url}/metrics", timeout=10).text
    found = re.search(r'^bailiwick_requests_malformed_total\{port="decisions"\} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["evaluation", "requests"])
def test_another_method_is_refused_with_those_that_are_not(tenant: Tenant, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {tenant.pep}", "X-Request-ID": "method"}
    answer = questions.said(requests.request(method, tenant.url(path), headers=headers, timeout=5))
    assert (answer.status, answer.headers["Allow"], answer.headers["X-Request-ID"]) == (405, "POST", "method")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/access/v1/evaluation",
        "/endpoints/{ns}/crm-api/access/v1/evaluation/",
        "/endpoints/{ns}/crm-api//access/v1/evaluation",
        "//endpoints/{ns}/crm-api/access/v1/evaluation",
        "/endpoints/x/../{ns}/crm-api/access/v1/evaluation",
        "/endpoints//crm-api/access/v1/evaluation",
        "/ENDPOINTS/{ns}/crm-api/access/v1/evaluation",
        "/endpoints/{ns}/crm-api/access/v1/evaluation;v=2",
    ],
)
def test_a_path_that_is_not_ours_is_404(tenant: Tenant, path: str) -> None:
    body = _body(tenant)
    target = path.format(ns=tenant.namespace)
    answer = _raw(tenant, _head(tenant, "Connection: close", f"Content-Length: {len(body)}", target=target) + body)
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"\r\nX-Request-ID: raw\r\n" in answer
    assert b"Content-Type: application/problem+json" in answer


OTHERWISE: Final = (
    "{ns}%2Fcrm-api/x",
    "{ns}/crm-api%2F",
    "{ns}/%63rm-api%00",
    "{ns}/CRM-API",
    "{ns}%20/crm-api",
    "%2e%2e/crm-api",
    "%FF/%FE",
)


@pytest.mark.parametrize("endpoint", OTHERWISE)
def test_an_endpoint_spelled_otherwise_is_another_endpoint(tenant: Tenant, endpoint: str) -> None:
    body = _body(tenant)
    target = f"/endpoints/{endpoint.format(ns=tenant.namespace)}/access/v1/evaluation"
    answer = _raw(tenant, _head(tenant, "Connection: close", f"Content-Length: {len(body)}", target=target) + body)
    assert answer.startswith(b"HTTP/1.1 403")


def test_one_endpoint_has_one_name_however_its_letters_are_encoded(tenant: Tenant) -> None:
    url = tenant.url().replace("crm-api", "%63rm-api")
    assert questions.post(url, tenant.body("customers.list"), tenant.pep).decision is True


@pytest.mark.parametrize("sent", [b"x" * 257, b"", b"caf\xe9"])
def test_a_request_id_that_could_do_harm_is_not_echoed_and_makes_no_two_calls_one(tenant: Tenant, sent: bytes) -> None:
    resource = f"id-{len(sent)}"
    tenant.approved("customers.notify", resource)
    body, headers = tenant.body("customers.notify", resource), {"X-Request-ID": sent}
    answers = [questions.post(tenant.url(), body, tenant.pep, headers) for _ in range(2)]
    assert [answer.context["approval"]["uses"] for answer in answers] == [1, 2]
    assert not any("X-Request-ID" in answer.headers for answer in answers)


def test_no_answer_may_be_kept_by_a_cache(tenant: Tenant) -> None:
    answers = [
        tenant.ask("customers.list"),
        tenant.ask("customers.unheard"),
        questions.post(tenant.url(), b"", tenant.pep),
        questions.post(tenant.url(), b"", None),
        questions.get(tenant.url("requests/agr-x.y"), tenant.pep),
        questions.get(tenant.points[0], None),
    ]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * len(answers)


def test_a_host_header_does_not_get_into_an_answer(tenant: Tenant) -> None:
    body = tenant.body("customers.export", "host")
    answer = questions.post(
        tenant.url(), body, tenant.pep, {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    )
    assert b"evil" not in answer.raw
    assert answer.context["access_request"]["endpoint"].startswith(tenant.points[0])


def test_ab_38_headers_that_name_somebody_are_not_believed(tenant: Tenant) -> None:
    headers = {"X-Remote-User": tenant.account("api"), "X-Forwarded-User": "admin", "Impersonate-User": "admin"}
    assert questions.post(tenant.url(), tenant.body("customers.list"), None, headers).status == 401


# Both ends have a limit of open files: where that is low, as many as it holds.
IDLE: Final = 5_000 if resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 12_000 else 500


def test_ab_35_thousands_of_connections_that_say_nothing_keep_nobody_from_being_answered(tenant: Tenant) -> None:
    address = urlsplit(tenant.points[0])
    idle = [socket.create_connection((address.hostname, address.port), timeout=5) for _ in range(IDLE)]
    try:
        for number, connection in enumerate(idle):
            connection.sendall(_head(tenant, "Content-Length: 100")[: 20 + number % 200])
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = [call.result() for call in [pool.submit(tenant.ask, "customers.list") for _ in range(40)]]
        assert {answer.decision for answer in answers} == {True}
        assert time.monotonic() - began < 10
    finally:
        for connection in idle:
            connection.close()


def test_ab_35_a_body_that_comes_a_byte_at_a_time_is_given_up(tenant: Tenant) -> None:
    address = urlsplit(tenant.points[0])
    began, answer = time.monotonic(), b""
    with socket.create_connection((address.hostname, address.port), timeout=PACE.seconds + 5) as connection:
        connection.sendall(_head(tenant, "Content-Length: 1000", "Connection: close"))
        connection.settimeout(0.2)
        while not answer and time.monotonic() - began < PACE.seconds + 5:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
    took = time.monotonic() - began
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"the body arrived too slowly" in answer
    # Long before the time in which a body must be whole.
    assert PACE.grace - 0.1 < took < PACE.seconds - 2


def test_a_body_that_keeps_up_with_the_rate_is_read_however_small_its_pieces(tenant: Tenant) -> None:
    body = _body(tenant)
    padded = body + b" " * int(PACE.rate * (PACE.grace + 1) - len(body))
    address = urlsplit(tenant.points[0])
    with socket.create_connection((address.hostname, address.port), timeout=PACE.seconds + 5) as connection:
        connection.sendall(_head(tenant, f"Content-Length: {len(padded)}", "Connection: close"))
        began, step = time.monotonic(), PACE.rate // 8
        for start in range(0, len(padded), step):
            connection.sendall(padded[start : start + step])
            # At more than the rate, and for longer than the grace.
            time.sleep(0.12)
        assert time.monotonic() - began > PACE.grace
        assert connection.recv(12) == b"HTTP/1.1 200"


HOSTILE: Final = (
    'x\n{"decision":true,"action":"forged"}',
    "x\r\nforged",
    "\x1b[31mred\x1b[0m",
    "x\u2028y\u2029z\u0085",
    '"},{"a":"',
    "\u202egnp.exe",
    "\x00\x07\x08",
)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_ab_37_what_a_caller_names_breaks_out_of_no_record_log_or_answer(
    tenant: Tenant, pdp: Bailiwick, text: str
) -> None:
    records, logs = pdp.points[0].records, pdp.points[0].process.log
    marker = f"marker-{HOSTILE.index(text)}"
    body = tenant.body(f"{marker}{text}", f"{marker}{text}", intent=text, **{text: text})
    answer = questions.post(tenant.url(), body, tenant.pep)
    assert (answer.status, answer.decision) == (200, False)
    # No braces: those are no letters of a path here.
    target = (
        f"/endpoints/{tenant.namespace}/{marker}{quote(text.translate({123: None, 125: None}))}/access/v1/evaluation"
    )
    assert questions.post(tenant.points[0] + target, body, tenant.pep).status == 403

    def written() -> list[bytes]:
        return [line for line in records.read_bytes().split(b"\n")[:-1] if marker.encode() in line]

    # One line for each of the two, and each tells what was asked, to the letter.
    until(lambda: len(written()) == 2, "both decisions are recorded")
    lines = written()
    assert {json.loads(line)["action"] for line in lines} == {f"{marker}{text}"}
    for raw in (answer.raw, *lines, *logs.read_bytes().split(b"\n")):
        assert not any(byte < 0x20 or byte == 0x7F for byte in raw)
    assert all(json.loads(line) for line in logs.read_bytes().splitlines())


def test_ab_37_an_answer_repeats_neither_tokens_nor_what_the_context_holds(tenant: Tenant) -> None:
    answer = questions.post(tenant.url(), tenant.body("customers.list", note="open sesame"), tenant.pep)
    assert b"sesame" not in answer.raw
    refused = questions.post(tenant.url(), tenant.body("customers.unheard", note="open sesame"), tenant.pep)
    assert b"sesame" not in refused.raw
    for secret in (tenant.pep, tenant.token("agent", tenant.audience)):
        assert secret.encode() not in answer.raw + refused.raw
