"""The gate of a replay: which outcomes make a command fail.

Standing: under the command. Holds: what may be of a class counts as of it; a word that nobody knows is an error.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_cli.errors import CliError
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_evidence.replay.outcomes import FLIPS, WIDER, ReplayClass

DEFAULT: Final = ("wider",)
_SETS: Final = {
    "wider": WIDER,
    "any": frozenset(FLIPS.values()) | {ReplayClass.MAYBE},
    "maybe": frozenset({ReplayClass.MAYBE}),
    **{kind.value: frozenset({kind}) for kind in FLIPS.values()},
}
_SLOWER: Final = re.compile(r"slower:(\d+(?:\.\d+)?)x")


@dataclass(frozen=True, slots=True)
class ReplayGate:
    """What fails. `slower`: so many times as long a decision may not take."""

    kinds: frozenset[ReplayClass]
    slower: float | None

    @classmethod
    def of(cls, words: Iterable[str]) -> "ReplayGate":
        """Read what `--fail-on` says. Raises `CliError`."""
        kinds: set[ReplayClass] = set()
        slower: float | None = None
        for word in words:
            found = _SLOWER.fullmatch(word)
            if found is not None:
                slower = min(float(found[1]), slower or float(found[1]))
            elif (named := _SETS.get(word.replace("->", "→"))) is not None:
                kinds |= named
            else:
                known = ", ".join((*(name.replace("→", "->") for name in _SETS), "slower:2x"))
                raise CliError(f"--fail-on: {word!r} is no class: write one of {known}")
        return cls(frozenset(kinds), slower)

    def failures(self, tally: ReplayTally) -> Iterator[str]:
        """Yield why the replay fails, if it does."""
        for kind in ReplayClass:
            if kind in self.kinds and (count := tally.count(kind)):
                unsure = tally.may[kind]
                yield f"{count} {kind}" + (f" ({unsure} of them maybe)" if unsure else "")
        # Where nothing changes, nothing is measured, and nothing is slower.
        if self.slower is not None and tally.slowdown is None and not tally.replayed:
            yield f"slower:{self.slower:g}x: nothing was measured"
        elif self.slower is not None and tally.slowdown is not None and tally.slowdown > self.slower:
            yield f"the candidate takes {tally.slowdown:.1f} times as long"
