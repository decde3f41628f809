"""The file SHA256SUMS, as `sha256sum --check` reads it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NAME: Final = "SHA256SUMS"


def sha256(path: Path) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(files: Iterable[Path], output: Path) -> Path:
    """Write the hashes of these files into a folder."""
    path = output / NAME
    path.write_text("".join(f"{sha256(file)}  {file.name}\n" for file in sorted(files)), encoding="utf-8")
    return path
