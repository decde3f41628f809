"""A certificate and its key, looked at before anything is served with them.

Holds: a pair that is returned fits together, is valid now, is for a server, and is for the names that are asked for;
what is wrong is said without a byte of the key.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_RSA_BITS: Final = 2048
_UNREADABLE: Final = (
    *(ValueError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
_USAGES: Final = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


class UnusableError(ValueError):
    """The pair is not served with; the message says why."""


class NotIssuedError(UnusableError):
    """There is no pair yet."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is known of a pair. `not_after` is when the first certificate of its chain ends."""

    serial: str
    names: tuple[str, ...]
    not_after: datetime


def look(certificate: bytes, key: bytes, now: datetime, wanted: Iterable[str] = ()) -> Pair:
    """Return what is known of a pair that can be served for all these names. Raises `UnusableError`."""
    if not certificate.strip() or not key.strip():
        raise NotIssuedError("the files are empty: no certificate is issued yet")
    chain = _chain(certificate)
    leaf = chain[0]
    _fit(leaf, key)
    for index, each in enumerate(chain):
        which = "the certificate" if index == 0 else "a CA certificate in its chain"
        if now < each.not_valid_before_utc:
            raise UnusableError(f"{which} is not valid before {each.not_valid_before_utc.isoformat()}")
        if now >= each.not_valid_after_utc:
            raise UnusableError(f"{which} expired at {each.not_valid_after_utc.isoformat()}")
    _for_servers(leaf)
    names = _names(leaf)
    if not names:
        raise UnusableError("the certificate has no subject alternative name, so no client accepts it")
    for name in wanted:
        if not any(_covers(pattern, name) for pattern in names):
            raise UnusableError(f"the certificate is for {', '.join(names)}, not for {name}")
    return Pair(f"{leaf.serial_number:x}", names, min(each.not_valid_after_utc for each in chain))


def _chain(certificate: bytes) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(certificate)
        # Read here, since what is in a certificate is looked at only when it is asked for.
        for each in chain:
            each.extensions  # noqa: B018 - as the line above says
            each.public_key()
    except _UNREADABLE:
        raise UnusableError("the certificate cannot be read") from None
    return chain


def _fit(leaf: x509.Certificate, key: bytes) -> None:
    public = leaf.public_key()
    _strong(public)
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableError("the key cannot be read") from None
    if private.public_key() != public:
        raise UnusableError("the key does not match the certificate")


def _strong(key: PublicKeyTypes) -> None:
    match key:
        case rsa.RSAPublicKey() if key.key_size < _RSA_BITS:
            raise UnusableError(f"the RSA key has {key.key_size} bits; the minimum is {_RSA_BITS}")
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return
        case _:
            raise UnusableError("the key uses an algorithm that TLS servers do not support")


def _for_servers(leaf: x509.Certificate) -> None:
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is not None and not _USAGES & set(extended):
        raise UnusableError("the certificate is not for servers (extended key usage)")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise UnusableError("the certificate is not for signing a handshake (key usage)")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    found = _extension(leaf, x509.SubjectAlternativeName)
    if found is None:
        return ()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _covers(pattern: str, name: str) -> bool:
    """Tell whether a name of a certificate stands for this one, as RFC 6125 has it."""
    try:
        return ipaddress.ip_address(pattern) == ipaddress.ip_address(name)
    except ValueError:
        pass
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name
