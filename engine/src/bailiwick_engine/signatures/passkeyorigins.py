"""At which origins passkeys of reviewers are used: the exact ones of consoles, as browsers write them (RFC 6454).

Standing: under `registrars`. Holds: pure; another port or a name beside a console is another origin. Only consoles on
loopback have names and ports that are not known beforehand.
"""

import re
from collections.abc import Set as AbstractSet
from typing import Final

LOCAL_CONSOLES: Final = "http://*.bailiwick.localhost:*"
"""In a list of origins: those of all consoles on loopback."""

_NAME: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:[.][a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_ORIGIN: Final = re.compile(rf"(https?)://({_NAME})(?::([1-9][0-9]{{0,4}}))?")
_LOCAL_RP: Final = "bailiwick.localhost"
_HTTPS: Final = 443
_PORTS: Final = 65_535


class PasskeyOriginError(ValueError):
    """A text is no origin of a console. The message is for a person."""


def parse_passkey_origin(text: str) -> str:
    """Return an origin as a browser writes it: in lower case, without the port 443. Raises `PasskeyOriginError`."""
    if text == LOCAL_CONSOLES:
        return text
    match = _ORIGIN.fullmatch(text.lower())
    port = _HTTPS if match is None or match[3] is None else int(match[3])
    if match is None or match[1] != "https" or port > _PORTS:
        message = (
            f"{text!r} is not the origin of a console: write https://HOST or https://HOST:PORT,"
            f" or {LOCAL_CONSOLES} for consoles on loopback"
        )
        raise PasskeyOriginError(message)
    return f"https://{match[2]}" if port == _HTTPS else f"https://{match[2]}:{port}"


def accepts_passkey(origins: AbstractSet[str] | None, rp_id: str, origin: str) -> bool:
    """Tell whether a passkey of an RP id may be used at an origin, which is as the browser wrote it.

    `origins` None: those of the consoles are not known, and the RP id alone decides, as it does in the browser.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None or not _covers(rp_id, match[2]):
        return False
    local = match[1] == "http" and _covers(_LOCAL_RP, match[2])
    if origins is None:
        return local or match[1] == "https"
    return origin in origins or (local and LOCAL_CONSOLES in origins)


def _covers(domain: str, host: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
