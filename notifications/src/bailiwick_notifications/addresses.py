"""Which addresses a target may be called at. Pure; `sending` asks at each connection, of the address that it is to.

Holds: closed. A target of a namespace is called at public addresses alone, but for what the installation allows; no
target is called at link-local addresses and the others at which clouds answer with credentials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# An IPv4 address stands in the last 32 bits of these, and a gateway may call it.
_TRANSLATED: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
# Where clouds (Azure, Oracle, Alibaba, AWS) answer with credentials or with what configures machines, without being
# link-local; and the translation of a network's own, in which it is unknown where an IPv4 address stands.
_OF_CLOUDS: Final = (
    *(ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"), ip_network("100.100.100.200/32")),
    *(ip_network("fd00:ec2::254/128"), ip_network("64:ff9b:1::/48")),
)


class AddressRefusedError(OSError):
    """This address is not called."""


@dataclass(frozen=True, slots=True)
class AddressRule:
    """What may be called. `public_only`: of a namespace's target. `allowed` and `refused` win over that, in order."""

    public_only: bool
    allowed: tuple[Network, ...] = ()
    refused: tuple[Network, ...] = ()

    def why_not(self, text: object) -> str | None:
        """Return why an address is not called; None: it is. What is no address is not called."""
        try:
            address = _read(text)
        except ValueError:
            return "it is no address"
        if _is_in_any(address, _OF_CLOUDS):
            return "clouds answer there with credentials, or it hides another address"
        if address.is_multicast or address.is_unspecified or address.is_reserved or address == _BROADCAST:
            return "it is the address of no single machine"
        if address.is_link_local:
            return "it is link-local, where clouds answer with credentials"
        if _is_in_any(address, self.allowed):
            return None
        if _is_in_any(address, self.refused):
            return "the installation refuses it"
        if self.public_only and not _is_public(address):
            return "it is not public, and the installation does not allow it (notifications.namespaceAllowedCIDRs)"
        return None

    def check(self, text: object) -> None:
        """Raise `AddressRefusedError` for an address that is not called."""
        if (why := self.why_not(text)) is not None:
            raise AddressRefusedError(f"the address {str(text)[:45]} is not called: {why}")


_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_BROADCAST: Final = IPv4Address("255.255.255.255")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read networks in CIDR notation. Raises `ValueError`."""
    return tuple(ip_network(text) for text in texts)


def is_public(text: object) -> bool:
    """Tell whether an address is one of the internet. Raises `ValueError` for what is none."""
    return _is_public(_read(text))


def _read(text: object) -> Address:
    return _innermost(ip_address(str(text).partition("%")[0]))


def _innermost(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    for inner in (address.ipv4_mapped, address.sixtofour, (address.teredo or (None, None))[1]):
        if inner is not None:
            return inner
    if any(address in network for network in _TRANSLATED) and int(address) & 0xFFFFFFFF > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    # Python calls addresses global that are not assigned yet, and old site-local ones.
    return address.is_global and (isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST)


def _is_in_any(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
