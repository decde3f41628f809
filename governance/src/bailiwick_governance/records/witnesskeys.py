"""The public keys of the witnesses that a person trusts, as they are given.

Standing: under everything that verifies a log. Holds: a key that cannot be read is an error.
"""

from collections.abc import Sequence
from pathlib import Path

from bailiwick_evidence.audit.claims import witness_keys
from bailiwick_evidence.note import NoteError, VerifierKey
from bailiwick_governance.errors import UserError


def keys_of(given: Sequence[str] | None) -> list[VerifierKey]:
    """Read keys as they are given: themselves, or in files. Raises `UserError`."""
    found: list[VerifierKey] = []
    for text in given or ():
        try:
            found += witness_keys(text if "+" in text and not Path(text).exists() else text_of(text))
        except NoteError as error:
            raise UserError(f"--witness-key: {error}") from error
    return found


def text_of(name: str) -> str:
    """Read a file of text. Raises `UserError`."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
