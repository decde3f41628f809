r"""Paths, queries and hosts of proxied calls that every reader interprets in the same way; all others are refused.

Standing: below `routes`; the only module that canonicalises paths. Holds: an accepted path is unchanged by every
canonicalisation of RFC 3986, and no part of it means something else to a reader that decodes once more, removes
parameters, reads \ as / or folds letters that look the same. No path is ever corrected: one that is not canonical is
refused, since the upstream may correct it in another way.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from bailiwick_engine.policy import segments
from bailiwick_engine.policy.membernames import joined_words
from bailiwick_engine.policy.overrides import is_override, plain_names
from bailiwick_engine.policy.segments import decoded_text, is_plain, segment_defect

MAX_TARGET: Final = 8_192
MAX_SEGMENTS: Final = 32
# PHP, Tomcat and qs of Express leave out what comes behind the first thousand, without an error.
MAX_PARAMETERS: Final = 512
_SHOWN: Final = 64

_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]{}|^`<>\"\\-]|%[0-9A-Fa-f]{2})*")
_HOST: Final = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)


class PathDefect(StrEnum):
    """Why a path is refused, as in the caller's answer."""

    LONG = "the path is too long"
    FORM = segments.FORM
    EMPTY = segments.EMPTY
    DOTS = segments.DOTS
    ENCODED = segments.ENCODED
    TEXT = segments.TEXT
    SESSION = segments.SESSION
    MEANING = segments.MEANING


class CanonicalPath(NamedTuple):
    """A path that has one reading: its segments, decoded. `slash`: it ends with one."""

    segments: tuple[str, ...]
    slash: bool


def canonical_path(path: str) -> CanonicalPath | PathDefect:
    """Return the reading of a path, as it stands in a request, without its query; or why it is refused."""
    if len(path) > MAX_TARGET:
        return PathDefect.LONG
    if not path.startswith("/"):
        return PathDefect.FORM
    if path == "/":
        return CanonicalPath((), slash=True)
    slash = path.endswith("/")
    raw = path[1:-1].split("/") if slash else path[1:].split("/")
    if len(raw) > MAX_SEGMENTS:
        return PathDefect.LONG
    found = []
    for one in raw:
        read = _segment(one)
        if isinstance(read, PathDefect):
            return read
        found.append(read)
    return CanonicalPath(tuple(found), slash)


def _segment(raw: str) -> str | PathDefect:
    defect = segment_defect(raw)
    text = decoded_text(raw)
    return text if defect is None and text is not None else PathDefect(defect or segments.TEXT)


def query_values(query: str, names: Collection[str]) -> dict[str, str] | None:
    """Return the values of these names, of those that are there; None where two readers could read them differently.

    Also where the query names another method or path, whatever is asked for.
    """
    if not query:
        return {}
    if len(query) > MAX_TARGET or _QUERY.fullmatch(query) is None:
        return None
    folded = [(name, _readings(name)) for name in names]
    found: dict[str, str] = {}
    pairs = re.split("[&;]", query)
    if names and len(pairs) > MAX_PARAMETERS:
        return None
    for pair in pairs:
        name, separator, value = pair.partition("=")
        read = decoded_text(name.replace("+", " "))
        if read is None:
            return None
        # Decoded twice, as some readers do.
        if is_override(read) or is_override(decoded_text(read) or ""):
            return None
        readings = _readings(read)
        meant = [one for one, its in folded if not its.isdisjoint(readings)]
        if not meant:
            continue
        text = decoded_text(value)
        # Of a name that is wanted there is one, spelled plainly, with one value.
        if meant != [name] or name in found or not separator or ";" in query or "+" in value:
            return None
        if text is None or not is_plain(text):
            return None
        found[name] = text
    return found


def query_twin(query: str, names: Collection[str], taken: Collection[str]) -> str | None:
    """Return a parameter of a query that some upstream takes for one of these names; None where there is none.

    The query is one that `query_values` can read, and `taken` are what it was asked for there: these are no twins. An
    empty name among `names` stands for any: each parameter that is not taken is a twin.
    """
    if not query or not names:
        return None
    known = frozenset(reading for name in taken for reading in _readings(name))
    others = frozenset(reading for name in names if name for reading in _readings(name))
    for pair in re.split("[&;]", query):
        read = decoded_text(pair.partition("=")[0].replace("+", " ")) or ""
        readings = _readings(read)
        if not read or not known.isdisjoint(readings):
            continue
        # Spring and ASP.NET take `order.amount` for a member of `order`.
        if "" in names or not others.isdisjoint(readings | _readings(read.partition(".")[0])):
            return read[:_SHOWN]
    return None


def body_twins(members: Iterable[str], name: str) -> Iterator[str]:
    """Yield the members of a body that some upstream takes for a parameter of this name."""
    wanted = _readings(name)
    return (one for one in members if not wanted.isdisjoint(_readings(one)))


def _readings(name: str) -> frozenset[str]:
    return frozenset(map(joined_words, plain_names(name)))


def canonical_host(host: str) -> str | None:
    """Return a host, with its port where it has one, in small letters; None where it is no plain one."""
    lowered = host.lower() if host.isascii() else ""
    return lowered if len(lowered) <= MAX_TARGET and _HOST.fullmatch(lowered) else None


def without_port(host: str) -> str:
    """Return a canonical host without its port."""
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdigit() else host
