"""AB-48 and AB-49: certificates that no client would accept are not served with, and no old or weak handshake is held.

Holds: whatever the files hold, the process goes on; with a good pair before, new connections get that one; without, it
is not ready and does not listen.
"""

import contextlib
import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bailiwick_operator.certificates.issuer import CertificateIssuer
from bailiwick_operator.reconcile.certificates import Terms
from support.pdp.tlsprocess import NAME, TlsProcess, authority, entries, leaf, secured, serial, trusting
from support.waits import until

CA: Final = authority()
GOOD: Final = leaf(CA)
DAY: Final = datetime.timedelta(days=1)


def made(
    *,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = DAY,
    names: tuple[str, ...] = (NAME,),
    key: CertificateIssuerPrivateKeyTypes | None = None,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    signs: bool = True,
) -> dict[str, str]:
    """Make a pair that signs itself."""
    now = datetime.datetime.now(datetime.UTC)
    own = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(_usage(signs=signs), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"tls.crt": builder.sign(own, hashes.SHA256()).public_bytes(pem).decode(), "tls.key": private.decode()}


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def chained(content: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    return {**content, "tls.crt": content["tls.crt"] + other["tls.crt"]}


GOOD_ENTRIES: Final = entries(GOOD, CA)
WRONG: Final[dict[str, tuple[Callable[[], dict[str, str]], str]]] = {
    "an expired certificate": (lambda: made(ends=-DAY / 2), "the certificate expired at"),
    "one that has not begun": (lambda: made(begins=DAY / 2), "the certificate is not valid before"),
    "an expired authority": (
        lambda: chained(GOOD_ENTRIES, made(begins=-2 * DAY, ends=-DAY)),
        "a CA certificate in its chain expired at",
    ),
    "another name": (lambda: made(names=("elsewhere.example",)), f"is for elsewhere.example, not for {NAME}"),
    "no name": (lambda: made(names=()), "has no subject alternative name"),
    "a torn pair": (
        lambda: {**GOOD_ENTRIES, "tls.crt": leaf(CA).certificate},
        "the key does not match the certificate",
    ),
    "a key of another algorithm": (
        lambda: {**GOOD_ENTRIES, "tls.key": made(key=rsa.generate_private_key(65537, 2048))["tls.key"]},
        "the key does not match the certificate",
    ),
    "a short key of RSA": (
        lambda: made(key=rsa.generate_private_key(65537, 1024)),  # noqa: S505 - what must be refused
        "the RSA key has 1024 bits",
    ),
    "one for clients": (lambda: made(usage=ExtendedKeyUsageOID.CLIENT_AUTH), "is not for servers"),
    "one that may not sign": (lambda: made(signs=False), "is not for signing a handshake"),
    "half a certificate": (
        lambda: {**GOOD_ENTRIES, "tls.crt": GOOD.certificate[: len(GOOD.certificate) // 2]},
        "the certificate cannot be read",
    ),
    "half a key": (lambda: {**GOOD_ENTRIES, "tls.key": GOOD.key[: len(GOOD.key) // 2]}, "the key cannot be read"),
    "nothing": (lambda: {"tls.crt": "", "tls.key": ""}, "the files are empty"),
    "no key": (lambda: {"tls.crt": GOOD.certificate}, "tls.key cannot be read: No such file"),
    "prose": (lambda: {"tls.crt": "once", "tls.key": "upon"}, "the certificate cannot be read"),
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProcess]:
    with secured(tmp_path_factory.mktemp("serving"), GOOD_ENTRIES, "--tls-server-name", NAME) as point:
        point.await_ready()
        yield point


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProcess]:
    with secured(tmp_path_factory.mktemp("waiting"), None, "--tls-server-name", NAME) as point:
        yield point


@pytest.mark.long
@pytest.mark.parametrize("what", WRONG)
def test_ab_48_a_pair_that_no_client_would_accept_leaves_the_good_one_in_place(what: str, serving: TlsProcess) -> None:
    make, said = WRONG[what]
    serving.mounted.fill(make())
    serving.await_problem(said)
    assert serving.serial(CA) == serial(GOOD)
    # Clients are served well, so it stays ready; that something is wrong shows in the metric.
    assert serving.readiness()[0] == 200
    assert serving.metric("bailiwick_serving_certificate_refused") == 1
    better = leaf(CA)
    serving.mounted.fill(entries(better, CA))
    until(lambda: serving.serial(CA) == serial(better), "a good one is taken")
    assert serving.readiness()[1]["certificate"] == {"not_after": better.not_after.isoformat(), "problem": None}
    assert serving.metric("bailiwick_serving_certificate_refused") == 0
    ends = serving.metric("bailiwick_serving_certificate_not_after_timestamp_seconds")
    assert ends == better.not_after.timestamp()
    serving.mounted.fill(GOOD_ENTRIES)
    until(lambda: serving.serial(CA) == serial(GOOD), "the first one is served again")


@pytest.mark.long
@pytest.mark.parametrize("what", WRONG)
def test_ab_48_with_such_a_pair_at_the_start_it_waits_and_is_not_ready(what: str, waiting: TlsProcess) -> None:
    make, said = WRONG[what]
    waiting.mounted.fill(make())
    waiting.await_problem(said)
    status, body = waiting.readiness()
    assert (status, body["checks"]["certificate"], body["checks"]["serving"]) == (503, False, False)
    assert waiting.metric("bailiwick_serving_certificate_not_after_timestamp_seconds") is None
    with pytest.raises(ConnectionRefusedError):
        waiting.serial(CA)


def test_ab_48_a_secret_that_is_filled_later_is_served_with(tmp_path: Path) -> None:
    with secured(tmp_path, None) as point:
        point.await_problem("tls.crt cannot be read: No such file")
        assert point.readiness()[0] == 503
        point.mounted.fill(GOOD_ENTRIES)
        point.await_ready()
        assert point.serial(CA) == serial(GOOD)
        assert "PRIVATE" not in point.log.read_text()


@pytest.mark.long
def test_ab_48_once_what_is_served_has_ended_it_is_not_ready(tmp_path: Path) -> None:
    short = CertificateIssuer("short", Terms(frozenset({NAME}), leaf_life=datetime.timedelta(seconds=5)))
    with secured(tmp_path, None) as point:
        point.mounted.fill(entries(leaf(CA, short), CA))
        point.await_ready()
        until(lambda: point.readiness()[0] == 503, "it is not ready")
        assert point.readiness()[1]["checks"]["certificate"] is False
        point.mounted.fill(GOOD_ENTRIES)
        point.await_ready()


def test_ab_48_files_that_are_written_one_after_the_other_are_served_with_once_they_fit(serving: TlsProcess) -> None:
    other = leaf(CA)
    serving.mounted.fill({**GOOD_ENTRIES, "tls.key": other.key})
    serving.await_problem("the key does not match the certificate")
    assert serving.serial(CA) == serial(GOOD)
    serving.mounted.fill(entries(other, CA))
    until(lambda: serving.serial(CA) == serial(other), "the new one is taken")
    serving.mounted.fill(GOOD_ENTRIES)
    until(lambda: serving.serial(CA) == serial(GOOD), "the first one is served again")


def test_ab_48_a_key_of_another_algorithm_with_its_certificate_is_served_with(serving: TlsProcess) -> None:
    with serving.connect(trusting([CA])) as before:
        serving.mounted.fill(made(key=rsa.generate_private_key(65537, 2048)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=(serving.mounted / "tls.crt").read_text())
        until(lambda: _holds(serving, context), "the new one is taken")
        # The connection from before goes on.
        before.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert before.recv(12) == b"HTTP/1.1 404"
    serving.mounted.fill(GOOD_ENTRIES)
    until(lambda: _holds(serving, trusting([CA])), "the first one is served again")


def _holds(point: TlsProcess, context: ssl.SSLContext) -> bool:
    try:
        with point.connect(context):
            return True
    except (ssl.SSLError, OSError):
        return False


# With a key of RSA everything weak that there is can be offered.
RSA: Final = made(key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProcess]:
    with secured(tmp_path_factory.mktemp("hard"), RSA) as point:
        point.await_ready()
        yield point


def _client(version: ssl.TLSVersion | None = None, ciphers: str = "ALL:eNULL") -> ssl.SSLContext:
    """Return a client that would take anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _lax(context, version, ciphers)


def _lax(context: ssl.SSLContext, version: ssl.TLSVersion | None, ciphers: str) -> ssl.SSLContext:
    # Level 0, since OpenSSL itself would refuse what is tried here.
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def _held_by_another(client: ssl.SSLContext, mounted: TlsProcess) -> str | None:
    """Return the version that a server holds which refuses nothing: that a client is refused says something only so."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1
    _lax(server, None, "ALL:eNULL").load_cert_chain(mounted.mounted / "tls.crt", mounted.mounted / "tls.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=NAME),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[0].version()


OLD: Final = {"TLS 1.0": "TLSv1", "TLS 1.1": "TLSv1_1"}


@pytest.mark.parametrize("version", OLD)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_ab_49_old_versions_are_refused(version: str, hard: TlsProcess) -> None:
    client = _client(ssl.TLSVersion[OLD[version]])
    assert _held_by_another(client, hard) is not None
    with pytest.raises((ssl.SSLError, ConnectionResetError)), hard.connect(client):
        pass


WEAK: Final = {
    "anonymous": "aNULL",
    "without encryption": "eNULL",
    "CBC": "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA",
    "without forward secrecy": "AES128-GCM-SHA256:AES256-GCM-SHA384",
    "without both": "AES128-SHA:AES256-SHA256",
}


@pytest.mark.parametrize("ciphers", WEAK)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_ab_49_weak_ciphers_are_refused(ciphers: str, hard: TlsProcess) -> None:
    client = _client(ssl.TLSVersion.TLSv1_2, WEAK[ciphers])
    assert _held_by_another(client, hard) == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionResetError)), hard.connect(client):
        pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ab_49_what_is_held_is_aead_with_forward_secrecy(version: ssl.TLSVersion, hard: TlsProcess) -> None:
    with hard.connect(_client(version)) as connection:
        cipher = connection.cipher()
        assert cipher is not None
        assert cipher[0].startswith(("TLS_", "ECDHE-RSA-AES", "ECDHE-RSA-CHACHA20"))
        assert any(mode in cipher[0] for mode in ("GCM", "CHACHA20"))
        assert connection.compression() is None


@pytest.mark.long
def test_ab_49_a_client_that_asks_for_no_name_is_served_too(hard: TlsProcess) -> None:
    context = _client()
    with socket.create_connection(("127.0.0.1", hard.port), timeout=5) as plain, context.wrap_socket(plain) as secure:
        assert secure.version() == "TLSv1.3"
