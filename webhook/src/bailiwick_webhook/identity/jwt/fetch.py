"""Fetching the keys of an issuer over HTTPS: from where the configuration says, bounded in time and size.

Holds: https only, no redirect is followed, no proxy of the environment is used, and unless the configuration allows it
no address is called that is not public, whatever its name resolves to: a configuration that tenants can influence must
not make us call what lies beside us.
"""

import asyncio
import ipaddress
import socket
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from bailiwick_api.issuers import problem_of_url
from bailiwick_webhook.identity.jwt.keyset import KeysUnavailableError

MAX_BYTES: Final = 256 * 1024
SECONDS: Final = 5.0


async def fetch_json(url: str, *, ca_file: Path | None, private: bool) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON at a URL. Raises `KeysUnavailableError` with what went wrong."""
    if (wrong := problem_of_url(url)) is not None:
        raise KeysUnavailableError(f"{url}: {wrong}")
    try:
        if not private:
            _refuse_literal(urlsplit(url).hostname or "")
        trusted = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        connector = aiohttp.TCPConnector(ssl=trusted, resolver=None if private else _PublicOnly())
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False
            ) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != HTTPStatus.OK:
                raise KeysUnavailableError(f"{url}: status {response.status}")
            raw, connection = bytearray(), response.connection
            # Of an answer that has come whole the connection is the session's again.
            transport = None if connection is None else connection.transport
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > MAX_BYTES:
                    if transport is not None:
                        # Its other end may have more to say, and a goodbye of TLS would wait for all of it.
                        transport.abort()
                    raise KeysUnavailableError(f"{url}: more than {MAX_BYTES} bytes")
            return orjson.loads(raw)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise KeysUnavailableError(f"{url}: {error!r}") from error
    finally:
        # Of the end of a connection the loop tells in its next turn, and only then is it closed.
        await asyncio.sleep(0)


class _PublicOnly(AbstractResolver):
    """Resolves names to public addresses only; the connection goes to what was looked at here."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver(loop=asyncio.get_running_loop())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name. Raises `OSError` where it has no public address."""
        found = [entry for entry in await self._resolver.resolve(host, port, family) if _public(entry["host"])]
        if not found:
            raise OSError(f"{host} has no public address: if the host is yours, set allowPrivateAddresses")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def _refuse_literal(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return  # A name: `_PublicOnly` looks at its addresses.
    if not _public(host):
        raise KeysUnavailableError(f"{host} is not a public address: if the host is yours, set allowPrivateAddresses")


def _public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_global and not address.is_multicast
