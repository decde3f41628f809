"""How deep the values in JSON from outside may be, one in another: what is deeper is refused before it is used.

Standing: lowest, under the readers of lines and of policies' texts. Holds: a value that is let through can be printed,
compared and written again, which Python does by recursion. No process writes anything as deep.
"""

from typing import Any, Final

MOST_DEPTH: Final = 64
"""The maximum number of objects and lists around a value. A record has fewer than 40, around the body of a call."""
_NESTS: Final = (dict, list)


def is_shallow(value: object) -> bool:
    """Tell whether a value that was read from JSON is at most as deep as that."""
    level: list[Any] = [value] if isinstance(value, _NESTS) else []
    for _ in range(MOST_DEPTH):
        if not level:
            return True
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _NESTS)
        ]
    return not level
