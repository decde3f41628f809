"""A request id comes back as it was sent, and is recorded so that nobody takes it for anything else."""

import asyncio
import json
import re
from typing import Final

import pytest

from contract.asking_alone import PEP, asking, body, stored
from support.objects import rule
from support.pdp.alone import Alone

PATHS: Final = {
    "one evaluation": ("/endpoints/crm/crm-api/access/v1/evaluation", 200),
    "one spelled otherwise": ("/endpoints/crm/%63rm-api/access/v1/evaluation", 200),
    "a batch": ("/endpoints/crm/crm-api/access/v1/evaluations", 200),
    "nothing": ("/endpoints/crm/crm-api/access/v1/nothing", 404),
}
# RFC 9110, 5.5: field-value is visible characters and obs-text, with spaces and tabs between them.
LEGAL: Final = {
    "words": b"two words",
    "a tab": b"one\ttwo",
    "every visible character": bytes(range(0x21, 0x7F)),
    "what a batch's record once held": b"mine [0]",
    "UTF-8": "caf\u00e9 \U0001f600".encode(),
    "256 characters": b"x" * 256,
    "256 characters of UTF-8": ("\u00e9" * 256).encode(),
}
# What an HTTP server decodes and writes again as something else; see `bailiwick_webhook.http.transport.answers`.
NOT_ECHOED: Final = {"257 characters": b"x" * 257, "nothing": b"", "no UTF-8": b"caf\xe9", "half a character": b"a\xc3"}


async def sent(alone: Alone, path: str, request_id: bytes) -> tuple[int, list[bytes]]:
    """Send an evaluation with this request id; return status and the ids that came back."""
    raw = json.dumps(body()).encode()
    lines = (
        f"POST {path} HTTP/1.1".encode(),
        b"Host: pdp.example",
        f"Authorization: Bearer {PEP}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(raw),
        b"X-Request-ID: " + request_id,
    )
    async with asking(alone) as pdp:
        reader, writer = await asyncio.open_connection("127.0.0.1", pdp.port)
        writer.write(b"\r\n".join((*lines, b"", b"")) + raw)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.close()
        await writer.wait_closed()
    return int(head.split(b" ")[1]), re.findall(rb"\r\nX-Request-ID: ([^\r]*)", head)


@pytest.fixture
def alone() -> Alone:
    return Alone([stored(rule("read"))])


@pytest.mark.parametrize(("path", "status"), PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("request_id", LEGAL.values(), ids=LEGAL)
async def test_every_legal_value_comes_back_as_it_was_sent(
    alone: Alone, path: str, status: int, request_id: bytes
) -> None:
    assert await sent(alone, path, request_id) == (status, [request_id])


@pytest.mark.parametrize(("path", "status"), PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("request_id", NOT_ECHOED.values(), ids=NOT_ECHOED)
async def test_what_cannot_come_back_the_same_does_not_come_back(
    alone: Alone, path: str, status: int, request_id: bytes
) -> None:
    assert await sent(alone, path, request_id) == (status, [])


RECORDED: Final = {
    "plain": ("7d0f-4c 2b", "7d0f-4c 2b"),
    "quotes": ('say "so"', 'say "so"'),
    "a tab": ("one\ttwo", r"one\ttwo"),
    "a backslash": (r"one\ttwo", r"one\\ttwo"),
    "a turned direction": ("a\u202eb", r"a\u202eb"),
}


@pytest.mark.parametrize(("request_id", "recorded"), RECORDED.values(), ids=RECORDED)
@pytest.mark.parametrize("path", ["evaluation", "search/action"])
async def test_a_record_shows_what_an_id_is_made_of(alone: Alone, path: str, request_id: str, recorded: str) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post(path, body(), headers={"X-Request-ID": request_id})
    assert said.status == 200
    (line,) = alone.records.lines
    assert json.loads(line)["request_id"] == recorded


async def test_an_item_of_a_batch_is_recorded_by_its_place() -> None:
    alone = Alone([stored(rule("read"))])
    async with asking(alone) as pdp:
        await pdp.post("evaluations", {**body(), "evaluations": [{}, {}]}, headers={"X-Request-ID": "mine"})
        await pdp.post("evaluation", body(), headers={"X-Request-ID": "mine [1]"})
    marks = [(record["request_id"], record.get("item")) for record in map(json.loads, alone.records.lines)]
    assert marks == [("mine", 0), ("mine", 1), ("mine [1]", None)]
