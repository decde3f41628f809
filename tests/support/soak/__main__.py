"""`make soak`: all floods and noisy neighbours at once, beside an innocent tenant and one whose grants are reviewed.

Standing: the command over `run`. Holds: everything speaks to loopback alone and ends with the run; a goal that is
missed makes the exit code 1.
"""

import argparse
import json
import os
import sys

from localcluster.errors import LocalClusterError
from support.soak.goals import Goal, SoakReport
from support.soak.run import Soak
from support.soak.stage import Stage

_MOST_MINUTES = 45.0


def main(arguments: list[str] | None = None) -> int:
    """Run it and print the report. Returns 0, and 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--minutes", type=_minutes, default=10.0, help=f"how long, {_MOST_MINUTES:g} at most (default: 10)"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="(default: table)")
    options = parser.parse_args(arguments)
    report = played(options.minutes * 60)
    if options.output == "json":
        json.dump(report.as_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.met else 1


def played(seconds: float) -> SoakReport:
    """Bring everything up, play for so long, and judge the logs at the end."""
    report = SoakReport(seconds)
    _tell(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; starting an API server and Bailiwick ...")
    try:
        with Stage.open() as stage:
            report = Soak(stage, _tell).play(seconds)
            _tell("Judging the logs of all processes ...")
        logs = Goal("records that do not follow from policies", "0", "0", met=True)
    except AssertionError as error:
        logs = Goal("records that do not follow from policies", "0", str(error)[:400], met=False)
    report.goals.append(logs)
    return report


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 and at most {_MOST_MINUTES:g}")
    return minutes


def _tell(text: str) -> None:
    # The report alone is on stdout.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalClusterError as error:
        sys.exit(str(error))
