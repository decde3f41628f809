"""Runs targets of make in stages, side by side in lanes: `.ci/run` does.

Holds: how long each target took is printed, and which tests failed. None is run again: a test that is red now and then
is a defect, in it or in what it tests. Each run is a line of `runs.jsonl` in the cache folder: over many runs, that
shows which test fails how often.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from localcluster.cache import cache_folder

# One order of the tests for every run, so that what is found here can be repeated.
ORDER: Final = "-p randomly --randomly-seed=1125"


@dataclass(frozen=True)
class TargetEnd:
    """How a target ended, and which tests of it failed."""

    target: str
    passed: bool
    seconds: int
    failed: tuple[str, ...] = ()


def main(stages: Sequence[str]) -> int:
    """Run the stages in turn, print what failed, and return the exit code.

    A stage is one target, or lanes that run beside each other: `node|argocd,proxies` is two, of one target and of two.
    A lane without a target is none. After a stage in which something failed there is no other.
    """
    began, ended = time.monotonic(), list[TargetEnd]()
    passed = False
    try:
        for stage in stages:
            ended += _run_stage(stage)
            if not all(end.passed for end in ended):
                break
        else:
            passed = True
    finally:
        failed = [test for end in ended for test in end.failed]
        _record(failed, passed=passed, seconds=round(time.monotonic() - began))
        if not passed:
            wrong = [f"make {end.target}" for end in ended if not end.passed and not end.failed]
            print(f"=== failed: {', '.join([*failed, *wrong]) or 'stopped'}", flush=True)
    return 0 if passed else 1


def _record(failed: Sequence[str], *, passed: bool, seconds: int) -> None:
    """Add this run to those before it; what cannot be written says so, and fails nothing."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607 - of the one who runs it
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    run = {"time": moment, "commit": commit.stdout.strip(), "passed": passed, "seconds": seconds, "failed": [*failed]}
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
    except OSError as error:
        print(f"=== this run is not recorded: {error}", flush=True)


def _run_stage(stage: str) -> list[TargetEnd]:
    lanes = [lane.split(",") for lane in stage.split("|") if lane]
    if not lanes:
        return []
    with ThreadPoolExecutor(len(lanes)) as pool:
        # Only the first lane prints while it runs: the output of two at once cannot be read.
        return [end for ends in pool.map(_lane, lanes, [True] + [False] * (len(lanes) - 1)) for end in ends]


def _lane(targets: Sequence[str], prints: bool) -> list[TargetEnd]:  # noqa: FBT001 - for `map`
    """Run targets in turn, also after one whose tests failed: one run shows all that is red.

    Without `prints`, the output of each target comes once it has ended.
    """
    ends: list[TargetEnd] = []
    for target in targets:
        if prints:
            print(f"=== make {target}", flush=True)
            ends.append(_run(target, None))
        else:
            with tempfile.TemporaryFile() as said:
                ends.append(_run(target, said))
                said.seek(0)
                text = said.read().decode(errors="replace")
            print(f"=== make {target}\n{text}", end="", flush=True)
        print(f"=== make {target} took {ends[-1].seconds // 60} min {ends[-1].seconds % 60:02d} s", flush=True)
        if not ends[-1].passed and not ends[-1].failed:
            break
    return ends


def _run(target: str, said: IO[bytes] | None) -> TargetEnd:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "failures.json"
        arguments = f"ARGS={ORDER} --failures {shlex.quote(str(file))} {os.environ.get('ARGS', '')}"
        began = time.monotonic()
        run = subprocess.run(["make", target, arguments], check=False, stdout=said, stderr=said)  # noqa: S603, S607 - our targets, as typed
        took = round(time.monotonic() - began)
        failed = tuple(json.loads(file.read_text())) if file.exists() else ()
        return TargetEnd(target, run.returncode == 0, took, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
