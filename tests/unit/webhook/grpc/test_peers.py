"""Who is at the other end of a gRPC call: by which certificate, of which authorities, at which moment."""

import time
from pathlib import Path

import pytest
from cryptography import x509

from bailiwick_api.serverclock import ServerClock
from bailiwick_webhook.grpc import server
from bailiwick_webhook.tls.clients import ClientAuthorities, CurrentAuthorities
from support.proxies.authority import PairFiles, TestAuthority
from support.proxies.scene import PROXY_URI


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("pki"), "clients")


@pytest.fixture(scope="module")
def shown(authority: TestAuthority) -> PairFiles:
    return authority.client("proxy", uris=(PROXY_URI,))


def names(authority: TestAuthority, pem: bytes, clock: ServerClock | None = None) -> list[str]:
    trusted = ClientAuthorities(authority.pem, CurrentAuthorities(clock))
    return [one.username for one in server._counted(trusted, pem)]


@pytest.mark.parametrize(
    ("hours", "counts"),
    [(-1, False), (0, True), (23, True), (25, False)],
    ids=["an hour before", "when it was issued", "before its end", "after its end"],
)
def test_a_certificate_counts_while_it_is_valid(
    authority: TestAuthority,
    shown: PairFiles,
    hours: int,
    counts: bool,
) -> None:
    # When the file was collected does not matter: a run may come to it half an hour later.
    clock = ServerClock(lambda: time.time() + hours * 3600)
    assert len(names(authority, shown.certificate.read_bytes(), clock)) == counts


@pytest.mark.parametrize("behind", [20, 86_400])
def test_a_certificate_ends_by_the_later_of_both_clocks(
    authority: TestAuthority, shown: PairFiles, behind: float
) -> None:
    pem = shown.certificate.read_bytes()
    moment = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp() + 10
    clock = ServerClock(lambda: moment - behind, lambda: 1000.0)
    clock.record_answer(moment, 1000.0)
    assert names(authority, pem, clock) == []


def test_one_of_another_authority_of_the_same_name_counts_for_nobody(shown: PairFiles, tmp_path: Path) -> None:
    assert names(TestAuthority(tmp_path, "clients"), shown.certificate.read_bytes()) == []


@pytest.mark.parametrize("pem", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_counts_for_nobody(authority: TestAuthority, pem: bytes) -> None:
    assert names(authority, pem) == []


def test_without_authorities_no_certificate_counts(shown: PairFiles) -> None:
    assert server._counted(None, shown.certificate.read_bytes()) == ()


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:80", "192.0.2.1"),
        ("ipv6:[2001:db8::1]:80", "2001:db8::1"),
        ("ipv6:%5B2001:db8::1%5D:80", "2001:db8::1"),
    ],
)
def test_an_address_is_read_from_what_the_library_says(peer: str, address: str) -> None:
    assert server._address(peer) == address
