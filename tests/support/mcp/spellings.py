"""Spellings of a URI that some reader takes for another one: what a caller tries who may not read a resource."""

import itertools
import unicodedata
from typing import Final

from hypothesis import strategies as st

_BASE: Final = "crm://customers/vip"
# What is put behind a URI, and most servers drop or ignore.
_TAILS: Final = (
    "?", "#", "?#", "#x", "?x", "?x=1", "?view", "?view=", "?view=short", "?view=short&view=x", "?view=short#x",
    "?VIEW=short", "&x=1", ";x=1", ";", "/", "//", "/.", "/..", "/./", "/x/..", "%20", " ", "%00", "\x00", "%0A", "\n",
    "\r\n", "\t", "%09", ".", "%2E", "%2e", "%2F", "%2f", "%5C", "\\", "%", "%25", "%3F", "%3f", "%23", "\u200b",
    "%E2%80%8B", "*", "%2A", "+", ",", "!", "%21", "?view=%73hort", "?%76iew=short", "?view=short&x=1", "?&view=short",
    "?view=short&",
)  # fmt: skip
# What is put before the last part.
_HEADS: Final = ("/", "./", "%2e/", "%2E/", "x/../", "x/%2e%2e/", "x%2F../", "\\", "%5C", "%2F", "//", "..%2Fx/")


def _encoded(text: str, index: int, *, upper: bool) -> str:
    """Return a text with one character percent-encoded."""
    made = "".join(f"%{byte:02X}" for byte in text[index].encode())
    return text[:index] + (made if upper else made.lower()) + text[index + 1 :]


def written_spellings(uri: str = _BASE) -> list[str]:
    """Return the spellings of a URI that are worth trying each time."""
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    before, _, last = uri.rpartition("/")
    found = [uri + tail for tail in _TAILS]
    found += [f"{before}/{head}{last}" for head in _HEADS]
    found += [_encoded(uri, n, upper=True) for n in range(len(uri))]
    found += [_encoded(_encoded(uri, n, upper=True), n, upper=True) for n in range(len(scheme) + 3, len(uri))]
    found += [f"{scheme.upper()}://{rest}", f"{scheme}://{authority.upper()}/{path}", f"{before}/{last.upper()}"]
    found += [f"{scheme}://{authority}{odd}/{path}" for odd in (":", ":80", ":0", ".", "%2E", "/.", "/", "\\")]
    found += [f"{scheme}://{odd}{authority}/{path}" for odd in ("@", "u@", "u:p@", "/", "//", "%2F", " ")]
    found += [f"{scheme}:{rest}", f"{scheme}:/{rest}", f"{scheme}:///{rest}", f" {uri}", f"{uri} ", rest, f"//{rest}"]
    found += [unicodedata.normalize("NFKD", uri), f"{before}/{''.join(chr(0xFEE0 + ord(one)) for one in last)}"]
    return [one for one in dict.fromkeys(found) if one != uri]


_EDITS: Final = st.sampled_from(
    [*_TAILS, *_HEADS, "%76", "%69", "%70", "%56", "V", "I", "P", "vip", "customers", "crm"]
)


@st.composite
def drawn_spellings(draw: st.DrawFn, uri: str = _BASE) -> str:
    """Draw a URI that one to four edits make of another: encodings, pieces put in, characters taken out, case."""
    made = uri
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(made)))
        match draw(st.sampled_from(["encode", "encode twice", "put in", "take out", "case", "character"])):
            case "encode" if at < len(made):
                made = _encoded(made, at, upper=draw(st.booleans()))
            case "encode twice" if at < len(made):
                made = _encoded(_encoded(made, at, upper=True), at, upper=True)
            case "take out" if at < len(made):
                made = made[:at] + made[at + 1 :]
            case "case" if at < len(made):
                made = made[:at] + made[at].swapcase() + made[at + 1 :]
            case "character":
                made = made[:at] + draw(st.characters(exclude_categories=["Cs"])) + made[at:]
            case _:
                made = made[:at] + draw(_EDITS) + made[at:]
    return made


def paired_spellings(uri: str = _BASE) -> list[str]:
    """Return spellings of spellings, for the longer run of a law."""
    tails = ("?", "#x", "?x=1", "/", "%20")
    return [one + tail for one, tail in itertools.product(written_spellings(uri), tails)]
