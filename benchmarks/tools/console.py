"""The console with 1,000 requests that wait: how long its first page takes the server, and what of a processor.

Standing: starts `kubectl bailiwick console` as a person would, in front of the stand-in for the API server, and loads
pages as a browser does. What a browser then draws is not in it; what the API server takes to answer is.
"""

import http.client
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.rig import workload
from benchmarks.rig.cores import cpu_seconds
from benchmarks.rig.grants import grant
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Row, Section
from benchmarks.rig.servers import HOST, MissingError, Servers
from benchmarks.targets.ours import start_stand_in
from localcluster.process import RunningProcess

_GRANTS: Final = 1_000
_POLICIES: Final = 10
_LOADS: Final = 20
_START_SECONDS: Final = 60.0
_URL: Final = re.compile(r"http://\S+/open\?token=\S+")
_COLUMNS: Final = ("first ms", "first CPU ms", "then p50 ms", "CPU ms a page", "budget")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure."""
    made = Section(f"Console, {_GRANTS:,} requests that wait", _COLUMNS)
    plan.progress.say(f"Starting a console of {_GRANTS:,} grants ...")
    try:
        made.rows.append(_loaded(servers, plan))
    except MissingError as error:
        made.rows.append(Row("the list", missing=str(error)))
    made.notes.append("The first page also asks for the right to approve by each of the policies.")
    return made


def _loaded(servers: Servers, plan: Plan) -> Row:
    kubeconfig = start_stand_in(servers, 0, _waiting(), load_core=plan.cores.load, name="console")
    flags: tuple[str | Path, ...] = ("-A", "--no-browser", "--kubeconfig", kubeconfig)
    running = servers.spawn("console", [sys.executable, "-P", "-m", "bailiwick_cli", "console", *flags])
    opening = urlsplit(_opening(running))
    opened = _get(opening.netloc, f"{opening.path}?{opening.query}", {"Sec-Fetch-Site": "none"})
    cookie = str(opened.headers["Set-Cookie"]).partition(";")[0]
    taken, used = [], [cpu_seconds(running.handle.pid)]
    for _ in range(_LOADS + 1):
        start = time.monotonic()
        _get(opening.netloc, "/", {"Sec-Fetch-Site": "same-origin", "Cookie": cookie})
        taken.append((time.monotonic() - start) * 1000)
        used.append(cpu_seconds(running.handle.pid))
    servers.end(running)
    first, later = taken[0], statistics.median(taken[1:])
    first_cpu, cpu = (used[1] - used[0]) * 1000, (used[-1] - used[1]) * 1000 / _LOADS
    cells = (f"{first:.0f}", f"{first_cpu:.0f}", f"{later:.0f}", f"{cpu:.0f}", "< 300 ms")
    return Row("the list", cells, data={"first_ms": first, "p50_ms": later, "cpu_ms": cpu, "all_ms": taken})


def _waiting() -> list[dict[str, Any]]:
    """Return grants of one namespace and a few policies, which is what somebody has to review."""
    made = []
    for place in workload.places(_GRANTS):
        raw = grant(place)
        raw["metadata"]["namespace"] = "crm"
        raw["spec"]["request"]["steps"][0]["policy"] = f"customers-{place.number % _POLICIES}"
        made.append(raw)
    return made


def _opening(running: RunningProcess) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and running.alive:
        if found := _URL.search(running.log.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.02)
    raise MissingError(f"the console told no URL:\n{running.last_words()}")


def _get(host: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, int(host.rpartition(":")[2]), timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK or (path == "/" and f">{_GRANTS}</span>" not in said.decode()):
        raise MissingError(f"the console answered {answer.status}: {said[:300].decode()}")
    return answer
