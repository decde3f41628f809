"""`python -m property.regions.pairs [--pairs N] [--seed S]`: hold `diff` against each call of a small world.

Standing: above `test_diffs`, whose pairs and world these are. Holds: a seed and a number say every pair; each pair that
the comparison and the world disagree on is printed as JSON; exits with 1 if there is one.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings

from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import compare, worst
from bailiwick_regions.walk import Walk
from property.regions.test_diffs import compiled, disagreement, pairs
from unit.engine.cases import NOW

_TOLD: Final = 500


@dataclass(slots=True)
class PairTally:
    """What pairs came to. `walks`: of endpoints; `regions`: those in which both sides were decided, in each world."""

    pairs: int = 0
    walks: int = 0
    regions: int = 0
    classes: Counter[ChangeClass] = field(default_factory=Counter)
    disagreements: list[tuple[str, Any]] = field(default_factory=list)


@contextmanager
def counted(tally: PairTally) -> Iterator[None]:
    """Count walks and their regions meanwhile."""
    changes, count = Walk.changes, Walk._count

    def walked(walk: Walk) -> Iterator[Change]:
        tally.walks += 1
        return changes(walk)

    def decided(walk: Walk) -> None:
        tally.regions += 1
        count(walk)

    with patch.object(Walk, "changes", walked), patch.object(Walk, "_count", decided):
        yield


def tallied(number: int, seed: int) -> PairTally:
    """Draw `number` pairs from a seed, and compare each by regions and call by call."""
    tally = PairTally()
    began = time.monotonic()

    @seeded(seed)
    @settings(
        max_examples=number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(pairs())
    def each(pair: tuple[Any, Any]) -> None:
        tally.pairs += 1
        with counted(tally):
            base, head = (Snapshot.of([compiled(raw)]) for raw in pair)
            tally.classes[worst(compare(base, head, NOW))] += 1
        if (said := disagreement(pair)) is not None:
            tally.disagreements.append((said, pair))
        if tally.pairs % _TOLD == 0:
            took = time.monotonic() - began
            sys.stderr.write(f"{tally.pairs} of {number} pairs in {took:.0f} s\n")

    each()
    return tally


def main(arguments: list[str] | None = None) -> int:
    """Compare and print. Returns 1 on a disagreement, or if fewer pairs were drawn than asked for."""
    parser = argparse.ArgumentParser(prog="python -m property.regions.pairs", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000, help="how many pairs (default: 10000)")
    parser.add_argument("--seed", type=int, help="draw the pairs of this seed (default: a new one)")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    # First, so that a run that is ended can be run again.
    _say(f"seed {seed}")
    tally = tallied(options.pairs, seed)
    _say(f"pairs {tally.pairs}")
    _say(f"walks {tally.walks}, regions in their worlds {tally.regions}")
    _say("classes: " + ", ".join(f"{kind} {tally.classes[kind]}" for kind in ChangeClass))
    _say(f"disagreements {len(tally.disagreements)}")
    for said, pair in tally.disagreements:
        _say(f"{said}: {json.dumps(pair)}")
    return 1 if tally.disagreements or tally.pairs < options.pairs else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
