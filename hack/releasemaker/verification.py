"""Whether the files of a release are those that its maker signed: as anybody verifies them, with cosign and a key.

Holds: a file counts only if the signed checksums and the signed provenance name it, with this content. A file more, a
file less and a changed byte each are named.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from releasemaker import provenance, signatures, sums
from releasemaker.assembly import PUBLIC_KEY
from releasemaker.signatures import BUNDLE, Cosign

# What each signing makes anew, so that no checksums name it. Of the copy of the public key see `_foreign_key`.
_UNSTATED: Final = frozenset((sums.NAME, f"{sums.NAME}{BUNDLE}", f"{provenance.NAME}{BUNDLE}", PUBLIC_KEY))
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([^/\n]+)")


def problems(folder: Path, public_key: Path, program: Path) -> Iterator[str]:
    """Yield a sentence, which begins with the name of a file, for each file that does not count.

    `program` is cosign. Nothing is yielded where all of the release is as it was signed.
    """
    with tempfile.TemporaryDirectory(prefix="bailiwick-verifying-") as home:
        cosign = Cosign(program, Path(home))
        checksums, statement = folder / sums.NAME, folder / provenance.NAME
        if not checksums.is_file():
            yield f"{sums.NAME}: missing, so nothing says what the release holds"
            return
        if why := signatures.verify(cosign, public_key, checksums):
            yield f"{sums.NAME}: the signature does not count: {why}"
            return
        lines = checksums.read_text(encoding="utf-8").splitlines()
        stated = {found[2]: found[1] for line in lines if (found := _LINE.fullmatch(line))}
        for path in sorted(folder.iterdir()):
            if path.name not in stated.keys() | _UNSTATED:
                yield f"{path.name}: not part of the release, as {sums.NAME} does not name it"
        yield from _foreign_key(folder / PUBLIC_KEY, public_key)
        intact = []
        for name, digest in sorted(stated.items()):
            path = folder / name
            if not path.is_file():
                yield f"{name}: missing"
            elif sums.sha256(path) != digest:
                yield f"{name}: changed after the release was signed"
            elif name != statement.name:
                intact.append(path)
        yield from _unattested(cosign, public_key, statement, intact)


def _foreign_key(copy: Path, public_key: Path) -> Iterator[str]:
    """Yield a sentence if the copy of the public key in a release is not the key by which the release is verified.

    Somebody may take it for that key, and verify images by it.
    """
    if not copy.exists():
        return
    try:
        same = _key_bytes(copy) == _key_bytes(public_key)
    except (OSError, ValueError):
        same = False
    if not same:
        yield f"{copy.name}: not the key that signed the release"


def _key_bytes(path: Path) -> bytes:
    """Return the public key of a file, however its text is laid out. Raises `OSError` and `ValueError`."""
    return load_pem_public_key(path.read_bytes()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _unattested(cosign: Cosign, public_key: Path, statement: Path, files: list[Path]) -> Iterator[str]:
    """Yield a sentence for each file that the signed statement does not name with its content.

    cosign judges the signature, which covers the whole statement, by the smallest file.
    """
    if not files:
        return
    smallest = min(files, key=lambda path: path.stat().st_size)
    if why := signatures.verify_provenance(cosign, public_key, statement, smallest):
        yield f"{statement.name}{BUNDLE}: the signed provenance of {smallest.name} does not count: {why}"
        return
    subjects = signatures.attested_subjects(statement)
    for path in files:
        if subjects.get(path.name) != sums.sha256(path):
            yield f"{path.name}: the signed provenance does not name it with this content"
