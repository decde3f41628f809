"""A measurement in a process of its own, on the servers' core, that prints JSON.

Holds: one that fails is a defect of the benchmark, and breaks its section off.
"""

import json
import subprocess
import sys
from typing import Any

from benchmarks.rig.cores import pinned
from benchmarks.rig.plan import Plan


def measured(plan: Plan, module: str, *arguments: str, seconds: int) -> Any:  # noqa: ANN401 - any JSON
    """Run a module and return what it prints; what it says besides goes to our stderr.

    Raises `CalledProcessError` if it fails, and `TimeoutExpired` after so many seconds.
    """
    command = [sys.executable, "-m", module, *arguments]
    with pinned(plan.cores.server):
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=seconds)  # noqa: S603 - ours
    return json.loads(answer.stdout)
