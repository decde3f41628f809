"""The wire format of SSH: strings, integers, and their one encoding.

Standing: the lowest of this room. Source: RFC 4251 section 5. Holds: each value has one encoding; what is too short or
has bytes left over is an error.
"""

from typing import Final

_LENGTH: Final = 4


class WireError(ValueError):
    """Bytes that are not what was to be read. Its text says why."""


class WireReader:
    """Reads one value after another."""

    def __init__(self, held: bytes) -> None:
        self._held = held
        self._place = 0

    def take(self, count: int) -> bytes:
        """Return this many bytes. Raises `WireError`."""
        end = self._place + count
        if end > len(self._held):
            message = "it ends too early"
            raise WireError(message)
        part = self._held[self._place : end]
        self._place = end
        return part

    def byte(self) -> int:
        """Return one byte. Raises `WireError`."""
        return self.take(1)[0]

    def uint32(self) -> int:
        """Return an integer of four bytes. Raises `WireError`."""
        return int.from_bytes(self.take(_LENGTH), "big")

    def string(self) -> bytes:
        """Return a string of bytes. Raises `WireError`."""
        return self.take(self.uint32())

    def text(self) -> str:
        """Return a string of printable ASCII. Raises `WireError`."""
        try:
            found = self.string().decode("ascii")
        except UnicodeDecodeError:
            found = "\0"
        if not found.isprintable():
            message = "a name in it is not printable ASCII"
            raise WireError(message)
        return found

    def mpint(self) -> int:
        """Return an integer that is not negative. Raises `WireError`."""
        held = self.string()
        number = int.from_bytes(held, "big", signed=True)
        if number < 0 or encode_mpint(number) != encode_string(held):
            message = "an integer in it is negative, or longer than necessary"
            raise WireError(message)
        return number

    def end(self) -> None:
        """Raise `WireError` unless everything was read."""
        if self._place != len(self._held):
            message = "bytes follow its end"
            raise WireError(message)


def encode_string(held: bytes | str) -> bytes:
    """Return a string with its length."""
    encoded = held.encode() if isinstance(held, str) else held
    return len(encoded).to_bytes(_LENGTH, "big") + encoded


def encode_strings(*parts: bytes | str) -> bytes:
    """Return strings, each with its length."""
    return b"".join(encode_string(part) for part in parts)


def encode_mpint(number: int) -> bytes:
    """Return an integer of 0 or more, with its length; a zero byte is before a first byte of 128 or more."""
    return encode_string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")
