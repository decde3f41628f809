"""Signed notes: a text with lines of signatures, Ed25519 and timestamped cosignatures of Ed25519.

Source: C2SP signed-note and tlog-cosignature. Holds: a note is returned only if a requested key has signed it. Lines of
other keys are skipped. A line of a requested key that does not verify makes the whole note invalid for `open_note`, but
hides no other line from those who ask for one signature.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bailiwick_api import times
from bailiwick_evidence.base64text import decode_base64, encode_base64

MOST_BYTES: Final = 64 * 1024
MOST_SIGNATURES: Final = 64
_BEGINS: Final = "\N{EM DASH} "
_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID: Final = 4
_ED25519: Final = 32
_TIME: Final = 8


class NoteError(ValueError):
    """A note that is malformed, or that no requested key has signed. Its text says which."""


class SignatureType(IntEnum):
    """The byte that distinguishes types of keys; both are Ed25519 here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


class VerifierKey(NamedTuple):
    """A public key, 32 bytes, with its name and use."""

    name: str
    kind: SignatureType
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of the hash over all three."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID]

    @property
    def label(self) -> str:
        """Name and key id, as a `vkey` begins; the key after them may itself contain plus signs."""
        return f"{self.name}+{self.id.hex()}"

    def __str__(self) -> str:
        """Return it as a `vkey`: name, key id in hexadecimal, and the key, with plus signs between."""
        return f"{self.label}+{encode_base64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a `vkey`. Raises `NoteError`."""
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        held = decode_base64(key)
        if not _NAME.fullmatch(name) or held is None or len(held) != 1 + _ED25519:
            message = "not a key of signed notes: write it as <name>+<key id>+<base64>, for Ed25519"
            raise NoteError(message)
        try:
            found = cls(name, SignatureType(held[0]), held[1:])
        except ValueError as error:
            message = f"the key of {name} has an unknown type: {held[0]:#04x}"
            raise NoteError(message) from error
        if found.id.hex() != key_id:
            message = f"the key of {name} has the id {found.id.hex()}, not {key_id}"
            raise NoteError(message)
        return found


class NoteSignature(NamedTuple):
    """A verified signature. `time` of a cosignature: seconds since the epoch."""

    key: VerifierKey
    time: int | None


class Note(NamedTuple):
    """A text, which ends with a newline, and the signatures of the requested keys."""

    text: str
    signatures: tuple[NoteSignature, ...]


