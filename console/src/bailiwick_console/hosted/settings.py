"""What the console in the cluster is started with, as its command read it from flags.

Holds: every address that it ever calls or sends somebody to follows from here or from the issuer's own document; no
request names one.
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailiwick_api.accounts import Installation
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars

_HTTPS: Final = 443
_INSTALLATION: Final = Installation().namespace


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """The one URL under which people reach the console. `passkey_host`: the RP id; None: the host of the URL."""

    url: str
    passkey_host: str | None = None

    @property
    def host(self) -> str:
        """What the Host header must be."""
        parts = urlsplit(self.url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
        return name if parts.port in {None, _HTTPS} else f"{name}:{parts.port}"

    @property
    def origin(self) -> str:
        """What the Origin header must be."""
        return f"https://{self.host}"

    @property
    def rp_id(self) -> str | None:
        """The host without its port, or a domain above it; None for an address, which no passkey is for."""
        name = self.passkey_host or urlsplit(self.url).hostname
        try:
            ipaddress.ip_address(name or "")
        except ValueError:
            return name
        return None


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """As whom the console asks the issuer. `secret` None: a public client, which PKCE alone protects.

    `max_age`: at most so many seconds before they come, people have to have authenticated there; None: whenever.
    """

    issuer: str
    client_id: str
    secret: str | None = field(repr=False)
    scopes: tuple[str, ...]
    ca_file: Path | None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class HostedPlaces:
    """Where it looks. `namespace` None: people begin with all of them. `installation`: where Bailiwick itself is.

    `registrars`: who enrols reviewers there, as far as the console was given their keys. `cluster_name`: what the
    cluster is called on its pages.
    """

    namespace: str | None = None
    installation: str = _INSTALLATION
    registrars: Registrars = NO_REGISTRARS
    cluster_name: str | None = None


@dataclass(frozen=True, slots=True)
class HostedSettings:
    """All of it."""

    address: PublicAddress
    client: ClientSettings
    api_server: str
    api_ca_file: Path | None
    certificate: Path
    key: Path
    listen: str
    port: int
    health_port: int
    places: HostedPlaces
