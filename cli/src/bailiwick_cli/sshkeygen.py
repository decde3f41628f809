"""`ssh-keygen -Y sign`: how the command line has a person sign with their own key.

Standing: beside `output`. Holds: no private key is read here; `ssh-keygen` has the terminal, and asks there
for passphrase, PIN and touch.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bailiwick_cli.errors import CliError

_PROGRAM: Final = "ssh-keygen"
_END: Final = "-----END SSH SIGNATURE-----"


def sign(message: bytes, namespace: str, key: str) -> str:
    """Return the armored signature of a message. Raises `CliError` where there is none.

    `key`: a file of a private key, or of a public one whose private part an agent holds.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise CliError(f"{_PROGRAM} is missing: install OpenSSH, or sign elsewhere with `kubectl bailiwick statement`")
    if not Path(key).is_file():
        raise CliError(f"--key: there is no file {key}")
    # In a file and not on standard input, where it would ask for no passphrase and for no PIN.
    with tempfile.TemporaryDirectory(prefix="bailiwick-sign-") as folder:
        file = Path(folder) / "message"
        file.write_bytes(message)
        command = [program, "-Y", "sign", "-f", key, "-n", namespace, str(file)]
        # What it says and asks stands on the terminal, and nothing of it among our data.
        done = subprocess.run(command, stdout=sys.stderr, check=False)  # noqa: S603 - a program of the person's own
        signature = file.with_name(f"{file.name}.sig")
        text = signature.read_text(encoding="ascii") if signature.is_file() else ""
    if done.returncode or _END not in text:
        raise CliError(f"{_PROGRAM} did not sign with {key}: it says why above")
    return text


def public_key(key: str) -> str:
    """Return the one line of a public key, of its file or of the file beside a private key. Raises `CliError`."""
    file = Path(key if key.endswith(".pub") else f"{key}.pub")
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeError) as error:
        raise CliError(f"--key: {file} cannot be read: {type(error).__name__}. Make it with `ssh-keygen -y`") from error
    if len(lines) != 1:
        raise CliError(f"--key: {file} must have one public key")
    return lines[0]
