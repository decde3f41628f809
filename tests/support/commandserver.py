"""Runs of the command line, each a process of its own that is forked from one which has imported the program.

Standing: started by `commandline`, once a worker of tests; imports take most of the time of a run. Holds: a run has its
own arguments, environment, folder, streams and exit code, and nothing that an earlier one left, as one that was
started; what `--help` imports is for tests that start it.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
from typing import Any, Final, NoReturn

_PACKAGE: Final = "bailiwick_cli"
_PROGRAM: Final = "bailiwick_cli.main"


def main() -> None:
    """Read orders, one a line, and answer each with the exit code of its run; below 0 it is a signal."""
    package = importlib.import_module(_PACKAGE)
    for found in pkgutil.walk_packages(package.__path__, f"{_PACKAGE}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.freeze()
    for line in sys.stdin.buffer:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _run(order)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(order: dict[str, Any]) -> NoReturn:
    """Become the run: end as the interpreter ends it."""
    code = 1
    try:
        # Ends a run that hangs, so that whoever waits for it is told.
        signal.alarm(int(order["seconds"]))
        for number, name in enumerate(("in", "out", "err")):
            opened = os.open(order[name], os.O_RDONLY if number == 0 else os.O_WRONLY)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.clear()
        os.environ.update(order["env"])
        time.tzset()
        os.chdir(order["folder"])
        # What the server itself reads and writes by these names is not the run's.
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as we live
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - likewise
        sys.argv = ["kubectl-bailiwick", *order["arguments"]]
        code = _code(importlib.import_module(_PROGRAM).main)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _code(run: Any) -> int:  # noqa: ANN401 - the program
    try:
        ended = run()
    except SystemExit as error:
        ended = error.code
    if ended is None or isinstance(ended, int):
        return int(ended or 0)
    sys.stderr.write(f"{ended}\n")
    return 1


if __name__ == "__main__":
    main()
