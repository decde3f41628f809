"""Texts that read as another one: words that mix alphabets, digits of others, and letters written from right to left.

Standing: terminal and console mark by it. Holds: pure; it marks, and never hides or changes anything. A word in one
alphabet, whichever, is not marked. Every other one beside Latin is, but Chinese, Japanese and Korean: as UTS 39 calls
highly restrictive. Thai and Malayalam beside Latin are everyday words too, but have letters that look like Latin ones.
"""

import json
import re
import unicodedata
from typing import Final

# Those that a name has anywhere in it. The name of a letter of any other one begins with it.
_ALPHABETS: Final = ("ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LATIN")
# Those that stand in one word with others as they are written every day, and look like none of them.
_BESIDE_OTHERS: Final = frozenset(
    {
        "BOPOMOFO",
        "CJK",
        "HANGUL",
        "HENTAIGANA",
        "HIRAGANA",
        "IDEOGRAPHIC",
        "KATAKANA",
        "KATAKANA-HIRAGANA",
        "KHITAN",
        "NUSHU",
        "TANGUT",
        "YI",
    }
)
# Of no alphabet.
_SIGNS: Final = frozenset({"CARON", "MASU", "MODIFIER", "TURNED", "VERTICAL"})
_NUMBER: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[^\W\d_]+")
# Letters and digits that move what stands beside them (UAX 9).
_FROM_THE_RIGHT: Final = frozenset({"R", "AL", "AN"})


def mixed_alphabets(text: str) -> tuple[str, ...]:
    """Return the alphabets of the first word that mixes them; none where every word keeps to one."""
    if text.isascii():
        return ()
    # A mark, or a line that joins, would cut the one foreign letter out of its word.
    joined = "".join(letter for letter in text if letter != "_" and not unicodedata.category(letter).startswith("M"))
    for word in _WORD.findall(joined):
        found = sorted({alphabet for letter in word if (alphabet := _alphabet(letter)) is not None})
        if len(found) > 1:
            return tuple(found)
    return ()


def stored_order(text: str) -> str:
    r"""Return a text in the order in which it is stored, in ASCII, where a reader meets it in another; else nothing.

    Letters that are written from right to left move the digits and signs around them, without any invisible character.
    """
    if text.isascii() or not any(unicodedata.bidirectional(letter) in _FROM_THE_RIGHT for letter in text):
        return ""
    return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)


def foreign_digits(text: str) -> str:
    """Return what numbers mean that have digits of another alphabet, which can look like other digits than they are."""
    if text.isascii():
        return ""
    return ", ".join(
        "".join(str(unicodedata.decimal(digit)) for digit in number)
        for number in _NUMBER.findall(text)
        if any(_is_foreign(digit) for digit in number)
    )


def _is_foreign(digit: str) -> bool:
    # A full-width one looks like what it means.
    return not (unicodedata.normalize("NFKC", digit).isascii() or unicodedata.bidirectional(digit) in _FROM_THE_RIGHT)


def warnings(text: str) -> tuple[str, ...]:
    """Return what a reader of this text has to know of it."""
    found = []
    if alphabets := mixed_alphabets(text):
        found.append(f"letters of several alphabets: {', '.join(alphabets)}")
    if meant := foreign_digits(text):
        found.append(f"digits of another alphabet, which mean: {meant}")
    if order := stored_order(text):
        found.append(f"written from right to left, stored as: {order}")
    return tuple(found)


def _alphabet(letter: str) -> str | None:
    # Full-width and mathematical letters have their alphabet later in the name.
    words = unicodedata.name(letter, "").split()
    known: str | None = next((alphabet for alphabet in _ALPHABETS if alphabet in words), None)
    own = words and words[0] not in _BESIDE_OTHERS | _SIGNS
    if known is None and own and unicodedata.normalize("NFKC", letter) == letter:
        known = words[0]
    return None if known is None else known.capitalize()
