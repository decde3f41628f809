"""`ssh-keygen -Y sign`: how the command line has a person sign with their own key.

Standing: beside `output`. Holds: no private key is read here; `ssh-keygen` asks for touch and PIN at the terminal, and
gets the bytes to sign on its standard input alone.
"""

import shutil
import subprocess
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
    command = [program, "-Y", "sign", "-f", key, "-n", namespace]
    # What it says and asks stands on the terminal.
    done = subprocess.run(command, input=message, stdout=subprocess.PIPE, check=False)  # noqa: S603 - a program of the person's own
    text = done.stdout.decode("ascii", "replace")
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
