"""URIs of MCP resources, in the one spelling that every reader takes for the same resource.

Standing: beside `mcpmessages`, above `segments`; needs nothing but the standard library, since the SDK has a copy that
`make generate` writes. Holds: two accepted URIs that a reader could take for one resource are one text. Nothing is put
right: a server matches the URI that its client sent, so what we made of it need not be what the server makes of it.
"""

import ipaddress
import re
from typing import Final

from bailiwick_engine.policy import segments
from bailiwick_engine.policy.segments import decoded_text, encoded_bytes, is_plain, segment_defect

MAX_URI: Final = 1_024
MAX_URI_SEGMENTS: Final = 32

LONG: Final = "the URI is too long"
SCHEME: Final = "the URI does not begin with a scheme in small letters"
AUTHORITY: Final = "the authority of the URI must be a name in small letters, without user, default port or empty parts"
OPTIONAL: Final = "the URI percent-encodes a character that can stand for itself"
FRAGMENT: Final = "the URI has a fragment, which servers ignore"
QUERY: Final = "the URI has a query, and nothing says which of its parameters the server reads"
QUERY_FORM: Final = "the query of the URI is empty, or encodes a character in a way that is not canonical"
CONTROL: Final = "the URI contains a character that a URI cannot contain"

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_ALLOWED: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#\[\]-]|%[0-9A-Fa-f]{2})*")
_LABEL: Final = r"(?:[a-z0-9_~!$&'()+,=-]|%[0-9A-F]{2})+"
_HOST: Final = re.compile(rf"({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{{0,4}}))?")
# What readers of web addresses take for a number, in one of many spellings: the last label begins with a digit.
_NUMERIC: Final = re.compile(r"(?:.*\.)?[0-9][0-9a-fx]*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})+")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# RFC 3986, `pchar`, but for what `segments` refuses in every spelling: these stand for themselves in a path.
_PLAIN: Final = _UNRESERVED | frozenset(b"!$&'()+,=:@")
_DEFAULT_PORTS: Final = {"ftp": "21", "http": "80", "https": "443", "ws": "80", "wss": "443"}
# The special schemes of the URL standard (WHATWG), whose hosts are read as names and addresses of the internet.
_WEB_SCHEMES: Final = frozenset({*_DEFAULT_PORTS, "file"})


def uri_defect(uri: str, *, query: bool = False) -> str | None:
    """Return why a URI is refused (RFC 3986, 6.2.2 and more); None where it has one spelling, and this is it.

    `query`: it may have a query, because the caller compares its parameters with those that the server resolved.
    """
    whole, mark, asked = uri.partition("?")
    if (defect := _characters_defect(uri)) is not None:
        return defect
    if mark and (defect := _query_defect(asked) if query else QUERY) is not None:
        return defect
    scheme, colon, rest = whole.partition(":")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        return SCHEME
    if scheme == "urn" and rest.partition(":")[0] != rest.partition(":")[0].lower():
        return SCHEME
    if not rest.startswith("//"):
        return AUTHORITY if scheme in _WEB_SCHEMES else _path_defect(rest)
    authority, slash, path = rest[2:].partition("/")
    return _authority_defect(scheme, authority, path) or _place_defect(scheme, slash, path)


def is_one_uri(sent: str, resolved: str) -> bool:
    """Tell whether what a server resolved is what was sent, given that `sent` has no defect.

    `resolved` is the server's own URI, or its template with the parameters that it extracted. Whatever of the URI the
    server ignored, decoded twice or put right is a difference. In a path a server may encode what stands for itself.
    """
    path, mark, query = sent.partition("?")
    own, own_mark, own_query = resolved.partition("?")
    return (path, mark, query) == (_least_encoded(own), own_mark, own_query)


def _characters_defect(uri: str) -> str | None:
    if len(uri) > MAX_URI:
        return LONG
    if _ALLOWED.fullmatch(uri) is None:
        # A raw backslash and text outside ASCII too.
        return CONTROL
    return FRAGMENT if "#" in uri else None


def _place_defect(scheme: str, slash: str, path: str) -> str | None:
    if path:
        return _path_defect(path)
    # Readers of these schemes take an empty path for /; of others, / ends in an empty segment.
    return None if bool(slash) is (scheme in _DEFAULT_PORTS) else segments.EMPTY


def _least_encoded(path: str) -> str:
    def plain(found: re.Match[str]) -> str:
        byte = int(found[1], 16)
        return chr(byte) if byte in _PLAIN else found[0].upper()

    return segments.PERCENT_ENCODED.sub(plain, path)


def _authority_defect(scheme: str, authority: str, path: str) -> str | None:
    if not authority:
        return None if path and scheme not in _DEFAULT_PORTS else AUTHORITY
    found = _HOST.fullmatch(authority)
    if found is None or (scheme == "file" and authority == "localhost"):
        return AUTHORITY
    host, port = found.groups()
    if port is not None and (port == _DEFAULT_PORTS.get(scheme) or int(port) > 65_535):  # noqa: PLR2004 - the largest port
        return AUTHORITY
    if host.startswith("["):
        return None if _is_address(host[1:-1]) else AUTHORITY
    if scheme in _WEB_SCHEMES and ("%" in host or (_NUMERIC.fullmatch(host) is not None and not _is_address(host))):
        return AUTHORITY
    text = decoded_text(host)
    if text is None or text != text.lower() or not {"[", "]"}.isdisjoint(text):
        # Also a letter in percent-encoding, which IDNA would make small.
        return AUTHORITY
    return _part_defect(host)


def _is_address(text: str) -> bool:
    """Tell whether a text is an IP address in its one canonical form (RFC 5952)."""
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def _path_defect(path: str) -> str | None:
    parts = path.split("/")
    if len(parts) > MAX_URI_SEGMENTS:
        return LONG
    return next((defect for part in parts if (defect := _part_defect(part)) is not None), None)


def _part_defect(part: str) -> str | None:
    defect = segment_defect(part)
    if defect is None and any(byte in _PLAIN for byte in encoded_bytes(part)):
        return OPTIONAL
    return defect


def _query_defect(query: str) -> str | None:
    if _QUERY.fullmatch(query) is None or any(byte in _UNRESERVED for byte in encoded_bytes(query)):
        return QUERY_FORM
    text = decoded_text(query)
    return None if text is not None and is_plain(text) else QUERY_FORM
