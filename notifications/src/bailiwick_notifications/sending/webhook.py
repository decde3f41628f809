"""Sends one CloudEvent by HTTP POST.

Holds: the address is asked about when the socket for it is made, after the name was resolved, so that no name can
resolve to something else in between; neither proxies of the environment nor redirects lead elsewhere; a public address
is not called without TLS.
"""

import socket
from collections.abc import Mapping
from functools import partial
from typing import Final

import aiohttp

from bailiwick_notifications.addresses import AddressRefusedError, AddressRule, is_public
from bailiwick_notifications.sending.attempt import DeliveryAttempt, attempt_from_status
from bailiwick_notifications.sending.names import NameLookup

_AGENT: Final = "bailiwick-notifications"
_WHO: Final = "the receiver"


async def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    rule: AddressRule,
    seconds: float,
    resolver: NameLookup | None = None,
) -> DeliveryAttempt:
    """Send, and return what came of it."""
    resolver = resolver or NameLookup()
    clear = url.startswith("http:")
    # One connection for each attempt: a kept one would be to an address that was asked about long ago.
    connector = aiohttp.TCPConnector(
        force_close=True,
        use_dns_cache=False,
        resolver=resolver,
        socket_factory=partial(_open_socket, rule, clear=clear),
    )
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            session.post(url, data=body, headers={**headers, "User-Agent": _AGENT}, allow_redirects=False) as response,
        ):
            # Nothing of the answer is read but its status.
            return attempt_from_status(response.status, _WHO)
    except TimeoutError:
        return DeliveryAttempt("failed", f"{_WHO} did not answer within {seconds:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _failure(error)


def _open_socket(rule: AddressRule, info: "aiohttp.connector.AddrInfoType", *, clear: bool) -> socket.socket:
    family, kind, protocol, _, address = info
    rule.check(address[0])
    if clear and is_public(address[0]):
        raise AddressRefusedError("a public address is called with https alone")
    return socket.socket(family=family, type=kind, proto=protocol)


def _failure(error: Exception) -> DeliveryAttempt:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefusedError):
            # Not for good: a name may resolve to another address later, and an allowance may come.
            return DeliveryAttempt("failed", str(cause))
        cause = cause.__cause__
    # Its words may hold the URL, its type does not.
    return DeliveryAttempt("failed", f"{_WHO} was not reached ({type(error).__name__})")
