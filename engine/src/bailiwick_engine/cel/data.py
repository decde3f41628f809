"""Data: what an `EndpointData` comes to, once for each change, and what conditions see of the data of a namespace.

Standing: above `inputs`; stores read objects by it, admission and the command line judge them by it. Holds: pure; what
is not I-JSON (RFC 7493), too large, or would be cut by the CEL library, is not read at all, and so unknown; an object
never changes after it was read.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from bailiwick_api.kinds.endpointdata import MOST_BYTES, MOST_CONTAINERS
from bailiwick_engine.canonicaljson import NotCanonicalError, canonical
from bailiwick_engine.cel.cost.estimate import Extent, Path
from bailiwick_engine.cel.inputs import NUL, encoded_extent, extent_at
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps, whole

DEEPEST: Final = 32
_SAFE: Final = 2**53 - 1
_STEP: Final = 512
_SMALL: Final = 1_024
"""Characters of JSON of which the canonical form is made in one step."""
_ELEMENTS: Final = 64
_HALF: Final = re.compile("[\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN: Final = 200


class UnknownReason(StrEnum):
    """Why data is unknown; a reason of the condition DataReady."""

    NOT_FOUND = "NotFound"
    UNREADABLE = "Unreadable"
    TOO_LARGE = "TooLarge"
    OVER_BUDGET = "OverBudget"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why an object is unknown, and where in it."""

    why: UnknownReason
    problem: Problem


@dataclass(frozen=True, slots=True, eq=False)
class DataObject:
    """One object, as it was read. `value` None: it is unknown, and `unknown` says why; it has no digest then.

    `digest` is `sha256:` and the hex SHA-256 of the canonical form of `spec.data`. `uid` and `generation` are the
    object's.
    """

    name: str
    uid: str
    generation: int
    value: Mapping[str, Any] | None
    digest: str | None = None
    unknown: Unknown | None = None
    _extents: dict[Path, Extent] = field(default_factory=dict)

    def extent(self, path: Path) -> Extent:
        """Return how large a member is. Measured once for each path that a condition names."""
        found = self._extents.get(path)
        if found is None:
            found = self._extents[path] = extent_at(self.value or {}, path, encoded_extent)
        return found


Data = Mapping[str, DataObject]
"""The objects of one namespace by name."""
NO_DATA: Final[Data] = {}


def read_data(name: str, uid: str, generation: int, spec: object) -> DataObject:
    """Return what a stored `spec` comes to. Never raises."""
    return whole(read_steps(name, uid, generation, spec))


def read_steps(name: str, uid: str, generation: int, spec: object) -> Steps[DataObject]:
    """Return it in steps, each of some hundred values: there may be a hundred thousand."""
    found = _check_shape(spec)
    if isinstance(found, Unknown):
        return DataObject(name, uid, generation, None, unknown=found)
    looked = yield from _look_through(found)
    if looked.unknown is not None:
        return DataObject(name, uid, generation, None, unknown=looked.unknown)
    made = hashlib.sha256()
    try:
        for piece in (orjson.dumps(found, option=orjson.OPT_SORT_KEYS),) if looked.plain else _pieces(found):
            made.update(piece)
            yield
    except NotCanonicalError as error:
        unknown = Unknown(UnknownReason.UNREADABLE, Problem("spec.data", str(error)))
        return DataObject(name, uid, generation, None, unknown=unknown)
    return DataObject(name, uid, generation, found, f"sha256:{made.hexdigest()}")


def over_budget(name: str, uid: str, generation: int, message: str) -> DataObject:
    """Return what is kept of an object that is over budget: nothing."""
    unknown = Unknown(UnknownReason.OVER_BUDGET, Problem("spec.data", message))
    return DataObject(name, uid, generation, None, unknown=unknown)


def _check_shape(spec: object) -> dict[str, Any] | Unknown:
    """Return the data of a spec of the right shape and size."""
    if not isinstance(spec, dict):
        return Unknown(UnknownReason.UNREADABLE, Problem("spec", "must be an object"))
    for member in spec:
        if member != "data":
            return Unknown(UnknownReason.UNREADABLE, Problem(f"spec.{str(member)[:_SHOWN]}", "unknown field"))
    data = spec.get("data")
    if not isinstance(data, dict):
        said = "must be an object" if "data" in spec else "is required"
        return Unknown(UnknownReason.UNREADABLE, Problem("spec.data", said))
    try:
        size = len(orjson.dumps(data))
    except TypeError:
        # Half a character, an integer beyond 64 bits, or too deep: `_look_through` says where.
        return data
    if size > MOST_BYTES:
        message = f"needs {size:,} bytes as JSON, but the limit is {MOST_BYTES:,} bytes: split it into several objects"
        return Unknown(UnknownReason.TOO_LARGE, Problem("spec.data", message))
    return data


