"""Calls an issuer over HTTPS, for its keys and its signals: where the configuration says, bounded in time and size.

Holds: https only, no redirect is followed, no proxy of the environment is used, and unless the configuration allows it
no address is called that is not public, whatever its name resolves to: a configuration that tenants can influence must
not make us call what lies beside us.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from bailiwick_api.issuers import problem_of_url

MAX_BYTES: Final = 256 * 1024
SECONDS: Final = 5.0
_MOST_EXPLAINED: Final = 300

# Gateways call an IPv4 address that stands in one of these (NAT64, 6to4, Teredo, mapped and compatible ones), and the
# last are of a site.
_NOT_ITSELF: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0/96", "fec0::/10")
)


class FetchError(Exception):
    """There is no usable answer; the message says why."""


@dataclass(frozen=True, slots=True)
class FetchRule:
    """How an issuer is called. `private`: at addresses that are not public too. `seconds` of one call, `most` bytes."""

    ca_file: Path | None
    private: bool
    seconds: float = SECONDS
    most: int = MAX_BYTES


async def fetch_json(url: str, rule: FetchRule) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON at a URL. Raises `FetchError`."""
    return await _exchange("GET", url, {}, None, rule)


async def post_json(url: str, body: object, token: str, rule: FetchRule) -> Any:  # noqa: ANN401 - any JSON value
    """Send JSON to a URL with a bearer token, and return the JSON of the answer. Raises `FetchError`."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return await _exchange("POST", url, headers, orjson.dumps(body), rule)


async def _exchange(
    method: Literal["GET", "POST"], url: str, headers: Mapping[str, str], body: bytes | None, rule: FetchRule
) -> Any:  # noqa: ANN401 - any JSON value
    if (wrong := problem_of_url(url)) is not None:
        raise FetchError(f"{url}: {wrong}")
    try:
        if not rule.private:
            _refuse_literal(urlsplit(url).hostname or "")
        trusted = ssl.create_default_context(cafile=str(rule.ca_file) if rule.ca_file else None)
        connector = aiohttp.TCPConnector(ssl=trusted, resolver=None if rule.private else _PublicOnly())
        limits = aiohttp.ClientTimeout(total=rule.seconds)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limits, trust_env=False) as session,
            session.request(
                method, url, data=body, allow_redirects=False, headers={"Accept": "application/json", **headers}
            ) as response,
        ):
            if response.status != HTTPStatus.OK:
                raise FetchError(f"{url}: status {response.status}")
            raw, connection = bytearray(), response.connection
            # Of an answer that has come whole the connection is the session's again.
            transport = None if connection is None else connection.transport
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > rule.most:
                    if transport is not None:
                        # Its other end may have more to say, and a goodbye of TLS would wait for all of it.
                        transport.abort()
                    raise FetchError(f"{url}: more than {rule.most} bytes")
            return orjson.loads(raw)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise FetchError(f"{url}: {_explain(error)}") from error
    finally:
        # Of the end of a connection the loop tells in its next turn, and only then is it closed.
        await asyncio.sleep(0)


def _explain(error: Exception) -> str:
    """Return kind and message of an error in one bounded line, without what was sent or received.

    The representation of an error of aiohttp has the headers of the request, with the token; and its message for a
    malformed answer has what the other side wrote, who can send the token back.
    """
    text = str(error)
    if isinstance(error, aiohttp.ClientResponseError):
        text = "the answer is not valid HTTP"
    return f"{type(error).__name__}: {' '.join(text.split())}"[:_MOST_EXPLAINED].removesuffix(": ")


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
        raise FetchError(f"{host} is not a public address: if the host is yours, set allowPrivateAddresses")


def _public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _NOT_ITSELF):
        return False
    return address.is_global and not address.is_multicast
