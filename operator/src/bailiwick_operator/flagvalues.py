"""Checks of flag values that argparse itself does not check: URLs, names, networks. Pure."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_DNS_NAME: Final = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def is_url(text: str) -> bool:
    """Tell whether it is an HTTP or HTTPS URL."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_name(text: str) -> bool:
    """Tell whether it is a DNS name or an IP address."""
    if _DNS_NAME.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_network(text: str) -> bool:
    """Tell whether it is a network in CIDR notation, with no host bit set."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
