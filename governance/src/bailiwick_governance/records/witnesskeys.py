"""The public keys of the witnesses that a person trusts, as they are given.

Standing: under everything that verifies a log. Holds: a key that cannot be read is an error.
"""

from collections.abc import Sequence
from pathlib import Path

from bailiwick_evidence.audit.claims import witness_keys
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey
from bailiwick_governance.errors import UserError


def keys_of(given: Sequence[str] | None, flag: str = "--witness-key") -> list[VerifierKey]:
    """Read keys as they are given: themselves, or in files. Raises `UserError`."""
    found: list[VerifierKey] = []
    for text in given or ():
        try:
            found += witness_keys(_key_text(text))
        except NoteError as error:
            raise UserError(f"{flag}: {error}") from error
    return found


def log_key_of(given: str, flag: str) -> VerifierKey:
    """Read the one key of a log, which signs its checkpoints: itself, or in a file. Raises `UserError`."""
    try:
        key = VerifierKey.parse(_key_text(given).strip())
    except NoteError as error:
        raise UserError(f"{flag}: {error}") from error
    if key.kind is not SignatureType.ED25519:
        raise UserError(f"{flag}: the key of {key.name} is not one of a log: it signs cosignatures")
    return key


def _key_text(given: str) -> str:
    return given if "+" in given and not Path(given).exists() else text_of(given)


def text_of(name: str) -> str:
    """Read a file of text. Raises `UserError`."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
