"""Runs targets of make side by side, and once more tests that failed only for want of a quiet machine: `.ci/run` does.

Holds: how long each target took is printed; only a test marked `cluster` is run again, once, by itself, when nothing
runs beside it; in all targets together at most `BUDGET` of them. Any other failure fails the run. What was run again is
printed, even if it passes then, and each run is a line of `runs.jsonl` in the cache folder: over many runs, that shows
which test fails now and then.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from localcluster.cache import cache_folder

# Tests on a real API server wait for real processes, watches and clocks, and another program may have the machine.
# One or two of two thousand are an accident; more are a defect.
BUDGET: Final = 2
# One order of the tests for every run, so that what is found here can be repeated.
ORDER: Final = "-p randomly --randomly-seed=1125"


def main(stages: Sequence[str]) -> int:
    """Run the stages in turn, print what was run again, and return the exit code.

    A stage is one target, or lanes that run beside each other: `node|argocd,proxies` is two, of one target and of two.
    A lane without a target is none.
    """
    began, again, passed = time.monotonic(), list[str](), False
    try:
        passed = all(_passes(stage, again) for stage in stages)
    finally:
        _record(again, passed=passed, seconds=round(time.monotonic() - began))
        named = f": {', '.join(again)}" if again else ""
        print(f"=== {len(again)} cluster tests were run again{named}", flush=True)
    return 0 if passed else 1


def _record(again: Sequence[str], *, passed: bool, seconds: int) -> None:
    """Add this run to those before it; what cannot be written says so, and fails nothing."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607 - of the one who runs it
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    run = {"time": moment, "commit": commit.stdout.strip(), "passed": passed, "seconds": seconds, "again": list(again)}
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
    except OSError as error:
        print(f"=== this run is not recorded: {error}", flush=True)


@dataclass(frozen=True)
class _End:
    """How a target ended: the tests that failed, each with whether it is marked `cluster`."""

    target: str
    passed: bool
    seconds: int
    failed: Mapping[str, bool] = field(default_factory=dict)


def _passes(stage: str, again: list[str]) -> bool:
    lanes = [lane.split(",") for lane in stage.split("|") if lane]
    if not lanes:
        return True
    with ThreadPoolExecutor(len(lanes)) as pool:
        # Only the first speaks as it goes: two at once nobody can read.
        ended = [end for ends in pool.map(_lane, lanes, [True] + [False] * (len(lanes) - 1)) for end in ends]
    failed: list[str] = []
    for end in ended:
        if end.passed:
            continue
        if reason := _refusal(end.failed, BUDGET - len(again) - len(failed)):
            print(f"=== make {end.target}: {reason}", flush=True)
            return False
        failed += end.failed
    again += failed
    # Each of them, also after one that failed again: the output is what there is to look for the reason.
    passed = [_alone(test) for test in failed]
    return all(passed)


def _lane(targets: Sequence[str], speaks: bool) -> list[_End]:  # noqa: FBT001 - for `map`
    """Run targets, each if those before it passed or may by what is run again.

    What one prints that does not speak comes once it has ended.
    """
    ends: list[_End] = []
    for target in targets:
        if speaks:
            print(f"=== make {target}", flush=True)
            ends.append(_run(target, None))
        else:
            with tempfile.TemporaryFile() as said:
                ends.append(_run(target, said))
                said.seek(0)
                text = said.read().decode(errors="replace")
            print(f"=== make {target}\n{text}", end="", flush=True)
        print(f"=== make {target} took {ends[-1].seconds // 60} min {ends[-1].seconds % 60:02d} s", flush=True)
        # What is run again may pass, and then the rest must have been run, too.
        if not ends[-1].passed and _refusal(ends[-1].failed, BUDGET):
            break
    return ends


def _run(target: str, said: IO[bytes] | None) -> _End:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "failures.json"
        arguments = f"ARGS={ORDER} --failures {shlex.quote(str(file))} {os.environ.get('ARGS', '')}"
        began = time.monotonic()
        run = subprocess.run(["make", target, arguments], check=False, stdout=said, stderr=said)  # noqa: S603, S607 - our targets, as typed
        took = round(time.monotonic() - began)
        if run.returncode == 0:
            return _End(target, passed=True, seconds=took)
        found = json.loads(file.read_text()) if file.exists() else {}
        return _End(target, passed=False, seconds=took, failed=found)


def _refusal(failed: Mapping[str, bool], left: int) -> str | None:
    """Return why these failures, each with whether it is marked `cluster`, are not run again."""
    others = [test for test, on_cluster in failed.items() if not on_cluster]
    if not failed:
        return "it failed, and names no test that did"
    if others:
        return f"not run again, since these need no cluster: {', '.join(others)}"
    if len(failed) > left:
        return f"not run again, since {len(failed)} cluster tests failed, and {left} may be"
    return None


def _alone(test: str) -> bool:
    print(f"=== again, by itself: {test}", flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", test], check=False).returncode == 0  # noqa: S603 - a test of ours


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
