"""Whether a checkpoint of the operator's log is the operator's: verified before this process takes it in its chain.

Standing: between `/checkpoint` of the status port and the writer of records. Holds: no note is taken that a key of this
installation's witness did not cosign, lately, and not before one that was taken; without such a key none is taken.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, open_note, split

MOST_SECONDS: Final = 600
"""How far the time of a cosignature may be from ours: clocks differ, and nothing older is worth a line."""
PATIENCE: Final = 60.0
"""For so many seconds from the first note that lacks it the key may be on its way: the operator publishes it then."""


class NoteRefusal(StrEnum):
    """Why a checkpoint of the operator's log is not taken, and what to do."""

    MALFORMED = "this is not a signed checkpoint of a log"
    OTHER_INSTALLATION = "the log is of another installation"
    NO_KEY = (
        "the key of the witness is not known here yet: the operator publishes it as witness.vkey in ConfigMap"
        " bailiwick-guard; look at the log of the operator if this lasts longer than a minute"
    )
    UNPROVEN = (
        "the request does not prove that the operator sent it, by the signing keys in Secret bailiwick-keys: only the"
        " operator may send its checkpoints here"
    )
    UNSIGNED = "no key of the witness of this installation cosigned it: only the operator may send its checkpoints here"
    OTHER_TIME = "it was cosigned more than ten minutes ago, or in the future: compare the clocks of the nodes"
    EARLIER = "it was cosigned before one that was taken already"


class LedgerNotes:
    """Judges notes. `keys` returns each `vkey` of the witness on a line; `installation` is its name in origins.

    `now` is in seconds since the epoch; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        keys: Callable[[], str],
        installation: str,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._installation = installation
        self._now = now
        self._clock = clock
        # When the first note came for which there was no key; None from when one is known.
        self._keyless_since: float | None = None
        self._parsed: tuple[str, tuple[VerifierKey, ...]] = ("", ())
        self._latest = 0

    def refusal(self, note: str) -> NoteRefusal | None:
        """Return why a note is not to be taken; None: take it, and nothing from now on that was cosigned before."""
        found = self._judged(note)
        if isinstance(found, NoteRefusal):
            return found
        self._latest = found
        return None

    @property
    def awaiting_key(self) -> bool:
        """Whether the last note lacked a key that may still be on its way, so that no one has to act yet."""
        return self._keyless_since is not None and self._clock() - self._keyless_since < PATIENCE

    def _judged(self, note: str) -> NoteRefusal | int:
        """Return when a note was cosigned, or why it is refused."""
        try:
            named = chain_of(Checkpoint.parse(split(note)[0]).origin)
        except NoteError:
            return NoteRefusal.MALFORMED
        if named is None or named[0] != self._installation:
            return NoteRefusal.OTHER_INSTALLATION
        keys = self._witnesses()
        if not keys:
            if self._keyless_since is None:
                self._keyless_since = self._clock()
            return NoteRefusal.NO_KEY
        self._keyless_since = None
        try:
            made = max(one.time or 0 for one in open_note(note, keys).signatures)
        except NoteError:
            return NoteRefusal.UNSIGNED
        if abs(made - self._now()) > MOST_SECONDS:
            return NoteRefusal.OTHER_TIME
        return NoteRefusal.EARLIER if made < self._latest else made

    def _witnesses(self) -> tuple[VerifierKey, ...]:
        text = self._keys()
        if text != self._parsed[0]:
            self._parsed = text, tuple(_keys_of(text))
        return self._parsed[1]


def _keys_of(text: str) -> list[VerifierKey]:
    """Return the keys of a text that cosign; a line that is none is passed over, and vouches for nothing."""
    found = []
    for line in text.split("\n"):
        try:
            key = VerifierKey.parse(line)
        except NoteError:
            continue
        if key.kind is SignatureType.COSIGNATURE:
            found.append(key)
    return found
