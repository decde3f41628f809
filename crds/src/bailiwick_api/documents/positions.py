"""YAML with positions: a stream as plain data, with the line and column of each path in it.

It reads YAML as `kubectl apply` does, but more strictly: content that two YAML readers could interpret differently is a
flaw. It refuses duplicate keys, tags, merge keys, directives, keys that are not strings, and plain scalars that YAML
1.1 and 1.2 read differently (yes, off, 017, 1_000, 1:30); quotes make them clear. A timestamp is a string.

Holds: pure, and bounded in size, depth and expansion of aliases. A document that cannot be parsed to its end keeps the
part before the problem, marked as not `complete`, and does not affect the other documents. A member with a flaw is
None, so that no reader takes a part of its value for the whole.
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

# The limits of a document, and of a file. A stream that a person pipes in can be longer.
MAX_BYTES: Final = 1024 * 1024
MAX_STREAM_BYTES: Final = 16 * MAX_BYTES
MAX_DOCUMENTS: Final = 1000
# Depth, values and characters of one document, aliases expanded.
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000
MAX_CHARACTERS: Final = 2 * MAX_BYTES
# For one document: with so many flaws, a person only needs the first ones.
MAX_FLAWS: Final = 20

# The position of a document that was read from somewhere else.
_BEGIN: Final = Position(1, 1)
# A line that begins so ends the document in every context (YAML 1.2.2, 9.1.2, c-forbidden), so a cut there is exact.
_MARKER: Final = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
# kubectl takes this for the end of a document too, and leaves out the rest of the line. To YAML it is a part of the
# document, or the first line of the next one.
_UNCLEAR_MARKER: Final = re.compile(r"^---(?![ \t]*\r?$|[ \t]+#)", re.MULTILINE)
# What may follow `...`, which ends a document for YAML and not for kubectl.
_NOTHING: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))*")
_ANCHOR: Final = re.compile(r"&\S+[ \t]*(?:\r?\n[ \t]*)?")


@dataclass(frozen=True, slots=True)
class Flaw:
    """A problem of the YAML itself. `path` is empty if it does not belong to a member."""

    path: str
    message: str
    place: Position


@dataclass(frozen=True, slots=True)
class _Spot:
    """The position of a member: its key, if any, and its value; `text` and `style` if the value is a scalar."""

    key: int | None
    start: int
    end: int
    text: str | None = None
    style: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One document of JSON values. Not `complete`: parsing stopped early, and `data` is the part before that."""

    data: Any
    complete: bool = True
    flaws: tuple[Flaw, ...] = ()
    start: Position = _BEGIN
    _source: Source = field(default=Source(""), repr=False, compare=False)
    _spots: dict[str, _Spot] = field(default_factory=dict, repr=False, compare=False)
    _span: tuple[int, int] = field(default=(0, 0), repr=False, compare=False)

    @property
    def text(self) -> str:
        """The text of the document, read to its end or not."""
        return self._source.text[slice(*self._span)]

    def place(self, path: str, line: int = 0, column: int = 0) -> Position:
        """Return the position of a member (`spec.rules[2].conditions[0].expression`).

        With `line` and `column`, both from 1, it is the position of that character of a string: exact where possible
        (see `scalars`), otherwise that of the start of the string. The position of a list or mapping is its key. A
        missing member has the position of the nearest parent that exists.
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
    """Parse a stream. Never raises: an unreadable stream is one document without data that is not complete.

    Empty documents are omitted.
    """
    if len(raw) > MAX_STREAM_BYTES:
        return (_refused_document(Source(""), 0, f"the file is larger than {MAX_STREAM_BYTES} bytes"),)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        readable = error.object[: error.start].decode("utf-8")
        return (_refused_document(Source(readable), len(readable), "not UTF-8"),)
    source = Source(text)
    markers = [0, *(found.end() if found[0] == "..." else found.start() for found in _MARKER.finditer(text))]
    cuts = list(dict.fromkeys([*markers, len(text)]))
    if len(cuts) > MAX_DOCUMENTS:
        return (_refused_document(Source(""), 0, f"more than {MAX_DOCUMENTS} documents in one file"),)
    composed = (*(_document(source, begin, end) for begin, end in pairwise(cuts)), *_unclear(source))
    return tuple(document for document in composed if document.data is not None or document.flaws)


def _unclear(source: Source) -> Iterator[Document]:
    """Yield a document that cannot be read for each place at which kubectl parts a stream in another way than YAML."""
    for found in _UNCLEAR_MARKER.finditer(source.text):
        yield _refused_document(source, found.start(), "put --- on a line of its own, or a space before the comment")
    for found in _MARKER.finditer(source.text):
        if found[0] == "...":
            after = _MARKER.search(source.text, found.end())
            end = len(source.text) if after is None else after.start()
            if _NOTHING.fullmatch(source.text, found.end(), end) is None:
                yield _refused_document(source, found.end(), "after ..., begin the next document with ---")


def _document(source: Source, begin: int, end: int) -> Document:
    # A character has at most four bytes, so only few documents are encoded for this.
    if 4 * (end - begin) > MAX_BYTES and len(source.text[begin:end].encode()) > MAX_BYTES:
        return _refused_document(source, begin, f"the document is larger than {MAX_BYTES} bytes")
    return _Composer(source, begin, end).document()


def _refused_document(source: Source, index: int, message: str) -> Document:
    place = source.place(index)
    return Document(None, complete=False, flaws=(Flaw("", message, place),), start=place, _source=source, _spots={})


class _AnchorUse(NamedTuple):
    """The value of an anchor, and how much of each limit it uses."""

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
            self._flaw("", _parser_message(error), self._begin + mark.index if mark else self._begin)
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
        span = (self._begin, self._begin + len(self._chunk))
        return Document(whole[0], complete, tuple(self._flaws), start, self._source, self._spots, span)

    def _document(self, whole: list[Any]) -> None:
        if self._spots:
            self._stop("", "a second document must start with --- on a separate line", self._begin)

        def put(value: object) -> None:
            whole[0] = value

        self._node(next(self._events), "", None, 1, put)

    def _node(self, event: Event, path: str, key: int | None, depth: int, put: Callable[[Any], None]) -> None:
        """Compose one node. Containers are stored before they are filled, so that a stop keeps what was read."""
        assert isinstance(event, NodeEvent)  # noqa: S101 - the parser's grammar: only a node can follow
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
        names: set[str] = set()
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                return
            start, _ = self._span(event)
            name = self._key(event, path, start)
            place = _join_path(path, name)
            if name in names:
                self._flaw(place, "duplicate key", start)
                members[name] = None
                # Composed for the flaws in it, but not stored.
                self._node(next(self._events), place, start, depth + 1, lambda _: None)
                continue
            names.add(name)

            def put(value: object, name: str = name) -> None:
                members[name] = value

            self._node(next(self._events), place, start, depth + 1, put)

    def _key(self, event: Event, path: str, start: int) -> str:
        """Return the key. An unreadable key stops the parsing, because it is unknown which member is missing."""
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
        anchor = _ANCHOR.match(self._source.text, start) if event.anchor is not None else None
        return start if anchor is None else anchor.end()

    def _flaw(self, path: str, message: str, index: int) -> None:
        self._flaws.append(Flaw(path, message, self._source.place(index)))
        if len(self._flaws) == MAX_FLAWS:
            raise _StoppedError

    def _stop(self, path: str, message: str, index: int) -> NoReturn:
        self._flaw(path, message, index)
        raise _StoppedError


def _join_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parser_message(error: yaml.MarkedYAMLError) -> str:
    """Return the parser's message on one line, without the positions that it repeats."""
    parts = [part for part in (error.problem, error.context) if part]
    return ", ".join(parts) or "not valid YAML"
