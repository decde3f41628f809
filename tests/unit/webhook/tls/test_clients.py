"""What clients' authorities remember of the certificates that they judged."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bailiwick_webhook.tls import clients
from bailiwick_webhook.tls.clients import ClientAuthorities, CurrentAuthorities
from support.proxies.authority import TestAuthority
from support.proxies.scene import PROXY_URI


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("pki"), "clients")


@pytest.fixture(scope="module")
def shown(authority: TestAuthority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.client("proxy", uris=(PROXY_URI,)).certificate.read_bytes())


def _again(certificate: x509.Certificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))


def test_a_signature_is_verified_once_on_however_many_connections_it_is_shown(
    authority: TestAuthority, shown: x509.Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[x509.Certificate] = []
    issued = clients._issued

    def noted(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
        verified.append(certificate)
        return issued(authority, certificate)

    monkeypatch.setattr(clients, "_issued", noted)
    trusted = ClientAuthorities(authority.pem, CurrentAuthorities())
    assert all(trusted.issued(_again(shown)) for _ in range(10))
    assert len(verified) == 1


def test_a_certificate_of_the_same_contents_with_another_signature_is_judged_by_itself(
    authority: TestAuthority, shown: x509.Certificate
) -> None:
    trusted = ClientAuthorities(authority.pem, CurrentAuthorities())
    assert trusted.issued(shown)
    raw = bytearray(shown.public_bytes(Encoding.DER))
    # The last byte is of the signature.
    raw[-1] ^= 1
    forged = x509.load_der_x509_certificate(bytes(raw))
    assert forged.tbs_certificate_bytes == shown.tbs_certificate_bytes
    assert [trusted.issued(forged), trusted.issued(shown), trusted.issued(forged)] == [False, True, False]


def test_each_state_of_the_file_judges_by_itself(
    authority: TestAuthority, shown: x509.Certificate, tmp_path: Path
) -> None:
    current = CurrentAuthorities()
    first = ClientAuthorities(authority.pem, current)
    assert first.issued(shown)
    # Of the same name, as after a rotation.
    other = ClientAuthorities(TestAuthority(tmp_path, "clients").pem, current)
    assert [other.issued(shown), first.issued(shown)] == [False, True]
