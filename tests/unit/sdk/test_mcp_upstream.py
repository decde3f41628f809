"""What the gateway prepares once, and not for each call that it passes on."""

import ssl
from typing import Any

import pytest

from bailiwick.mcp.gateway.upstream import Upstream


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/mcp", "https://127.0.0.1:9/mcp"])
async def test_the_authorities_of_the_system_are_read_once_and_not_for_each_call(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    read = []
    load = ssl.SSLContext.load_verify_locations
    default = ssl.SSLContext.load_default_certs

    def located(context: ssl.SSLContext, *where: Any, **named: Any) -> None:  # noqa: ANN401 - those of the library
        read.append(context)
        load(context, *where, **named)

    def defaults(context: ssl.SSLContext, *purpose: Any) -> None:  # noqa: ANN401 - those of the library
        read.append(context)
        default(context, *purpose)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", located)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", defaults)
    upstream = Upstream(url)
    for _ in range(5):
        async with upstream._http():
            pass
    assert len(set(map(id, read))) <= 1
