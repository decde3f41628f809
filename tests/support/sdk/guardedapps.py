"""An application behind a guard of the SDK, and requests to it without a server."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick import AsyncBailiwick
from bailiwick.asgi import Application
from support.sdk.script import Script

TOKEN: Final[Mapping[str, str]] = {"Authorization": "Bearer t"}
Headers = Mapping[str, str] | list[tuple[str, str]]


@dataclass
class GuardedApplication:
    """An application behind a guard. `ran` are the ids that its handlers were run with."""

    script: Script
    ran: list[Any] = field(default_factory=list)

    @property
    def pdp(self) -> AsyncBailiwick:
        return AsyncBailiwick("https://pdp.example", token=None, transport=self.script.asynchronous)

    @property
    def asked(self) -> Any:  # noqa: ANN401 - JSON
        """The one question that was asked."""
        (body,) = self.script.bodies
        return body


@dataclass
class Said:
    status: int
    body: Any
    media_type: str
    headers: dict[str, str]


async def over_asgi(app: Application, method: str, path: str, body: bytes = b"", headers: Headers = TOKEN) -> Said:
    """Send one request to an ASGI application, its body in two parts."""
    raw, _, query = path.partition("?")
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": raw,
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "headers": [(b"content-type", b"application/json")]
        + [(name.lower().encode(), value.encode()) for name, value in pairs],
    }
    parts = [
        {"type": "http.request", "body": body[:3], "more_body": True},
        {"type": "http.request", "body": body[3:], "more_body": False},
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return Said(sent[0]["status"], json.loads(text) if text else None, found.get("content-type", ""), found)
