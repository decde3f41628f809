"""The cosigned checkpoints in a text of any origin: a note, a file of notes, or an entry of a log.

Standing: under `claims`. Holds: a cosignature of a given key over a checkpoint is found whatever stands around the two:
other lines, notes, empty lines or control characters, which no signed text has. There is a bound on what is tried in
vain. If it is reached, the answer says so.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteSignature, SignatureType, VerifierKey, signature_line, verified

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]+")
_CHECKPOINT: Final = re.compile(
    r"(bailiwick/[A-Za-z0-9._-]+/[A-Za-z0-9_-]{22})\s+(?:0|[1-9][0-9]{0,18})\s+([A-Za-z0-9+/]{43}=)"
)
_SIGNED: Final = r"\s*([A-Za-z0-9+/]+={0,2})"
# The signatures of our keys have 92 or 104 characters. A run that is longer than any is none, and is read no further:
# with a name that is base64 itself, it would be read to its end from each of its characters.
SIGNED_BY_OURS: Final = r"\s*([A-Za-z0-9+/]{1,128}+(?![A-Za-z0-9+/])={0,2})"
"""What stands behind the name of a key of ours."""
# A name runs to the next space, whichever dash before it or in it is taken for the one that begins the line: so of a
# run, only its first dash and one at its end are tried, and no run is read once for each of its dashes.
_NAMED: Final = r"(?:(?<![^\s+])[^\s+\N{EM DASH}]*\N{EM DASH}(?!\s)|\N{EM DASH}\s+)([^\s+]+)"
NAMES: Final = re.compile(_NAMED)
"""Names behind a dash, as far as they are tried."""
_LABEL: Final = re.compile(rf"{_NAMED}\s{_SIGNED}")
_KEY_ID: Final = 4
_LENGTHS: Final = {SignatureType.ED25519: _KEY_ID + 64, SignatureType.COSIGNATURE: _KEY_ID + 8 + 64}
_BEGINNING: Final = 8
"""So many characters of base64 have the id of a key."""
_EMPTY: Final = re.compile("(?=\n\n)")
_MOST_TEXT: Final = 65_535
"""A text that a process signs is far shorter: its note fits into an entry of a tiled log."""
_MOST_IN_VAIN: Final = 512
_IN_VAIN_FOR_EACH: Final = 4
"""How many cosignatures are tried in vain: so many of a text, and so many more for each line and each checkpoint."""


class CosignedNote(NamedTuple):
    """A checkpoint, with its text, and with the lines in the name of its process, of which none is verified.

    `cosigned`: what was verified, by its line.
    """

    text: str
    checkpoint: Checkpoint
    chain: str
    own: tuple[str, ...]
    cosigned: dict[str, NoteSignature]


class UnsignedNote(NamedTuple):
    """A checkpoint that none of the keys cosigned, and the labels of others that claim to have."""

    chain: str
    labels: tuple[str, ...]


class FoundNotes(NamedTuple):
    """What is in a text. `keys`: those that some line names. `unread`: not everything was tried."""

    notes: tuple[CosignedNote, ...]
    unsigned: tuple[UnsignedNote, ...]
    keys: frozenset[VerifierKey]
    unread: bool


class _Begin(NamedTuple):
    """Where a checkpoint begins and ends in a text."""

    at: int
    end: int
    checkpoint: Checkpoint
    chain: str


class _Line(NamedTuple):
    """A line in the name of a given key. `made`: the id of a key, and the signature."""

    at: int
    text: str
    keys: tuple[VerifierKey, ...]
    made: bytes


def cosigned_in(shown: str, keys: Iterable[VerifierKey]) -> FoundNotes:
    """Find all checkpoints of processes in a text, and what these keys cosigned of them."""
    return _Reading(_CONTROL.sub("", shown), tuple(dict.fromkeys(keys))).notes()


class _Reading:
    """One text, while it is read."""

    def __init__(self, shown: str, keys: Sequence[VerifierKey]) -> None:
        self._shown = shown
        self._begins = list(_begins(shown))
        self._named: set[VerifierKey] = set()
        self._lines = sorted(self._lines_of(keys), key=lambda line: line.at)
        self._starts = [begin.at for begin in self._begins]
        self._room = _MOST_IN_VAIN + _IN_VAIN_FOR_EACH * (len(self._lines) + len(self._begins))
        self._unread = False
        self._empty = [one.start() for one in _EMPTY.finditer(shown)]
        # By the place where the checkpoint begins: its text, and what was verified.
        self._cosigned: dict[int, tuple[str, dict[str, NoteSignature]]] = {}

    def notes(self) -> FoundNotes:
        """Return the checkpoints of the text, with what was verified of each."""
        # Almost always, a line is of the checkpoint before it. Then nothing else is tried.
        left = [line for line in self._lines if not self._try(line, self._nearest(line))]
        lacking: dict[tuple[VerifierKey, ...], list[_Begin]] = {}
        for line in left:
            nearest = self._nearest(line)
            if (begins := lacking.get(line.keys)) is None:
                begins = [begin for begin in self._begins if not self._has(begin, line.keys)]
                lacking[line.keys] = begins
            self._try(line, (begin for begin in begins if begin not in nearest and not self._has(begin, line.keys)))
        # A note runs to the next one that counts, since others may have been put into it; a stranger's to any.
        end = len(self._shown)
        ends, next_cosigned = dict(pairwise([*self._starts, end])), dict(pairwise([*sorted(self._cosigned), end]))
        cosigned = [self._note(begin, next_cosigned[begin.at]) for begin in self._begins if begin.at in self._cosigned]
        unsigned = [
            UnsignedNote(begin.chain, self._strangers(begin, ends[begin.at]))
            for begin in self._begins
            if begin.at not in self._cosigned
        ]
        return FoundNotes(tuple(cosigned), tuple(unsigned), frozenset(self._named), self._unread)

    def _nearest(self, line: _Line) -> list[_Begin]:
        """Return the last checkpoint before a line, if there is one."""
        number = bisect_left(self._starts, line.at)
        return self._begins[number - 1 : number] if number else []

    def _has(self, begin: _Begin, keys: Sequence[VerifierKey]) -> bool:
        """Tell whether one of these keys cosigned a checkpoint, by what was tried so far."""
        _, cosigned = self._cosigned.get(begin.at, ("", {}))
        return any(one.key in keys for one in cosigned.values())

    def _try(self, line: _Line, begins: Iterable[_Begin]) -> bool:
        """Tell whether a line is a cosignature of one of these checkpoints, and keep it there."""
        for begin in begins:
            for text in self._texts(begin, line.at):
                if self._room <= 0:
                    self._unread = True
                    return False
                if (one := verified(text, line.keys, line.made)) is not None:
                    self._cosigned.setdefault(begin.at, (text, {}))[1][line.text] = one
                    return True
                self._room -= 1
        return False

    def _texts(self, begin: _Begin, until: int) -> Iterator[str]:
        """Yield what may be the signed text of a checkpoint: its three lines, or more of them.

        These end at the first empty line or, as in a signed note, at the last one before the signatures.
        """
        if begin.at in self._cosigned:
            yield self._cosigned[begin.at][0]
            return
        text = begin.checkpoint.text()
        yield text
        if self._shown.startswith(text, begin.at):
            first, after = bisect_left(self._empty, begin.end + 1), bisect_left(self._empty, until - 1)
            ends = {self._empty[number]: None for number in (first, after - 1) if first < after}
            yield from (self._shown[begin.at : end + 1] for end in ends if end - begin.at < _MOST_TEXT)

    def _lines_of(self, keys: Sequence[VerifierKey]) -> Iterator[_Line]:
        """Yield the lines in the name of given keys, each once."""
        for name in dict.fromkeys(key.name for key in keys):
            for at, signed in _signed(self._shown, name):
                begins = decode_base64(signed[:_BEGINNING]) or b""
                called = tuple(key for key in keys if key.name == name and key.id == begins[:_KEY_ID])
                self._named.update(called)
                made = decode_base64(signed)
                if called and made is not None:
                    yield _Line(at, signature_line(name, signed), called, made)

    def _note(self, begin: _Begin, end: int) -> CosignedNote:
        text, cosigned = self._cosigned[begin.at]
        own: dict[str, None] = {}
        for _, signed in _signed(self._shown[begin.end : end], begin.checkpoint.origin):
            if len(decode_base64(signed) or b"") in _LENGTHS.values():
                own[signature_line(begin.checkpoint.origin, signed)] = None
        return CosignedNote(text, begin.checkpoint, begin.chain, tuple(own), cosigned)

    def _strangers(self, begin: _Begin, end: int) -> tuple[str, ...]:
        labels = labels_in(self._shown[begin.end : end])
        known = {key.label for key in self._named}
        return tuple(one for one in labels if one not in known and not one.startswith(f"{begin.checkpoint.origin}+"))


def labels_in(shown: str) -> tuple[str, ...]:
    """Return who claims to have signed something in a text: names and key ids, as a `vkey` begins."""
    found = ((one[1], decode_base64(one[2])) for one in _LABEL.finditer(shown))
    return tuple(dict.fromkeys(f"{name}+{held[:_KEY_ID].hex()}" for name, held in found if held))


def _begins(shown: str) -> Iterator[_Begin]:
    for one in _CHECKPOINT.finditer(shown):
        origin, size, root = one[0].split()
        named, held = chain_of(origin), decode_base64(root)
        if named is not None and held is not None:
            yield _Begin(one.start(), one.end(), Checkpoint(origin, int(size), held), named[1])


def _signed(shown: str, name: str) -> Iterator[tuple[int, str]]:
    """Yield where a name stands before base64, and the base64. Only the name is consumed: what follows can begin so."""
    for one in re.finditer(re.escape(name) + f"(?={SIGNED_BY_OURS})", shown):
        yield one.start(), one[1]
