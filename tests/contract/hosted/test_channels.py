"""Whom the console believes on the wire, and how it shows itself: TLS each way, and no proxy of the environment."""

import asyncio
import contextlib
import json
import select
import socket
import ssl
from pathlib import Path
from typing import Final

import pytest

from bailiwick_console.hosted.certificate import ConsoleCertificate
from bailiwick_console.hosted.provider import LoginProvider, ProviderError
from bailiwick_console.hosted.settings import ClientSettings
from bailiwick_console.server import CONNECTIONS
from bailiwick_governance.apiserver.cluster import client_of_token
from bailiwick_governance.errors import UserError
from issuer.server import DISCOVERY
from support.certificates import self_signed
from support.console.clusterconsole import CLIENT, NAME
from support.console.manyfold import ManyfoldConsole
from support.waits import until

# Nobody listens there.
NOWHERE: Final = "http://127.0.0.1:1"


def provider(console: ManyfoldConsole, ca_file: Path | None) -> LoginProvider:
    settings = ClientSettings(console.issuer.signer.url, CLIENT, None, ("openid",), ca_file)
    return LoginProvider(settings, f"{console.site.url}/callback")


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", ["http://login.example.com/x", "https:/x", "/x", "", None, 7], ids=str)
def test_no_endpoint_without_tls_is_taken_from_the_document(
    console: ManyfoldConsole, endpoint: str, url: object
) -> None:
    _, text, _ = console.issuer.document(DISCOVERY)
    console.issuer.replies[DISCOVERY] = (200, json.dumps({**json.loads(text), endpoint: url}).encode(), {})
    page = console.browser().post("/login", {"to": "/"})
    assert (page.status, f"no https URL as {endpoint}" in page.text) == (502, True)


def test_an_issuer_whom_no_trusted_authority_vouches_for_is_not_asked(console: ManyfoldConsole) -> None:
    assert console.browser().begin()["state"]
    console.issuer.asked.clear()
    for other in (console.site.ca_file, None):
        with pytest.raises(ProviderError, match="CertificateError"):
            asyncio.run(provider(console, other).document())
    assert console.issuer.asked == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxy_of_the_environment_comes_between(
    console: ManyfoldConsole, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv(name, NOWHERE)
    assert console.browser().begin()["state"]
    assert client_of_token(console.issuer.signer.url, console.issuer.ca_file, lambda: "t").get(DISCOVERY)["issuer"]


def test_a_token_goes_to_no_api_server_whom_the_authority_does_not_vouch_for(console: ManyfoldConsole) -> None:
    assert client_of_token(console.issuer.signer.url, console.issuer.ca_file, lambda: "t").get(DISCOVERY)
    console.issuer.asked.clear()
    for other in (console.site.ca_file, None):
        with pytest.raises(UserError, match="certificate verify failed"):
            client_of_token(console.issuer.signer.url, other, lambda: "t").get(DISCOVERY)
    assert console.issuer.asked == []


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Shake hands in memory; returns the version that both took."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=NAME)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return here.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_speaks_no_tls_of_today_is_not_answered(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    certificate = ConsoleCertificate(*self_signed(tmp_path, NAME))
    certificate.look()
    client = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    # Whatever this machine's OpenSSL would refuse by itself, the client would speak.
    client.set_ciphers("ALL:@SECLEVEL=0")
    certificate.listening.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, newest
    if newest < ssl.TLSVersion.TLSv1_2:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
            handshake(certificate.listening, client)
    else:
        assert handshake(certificate.listening, client) == newest.name.replace("_", ".")


class TurningFile(type(Path())):  # type: ignore[misc]
    """A file that another one takes the place of after it was read once."""

    def read_bytes(self) -> bytes:
        read: bytes = super().read_bytes()
        self.write_bytes(read + b"\n")
        return read


@pytest.mark.parametrize("turning", ["certificate", "key"])
def test_a_pair_that_is_written_while_it_is_read_is_not_served(
    tmp_path: Path, turning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, key = self_signed(tmp_path, NAME)
    pair = (TurningFile(certificate), key) if turning == "certificate" else (certificate, TurningFile(key))
    found = ConsoleCertificate(*pair)
    found.look()
    assert (found.there, "the files are still being written" in capsys.readouterr().err) == (False, True)
    still = ConsoleCertificate(certificate, key)
    still.look()
    assert still.there


def test_who_never_shakes_hands_takes_one_of_the_places_from_the_first_byte(console: ManyfoldConsole) -> None:
    with contextlib.ExitStack() as held:

        def knock() -> socket.socket:
            return held.enter_context(socket.create_connection(("127.0.0.1", console.site.port), 20))

        many = [knock() for _ in range(CONNECTIONS)]
        assert knock().recv(1) == b""
        assert select.select(many, [], [], 0)[0] == []
    until(lambda: answers(console), "the console answers again")


def answers(console: ManyfoldConsole) -> bool:
    try:
        return console.browser().load("/").status == 200
    except OSError:
        return False
