"""What the console in the cluster is started with: what cannot be right is said at the start."""

from pathlib import Path
from typing import Any

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_cli.consolesettings import settings_of
from bailiwick_cli.errors import CliError
from bailiwick_cli.options import OPTIONAL
from bailiwick_cli.verbs.consoleverbs import ServeConsoleFlags
from bailiwick_console.hosted import process
from bailiwick_console.hosted.settings import HostedSettings, PublicAddress
from support.signing.sshkeygen import made_key, public_line


def settings(**given: Any) -> HostedSettings:  # noqa: ANN401 - any flag
    usual = {
        **dict.fromkeys(OPTIONAL),
        "public_url": "https://bailiwick.example.com",
        "issuer": "https://login.example.com",
        "client_id": "bailiwick",
        "tls_certificate_file": "tls.crt",
        "tls_key_file": "tls.key",
        "api_server": "https://api.example.com",
    }
    return settings_of(ServeConsoleFlags(**{**usual, **given}), {})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://bailiwick.example.com", "bailiwick.example.com"),
        ("https://Bailiwick.example.com:443/", "bailiwick.example.com"),
        ("https://bailiwick.example.com:8443", "bailiwick.example.com:8443"),
        ("https://[fd00::1]:8443", "[fd00::1]:8443"),
    ],
)
def test_the_host_is_as_a_browser_sends_it(url: str, host: str) -> None:
    assert (PublicAddress(url).host, PublicAddress(url).origin) == (host, f"https://{host}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"public_url": "http://bailiwick.example.com"}, "--public-url: .* must be an absolute https URL"),
        ({"public_url": "https://bailiwick.example.com/console"}, "--public-url: .* neither a path"),
        ({"public_url": "https://me:pw@bailiwick.example.com"}, "--public-url: .* must not contain a user"),
        ({"issuer": "http://login.example.com"}, "--issuer: .* https"),
        ({"api_server": "http://api.example.com"}, "--api-server: .* https"),
        ({"api_server": None}, "--api-server: give the URL"),
        ({"scope": ["profile"]}, "--scope: openid is missing"),
        ({"issuer_ca_file": "/nowhere"}, "--issuer-ca-file: there is no file"),
        ({"api_server_ca_file": "/nowhere"}, "--api-server-ca-file: there is no file"),
        ({"client_secret_file": "/nowhere"}, "--client-secret-file: .* cannot be read"),
        ({"registrar_keys": "/nowhere"}, "/nowhere cannot be read"),
        ({"passkey_rp_id": "example.org"}, "--passkey-rp-id: 'example.org' must be bailiwick.example.com"),
        ({"passkey_rp_id": "ick.example.com"}, "--passkey-rp-id: .* or a domain above it"),
        ({"passkey_origin": ["https://bailiwick.example.com"]}, "--passkey-origin needs --registrar-keys"),
    ],
)
def test_what_cannot_be_right_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CliError, match=said):
        settings(**given)


@pytest.mark.parametrize(
    ("url", "given", "rp_id"),
    [
        ("https://Bailiwick.example.com:8443", None, "bailiwick.example.com"),
        ("https://bailiwick.example.com", "example.com", "example.com"),
        ("https://10.0.0.1:8443", None, None),
        ("https://[fd00::1]", None, None),
    ],
)
def test_passkeys_are_of_the_host_or_of_a_domain_above_it_and_never_of_an_address(
    url: str, given: str | None, rp_id: str | None
) -> None:
    assert settings(public_url=url, passkey_rp_id=given).address.rp_id == rp_id


def test_the_registrars_of_a_file_are_known_to_the_pages(tmp_path: Path) -> None:
    key = made_key(tmp_path / "registrar")
    found = settings(registrar_keys=f"{key}.pub").places.registrars
    assert [str(one) for one in found.keys] == [public_line(key).rpartition(" ")[0]]
    assert found.origins is None
    own = "https://bailiwick.example.com"
    many = settings(registrar_keys=f"{key}.pub", passkey_origin=[f"{own}:443", "https://other.example:8443"])
    assert many.places.registrars.origins == frozenset({own, "https://other.example:8443"})
    with pytest.raises(CliError, match=f"--passkey-origin: {own} is missing"):
        settings(registrar_keys=f"{key}.pub", passkey_origin=["https://other.example"])
    with pytest.raises(CliError, match="--passkey-origin: 'x' is not the origin of a console"):
        settings(registrar_keys=f"{key}.pub", passkey_origin=["x"])
    with pytest.raises(CliError, match="--registrar-quorum 2: there are keys of 1 registrars"):
        settings(registrar_keys=f"{key}.pub", registrar_quorum=2)


@pytest.mark.parametrize(("given", "where"), [({}, Installation().namespace), ({"installation": "authz"}, "authz")])
def test_people_come_in_to_the_installation_that_is_named(
    given: dict[str, Any], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "HostedEntrance", lambda *_, **named: named)
    made: Any = process.entrance_of(settings(**given))
    assert made["places"].installation == where


def test_a_secret_that_is_empty_is_none_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(CliError, match="is empty"):
        settings(client_secret_file=str(tmp_path / "secret"))


def test_a_secret_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    found = settings(client_secret_file=str(tmp_path / "secret"))
    assert found.client.secret == "s3cret"
    assert "s3cret" not in repr(found)
