"""The gate of a replay: which outcomes make a command fail.

Standing: under the command. Holds: what may be of a class counts as of it; an unknown word is an error. What
could not be replayed is no evidence, and fails where that is asked for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_cli.errors import CliError
from bailiwick_cli.replay.tally import ReplayGroup, ReplayTally
from bailiwick_evidence.replay.outcomes import CHANGES, WIDER, ReplayClass

DEFAULT: Final = ("wider",)
_SETS: Final = {
    "wider": WIDER,
    "any": CHANGES | {ReplayClass.MAYBE},
    "maybe": frozenset({ReplayClass.MAYBE}),
    **{kind.value: frozenset({kind}) for kind in ReplayClass if kind in CHANGES},
}
_SLOWER: Final = re.compile(r"slower:(\d+(?:\.\d+)?)x")
_HINDERED: Final = re.compile(r"not[-_]replayable(?::(\d{1,2}(?:\.\d+)?)%)?")

_MEASURES: Final = ("not-replayable", "not-replayable:5%", "slower:2x")


@dataclass(frozen=True, slots=True)
class ReplayGate:
    """What fails. `slower`: so many times as long a decision may not take.

    `hindered`: of more decisions than this share, in percent, there may not be no evidence.
    """

    kinds: frozenset[ReplayClass]
    slower: float | None
    hindered: float | None = None

    @classmethod
    def parse(cls, words: Iterable[str]) -> "ReplayGate":
        """Read what `--fail-on` says. Raises `CliError`."""
        kinds: set[ReplayClass] = set()
        slower: float | None = None
        share: float | None = None
        for word in words:
            found = _SLOWER.fullmatch(word)
            if found is not None:
                slower = min(float(found[1]), slower or float(found[1]))
            elif (lacking := _HINDERED.fullmatch(word)) is not None:
                most = float(lacking[1] or 0)
                share = most if share is None else min(most, share)
            elif (named := _SETS.get(word.replace("->", "→"))) is not None:
                kinds |= named
            else:
                known = ", ".join((*(name.replace("→", "->") for name in _SETS), *_MEASURES))
                raise CliError(f"--fail-on: {word!r} is no class: write one of {known}")
        return cls(frozenset(kinds), slower, share)

    def fails(self, group: ReplayGroup, tally: ReplayTally) -> bool:
        """Tell whether records of a group fail, or may."""
        return group.code in self.kinds or not self.kinds.isdisjoint(tally.possible.get(group, ()))

    def failures(self, tally: ReplayTally) -> Iterator[str]:
        """Yield why the replay fails, if it does."""
        for kind in ReplayClass:
            if kind in self.kinds and (count := tally.count(kind)):
                unsure = tally.may[kind]
                yield f"{count} {kind}" + (f" ({unsure} of them maybe)" if unsure else "")
        yield from self.of_coverage(tally)
        yield from self.of_time(tally)

    def of_coverage(self, tally: ReplayTally) -> Iterator[str]:
        """Yield why too much of the log is no evidence."""
        if self.hindered is not None and 100 * tally.hindered > self.hindered * tally.total:
            most = f", and at most {self.hindered:g} % may be" if self.hindered else ""
            yield f"{tally.hindered} of {tally.total} not replayable{most}"

    def of_time(self, tally: ReplayTally) -> Iterator[str]:
        """Yield why the candidate is too slow. Where nothing changes, nothing is measured, and nothing is slower."""
        if self.slower is not None and tally.slowdown is None and not tally.replayed:
            yield f"slower:{self.slower:g}x: nothing was measured"
        elif self.slower is not None and tally.slowdown is not None and tally.slowdown > self.slower:
            yield f"the candidate takes {tally.slowdown:.1f} times as long"
