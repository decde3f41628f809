"""Signatures of a release by a key, as cosign makes and verifies them.

Standing: starts the pinned cosign. Holds: nothing is sent to a public log or asked of one; keyless signatures are made
by the workflow of releases, and not here. A private key in PKCS#8 is imported into a folder that is gone afterwards.
"""

import base64
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from releasemaker.errors import ReleaseError

BUNDLE: Final = ".sigstore.json"
PASSWORD: Final = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable
# Those who verify by a key need no proof of a log.
WITHOUT_LOG: Final = "--insecure-ignore-tlog=true"
PROVENANCE: Final = "slsaprovenance1"
_ENCRYPTED: Final = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_NO_SERVICES: Final = ("--no-default-fulcio", "--no-default-oidc", "--no-default-rekor", "--no-default-tsa")


@dataclass(frozen=True, slots=True)
class Cosign:
    """The program, and a home of its own, so that it finds no configuration and keeps none."""

    program: Path
    home: Path

    def run(self, *arguments: str | Path, password: str = "") -> subprocess.CompletedProcess[str]:
        """Run it; returns what it said, also where it failed."""
        environment = {**os.environ, "HOME": str(self.home), PASSWORD: password}
        return subprocess.run(  # noqa: S603 - the program that we built
            [self.program, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def succeed(self, *arguments: str | Path, password: str = "") -> str:
        """Run it, and return its standard output. Raises `ReleaseError` with its last words."""
        answer = self.run(*arguments, password=password)
        if answer.returncode != 0:
            raise ReleaseError(f"cosign {arguments[0]} failed: {answer.stderr.strip()[-1000:]}")
        return answer.stdout


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with one key."""

    cosign: Cosign
    key: Path
    password: str
    services: Path

    def sign(self, file: Path) -> Path:
        """Sign a file; returns the bundle beside it."""
        bundle = file.with_name(f"{file.name}{BUNDLE}")
        self._run("sign-blob", "--bundle", bundle, file)
        return bundle

    def attest(self, statement: Path) -> Path:
        """Sign an in-toto statement; returns the bundle beside it, which holds the statement."""
        bundle = statement.with_name(f"{statement.name}{BUNDLE}")
        self._run("attest-blob", "--statement", statement, "--bundle", bundle)
        return bundle

    def sign_pushed(self, reference: str, *registry: str) -> None:
        """Sign what a registry holds under a digest; `registry` are flags of cosign that say how to reach it."""
        self._run("sign", *registry, reference)

    def attest_pushed(self, reference: str, kind: str, predicate: Path, *registry: str) -> None:
        """Put a signed statement of some kind beside what a registry holds under a digest."""
        self._run("attest", *registry, "--type", kind, "--predicate", predicate, reference)

    def public_key(self, path: Path) -> Path:
        """Write the public key to a file."""
        path.write_text(self.cosign.succeed("public-key", "--key", self.key, password=self.password), encoding="utf-8")
        return path

    def _run(self, verb: str, *arguments: str | Path) -> None:
        usual = ("--key", self.key, "--signing-config", self.services, "--yes")
        self.cosign.succeed(verb, *usual, *arguments, password=self.password)


@contextmanager
def signer(program: Path, key: Path) -> Iterator[Signer]:
    """Prepare a key: one that cosign has encrypted ($COSIGN_PASSWORD opens it), or a private key in PKCS#8.

    Raises `ReleaseError` where it is neither.
    """
    if not key.is_file():
        raise ReleaseError(f"--key {key}: there is no such file.")
    content = key.read_bytes()
    with tempfile.TemporaryDirectory(prefix="bailiwick-signing-") as folder:
        cosign = Cosign(program, Path(folder))
        password = os.environ.get(PASSWORD, "")
        if not any(kind in content for kind in _ENCRYPTED):
            if b"PRIVATE KEY" not in content:
                raise ReleaseError(f"--key {key}: neither a key that cosign encrypted, nor a private key in PKCS#8.")
            password = secrets.token_urlsafe()
            prefix = Path(folder, "imported")
            cosign.succeed("import-key-pair", "--key", key, "--output-key-prefix", prefix, "--yes", password=password)
            key = prefix.with_suffix(".key")
        services = Path(folder, "services.json")
        cosign.succeed("signing-config", "create", *_NO_SERVICES, "--out", services)
        yield Signer(cosign, key, password, services)


def verify(cosign: Cosign, public_key: Path, file: Path) -> str:
    """Verify the signature of a file by the bundle beside it; returns why it does not count, or nothing."""
    bundle = file.with_name(f"{file.name}{BUNDLE}")
    answer = cosign.run("verify-blob", "--key", public_key, "--bundle", bundle, WITHOUT_LOG, file)
    return "" if answer.returncode == 0 else answer.stderr.strip()


def verify_provenance(cosign: Cosign, public_key: Path, statement: Path, file: Path) -> str:
    """Verify that a signed statement names a file; returns why it does not count, or nothing."""
    bundle = statement.with_name(f"{statement.name}{BUNDLE}")
    usual = ("--key", public_key, "--bundle", bundle, "--type", PROVENANCE, WITHOUT_LOG)
    answer = cosign.run("verify-blob-attestation", *usual, file)
    return "" if answer.returncode == 0 else answer.stderr.strip()


def attested_subjects(statement: Path) -> dict[str, str]:
    """Return name and hash of each subject in the bundle beside a statement, whose signature was verified before."""
    bundle = json.loads(statement.with_name(f"{statement.name}{BUNDLE}").read_bytes())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return {one["name"]: one["digest"]["sha256"] for one in payload["subject"]}
