"""Certificates and keys of one cluster.

Standing: makes files under `<cluster>/pki`, once; a folder that has them already is used as it is, so that
tokens outlive a restart. Two authorities: one for the API server and its clients, one for etcd alone, so
that no client certificate of the first ever opens the store. Keys never leave mode 0600.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcluster.files import write_secret

_LIFE: Final = datetime.timedelta(days=365)
# Clocks of a machine and its containers may differ a little.
_SKEW: Final = datetime.timedelta(minutes=10)

SERVING_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose files are `<folder>/<name>.crt` and `.key`."""

    folder: Path
    name: str

    @classmethod
    def at(cls, folder: Path, name: str) -> Self:
        """Take the authority in this folder, or make it."""
        authority = cls(folder, name)
        if not authority.certificate.exists():
            authority._create()
        return authority

    @property
    def certificate(self) -> Path:
        """What clients must trust."""
        return self.folder / f"{self.name}.crt"

    def serving(self, name: str, names: Iterable[str]) -> Pair:
        """Issue a certificate for a server that is called by these DNS names and IP addresses.

        It may also act as client: etcd calls itself with its own certificate.
        """
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, _subject(name), usage, [_general_name(text) for text in names])

    def client(self, name: str, user: str, groups: Iterable[str] = (), uris: Iterable[str] = ()) -> Pair:
        """Issue a certificate that makes its holder `user` with `groups`, and proves these URIs, such as SPIFFE IDs."""
        known: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        return self._issue(name, _subject(user, groups), [ExtendedKeyUsageOID.CLIENT_AUTH], known)

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"bailiwick-test-{self.name}")
        certificate = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_secret(self.folder / f"{self.name}.key", _pem(key))
        # The certificate last: it is what says that the authority is complete.
        write_secret(self.certificate, certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self, name: str, subject: x509.Name, usage: list[x509.ObjectIdentifier], names: list[x509.GeneralName]
    ) -> Pair:
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        issuer_key = serialization.load_pem_private_key((self.folder / f"{self.name}.key").read_bytes(), None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            msg = f"{self.folder / self.name}.key is not the key of this cluster: remove the folder of the cluster."
            raise TypeError(msg)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, issuer.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        write_secret(pair.key, _pem(key))
        certificate = builder.sign(issuer_key, hashes.SHA256())
        write_secret(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return pair


def signing_key(path: Path) -> Path:
    """Take or make the key that signs service account tokens: RSA 2048, as kubeadm has it (so RS256)."""
    if not path.exists():
        write_secret(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return path


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(user: str, groups: Iterable[str] = ()) -> x509.Name:
    # Kubernetes reads the user from the common name and each group from an organization.
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
