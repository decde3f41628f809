"""From the start of the process to ready, and what it holds then, with 10,000 policies.

Standing: starts one server after the other on the servers' core, each alone; what is timed includes reading and
compiling everything. bailiwick lists its policies, and as many grants, from the stand-in of the API server.
"""

from collections.abc import Callable
from typing import Final

from benchmarks.http.serve import agree
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Server, Servers
from benchmarks.targets import ours
from benchmarks.targets.cerbos import Cerbos
from benchmarks.targets.opa import Opa

_POLICIES: Final = 10_000
_QUICK: Final = 1_000
_OURS: Final = "bailiwick"
_COLUMNS: Final = ("version", "ready s", "CPU s", "resident MB", "bailiwick's time", "bailiwick's memory", "budget")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure each once."""
    count = _QUICK if plan.quick else _POLICIES
    made = Section(f"Start with {count:,} policies (bailiwick: and {count:,} grants)", _COLUMNS)
    starts: dict[str, Callable[[], Server]] = {
        _OURS: lambda: ours.in_cluster(servers, count, load_core=plan.cores.load, grants=count, name="start bailiwick"),
        "OPA, rules as data": lambda: Opa.ensure(plan.progress).start(
            servers, count, log=False, name="start opa data", as_data=True
        ),
        "OPA, rules as Rego": lambda: Opa.ensure(plan.progress).start(servers, count, log=False, name="start opa rego"),
        "Cerbos": lambda: Cerbos.ensure(plan.progress).start(servers, count, name="start cerbos"),
    }
    own: tuple[float, float] | None = None
    for name, start in starts.items():
        plan.progress.say(f"Starting {name} with {count:,} policies ...")
        try:
            server = start()
        except MissingError as error:
            made.rows.append(Row(name, missing=str(error)))
            continue
        taken, resident = server.ready_seconds, server.resident_megabytes()
        used = server.cpu_seconds()
        try:
            agree(server, count)
        except MissingError as error:
            made.rows.append(Row(name, missing=str(error)))
            continue
        finally:
            servers.end(server.running)
        if name == _OURS:
            own = (taken, resident)
        compared = own is not None and name != _OURS
        cells = (
            server.version,
            f"{taken:.2f}",
            f"{used:.1f}" if used else NONE,
            f"{resident:.0f}" if resident else NONE,
            ratio(own[0] / taken) if own and compared else NONE,
            ratio(own[1] / resident) if own and compared and resident else NONE,
            "< 5 s, < 250 MB" if name == _OURS else NONE,
        )
        made.rows.append(Row(name, cells, data={"ready_s": taken, "cpu_s": used, "resident_mb": resident}))
    made.notes.append("OPA decides fastest by rules as Rego; rules as data it need not compile. All answered rightly.")
    return made
