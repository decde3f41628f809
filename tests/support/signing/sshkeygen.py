"""OpenSSH's own program as the oracle of signatures, and as what makes keys.

Holds: nothing of ours is between a test and the program.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROGRAM: Final = "ssh-keygen"


def made_key(file: Path, comment: str = "laptop", passphrase: str = "") -> Path:
    """Make an ed25519 key, and return its file."""
    command = [_PROGRAM, "-q", "-t", "ed25519", "-N", passphrase, "-C", comment, "-f", str(file)]
    subprocess.run(command, check=True, timeout=60)
    return file


def public_line(file: Path) -> str:
    """Return the public key of a private key's file."""
    return file.with_name(f"{file.name}.pub").read_text().strip()


def signed_by(key: Path, namespace: str, message: bytes) -> str:
    """Return a signature of a message."""
    command = [_PROGRAM, "-Y", "sign", "-f", str(key), "-n", namespace]
    return subprocess.run(command, input=message, capture_output=True, check=True, timeout=60).stdout.decode()


@dataclass(frozen=True, slots=True)
class SshOracle:
    """Verifies by a file of allowed signers, which has this text."""

    folder: Path
    signers: str

    def accepts(self, who: str, namespace: str, message: bytes, signature: str) -> bool:
        """Tell whether the signature is one of this person over this message."""
        signers, file = self.folder / "allowed_signers", self.folder / "signature"
        signers.write_text(self.signers)
        file.write_text(signature)
        command = [_PROGRAM, "-Y", "verify", "-f", str(signers), "-I", who, "-n", namespace, "-s", str(file)]
        return subprocess.run(command, input=message, capture_output=True, check=False, timeout=60).returncode == 0
