"""Keys of reviewers and registrars for tests: of files, by ssh-keygen; of security keys and passkeys, made by hand.

A security key is software here: what it signs is what OpenSSH's PROTOCOL.u2f and WebAuthn section 6.3.3 say that an
authenticator signs, and ssh-keygen verifies it.
"""

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bailiwick_engine.signatures.publickey import SK_ECDSA, SK_ED25519, PublicKey, encode_key, parse_public_key
from bailiwick_engine.signatures.registrars import ReviewerTrust
from bailiwick_engine.signatures.reviewerkeys import parse_reviewer_keys
from bailiwick_engine.signatures.sshsig import (
    USER_PRESENT,
    USER_VERIFIED,
    WEBAUTHN,
    Assertion,
    SshSignature,
    Touch,
    signed_data,
)
from bailiwick_engine.signatures.statement import (
    REVIEW_NAMESPACE,
    REVIEWERS_NAMESPACE,
    ReviewedGrant,
    SignedReview,
    request_digest,
    review_statement,
)

VERIFIED: Final = USER_PRESENT | USER_VERIFIED
# Tests decide at moments of their own.
_FAR: Final = datetime(2099, 1, 1, tzinfo=UTC)
RP_ID: Final = "bailiwick.example.com"
ORIGIN: Final = f"https://{RP_ID}"


@dataclass(frozen=True)
class SecurityKey:
    """An authenticator with one key. `rp_id` of a passkey is the application that its key is bound to."""

    private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    application: str = "ssh:"

    @classmethod
    def make(cls, application: str = "ssh:", *, ed25519: bool = False) -> "SecurityKey":
        """Return a new one."""
        return cls(Ed25519PrivateKey.generate() if ed25519 else ec.generate_private_key(ec.SECP256R1()), application)

    @property
    def public(self) -> PublicKey:
        """Its public key, as SSH has it."""
        if isinstance(self.private, Ed25519PrivateKey):
            raw = self.private.public_key().public_bytes_raw()
            return parse_public_key(encode_key(SK_ED25519, raw, self.application))
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return parse_public_key(encode_key(SK_ECDSA, point, self.application))

    def _prove(self, data: bytes) -> bytes | tuple[int, int]:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(data)
        return decode_dss_signature(self.private.sign(data, ec.ECDSA(SHA256())))

    def authenticator_data(self, flags: int, counter: int, extensions: bytes = b"") -> bytes:
        """Return what comes before the hash of what is signed."""
        return (
            hashlib.sha256(self.application.encode()).digest()
            + bytes([flags])
            + counter.to_bytes(4, "big")
            + extensions
        )

    def sign(
        self, message: bytes, namespace: str = REVIEW_NAMESPACE, *, flags: int = VERIFIED, hash_name: str = "sha256"
    ) -> SshSignature:
        """Sign as `ssh-keygen -Y sign` does with a security key."""
        data = signed_data(namespace, hash_name, message)
        proof = self._prove(self.authenticator_data(flags, 7) + hashlib.sha256(data).digest())
        return SshSignature(self.public, namespace, hash_name, self.public.type, proof, Touch(flags, 7))

    def assertion(
        self,
        message: bytes,
        namespace: str = REVIEW_NAMESPACE,
        *,
        flags: int = VERIFIED,
        origin: str = ORIGIN,
        extensions: bytes = b"",
        more: str = ',"crossOrigin":false',
        kind: str = "webauthn.get",
        challenge: bytes | None = None,
    ) -> SshSignature:
        """Sign as a browser does: client data by section 5.8.1.1, with what follows the origin as given."""
        asked = signed_data(namespace, "sha256", message) if challenge is None else challenge
        spelled = base64.urlsafe_b64encode(asked).rstrip(b"=").decode()
        client = f'{{"type":"{kind}","challenge":"{spelled}","origin":"{origin}"{more}}}'.encode()
        signed = self.authenticator_data(flags, 9, extensions) + hashlib.sha256(client).digest()
        assertion = Assertion(origin, client, extensions)
        return SshSignature(self.public, namespace, "sha256", WEBAUTHN, self._prove(signed), Touch(flags, 9), assertion)


