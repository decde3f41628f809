"""Operations of JSON Patch (RFC 6902): the four that a suggestion is made of, and what they make of a spec.

Holds: a patch applies whole or not at all; each change stands behind a test that the rule is still what it was.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Operation = Mapping[str, Any]
_ROOT: Final = "spec"
_END: Final = "-"


class StalePatchError(Exception):
    """A test of a patch failed, or a place is not there."""


def expect(path: str, value: object) -> Operation:
    """Return the operation that fails unless a value is there."""
    return {"op": "test", "path": path, "value": value}


def replace(path: str, value: object) -> Operation:
    """Return the operation that puts a value in the place of another."""
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: object) -> Operation:
    """Return the operation that puts a value where there is none, or at a place of a list."""
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Operation:
    """Return the operation that takes a value away."""
    return {"op": "remove", "path": path}


def apply(spec: Mapping[str, Any], operations: Iterable[Operation]) -> dict[str, Any]:
    """Return a spec as the operations make it. Raises `StalePatchError`."""
    made: dict[str, Any] = {_ROOT: copy.deepcopy(dict(spec))}
    for one in operations:
        # No name of a policy's members has a ~ or a slash in it.
        *above, last = one["path"].removeprefix("/").split("/")
        try:
            into: Any = made
            for part in above:
                into = into[_index(into, part)]
            _apply(one, into, last)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise StalePatchError(one["path"]) from error
    found: dict[str, Any] = made[_ROOT]
    return found


def _apply(operation: Operation, into: Any, last: str) -> None:  # noqa: ANN401 - any JSON value
    name, value = operation["op"], copy.deepcopy(operation.get("value"))
    if name == "add" and isinstance(into, list):
        into.insert(len(into) if last == _END else _index(into, last), value)
    elif name == "add":
        into[last] = value
    elif name == "test" and into[_index(into, last)] != value:
        raise ValueError(operation["path"])
    elif name == "replace":
        at = _index(into, last)
        _ = into[at]  # what is replaced must be there
        into[at] = value
    elif name == "remove":
        del into[_index(into, last)]


def _index(into: Any, part: str) -> Any:  # noqa: ANN401 - any JSON value, and a place in it
    return int(part) if isinstance(into, Sequence) and not isinstance(into, str) else part
