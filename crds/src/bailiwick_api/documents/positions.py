"""YAML with positions: a stream as plain data, and for each path of it the line and column where it stands.

Read as `kubectl apply` reads it, and stricter: what two readers of YAML could take for different things is a flaw, not
a guess. Refused are a key that stands twice, tags, merge keys, directives, keys that are no strings, and plain scalars
that YAML 1.1 and 1.2 read differently (yes, off, 017, 1_000, 1:30): quotes say what is meant. A timestamp is a string.

Holds: pure, and bounded in size, depth and what aliases expand to. A document that cannot be parsed to its end keeps
what stands before, marked as not `complete`, and spoils none of its neighbours; a member with a flaw is None, so that
nobody takes half of what was said for the whole.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from bailiwick_api.documents import scalars
from bailiwick_api.documents.scalars import Position, Source

# Of a document, and of a file; what a person pipes in may be longer as a whole.
MAX_BYTES: Final = 1024 * 1024
MAX_STREAM_BYTES: Final = 16 * MAX_BYTES
MAX_DOCUMENTS: Final = 1000
# Depth, values and characters of one document, aliases expanded.
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000
MAX_CHARACTERS: Final = 2 * MAX_BYTES
# Of one document; who has so many wants to see the first ones.
MAX_FLAWS: Final = 20

# Where a document stands that was read elsewhere.
_BEGIN: Final = Position(1, 1)
# A line that begins so ends the document whatever it is in (YAML 1.2.2, 9.1.2, c-forbidden): cutting there is exact.
_MARKER: Final = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_ANCHOR: Final = re.compile(r"&\S+[ \t]*(?:\r?\n[ \t]*)?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with the YAML itself. `path` is empty where it is no member's matter."""

    path: str
    message: str
    place: Position


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a member stands: its key, if it has one, and its value; `text` and `style` where that is a scalar."""

    key: int | None
    start: int
    end: int
    text: str | None = None
    style: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One document: JSON values. Not `complete`: parsing stopped before its end, and `data` is what came before."""

    data: Any
    complete: bool = True
    flaws: tuple[Flaw, ...] = ()
    start: Position = _BEGIN
    _source: Source = field(default=Source(""), repr=False, compare=False)
    _spots: dict[str, _Spot] = field(default_factory=dict, repr=False, compare=False)

    def place(self, path: str, line: int = 0, column: int = 0) -> Position:
        """Return where a member stands (`spec.rules[2].conditions[0].expression`).

        With `line` and `column`, from 1, the place of that character of a string: exact where it can be (see
        `scalars`), else where the string begins. A list or mapping stands at its key; what is not there, at the
        nearest that is, outwards.
        """
        spot = self._spots.get(path)
        if spot is None:
            return self._nearest(path)
        if spot.text is None:
            return self._source.place(spot.start if spot.key is None else spot.key)
        index = None if not line else self._inside(spot, spot.text, line, column)
        return self._source.place(spot.start if index is None else index)

    def _nearest(self, path: str) -> Position:
        while path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
            spot = self._spots.get(path)
            if spot is not None and path:
                return self._source.place(spot.start if spot.key is None else spot.key)
        return self.start

    def _inside(self, spot: _Spot, text: str, line: int, column: int) -> int | None:
        lines = text.split("\n")
        if line > len(lines) or column > len(lines[line - 1]) + 1:
            return None
        found = scalars.offsets(self._source.text, spot.start, spot.end, spot.style, text)
        return None if found is None else found[sum(len(before) + 1 for before in lines[: line - 1]) + column - 1]


def documents(raw: bytes) -> tuple[Document, ...]:
    """Parse a stream. Never raises; of what cannot be read at all there is one document, not complete, without data.

    Empty documents are left out.
    """
    if len(raw) > MAX_STREAM_BYTES:
        return (_refused(Source(""), 0, f"the file is larger than {MAX_STREAM_BYTES} bytes"),)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        readable = error.object[: error.start].decode("utf-8")
        return (_refused(Source(readable), len(readable), "not UTF-8"),)
    source = Source(text)
    markers = [0, *(found.end() if found[0] == "..." else found.start() for found in _MARKER.finditer(text))]
    cuts = list(dict.fromkeys([*markers, len(text)]))
    if len(cuts) > MAX_DOCUMENTS:
        return (_refused(Source(""), 0, f"more than {MAX_DOCUMENTS} documents in one file"),)
    composed = (_document(source, begin, end) for begin, end in pairwise(cuts))
    return tuple(document for document in composed if document.data is not None or document.flaws)


