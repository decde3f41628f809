"""Signed notes: a text and the lines of those who signed it, Ed25519 and timestamped cosignatures of Ed25519.

Source: C2SP signed-note and tlog-cosignature. Holds: what is not signed by a key that is asked for is never returned;
lines of other keys are skipped, one of a known key that does not verify spoils the note.
"""

import hashlib
import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bailiwick_evidence.base64text import decoded, encoded

MOST_BYTES: Final = 64 * 1024
MOST_SIGNATURES: Final = 64
_BEGINS: Final = "\N{EM DASH} "
_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID: Final = 4
_ED25519: Final = 32
_TIME: Final = 8


class NoteError(ValueError):
    """A note that is malformed, or that nobody signed who was asked for. Its text says which."""


class SignatureType(IntEnum):
    """The byte that tells kinds of keys apart; both are Ed25519 here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


class VerifierKey(NamedTuple):
    """A public key, 32 bytes, and what it is used for under which name."""

    name: str
    kind: SignatureType
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of the hash over all three."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID]

    @property
    def label(self) -> str:
        """Name and key id, as a `vkey` begins; the key behind them may have plus signs of its own."""
        return f"{self.name}+{self.id.hex()}"

    def __str__(self) -> str:
        """Spell it as a `vkey`: name, key id in hexadecimal, and the key, with plus signs between."""
        return f"{self.label}+{encoded(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a `vkey`. Raises `NoteError`."""
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        held = decoded(key)
        if not _NAME.fullmatch(name) or held is None or len(held) != 1 + _ED25519:
            message = "not a key of signed notes: write it as <name>+<key id>+<base64>, for Ed25519"
            raise NoteError(message)
        try:
            found = cls(name, SignatureType(held[0]), held[1:])
        except ValueError as error:
            message = f"the key of {name} is of a type that is not known: {held[0]:#04x}"
            raise NoteError(message) from error
        if found.id.hex() != key_id:
            message = f"the key of {name} has the id {found.id.hex()}, not {key_id}"
            raise NoteError(message)
        return found


class NoteSignature(NamedTuple):
    """A signature that was verified. `time`: seconds since the epoch, of a cosignature."""

    key: VerifierKey
    time: int | None


class Note(NamedTuple):
    """A text, which ends with a newline, and the signatures of the keys that were asked for."""

    text: str
    signatures: tuple[NoteSignature, ...]


def verifier_key(name: str, kind: SignatureType, key: Ed25519PrivateKey) -> VerifierKey:
    """Return what verifies what a private key signs under a name. Raises `NoteError` if there cannot be such a name."""
    if not _NAME.fullmatch(name):
        message = f"not a name of a key: {name!r}"
        raise NoteError(message)
    return VerifierKey(name, kind, key.public_key().public_bytes_raw())


def signed(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return a text as a note that is signed once. Raises `NoteError` if it cannot be the text of a note."""
    if not text.endswith("\n") or _CONTROL.search(text):
        message = "the text of a note ends with a newline, and has no other control character"
        raise NoteError(message)
    held = verifier_key(name, SignatureType.ED25519, key)
    return f"{text}\n{_line(held, key.sign(text.encode()))}"


def cosigned(note: str, name: str, key: Ed25519PrivateKey, now: int) -> str:
    """Return a note with a cosignature of this time, in seconds since the epoch, behind the others."""
    held = verifier_key(name, SignatureType.COSIGNATURE, key)
    made = key.sign(_said(split(note)[0], now))
    return note + _line(held, now.to_bytes(_TIME, "big") + made)


def split(note: str) -> tuple[str, list[str]]:
    """Return the text of a note and its lines of signatures, of which nothing is verified. Raises `NoteError`."""
    if len(note) > MOST_BYTES or _CONTROL.search(note):
        message = "the note is too long, or has a control character in it"
        raise NoteError(message)
    text, found, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not found or len(lines) <= 1 or lines.pop() or len(lines) > MOST_SIGNATURES:
        message = "not a signed note: a text, an empty line, and a line for each signature"
        raise NoteError(message)
    return text + "\n", lines


def signers(note: str) -> list[str]:
    """Return who claims to have signed a note: name and key id, as a `vkey` begins. Raises `NoteError`."""
    return [f"{name}+{held[:_KEY_ID].hex()}" for name, held in map(_signature, split(note)[1])]


def opened(note: str, keys: Iterable[VerifierKey]) -> Note:
    """Return what these keys signed. Raises `NoteError` if none did, or if one of theirs does not verify."""
    text, lines = split(note)
    known = {(key.name, key.id): key for key in keys}
    verified: dict[tuple[str, bytes], NoteSignature] = {}
    for line in lines:
        name, held = _signature(line)
        called = (name, held[:_KEY_ID])
        if (key := known.get(called)) is not None and called not in verified:
            verified[called] = _verified(text, key, held[_KEY_ID:])
    if not verified:
        message = "no signature of a key that is trusted here"
        raise NoteError(message)
    return Note(text, tuple(verified.values()))


def _signature(line: str) -> tuple[str, bytes]:
    """Return the name on a line of a note, and the key id with the signature behind it. Raises `NoteError`."""
    name, _, made = line.removeprefix(_BEGINS).partition(" ")
    held = decoded(made)
    if not line.startswith(_BEGINS) or not _NAME.fullmatch(name) or held is None or len(held) <= _KEY_ID:
        message = f"not a signature of a note: {line[:80]!r}"
        raise NoteError(message)
    return name, held


def _verified(text: str, key: VerifierKey, made: bytes) -> NoteSignature:
    time = None
    said = text.encode()
    if key.kind is SignatureType.COSIGNATURE:
        time, made = int.from_bytes(made[:_TIME], "big"), made[_TIME:]
        said = _said(text, time)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(made, said)
    except InvalidSignature as error:
        message = f"the signature of {key.name} does not verify"
        raise NoteError(message) from error
    return NoteSignature(key, time)


def _said(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _line(key: VerifierKey, made: bytes) -> str:
    return f"{_BEGINS}{key.name} {encoded(key.id + made)}\n"
