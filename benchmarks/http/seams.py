"""Seams: what each place costs or gains where our transport takes over from aiohttp (docs/adr/0017).

Standing: `section` measures the decision point as it is, and as it would be without each seam; `main` is the process
of the latter, `python -m benchmarks.http.seams SEAM FLAGS`. Holds: nothing but that seam is replaced.
"""

import sys
from collections.abc import Callable
from statistics import median
from typing import Any, Final
from unittest.mock import patch

from aiohttp import web  # noqa: TID251 - what is left where a seam is taken out

from bailiwick_webhook.http.transport import answers, fastpath, server
from bailiwick_webhook.main import main as serve
from benchmarks.rig import workload
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Server, Servers
from benchmarks.rig.workload import EXPORT
from benchmarks.targets import ours

_POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_WHOLE: Final = "as it is"
# No seam, but measured in the same run: what it costs that each line of the record stands in a chain.
_UNCHAINED: Final = "without the chain of records"
_COLUMNS: Final = ("requests/s", "CPU us", "p50 ms", "p99 ms", "CPU, over as it is")


def _without_plain_requests() -> None:
    patch.object(fastpath.Front, "answered", lambda *_: None).start()


def _without_fast_path() -> None:
    # Most requests never come to it.
    _without_plain_requests()

    def behind(_: fastpath.Front, handler: fastpath.Behind) -> fastpath.Behind:
        return handler

    patch.object(fastpath.Front, "before", behind).start()


def _without_whole_response() -> None:
    _without_plain_requests()

    def decided(request: web.BaseRequest, body: bytes, *, closing: bool) -> web.StreamResponse:
        return answers.finished(request, answers.said(body), closing=closing)

    patch.object(answers, "decided", decided).start()


def _without_connections() -> None:
    def plain(like: web.Server, *_: object, **options: Any) -> web.Server:  # noqa: ANN401 - what aiohttp takes
        return web.Server(like.request_handler, request_factory=like.request_factory, **options)

    patch.object(server, "Connections", plain).start()


SEAMS: Final[dict[str, Callable[[], None]]] = {
    "plain requests": _without_plain_requests,
    "plain requests, fast path": _without_fast_path,
    "plain requests, whole response": _without_whole_response,
    "connections": _without_connections,
}


def section(plan: Plan, servers: Servers) -> Section:
    """Measure the decision point with all seams, and without each."""
    made = Section(f"Seams in aiohttp: one core, {_POLICIES:,} policies, 32 connections, one CEL condition", _COLUMNS)
    try:
        wrk = Wrk.find(plan.cores.load)
        started = {_WHOLE: _start(plan, servers, "")}
        started |= {f"without {seam}": _start(plan, servers, seam) for seam in SEAMS}
        started[_UNCHAINED] = _start(plan, servers, "", "--record-chain=off")
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    requests = workload.load(_POLICIES, _DIFFERENT, EXPORT)
    lines = [(one.path, dict(ours.as_itself(one)), one.encoded()) for one in requests]
    prepared = WireRequests.write(servers.folder / "seams.requests", lines)
    rounds: dict[str, list[Round]] = {name: [] for name in started}
    for number in range(plan.rounds + 1):
        plan.progress.say(f"Round {number} of {plan.rounds}" if number else "Warming up")
        for name, running in started.items():
            found = wrk.round(running, prepared, plan.seconds if number else 1)
            if number:
                rounds[name].append(found)
    made.rows += [_row(name, found, rounds[_WHOLE]) for name, found in rounds.items()]
    made.notes.append(f"The median of {plan.rounds} rounds of {plan.seconds} s, interleaved; ratios round by round.")
    return made


def _start(plan: Plan, servers: Servers, seam: str, *flags: str) -> Server:
    program = (sys.executable, "-m", "benchmarks.http.seams", seam) if seam else (*ours.WEBHOOK, *flags)
    name = " ".join(("seams", seam or "all", *flags))
    return ours.in_cluster(servers, _POLICIES, load_core=plan.cores.load, name=name, program=program)


def _row(name: str, rounds: list[Round], whole: list[Round]) -> Row:
    over = [one.cpu / other.cpu for one, other in zip(rounds, whole, strict=True) if other.cpu]
    cells = (
        f"{median(one.per_second for one in rounds):,.0f}",
        f"{median(one.cpu for one in rounds):.1f}",
        f"{median(one.p50 for one in rounds):.2f}",
        f"{median(one.p99 for one in rounds):.2f}",
        NONE if name == _WHOLE or not over else f"{ratio(median(over))} ({min(over):.2f}..{max(over):.2f})",
    )
    data = {"rounds": [{"per_second": one.per_second, "cpu_us": one.cpu} for one in rounds]}
    return Row(name, cells, data=data)


def main() -> None:
    """Take a seam out, and serve."""
    seam = sys.argv.pop(1)
    SEAMS[seam]()
    sys.exit(serve())


if __name__ == "__main__":
    main()