@dataclass(slots=True)
class _Look:
    """What a look at every value found. `plain`: JSON as orjson writes it is the canonical form already."""

    plain: bool = True
    unknown: Unknown | None = None


def _look_through(data: dict[str, Any]) -> Steps[_Look]:
    """Look at every value and name, until one cannot be read by everybody."""
    found = _Look()
    names: list[object] = []
    waiting: list[Iterator[tuple[object, Any]]] = [iter(data.items())]
    count = containers = 0
    while waiting:
        for name, value in waiting[-1]:
            count += 1
            if count % _STEP == 0:
                yield
            kind = type(value)
            if kind is float or (kind is not str and kind not in _KINDS) or not (type(name) is int or name.isascii()):  # type: ignore[attr-defined]  # it is a name
                found.plain = False
            wrong = _wrong(name, value, kind)
            if wrong is None and (kind is dict or kind is list):
                containers += 1
                if containers > MOST_CONTAINERS:
                    found.unknown = Unknown(UnknownReason.TOO_LARGE, Problem("spec.data", _MANY))
                    return found
                if len(waiting) < DEEPEST:
                    names.append(name)
                    waiting.append(iter(value.items()) if kind is dict else enumerate(value))
                    break
                wrong = f"is nested more than {DEEPEST} levels deep"
            if wrong is not None:
                found.unknown = Unknown(UnknownReason.UNREADABLE, Problem(_spell_path((*names, name)), wrong))
                return found
        else:
            waiting.pop()
            if names:
                names.pop()
    return found


def _wrong(name: object, value: Any, kind: type) -> str | None:  # noqa: ANN401 - any JSON
    for text in (name, value) if kind is str else (name,):
        if type(text) is str:
            if NUL in text:
                return "contains the character NUL"
            if not text.isascii() and _HALF.search(text) is not None:
                return "contains half a character (a lone surrogate)"
    if kind is int and not -_SAFE <= value <= _SAFE:
        return "is an integer beyond 2^53: write it as a string"
    if kind is float and not -_LARGEST <= value <= _LARGEST:
        return "is not a finite number"
    return None if kind in _KINDS else f"is no JSON value ({kind.__name__})"


_MANY: Final = f"has more than {MOST_CONTAINERS:,} objects and lists in it: split it into several objects"
_KINDS: Final = frozenset({str, int, float, bool, type(None), dict, list})
_LARGEST: Final = 1.7976931348623157e308


def _spell_path(path: tuple[object, ...]) -> str:
    told = "spec.data"
    for name in path:
        if isinstance(name, str):
            shown = name.encode("ascii", "backslashreplace").decode()[:_SHOWN].replace(NUL, "\\0")
            told += f".{shown}" if _NAME.fullmatch(shown) else f"[{shown!r}]"
        else:
            told += f"[{name}]"
    return told[: 4 * _SHOWN]


def _pieces(value: Any) -> Iterator[bytes]:  # noqa: ANN401 - any JSON
    """Yield the canonical form (RFC 8785) in pieces. Raises `NotCanonicalError`."""
    if not isinstance(value, dict | list) or len(orjson.dumps(value)) <= _SMALL:
        yield canonical(value)
        return
    if isinstance(value, list):
        yield b"["
        for start in range(0, len(value), _ELEMENTS):
            some = value[start : start + _ELEMENTS]
            between = b"," if start else b""
            if any(isinstance(item, dict | list) for item in some):
                for item in some:
                    yield between
                    between = b","
                    yield from _pieces(item)
            else:
                yield between + canonical(some)[1:-1]
        yield b"]"
        return
    yield b"{"
    # By UTF-16, as RFC 8785 has it.
    for index, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
        yield (b"," if index else b"") + canonical(name) + b":"
        yield from _pieces(value[name])
    yield b"}"
