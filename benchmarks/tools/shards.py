"""A log of many processes, by one process and by one of eight shards, on one core.

Standing: under `audit`, of whose section these are rows. What one shard takes is what each of eight cores would take:
reading all of the log, and the work on an eighth of its chains.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.rig.commandrun import run_command
from benchmarks.rig.results import Row
from benchmarks.tools import replay
from benchmarks.tools.cosign import WitnessedChain

_CHAINS: Final = 64
_SHARDS: Final = 8
_BUDGET: Final = "less than one process"


def rows(folder: Path, count: int) -> Iterator[Row]:
    """Write a log of so many decisions of many processes, and yield what one process and one shard of it take."""
    before, after = replay.policy(500), replay.policy(700)
    for name, made in (("before", before), ("after", after)):
        (folder / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    each, bodies = count // _CHAINS, list(replay.bodies(before))
    with (folder / "decisions.log").open("wb") as file:
        for _ in range(_CHAINS):
            file.writelines(islice(replay.lines(WitnessedChain(), bodies, each), each))
    log, policies = str(folder / "decisions.log"), ("--policies", str(folder / "before.json"))
    commands: tuple[tuple[str, tuple[str, ...], int], ...] = (
        # No witness saw these chains.
        ("verify", ("audit", "verify", log), 1),
        ("verify, and derive every decision", ("audit", "verify", log, *policies), 1),
        ("replay", ("replay", log, *policies, "--candidate", str(folder / "after.json"), "--fail-on", "maybe"), 0),
        ("unused", ("unused", log, "-f", str(folder / "before.json"), "--window", "6d"), 1),
    )
    for name, words, exits in commands:
        yield run_command(f"{name}, {_CHAINS} chains", words, each * _CHAINS, "-", exits=exits)
        one = (*words, "--shards", str(_SHARDS), "--shard", "0")
        yield run_command(f"{name}, one of {_SHARDS} shards", one, each * _CHAINS, _BUDGET)
