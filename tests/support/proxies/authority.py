"""A certificate authority for tests: certificates of servers and of clients, by their subject alternative names."""

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class PairFiles(NamedTuple):
    """Files of a certificate and of its key, PEM."""

    certificate: Path
    key: Path


class TestAuthority:
    """One authority. `bundle` is the file of its own certificate."""

    __test__ = False

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        self.certificate = (
            _builder(subject, subject, self._key.public_key(), DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = folder / f"{name}.crt"
        self.bundle.write_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, name: str, *names: str) -> PairFiles:
        """Issue a certificate of a server at loopback, also for these DNS names."""
        known = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *(x509.DNSName(each) for each in names)]
        # As its common name the address too: HAProxy looks for it nowhere else.
        return self._issue(name, known, ExtendedKeyUsageOID.SERVER_AUTH, DAY, common="127.0.0.1")

    def client(
        self, name: str, *, uris: tuple[str, ...] = (), names: tuple[str, ...] = (), life: datetime.timedelta = DAY
    ) -> PairFiles:
        """Issue a certificate of a client."""
        known = [*(x509.UniformResourceIdentifier(uri) for uri in uris), *(x509.DNSName(each) for each in names)]
        return self._issue(name, known, ExtendedKeyUsageOID.CLIENT_AUTH, life)

    def _issue(
        self,
        name: str,
        known: list[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        life: datetime.timedelta,
        common: str | None = None,
    ) -> PairFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(_name(common or name), self.certificate.subject, key.public_key(), life)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            # By it an authority is told from its successor of the same name.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if known:
            made = made.add_extension(x509.SubjectAlternativeName(known), critical=False)
        files = PairFiles(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        files.certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + life)
    )
