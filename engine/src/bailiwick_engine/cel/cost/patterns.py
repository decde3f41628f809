"""Regular expressions: the maximum size of an RE2 pattern's program, from the text of the pattern.

Standing: beside `functions`. Holds: never less than RE2's own size, as far as that was measured. A pattern that RE2
does not accept can have any result, since it is refused anyway.
"""

import re
from typing import Final

_CLASS: Final = 1_200
"""Of one Unicode class, such as `\\pL`: some six hundred ranges, each with the states for its UTF-8 bytes."""
_ANY: Final = 8
"""Of `.` and of a class that excludes: the states for all the lengths of UTF-8."""
_REPEAT: Final = re.compile(r"\{(\d+)(,(\d*))?\}")
_UNICODE: Final = re.compile(r"\\[pP]")
_FOLDING: Final = re.compile(r"\(\?[a-zA-Z]*i")
_RANGE: Final = re.compile(r"[^\\]-[^\]]")
_NEGATED: Final = re.compile(r"\\[DWSpP]|\[:\^")
_MOST: Final = 10**9


def states(pattern: str) -> int:
    """Return the number of states, at most `10**9`."""
    # One list of sizes for each group that is open; the last is the innermost.
    open_groups: list[list[int]] = [[]]
    at, folding = 0, 2 if _FOLDING.search(pattern) else 1
    while at < len(pattern):
        sizes = open_groups[-1]
        sign = pattern[at]
        if sign == "\\":
            size, at = _escaped(pattern, at)
            sizes.append(size)
            continue
        if sign == "[":
            size, at = _class(pattern, at)
            sizes.append(size)
            continue
        if sign == "{" and (found := _REPEAT.match(pattern, at)) is not None:
            if sizes:
                sizes.append(min(sizes.pop() * _times(found), _MOST))
            at = found.end()
            continue
        if sign == "(":
            open_groups.append([])
        elif sign == ")" and len(open_groups) > 1:
            inner = open_groups.pop()
            open_groups[-1].append(min(sum(inner) + 2, _MOST))
        else:
            sizes.append(_ANY if sign == "." else 1)
        at += 1
    return min(folding * sum(sum(sizes) for sizes in open_groups) + 1, _MOST)


def _times(found: re.Match[str]) -> int:
    """Return how often a counted repeat stands there at most: `{n,}` is `{n}` and a star."""
    least, most = int(found[1][:6]), found[3]
    return max(1, least + 1 if found[2] and not most else max(least, int((most or "0")[:6])))


def _escaped(pattern: str, at: int) -> tuple[int, int]:
    """Return the size of an escape, and where it ends."""
    kind = pattern[at + 1 : at + 2]
    if kind in {"p", "P"}:
        end = pattern.find("}", at) + 1 if pattern[at + 2 : at + 3] == "{" else at + 3
        return _CLASS, end or len(pattern)
    if kind in {"D", "W", "S", "C", "X"}:
        return _ANY, at + 2
    if kind == "Q":
        end = pattern.find("\\E", at)
        end = len(pattern) if end < 0 else end + 2
        return max(1, end - at), end
    return 1, at + 2


def _class(pattern: str, at: int) -> tuple[int, int]:
    """Return the size of a class in brackets, and where it ends."""
    end = at + 1
    if pattern[end : end + 1] == "^":
        end += 1
    # A bracket that comes first is a member.
    end += 1
    while end < len(pattern) and pattern[end] != "]":
        if pattern.startswith("[:", end):
            named = pattern.find(":]", end)
            end = len(pattern) if named < 0 else named + 1
        end += 2 if pattern[end : end + 1] == "\\" else 1
    text = pattern[at : end + 1]
    ranges = len(_RANGE.sub(".", text)) - 1
    plain = text.isascii() and not text.startswith("[^") and not _NEGATED.search(text)
    return ranges + (0 if plain else _ANY) + _CLASS * len(_UNICODE.findall(text)), end + 1
