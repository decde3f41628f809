"""The example's API asks before it looks: what a caller may not read looks the same whether or not it is there."""

import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bailiwick import AsyncBailiwick, ServiceAccountFile
from bailiwick.transports.aiohttp import AiohttpTransport
from bailiwick_webhook.http.transport.server import serve
from contract.asking_alone import PEP, stored
from support.objects import gated_rule, rule
from support.pages import DOCS
from support.pdp.alone import Alone, subject_token

AGENT: Final = "system:serviceaccount:agents:crm-agent"
# Of the example's customers 41 and 42 are there.
RULES: Final = (
    rule(
        "some", actions=["customers.export", "customers.notify"], resources=[{"type": "customer", "ids": ["42", "77"]}]
    ),
    gated_rule("gated", resources=[{"type": "customer", "ids": ["gated.*"]}]),
)
ARGUMENTS: Final = {"export": {"fields": ["name"]}, "notify": {"text": "hello"}}
# What differs from decision to decision.
_OWN: Final = ("evaluation_id", "evaluated_at", "access_request")


def _example() -> Any:  # noqa: ANN401 - a script
    spec = importlib.util.spec_from_file_location("crm_api", DOCS.parent / "examples" / "crm" / "crm_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def crm(folder: Path) -> AsyncIterator[TestClient[Any, Any]]:
    token = folder / "token"
    token.write_text(PEP)
    server = await serve(Alone([stored(*RULES)]).application, "127.0.0.1", 0)
    pdp = AsyncBailiwick(
        f"http://127.0.0.1:{server.port}",
        endpoint="crm/crm-api",
        token=ServiceAccountFile(token),
        transport=AiohttpTransport(),
    )
    try:
        async with TestClient(TestServer(_example().application(pdp))) as client:
            yield client
    finally:
        await server.stop()


async def asked(client: TestClient[Any, Any], customer: str, action: str, **more: object) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {subject_token(AGENT)}", **more.pop("headers", {})}  # type: ignore[dict-item]
    body = more.get("body", json.dumps(ARGUMENTS[action]))
    async with client.post(f"/customers/{customer}/{action}", data=body, headers=headers) as answer:
        said: dict[str, Any] = json.loads(await answer.text())
        return answer.status, {name: value for name, value in said.items() if name not in _OWN}


@pytest.mark.parametrize("action", ARGUMENTS)
async def test_an_id_that_there_is_not_looks_like_one_that_is_forbidden(tmp_path: Path, action: str) -> None:
    async with crm(tmp_path) as client:
        there, nowhere = await asked(client, "41", action), await asked(client, "99", action)
    assert there == nowhere
    assert (there[0], there[1]["reason"]) == (403, "no_rule")


async def test_an_id_that_there_is_not_needs_an_approval_like_any_other(tmp_path: Path) -> None:
    async with crm(tmp_path) as client:
        status, said = await asked(client, "gated.99", "export")
    assert (status, said["reason"]) == (403, "approval_required")


@pytest.mark.parametrize("action", ARGUMENTS)
async def test_whoever_may_read_it_is_told_that_it_is_not_there(tmp_path: Path, action: str) -> None:
    async with crm(tmp_path) as client:
        assert (await asked(client, "42", action))[0] == 200
        assert await asked(client, "77", action) == (404, {"reason": "not_found"})


BODIES: Final = {
    "no JSON": ("{", {}),
    "no object": ("[]", {}),
    "no arguments": ("{}", {}),
    "arguments of another shape": ('{"fields": "name", "text": 1}', {}),
    "an approval that is no JSON": (None, {"X-Approval": "{"}),
}


@pytest.mark.parametrize("action", ARGUMENTS)
@pytest.mark.parametrize(("body", "headers"), BODIES.values(), ids=BODIES)
async def test_what_cannot_be_read_is_400_and_tells_nothing_of_the_record(
    tmp_path: Path, action: str, body: str | None, headers: dict[str, str]
) -> None:
    sent = json.dumps(ARGUMENTS[action]) if body is None else body
    async with crm(tmp_path) as client:
        answers = [await asked(client, customer, action, body=sent, headers=headers) for customer in ("42", "41", "99")]
    assert {status for status, _ in answers} == {400}
    assert answers[0] == answers[1] == answers[2]
