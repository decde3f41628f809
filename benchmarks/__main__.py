"""`make bench`: measure everything, print one table, write the numbers beside it as JSON.

Standing: the outermost part. What is missing leaves its rows empty, loudly, and the rest goes on with exit code 0;
a section that breaks off by a defect says so and makes it 1.
"""

import argparse
import datetime
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bailiwick_api.distribution import DISTRIBUTION
from benchmarks.cluster import cluster, history, neighbours
from benchmarks.http import applications, batch, enforcement, replicas, scale, start, tails
from benchmarks.http.serve import ServeSection
from benchmarks.inside import decide, pauses, search, stages
from benchmarks.rig.cores import Busy, Cores, describe
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Report, Row, Section
from benchmarks.rig.servers import Servers
from benchmarks.tools import audit, console, largelog, policytools
from localcluster.progress import Silent, Terminal

_RESULTS: Final = Path(__file__).resolve().parent / "results"
_LIBRARIES: Final = ("aiohttp", "uvloop", "orjson", "msgspec", "cel-expr-python", "pydantic")
_NOISY: Final = 0.05
_SECTIONS: Final[dict[str, Callable[[Plan, Servers], Section]]] = {
    "stages": stages.section,
    "decide": lambda plan, _: decide.section(plan),
    "search": lambda plan, _: search.section(plan),
    "serve": lambda plan, servers: ServeSection(plan, servers).run(),
    "batch": batch.section,
    "proxies": enforcement.proxies,
    "clients": enforcement.clients,
    "applications": applications.section,
    "start": start.section,
    "scale": scale.section,
    "replicas": replicas.section,
    "pauses": pauses.section,
    "audit": audit.section,
    "policies": policytools.section,
    "console": console.section,
    "neighbours": neighbours.section,
    "tails": tails.section,
    "cluster": cluster.section,
    "history": history.section,
    "large-log": largelog.section,
}
_NAMED_ONLY: Final = frozenset({"large-log"})
"""Sections that take more than an hour."""


def main() -> int:
    """Measure. Returns 0, and 1 where a section broke off."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--only", action="append", choices=tuple(_SECTIONS), help="one section; repeatable; large-log runs only so"
    )
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of a round on one server (default: 3)")
    parser.add_argument("--quick", action="store_true", help="less of what takes long; for trying the benchmarks out")
    parser.add_argument("--quiet", action="store_true", help="say nothing on the way")
    options = parser.parse_args()
    cores = Cores.choose()
    progress = Silent() if options.quiet else Terminal()
    plan = Plan(cores, options.rounds, options.seconds, options.quick, progress)
    began, before = time.monotonic(), Busy.now()
    report, failed = Report(_head(cores)), False
    for name in options.only or [name for name in _SECTIONS if name not in _NAMED_ONLY]:
        progress.say(f"Measuring: {name}")
        # A folder of its own for each, so that nothing of one section runs or fills the disk during the next.
        with (
            tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as folder,
            Servers(Path(folder), cores.server) as servers,
        ):
            try:
                report.sections.append(_SECTIONS[name](plan, servers))
            except Exception as error:  # noqa: BLE001 - what was measured before is worth more than a clean stop
                traceback.print_exc()
                report.sections.append(Section(name, (), [Row("all", missing=f"a defect: {error!r}")]))
                failed = True
    report.head |= _circumstances(time.monotonic() - began, before)
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}.json"
    report.write(file)
    sys.stdout.write(report.text())
    sys.stdout.write(f"\nEvery round: {os.path.relpath(file)}\n")
    return int(failed)


def _head(cores: Cores) -> dict[str, str]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return {
        "bailiwick": f"{version(DISTRIBUTION)}, {_commit()}",
        "machine": describe(cores),
        "python": f"{sys.version.split()[0]} ({_build()}), {libraries}",
    }


def _build() -> str:
    # It matters: an optimised build is up to a quarter faster. A distribution (PEP 668) optimises without saying so.
    configured = str(sysconfig.get_config_var("CONFIG_ARGS"))
    if "--enable-optimizations" in configured or (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists():
        return "optimised build"
    return "build without optimisations"


def _commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],  # noqa: S607 - the one of whoever measures
            cwd=_RESULTS.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "no checkout"
    return answer.stdout.strip()


def _circumstances(took: float, before: Busy) -> dict[str, str]:
    # Of this process and of all that it started and waited for, which by now is everything.
    others = Busy.now().others_since(before, sum(os.times()[:4]))
    load = f"others used {others:.0%} of the machine"
    if others > _NOISY:
        load = f"*** NOISY: {load}: believe the ratios by CPU, and measure again when it is quiet ***"
    return {"took": f"{took:.0f} s", "load": load}


if __name__ == "__main__":
    sys.exit(main())
