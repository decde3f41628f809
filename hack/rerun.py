"""Runs targets of make that are tests, and once more what failed only for want of a quiet machine: run by `.ci/run`.

Holds: only a test marked `cluster` is run again, once, by itself; in all targets together at most `BUDGET` of them. Any
other failure fails the run at once. What was run again is printed, also when all is well in the end.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

# Tests on a real API server wait for real processes, watches and clocks, and another program may have the machine.
# One or two of two thousand are an accident; more are a defect.
BUDGET: Final = 2
# One order of the tests for every run, so that what is found here can be repeated.
ORDER: Final = "-p randomly --randomly-seed=1125"


def main(targets: Sequence[str]) -> int:
    """Run the targets, print what was run again, and return the exit code."""
    again: list[str] = []
    try:
        return 0 if all(_passes(target, again) for target in targets) else 1
    finally:
        named = f": {', '.join(again)}" if again else ""
        print(f"=== {len(again)} cluster tests were run again{named}", flush=True)


def _passes(target: str, again: list[str]) -> bool:
    print(f"=== make {target}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "failures.json"
        arguments = f"ARGS={ORDER} --failures {shlex.quote(str(file))} {os.environ.get('ARGS', '')}"
        if subprocess.run(["make", target, arguments], check=False).returncode == 0:  # noqa: S603, S607 - our targets, as typed
            return True
        failed = json.loads(file.read_text()) if file.exists() else {}
    if reason := _refusal(failed, BUDGET - len(again)):
        print(f"=== make {target}: {reason}", flush=True)
        return False
    again += failed
    # Each of them, also after one that failed again: the output is what there is to look for the reason.
    passed = [_alone(test) for test in failed]
    return all(passed)


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
