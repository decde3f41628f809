"""Handles: what an answer gives out so that the outcome of its call can be reported, and which entry that is.

Standing: beside `ports`. Holds: a handle proves nothing. The entry that it stands for is made from the account that
reports, so that with another's handle there is none.
"""

import base64
import binascii
import hashlib
import re
import secrets
from typing import Any, Final

import msgspec

from bailiwick_engine.history.state import CALL_DIGITS

MOST_CHARACTERS: Final = 2_048
_NONCE: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_ATTEMPT: Final = re.compile(r"[0-9a-f]{8}")
_MOST_OBJECTS: Final = 4
_NAME_DIGITS: Final = 40
_NONCE_BYTES: Final = 32
_PREFIX: Final = "sha256:"


class CountedEntry(msgspec.Struct, frozen=True, gc=False):
    """Where a call is counted: the `spec.key` of the object, and the end of its entry's id, of one attempt alone."""

    key: str
    attempt: str

    @property
    def object(self) -> str:
        """The name of the object."""
        return f"h-{self.key.removeprefix(_PREFIX)[:_NAME_DIGITS]}"


class EntryHandle(msgspec.Struct, frozen=True, gc=False):
    """What a handle says. `nonce`: what the call's entries are made from, but who asked. `until`: in milliseconds."""

    nonce: str
    entries: tuple[CountedEntry, ...]
    until: int

    @property
    def text(self) -> str:
        """The handle as it is given out: JSON in base64url."""
        listed = [[one.key.removeprefix(_PREFIX), one.attempt] for one in self.entries]
        told = msgspec.json.encode({"n": self.nonce, "o": listed, "u": self.until})
        return base64.urlsafe_b64encode(told).rstrip(b"=").decode()


def parse_handle(text: str) -> EntryHandle | None:
    """Return what a handle says; None where it is none of ours."""
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        told = msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(told, dict) or told.keys() != {"n", "o", "u"}:
        return None
    nonce, listed, until = told["n"], told["o"], told["u"]
    entries = [_parse_entry(one) for one in listed] if isinstance(listed, list) else []
    known = [one for one in entries if one is not None]
    if not (isinstance(nonce, str) and _NONCE.fullmatch(nonce) and type(until) is int and until >= 0):
        return None
    if len(known) != len(entries) or len({one.key for one in known}) != len(known) or not known:
        return None
    return EntryHandle(nonce, tuple(known), until) if len(known) <= _MOST_OBJECTS else None


def new_nonce() -> str:
    """Return the nonce of a call that is never the same as another."""
    return secrets.token_hex(_NONCE_BYTES)


def entry_of(uid: str, nonce: str, attempt: str) -> str:
    """Return the id of an entry of the account with this uid."""
    framed = b"".join(
        len(part := text.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + part for text in (uid, nonce)
    )
    return hashlib.sha256(framed).hexdigest()[:CALL_DIGITS] + attempt


def _parse_entry(value: Any) -> CountedEntry | None:  # noqa: ANN401 - any JSON
    match value:
        case [str(key), str(attempt)] if _KEY.fullmatch(key) and _ATTEMPT.fullmatch(attempt):
            return CountedEntry(_PREFIX + key, attempt)
    return None
