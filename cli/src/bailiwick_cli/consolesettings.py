"""The flags of `serve-console`, read into the settings of the console before anything is served.

Standing: under `serve-console`. Holds: what is wrong with a flag is an error that names the flag and says what to fix.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailiwick_api.issuers import problem_of_url
from bailiwick_cli.clusternames import cluster_name
from bailiwick_cli.errors import CliError
from bailiwick_cli.registrarkeys import registrars_of
from bailiwick_cli.verbs.consoleverbs import ServeConsoleFlags
from bailiwick_console.hosted.settings import ClientSettings, HostedPlaces, HostedSettings, PublicAddress

_SCOPES: Final = ("openid", "profile", "email")


def settings_of(flags: ServeConsoleFlags, environment: Mapping[str, str]) -> HostedSettings:
    """Return the settings. Raises `CliError` with what to fix."""
    for name, url in (("--public-url", flags.public_url), ("--issuer", flags.issuer)):
        if (wrong := problem_of_url(url)) is not None:
            raise CliError(f"{name}: {url!r} {wrong}")
    public = urlsplit(flags.public_url)
    if public.path not in {"", "/"} or public.query:
        raise CliError(f"--public-url: {flags.public_url!r} must have neither a path nor a query: give it a host name")
    scopes = tuple(dict.fromkeys(flags.scope or _SCOPES))
    if "openid" not in scopes:
        raise CliError("--scope: openid is missing: without it, no issuer gives an id token")
    address = PublicAddress(flags.public_url, _passkey_host(flags.passkey_rp_id, str(public.hostname)))
    registrars = registrars_of(
        flags.registrar_keys, flags.registrar_quorum, flags.passkey_origin, flags.reviewers_installation
    )
    if registrars.origins and address.origin not in registrars.origins:
        raise CliError(f"--passkey-origin: {address.origin} is missing, the origin of --public-url")
    return HostedSettings(
        address=address,
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
        places=HostedPlaces(flags.namespace, flags.installation, registrars, cluster_name(flags.cluster_name)),
    )


def _passkey_host(given: str | None, host: str) -> str | None:
    if given is not None and given != host and not host.endswith(f".{given}"):
        raise CliError(f"--passkey-rp-id: {given!r} must be {host}, the host of --public-url, or a domain above it")
    return given


def _api_server(given: str | None, environment: Mapping[str, str]) -> str:
    if given is None:
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise CliError("--api-server: give the URL of the API server, because this is not a pod in a cluster")
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
