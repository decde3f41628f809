r"""One segment of a path, in the one reading that every reader has.

Standing: below `paths` and `resourceuri`; needs nothing but the standard library, since the SDK has a copy that
`make generate` writes. Holds: an accepted segment stays as it is under every canonicalisation of RFC 3986, and nothing
in it means something else to a reader who decodes once more, removes parameters, takes \ for / or folds letters that
look the same.
"""

import re
import unicodedata
from typing import Final

FORM: Final = "the path must begin with one / and contain only plain or percent-encoded characters"
EMPTY: Final = "the path has an empty segment"
DOTS: Final = "the path has a segment of dots, or a segment that ends with a dot or a space"
ENCODED: Final = "the path encodes a character in a way that is not canonical"
TEXT: Final = "the path is not printable UTF-8 text in composed form"
SESSION: Final = "the path has a session in parentheses, which ASP.NET takes out of it"
MEANING: Final = "the path contains a character that some programs treat as a separator"

PERCENT_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,=:@-]|%[0-9A-F]{2})+")
# Of these letters none is encoded, composed, folded, a separator or the beginning of a session to anybody, and no dot
# or space is among them.
_SIMPLE: Final = re.compile(r"[A-Za-z0-9_~!$&')+,=:@-]+")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What separates, ends or stands for something to some reader of paths, so that it is refused in every spelling.
_MEANINGFUL: Final = frozenset("/\\%;*?#")
# Of ASP.NET without cookies, which serves /admin for /(S(x))/admin. It can end in another segment.
_SESSION: Final = re.compile(r"\([A-Za-z]\(")


def segment_defect(raw: str) -> str | None:
    """Return why a segment is refused, as it stands in a request; None where it has one reading."""
    # Most are, and each call that a proxy asks about has some.
    return None if _SIMPLE.fullmatch(raw) else _defect(raw)


def _defect(raw: str) -> str | None:
    if not raw:
        return EMPTY
    if _SEGMENT.fullmatch(raw) is None:
        return MEANING if not _MEANINGFUL.isdisjoint(raw.replace("%", "")) else FORM
    if any(byte in _UNRESERVED for byte in encoded_bytes(raw)):
        return ENCODED
    text = decoded_text(raw)
    if text is None or not is_plain(text):
        return TEXT
    # As those see it who take letters of other widths and the like for one another.
    folded = unicodedata.normalize("NFKC", text)
    if not _MEANINGFUL.isdisjoint(folded):
        return MEANING
    if _SESSION.search(folded):
        return SESSION
    if folded.endswith((".", " ")) or folded.startswith(" ") or not folded.strip(". "):
        return DOTS
    return None


def encoded_bytes(text: str) -> list[int]:
    """Return the bytes that a text has in percent-encoding."""
    return [int(byte, 16) for byte in PERCENT_ENCODED.findall(text)]


def is_plain(text: str) -> bool:
    """Tell whether a decoded text is printable and in composed form (NFC)."""
    return text.isprintable() and unicodedata.normalize("NFC", text) == text


def decoded_text(text: str) -> str | None:
    """Return a text with its percent-encoding taken off once; None where that is not UTF-8."""
    if "%" not in text:
        return text if text.isascii() else None
    whole = bytearray()
    last = 0
    for found in PERCENT_ENCODED.finditer(text):
        whole += text[last : found.start()].encode("ascii", "replace")
        whole.append(int(found[1], 16))
        last = found.end()
    whole += text[last:].encode("ascii", "replace")
    try:
        return whole.decode("utf-8")
    except UnicodeDecodeError:
        return None


def caseless_text(text: str) -> str:
    """Return a decoded text without what readers that know no case leave out of it."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text.upper()).casefold()
    # What is left of a capital I with a dot.
    return folded.replace("\u0307", "")
