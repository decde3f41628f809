"""Reviews of policies over HTTP: what goes in and what comes back is `admission.k8s.io/v1`."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp import ClientSession

from bailiwick_api.admission import PATH
from bailiwick_webhook.admission.bench import Bench
from bailiwick_webhook.http.server import serve
from support.admission.reviews import UID, sent
from support.objects import Object, policy, rule, settings
from support.pdp.alone import Alone
from support.pdp.asking import Said

JSON: Final = {"Content-Type": "application/json"}
BROKEN: Final = rule(conditions=[{"name": "big", "expression": "context.count >\n  nothing.here"}])


def stored(name: str = "carrier", **spec: object) -> Object:
    raw = policy("crm", name, **{"endpointSettings": settings(), **spec})
    raw["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return raw


class Asking:
    def __init__(self, client: ClientSession) -> None:
        self._client = client

    async def __call__(self, data: bytes, query: str = "?timeout=10s", **headers: str) -> Said:
        answer = await self._client.post(PATH + query, data=data, headers={**JSON, **headers})
        raw = await answer.read()
        return Said(answer.status, json.loads(raw), answer.headers, raw)


@pytest.fixture
async def asks() -> AsyncIterator[Asking]:
    bench = Bench()
    alone = Alone([stored()], bench=bench, mapped={"corp": True, "partners": False})
    server = await serve(alone.application, "127.0.0.1", 0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            yield Asking(client)
    finally:
        await server.stop()
        await bench.close()


async def test_a_sound_policy_is_allowed_under_the_uid_of_the_review(asks: Asking) -> None:
    said = await asks(sent(policy("crm")))
    assert (said.status, said.headers["Content-Type"]) == (200, "application/json")
    assert said.body == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": UID, "allowed": True},
    }


async def test_a_policy_that_does_not_compile_is_refused_with_the_position(asks: Asking) -> None:
    response = (await asks(sent(policy("crm", rules=[BROKEN])))).body["response"]
    assert (response["uid"], response["allowed"]) == (UID, False)
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    assert response["status"]["message"].startswith("InvalidPolicy: spec.rules[0].conditions[0].expression:2:")
    (cause,) = response["status"]["details"]["causes"]
    assert cause["field"] == "spec.rules[0].conditions[0].expression"
