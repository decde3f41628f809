"""What the console in the cluster is started with, looked at before anything is served.

Holds: every address that it ever calls or sends somebody to follows from here or from the issuer's own document; no
request names one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailiwick_api.issuers import problem_of_url
from bailiwick_cli.errors import CliError
from bailiwick_cli.flags.consoleflags import ServeConsoleFlags
from bailiwick_cli.options import INSTALLATION

_HTTPS: Final = 443
_SCOPES: Final = ("openid", "profile", "email")


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """The one URL under which people reach the console."""

    url: str

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
    """Where it looks. `namespace` None: people begin with all of them. `installation`: where Bailiwick itself is."""

    namespace: str | None = None
    installation: str = INSTALLATION


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


def settings_of(flags: ServeConsoleFlags, environment: Mapping[str, str]) -> HostedSettings:
    """Return the settings. Raises `CliError` with what to mend."""
    for name, url in (("--public-url", flags.public_url), ("--issuer", flags.issuer)):
        if (wrong := problem_of_url(url)) is not None:
            raise CliError(f"{name}: {url!r} {wrong}")
    public = urlsplit(flags.public_url)
    if public.path not in {"", "/"} or public.query:
        raise CliError(f"--public-url: {flags.public_url!r} must have neither a path nor a query: give it a host name")
    scopes = tuple(dict.fromkeys(flags.scope or _SCOPES))
    if "openid" not in scopes:
        raise CliError("--scope: openid is missing, without which no issuer gives an id token")
    return HostedSettings(
        address=PublicAddress(flags.public_url),
        client=ClientSettings(
            issuer=flags.issuer,
            client_id=flags.client_id,
            secret=None if flags.client_secret_file is None else _secret(flags.client_secret_file),
            scopes=scopes,
            ca_file=_there("--issuer-ca-file", flags.issuer_ca_file),
            max_age=flags.max_age,
        ),
        api_server=_api_server(flags.api_server, environment),
        api_ca_file=_there("--api-server-ca-file", flags.api_server_ca_file),
        certificate=Path(flags.tls_certificate_file),
        key=Path(flags.tls_key_file),
        listen=flags.listen_address,
        port=flags.port,
        health_port=flags.health_port,
        places=HostedPlaces(flags.namespace, flags.installation),
    )


def _api_server(given: str | None, environment: Mapping[str, str]) -> str:
    if given is None:
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise CliError("--api-server: give the URL of the API server, since this is not a pod of a cluster")
        given = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    if (wrong := problem_of_url(given)) is not None:
        raise CliError(f"--api-server: {given!r} {wrong}")
    return given.rstrip("/")


def _there(flag: str, path: str | None) -> Path | None:
    if path is None:
        return None
    found = Path(path)
    if not found.is_file():
        raise CliError(f"{flag}: there is no file {path}")
    return found


def _secret(path: str) -> str:
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise CliError(f"--client-secret-file: {path} cannot be read: {type(error).__name__}") from error
    if not found:
        raise CliError(f"--client-secret-file: {path} is empty")
    return found
