"""JSON read once more, strictly and by hand, to hold the body parser against: RFC 8259 as narrowed by I-JSON.

Holds: knows no parser of anybody's; what it reads has one meaning only: no member twice, no lone surrogate, no number
that is not exact.
"""

import re
from typing import Any, Final

DEEPEST: Final = 32
MOST: Final = 20_000
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
_SHORT: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final = {"true": True, "false": False, "null": None}


class NotStrictError(Exception):
    """This is not JSON, or is read in more than one way."""


def read(raw: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Read one value. Raises `NotStrictError`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictError from error
    reader = _Reader(text)
    value = reader.value(1)
    reader.blank()
    if reader.at != len(text):
        raise NotStrictError
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.seen = 0

    def blank(self) -> None:
        while self.text[self.at : self.at + 1] in {" ", "\t", "\n", "\r"}:
            self.at += 1

    def takes(self, letters: str) -> bool:
        self.blank()
        if not self.text.startswith(letters, self.at):
            return False
        self.at += len(letters)
        return True

    def must(self, letters: str) -> None:
        if not self.takes(letters):
            raise NotStrictError

    def value(self, depth: int) -> Any:  # noqa: ANN401 - any JSON
        self.seen += 1
        if depth > DEEPEST or self.seen > MOST:
            raise NotStrictError
        if self.takes("{"):
            return self._members(depth)
        if self.takes("["):
            return self._items(depth)
        if self.takes('"'):
            return self._string()
        for word, value in _WORDS.items():
            if self.takes(word):
                return value
        return self._number()

    def _members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.takes("}"):
            return found
        while True:
            self.must('"')
            name = self._string()
            if name in found:
                raise NotStrictError
            self.must(":")
            found[name] = self.value(depth + 1)
            if self.takes("}"):
                return found
            self.must(",")

    def _items(self, depth: int) -> list[Any]:
        found: list[Any] = []
        if self.takes("]"):
            return found
        while True:
            found.append(self.value(depth + 1))
            if self.takes("]"):
                return found
            self.must(",")

    def _string(self) -> str:
        units: list[str] = []
        while not self.text.startswith('"', self.at):
            if (plain := _PLAIN.match(self.text, self.at)) is not None:
                units.append(plain[0])
                self.at = plain.end()
            elif self.text.startswith("\\", self.at):
                units.append(self._escape())
            else:
                raise NotStrictError
        self.at += 1
        try:
            # Two halves of a pair become one letter; a half alone is none.
            return "".join(units).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise NotStrictError from error

    def _escape(self) -> str:
        kind = self.text[self.at + 1 : self.at + 2]
        if kind in _SHORT:
            self.at += 2
            return _SHORT[kind]
        digits = self.text[self.at + 2 : self.at + 6]
        if kind != "u" or not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            raise NotStrictError
        self.at += 6
        return chr(int(digits, 16))

    def _number(self) -> float:
        self.blank()
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise NotStrictError
        self.at = found.end()
        if found[2] or found[3]:
            value = float(found[0])
            if value in {float("inf"), float("-inf")}:
                raise NotStrictError
            return value
        # 2^53 has sixteen digits.
        if len(found[1]) > 16 or int(found[1]) >= 2**53:
            raise NotStrictError
        return int(found[0])
