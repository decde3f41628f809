"""Asking a decision point that runs in the same process, without a cluster."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientSession

from bailiwick_webhook.http.transport.server import serve
from support.objects import Object, policy, rule
from support.pdp.alone import Alone, subject_token
from support.pdp.questions import Said

PEP: Final = "system:serviceaccount:crm:crm-api"
AGENT: Final = "system:serviceaccount:agents:crm-agent"
STRANGER: Final = "system:serviceaccount:crm:stranger"
TENANT: Final = "/endpoints/crm/crm-api"


def stored(*rules: Object, name: str = "crm-agent", **spec: object) -> Object:
    """Return a policy as the API server keeps it, with the settings of the endpoint."""
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}]}
    raw = policy("crm", name, rules=list(rules) or [rule()], **{"endpointSettings": settings, **spec})
    raw["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return raw


class LoneClient:
    """A client of one decision point."""

    def __init__(self, alone: Alone, client: ClientSession, port: int) -> None:
        self.alone = alone
        self.port = port
        self._client = client

    async def post(
        self, path: str, body: object, caller: str = PEP, tenant: str = TENANT, headers: Mapping[str, str] | None = None
    ) -> Said:
        """Post to a path of an endpoint."""
        return await self.post_raw(path, json.dumps(body), caller, tenant, headers)

    async def post_raw(
        self, path: str, body: str, caller: str = PEP, tenant: str = TENANT, headers: Mapping[str, str] | None = None
    ) -> Said:
        """Post a text, whatever it is."""
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {caller}", **(headers or {})}
        answer = await self._client.post(f"{tenant}/access/v1/{path}", data=body, headers=own)
        raw = await answer.read()
        return Said(answer.status, json.loads(raw), answer.headers, raw)

    async def get(self, path: str, method: str = "GET") -> Said:
        """Get a path, as nobody in particular."""
        answer = await self._client.request(method, path)
        raw = await answer.read()
        return Said(answer.status, json.loads(raw) if raw else {}, answer.headers, raw)


@asynccontextmanager
async def asking(alone: Alone) -> AsyncIterator[LoneClient]:
    """Serve, and return who asks."""
    server = await serve(alone.application, "127.0.0.1", 0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            yield LoneClient(alone, client, server.port)
    finally:
        await server.stop()


def body(subject: str = AGENT, action: str = "customers.list", resource: str = "42", **context: object) -> Object:
    """Return an evaluation that shows the subject's token."""
    return {
        "subject": {"type": "serviceAccount", "id": subject},
        "action": {"name": action},
        "resource": {"type": "customer", "id": resource},
        "context": {"evidence": {"subject_token": subject_token(subject)}, **context},
    }