def _document(source: Source, begin: int, end: int) -> Document:
    # A character has at most four bytes, so that few are encoded for this.
    if 4 * (end - begin) > MAX_BYTES and len(source.text[begin:end].encode()) > MAX_BYTES:
        return _refused(source, begin, f"the document is larger than {MAX_BYTES} bytes")
    return _Composer(source, begin, end).document()


def _refused(source: Source, index: int, message: str) -> Document:
    place = source.place(index)
    return Document(None, complete=False, flaws=(Flaw("", message, place),), start=place, _source=source, _spots={})


class _AnchorUse(NamedTuple):
    """What an anchor names, and how much of each bound it takes."""

    value: Any
    values: int
    characters: int
    height: int


class _StoppedError(Exception):
    """Parsing cannot go on."""


class _Composer:
    """One document, from `begin` to `end` of the source; indices are those of the whole source."""

    def __init__(self, source: Source, begin: int, end: int) -> None:
        self._source = source
        self._begin = begin
        self._chunk = source.text[begin:end]
        self._events: Iterator[Event] = iter(())
        self._flaws: list[Flaw] = []
        self._spots: dict[str, _Spot] = {}
        self._anchors: dict[str, _AnchorUse] = {}
        self._values = 0
        self._characters = 0
        self._deepest = 0

    def document(self) -> Document:
        whole: list[Any] = [None]
        complete = True
        try:
            self._events = yaml.parse(self._chunk, Loader=yaml.SafeLoader)
            for event in self._events:
                if isinstance(event, DocumentStartEvent):
                    self._document(whole)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._flaw("", _said(error), self._begin + mark.index if mark else self._begin)
            complete = False
        except yaml.reader.ReaderError as error:
            self._flaw("", "YAML does not allow this character", self._begin + error.position)
            complete = False
        except (ValueError, OverflowError):
            # An escape of no character at all, as "\\UFFFFFFFF".
            self._flaw("", "this escape sequence is not valid", self._begin)
            complete = False
        except _StoppedError:
            complete = False
        root = self._spots.get("")
        start = self._source.place(self._begin if root is None else root.start)
        return Document(whole[0], complete, tuple(self._flaws), start, self._source, self._spots)

    def _document(self, whole: list[Any]) -> None:
        if self._spots:
            self._stop("", "a second document must start with --- on a separate line", self._begin)

        def put(value: object) -> None:
            whole[0] = value

        self._node(next(self._events), "", None, 1, put)

    def _node(self, event: Event, path: str, key: int | None, depth: int, put: Callable[[Any], None]) -> None:
        """Compose one node. Containers are put before they are filled: what was read stays when parsing stops."""
        assert isinstance(event, NodeEvent)  # noqa: S101 - the parser's grammar: a node is what stands here
        start, end = self._span(event)
        before = (self._values, self._characters, self._deepest)
        self._deepest = 0
        self._reach(depth, path, start)
        value: Any
        match event:
            case AliasEvent():
                self._spots[path] = _Spot(None, start, end)
                value = self._alias(event, path, start, depth)
                put(value)
            case ScalarEvent():
                self._spots[path] = _Spot(key, self._after_anchor(event, start), end, event.value, event.style)
                self._count(1, len(event.value), path, start)
                value = self._scalar(event, path, start)
                put(value)
            case SequenceStartEvent():
                self._spots[path] = _Spot(key, start, end)
                self._count(1, 0, path, start)
                put(value := [])
                self._sequence(value, path, depth)
            case _:
                self._spots[path] = _Spot(key, start, end)
                self._count(1, 0, path, start)
                put(value := {})
                self._mapping(value, path, depth)
        if getattr(event, "tag", None) is not None:
            self._flaw(path, "YAML tags are not supported", start)
            put(None)
        if event.anchor is not None and not isinstance(event, AliasEvent):
            if event.anchor in self._anchors:
                self._flaw(path, f"duplicate anchor &{event.anchor}", start)
            self._anchors[event.anchor] = _AnchorUse(
                value, self._values - before[0], self._characters - before[1], self._deepest - depth
            )
        self._deepest = max(self._deepest, before[2])

    def _sequence(self, items: list[Any], path: str, depth: int) -> None:
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                return
            index = len(items)
            items.append(None)

            def put(value: object, index: int = index) -> None:
                items[index] = value

            self._node(event, f"{path}[{index}]", None, depth + 1, put)

    def _mapping(self, members: dict[str, Any], path: str, depth: int) -> None:
        seen: set[str] = set()
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                return
            start, _ = self._span(event)
            name = self._key(event, path, start)
            place = _joined(path, name)
            if name in seen:
                self._flaw(place, "duplicate key", start)
                members[name] = None
                # Composed all the same, for the flaws in it, and put nowhere.
                self._node(next(self._events), place, start, depth + 1, lambda _: None)
                continue
            seen.add(name)

            def put(value: object, name: str = name) -> None:
                members[name] = value

            self._node(next(self._events), place, start, depth + 1, put)

    def _key(self, event: Event, path: str, start: int) -> str:
        """Return the key. One that cannot be read ends it all: nobody knows which member is then missing."""
        if not isinstance(event, ScalarEvent) or event.tag is not None or event.anchor is not None:
            self._stop(path, "a key must be a plain or quoted string, without an anchor or a tag", start)
        self._count(1, len(event.value), path, start)
        if event.style is None and event.value == "<<":
            self._stop(path, "merge keys are not supported", start)
        if event.style is None and not isinstance(scalars.plain(event.value), str):
            self._stop(path, f"a key must be a string: put {event.value[:32]} in quotes", start)
        name: str = event.value
        return name

    def _scalar(self, event: ScalarEvent, path: str, start: int) -> Any:  # noqa: ANN401 - any JSON scalar
        if event.style is None:
            value = scalars.plain(event.value)
        elif any("\ud800" <= character <= "\udfff" for character in event.value):
            value = scalars.UnclearScalar("the string contains a lone surrogate")
        else:
            return event.value
        if isinstance(value, scalars.UnclearScalar):
            self._flaw(path, value.why, start)
            return None
        return value

    def _alias(self, event: AliasEvent, path: str, start: int, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        found = self._anchors.get(event.anchor or "")
        if found is None:
            self._flaw(path, f"unknown anchor: {event.anchor}; define an anchor before you use it", start)
            return None
        self._count(found.values, found.characters, path, start)
        self._reach(depth + found.height, path, start)
        return found.value

    def _reach(self, depth: int, path: str, start: int) -> None:
        self._deepest = max(self._deepest, depth)
        if depth > MAX_DEPTH:
            self._stop(path, f"nested deeper than {MAX_DEPTH}, aliases expanded", start)

    def _count(self, values: int, characters: int, path: str, start: int) -> None:
        self._values += values
        self._characters += characters
        if self._values > MAX_VALUES or self._characters > MAX_CHARACTERS:
            self._stop(path, f"more than {MAX_VALUES} values or {MAX_CHARACTERS} characters, aliases expanded", start)

    def _span(self, event: Event) -> tuple[int, int]:
        start, end = event.start_mark, event.end_mark
        assert start is not None  # noqa: S101 - the parser marks every event
        assert end is not None  # noqa: S101 - likewise
        return self._begin + start.index, self._begin + end.index

    def _after_anchor(self, event: ScalarEvent, start: int) -> int:
        found = _ANCHOR.match(self._source.text, start) if event.anchor is not None else None
        return start if found is None else found.end()

    def _flaw(self, path: str, message: str, index: int) -> None:
        self._flaws.append(Flaw(path, message, self._source.place(index)))
        if len(self._flaws) == MAX_FLAWS:
            raise _StoppedError

    def _stop(self, path: str, message: str, index: int) -> NoReturn:
        self._flaw(path, message, index)
        raise _StoppedError


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _said(error: yaml.MarkedYAMLError) -> str:
    """Return the parser's words on one line, without the places that it repeats."""
    said = [part for part in (error.problem, error.context) if part]
    return ", ".join(said) or "not valid YAML"
