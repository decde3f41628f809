"""Certificates as bytes: CAs and serving certificates made with `cryptography`, and read back as facts.

Holds: what is read is believed only where it can be checked: a key fits its certificate, a CA is one, a serving
certificate was signed by the CA that it is said to be of. What is wrong is said without a byte of a key.
"""

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bailiwick_operator.reconcile.certificates import BACKDATE, Authority, Leaf, Terms

_PEM: Final = serialization.Encoding.PEM
_MAX_COMMON_NAME: Final = 64
# What the library raises where somebody's certificate is odd.
_ODD: Final = (
    *(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.ExtensionNotFound),
)


class UnreadableError(ValueError):
    """It is not what it should be; the message says why, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class CertificateIssuer:
    """Makes CAs and certificates on P-256, to these terms. `service` is what they are called after."""

    service: str
    terms: Terms

    def authority(self, now: datetime) -> Authority:
        """Return a new CA, which signs certificates of servers and nothing below itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Each has a name of its own, so that a client which trusts two never takes one for the other.
        subject = _name(f"{self.service[:40]} CA {secrets.token_hex(4)}")
        begins = now.replace(microsecond=0) - BACKDATE
        ends = now.replace(microsecond=0) + self.terms.authority_life
        certificate = (
            _builder(subject, subject, key.public_key(), begins, ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(_PEM).decode("ascii")
        return Authority(_id(certificate), pem, _private(key), begins, ends)

    def leaf(self, issuer: Authority, now: datetime) -> Leaf:
        """Return a new certificate for a server of these names, with a new key."""
        signer, authority = _key(issuer.key or ""), _certificate(issuer.certificate)
        key = ec.generate_private_key(ec.SECP256R1())
        begins = max(now.replace(microsecond=0) - BACKDATE, issuer.not_before)
        ends = min(now.replace(microsecond=0) + self.terms.leaf_life, issuer.not_after)
        names = [general_name(name) for name in sorted(self.terms.names)]
        certificate = (
            _builder(_name(self.service), authority.subject, key.public_key(), begins, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        pem = certificate.public_bytes(_PEM).decode("ascii")
        return Leaf(pem, _private(key), issuer.id, self.terms.names, begins, ends)


def read_authority(
    certificate: str, key: str | None, published: datetime | None = None, until: datetime | None = None
) -> Authority:
    """Return a CA. Raises `UnreadableError` where it is none, or the key is another's."""
    found = _certificate(certificate)
    if not _is_authority(found):
        raise UnreadableError("the certificate of the CA is not a CA certificate")
    _subject(found)
    if key is not None and _key(key).public_key() != _public(found):
        raise UnreadableError("the key of the CA does not match its certificate")
    pem = found.public_bytes(_PEM).decode("ascii")
    return Authority(_id(found), pem, key, found.not_valid_before_utc, found.not_valid_after_utc, published, until)


def read_leaf(certificate: str, key: str, authorities: Iterable[Authority]) -> Leaf:
    """Return a serving certificate. Raises `UnreadableError` where the key is another's, or none of these signed it."""
    found = _certificate(certificate)
    if _key(key).public_key() != _public(found):
        raise UnreadableError("the key does not match the certificate")
    issuer = next((each for each in authorities if _signed(found, _certificate(each.certificate))), None)
    if issuer is None:
        raise UnreadableError("the certificate is not signed by a CA of this installation")
    return Leaf(certificate, key, issuer.id, _names(found), found.not_valid_before_utc, found.not_valid_after_utc)


def signer_among(certificate: str, candidates: str) -> Authority | None:
    """Return the CA among these certificates that signed a serving certificate, without a key; None: none did.

    What of it cannot be read counts as nothing.
    """
    try:
        leaf, bundle = _certificate(certificate), certificates(candidates)
    except UnreadableError:
        return None
    for each in bundle:
        if _is_authority(each) and _signed(leaf, each):
            return read_authority(each.public_bytes(_PEM).decode("ascii"), None)
    return None


def certificates(bundle: str) -> list[x509.Certificate]:
    """Return the certificates of a bundle, at least one. Raises `UnreadableError`."""
    try:
        return x509.load_pem_x509_certificates(bundle.encode())
    except _ODD:
        raise UnreadableError("it contains no certificate") from None


def alone(bundle: str) -> str:
    """Return a bundle with its certificates and nothing else: a key may stand beside them. Raises `UnreadableError`."""
    return "".join(each.public_bytes(_PEM).decode("ascii") for each in certificates(bundle))


def authorities_alone(bundle: str) -> str:
    """Return the CA certificates of a bundle, each once; empty where there is none, or the bundle cannot be read."""
    try:
        found = {_id(each): each for each in certificates(bundle) if _is_authority(each)}
    except UnreadableError:
        return ""
    return "".join(each.public_bytes(_PEM).decode("ascii") for each in found.values())


def ids(bundle: str) -> frozenset[str]:
    """Return what names the certificates of a bundle; nothing where it cannot be read."""
    try:
        return frozenset(_id(each) for each in certificates(bundle))
    except UnreadableError:
        return frozenset()


def fitting(certificate: str, key: str) -> datetime:
    """Return the end of a certificate that is not ours. Raises `UnreadableError` where the key is another's."""
    chain = certificates(certificate)
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
        fits = private.public_key() == chain[0].public_key()
    except _ODD:
        raise UnreadableError("the key cannot be read") from None
    if not fits:
        raise UnreadableError("the key does not match the certificate")
    return min(each.not_valid_after_utc for each in chain)


def general_name(text: str) -> x509.GeneralName:
    """Return an address or a DNS name as certificates hold it. Raises `ValueError`."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _certificate(pem: str) -> x509.Certificate:
    return certificates(pem)[0]


def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(pem.encode(), None)
    except _ODD:
        raise UnreadableError("a key cannot be read") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise UnreadableError("a key is not an elliptic curve key")
    return found


def _public(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except _ODD:
        raise UnreadableError("the public key of a certificate cannot be read") from None


def _subject(certificate: x509.Certificate) -> x509.Name:
    try:
        # Read only when it is asked for, and asked for only when it signs.
        return certificate.subject
    except _ODD:
        raise UnreadableError("the subject of the CA's certificate cannot be read") from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _ODD:
        return False


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except _ODD:
        return False
    return True


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _ODD:
        return frozenset()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return frozenset((*found.get_values_for_type(x509.DNSName), *addresses))


def _id(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode("ascii")


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:_MAX_COMMON_NAME])])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