def verifier_key(name: str, kind: SignatureType, key: Ed25519PrivateKey) -> VerifierKey:
    """Return the key that verifies a private key's signatures under a name. Raises `NoteError` for an invalid name."""
    if not _NAME.fullmatch(name):
        message = f"not a name of a key: {name!r}"
        raise NoteError(message)
    return VerifierKey(name, kind, key.public_key().public_bytes_raw())


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return a text as a note with one signature. Raises `NoteError` if it cannot be the text of a note."""
    if not text.endswith("\n") or _CONTROL.search(text):
        message = "the text of a note must end with a newline, and have no other control character"
        raise NoteError(message)
    held = verifier_key(name, SignatureType.ED25519, key)
    return f"{text}\n{_line(held, key.sign(text.encode()))}"


def cosign_note(note: str, name: str, key: Ed25519PrivateKey, now: int) -> str:
    """Return a note with an additional cosignature of this time, in seconds since the epoch."""
    held = verifier_key(name, SignatureType.COSIGNATURE, key)
    made = key.sign(_signed_bytes(split(note)[0], now))
    return note + _line(held, now.to_bytes(_TIME, "big") + made)


def split(note: str) -> tuple[str, list[str]]:
    """Return the text of a note and its lines of signatures, without verifying them. Raises `NoteError`."""
    if len(note) > MOST_BYTES or _CONTROL.search(note):
        message = "the note is too long, or has a control character in it"
        raise NoteError(message)
    text, found, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not found or len(lines) <= 1 or lines.pop() or len(lines) > MOST_SIGNATURES:
        message = "not a signed note: a text, an empty line, and a line for each signature"
        raise NoteError(message)
    return text + "\n", lines


def verified(text: str, keys: Iterable[VerifierKey], made: bytes) -> NoteSignature | None:
    """Return the signature over a text, and whose it is; None if none of these keys made it.

    `made` is what a line has after the name: the id of a key, and the signature.
    """
    called = [key for key in keys if key.id == made[:_KEY_ID]]
    try:
        return _verify_by_one(text, called, made[_KEY_ID:]) if called else None
    except NoteError:
        return None


def signed_by(note: str, key: VerifierKey) -> bool:
    """Tell whether any line of a note is a signature of this key: lines that others add hide none."""
    text, _, lines = note.rpartition("\n\n")
    held = (held for name, held in _signatures(lines.split("\n")) if name == key.name)
    return any(verified(text + "\n", [key], one) is not None for one in held)


def open_note(note: str, keys: Iterable[VerifierKey]) -> Note:
    """Return the note with all signatures of these keys. Raises `NoteError` if there is none, or one does not verify.

    A key that signed twice has two, so that the answer does not depend on the order of the lines.
    """
    text, lines = split(note)
    known = _by_label(keys)
    made = ((known.get((name, held[:_KEY_ID])), held[_KEY_ID:]) for name, held in map(_signature, lines))
    signatures = tuple(_verify_by_one(text, called, signed) for called, signed in made if called)
    if not signatures:
        message = "no trusted key signed it"
        raise NoteError(message)
    return Note(text, signatures)


def _by_label(keys: Iterable[VerifierKey]) -> dict[tuple[str, bytes], list[VerifierKey]]:
    """Return keys by name and id. An id has four bytes, so that anyone can make a second key of both: it hides none."""
    known: dict[tuple[str, bytes], list[VerifierKey]] = {}
    for key in dict.fromkeys(keys):
        known.setdefault((key.name, key.id), []).append(key)
    return known


def signature_line(name: str, signed: str) -> str:
    """Return a line of a note, without its newline. `signed`: the id of a key and the signature, as base64."""
    return f"{_BEGINS}{name} {signed}"


def _signatures(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name, and the key id with the signature, of each line that has the form of one."""
    for line in lines:
        try:
            yield _signature(line)
        except NoteError:
            continue


def _signature(line: str) -> tuple[str, bytes]:
    """Return the name on a line of a note, and the key id followed by the signature. Raises `NoteError`."""
    name, _, made = line.removeprefix(_BEGINS).partition(" ")
    held = decode_base64(made)
    if not line.startswith(_BEGINS) or not _NAME.fullmatch(name) or held is None or len(held) <= _KEY_ID:
        message = f"not a signature of a note: {line[:80]!r}"
        raise NoteError(message)
    return name, held


def _verify_by_one(text: str, keys: Sequence[VerifierKey], made: bytes) -> NoteSignature:
    """Return the signature with the one of these keys that made it. Raises `NoteError` if none did."""
    for key in keys[:-1]:
        try:
            return _verify_signature(text, key, made)
        except NoteError:
            continue
    return _verify_signature(text, keys[-1], made)


def _verify_signature(text: str, key: VerifierKey, made: bytes) -> NoteSignature:
    time = None
    said = _bytes_of(text)
    if key.kind is SignatureType.COSIGNATURE:
        time, made = int.from_bytes(made[:_TIME], "big"), made[_TIME:]
        if time >= times.END:
            message = f"the cosignature of {key.name} has a time after the year 9999"
            raise NoteError(message)
        said = _signed_bytes(text, time)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(made, said)
    except InvalidSignature as error:
        message = f"the signature of {key.name} does not verify"
        raise NoteError(message) from error
    return NoteSignature(key, time)


def _signed_bytes(text: str, time: int) -> bytes:
    return _bytes_of(f"cosignature/v1\ntime {time}\n{text}")


def _bytes_of(text: str) -> bytes:
    # A text from JSON can have halves of characters, which nothing signs.
    return text.encode(errors="surrogatepass")


def _line(key: VerifierKey, made: bytes) -> str:
    return signature_line(key.name, encode_base64(key.id + made)) + "\n"