@dataclass(frozen=True)
class KeyFile:
    """A private key in a file, by ssh-keygen."""

    path: Path

    @classmethod
    def make(cls, path: Path, kind: str = "ed25519", bits: int | None = None) -> "KeyFile":
        """Make a new one."""
        size = [] if bits is None else ["-b", str(bits)]
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path), *size]
        subprocess.run(command, check=True, capture_output=True)
        return cls(path)

    @property
    def line(self) -> str:
        """The line of its .pub file."""
        return self.path.with_name(f"{self.path.name}.pub").read_text(encoding="utf-8").strip()

    @property
    def entry(self) -> str:
        """Its type and base64."""
        return " ".join(self.line.split(" ")[:2])

    def sign(self, message: bytes, namespace: str = REVIEW_NAMESPACE, hash_name: str = "sha512") -> str:
        """Return an armored signature by `ssh-keygen -Y sign`."""
        command = [
            "ssh-keygen",
            "-q",
            "-Y",
            "sign",
            "-f",
            str(self.path),
            "-n",
            namespace,
            "-O",
            f"hashalg={hash_name}",
        ]
        made = subprocess.run(command, input=message, check=True, capture_output=True)
        return made.stdout.decode()


def keygen_verifies(
    folder: Path, signers: str, principal: str, signature: str, message: bytes, namespace: str = REVIEW_NAMESPACE
) -> bool:
    """Tell whether `ssh-keygen -Y verify` accepts a signature, by a file of allowed signers."""
    (folder / "signers").write_text(signers, encoding="utf-8")
    (folder / "sig").write_text(signature, encoding="utf-8")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "signers"), "-I", principal, "-n", namespace]
    found = subprocess.run([*command, "-s", str(folder / "sig")], input=message, check=False, capture_output=True)
    return found.returncode == 0


INSTALLATION: Final = "test"


def reviewers_text(
    *lines: str, serial: int = 1, expires: datetime | None = None, installation: str = INSTALLATION
) -> str:
    """Return a file of reviewers' keys."""
    end = expires or datetime.now(UTC) + timedelta(days=30)
    head = (
        f"# serial: {serial}",
        f"# expires: {end.strftime('%Y-%m-%dT%H:%M:%SZ')}",
        f"# installation: {installation}",
    )
    return "\n".join((*head, *lines, ""))


def entry_line(principal: str, key: object, options: str = "") -> str:
    """Return the line that enrols a key."""
    return f'{principal} namespaces="{REVIEW_NAMESPACE}"{options} {key} test'


def config_map(text: str, *registrars: KeyFile) -> dict[str, Any]:
    """Return the data of the ConfigMap, signed by these registrars."""
    signatures = "".join(one.sign(text.encode(), REVIEWERS_NAMESPACE) for one in registrars)
    return {"data": {"reviewers": text, "reviewers.sig": signatures}}


def trust_in(*lines: str, origins: frozenset[str] | None = frozenset({ORIGIN})) -> ReviewerTrust:
    """Return trust in these lines, as if registrars had signed them."""
    return ReviewerTrust(parse_reviewer_keys(reviewers_text(*lines, expires=_FAR)), "", origins)


def statement_of(grant: dict[str, Any], review: dict[str, Any]) -> bytes:
    """Return the statement of a review of a stored grant."""
    metadata, request = grant["metadata"], grant["spec"]["request"]
    binding = request["binding"].get("digest") or metadata["uid"]
    reviewed = ReviewedGrant(metadata["namespace"], metadata["name"], metadata["uid"], request_digest(grant), binding)
    reason = review.get("reason")
    digest = None if reason is None else "sha256:" + hashlib.sha256(reason.encode()).hexdigest()
    signed = SignedReview(review["reviewer"], review["step"], review.get("group"), digest, review["decision"])
    return review_statement(reviewed, signed)
