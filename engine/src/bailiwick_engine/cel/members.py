"""Members: the attributes of a call, the data and the histories that the text of an expression can read.

Standing: below `expressions` and `reads`. Holds: no member that is read is left out. If the text does not show which
member is read, the whole that contains it is returned. A name that only looks like an attribute may be returned too.
"""

import re
from functools import lru_cache
from typing import Final

Path = tuple[str, ...]
"""From what conditions see (`subject`, `actor`, `action`, `resource`, `context`, `data`, `history`) to one member."""

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<raw>(?:[bB]?[rR]|[rR][bB])(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*'))
  | (?P<text>[bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<quoted>`[^`\n]*`)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9][0-9A-Za-z_.]*)
  | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_TEXT: Final = re.compile(r"""(?P<quote>["'])(?P<held>[^"'\\\n]*)(?P=quote)""")
DATA: Final = "data"
HISTORY: Final = "history"
_ROOTS: Final = frozenset({"subject", "actor", "action", "resource", "context", DATA, HISTORY})

_Token = tuple[str, str]


@lru_cache(maxsize=1_024)
def paths(text: str) -> frozenset[Path]:
    """Return the attributes that the text of an expression reads."""
    tokens = [(found.lastgroup or "", found.group()) for found in _TOKEN.finditer(text) if found.lastgroup != "space"]
    return frozenset(
        _path(tokens, at)
        for at, (kind, spelled) in enumerate(tokens)
        # After a dot it is a member of something else.
        if kind == "name"
        and spelled in _ROOTS
        and not (at and tokens[at - 1][1] == "." and not _leading(tokens, at - 1))
    )


def _leading(tokens: list[_Token], at: int) -> bool:
    """Tell whether a dot is CEL's leading one, `.subject`, with nothing before it that it could select from."""
    if not at:
        return True
    kind, spelled = tokens[at - 1]
    return kind == "mark" and spelled not in {")", "]", "}"}


def _path(tokens: list[_Token], at: int) -> Path:
    path = [tokens[at][1]]
    at += 1
    while (step := _step(tokens, at)) is not None:
        name, at = step
        path.append(name)
    return tuple(path)


def _step(tokens: list[_Token], at: int) -> tuple[str, int] | None:
    """Return the member that is selected from here on, and where that ends; None if the text does not show it."""
    spelled = [token[1] for token in tokens[at : at + 4]]
    if spelled[:1] == ["."]:
        at += 2 if spelled[1:2] == ["?"] else 1
        if at >= len(tokens) or tokens[at][0] not in {"name", "quoted"}:
            return None
        # What is called is a function, not a member.
        called = tokens[at + 1 : at + 2] == [("mark", "(")]
        return None if called else (tokens[at][1].strip("`"), at + 1)
    if spelled[:1] == ["["]:
        at += 2 if spelled[1:2] == ["?"] else 1
        if tokens[at + 1 : at + 2] != [("mark", "]")] or tokens[at][0] != "text":
            return None
        plain = _PLAIN_TEXT.fullmatch(tokens[at][1])
        return None if plain is None else (plain["held"], at + 2)
    return None
