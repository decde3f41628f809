"""Evaluations over HTTP on one core, ours beside the floor and the peers, in interleaved rounds.

Standing: starts all of them, holds them against the same answers, and only then measures: A B C A B C ..., so that
whatever else the machine does meets all of them. Ratios are made round by round, of neighbours, and then the median.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from benchmarks.rig import interpreters, workload
from benchmarks.rig.interpreters import CHECKOUT, Python
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Server, Servers, await_answer
from benchmarks.rig.workload import EXPORT, READ, Request
from benchmarks.targets import ours
from benchmarks.targets.cerbos import Cerbos
from benchmarks.targets.decern import Decern
from benchmarks.targets.opa import Opa
from localcluster.ports import free_ports

POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_SAMPLE: Final = 200
OURS: Final = "bailiwick"
FLOOR: Final = "bare aiohttp web.Server"
_COLUMNS: Final = ("version", "requests/s", "CPU us", "p50 ms", "p99 ms", "bailiwick's rate", "by CPU", "budget")


@dataclass(slots=True)
class Target:
    """One row: a server and what it is asked."""

    name: str
    server: Server
    prepared: WireRequests
    budget: str = ""
    rounds: list[Round] = field(default_factory=list)


class ServeSection:
    """The section."""

    def __init__(self, plan: Plan, servers: Servers) -> None:
        self._plan = plan
        self._servers = servers
        self._targets: list[Target] = []
        self._missing: dict[str, str] = {}
        self._faster = ""
        self._section = Section(
            f"AuthZEN evaluation over HTTP: one core, {POLICIES:,} policies, 32 connections, one CEL condition",
            _COLUMNS,
        )

    def run(self) -> Section:
        """Measure."""
        try:
            wrk = Wrk.find(self._plan.cores.load)
        except MissingError as error:
            self._section.rows.append(Row("all", missing=str(error)))
            return self._section
        self._start()
        self._measure(wrk)
        self._section.rows += [self._row(target) for target in self._targets]
        self._section.rows += [Row(name, missing=why) for name, why in self._missing.items()]
        self._notes()
        return self._section

    def _start(self) -> None:
        self._try(OURS, self._ours)
        self._try(FLOOR, lambda: self._bare("server", FLOOR, ">= 0.65 x"))
        self._try(f"{OURS}, optimised Python", self._optimised)
        self._try("bare aiohttp web.Application", lambda: self._bare("application", "bare aiohttp web.Application", ""))
        self._try("OPA, decision log off", lambda: self._opa("OPA, decision log off", "", log=False))
        self._try("OPA, decision log on", lambda: self._opa("OPA, decision log on", ">= 3 x", log=True))
        self._try("Cerbos, audit log off", lambda: self._cerbos("Cerbos, audit log off", ">= 15 x"))
        self._try("decern-serve, ledger on", lambda: self._decern("decern-serve, ledger on", ">= 3 x"))

    def _try(self, name: str, start: Callable[[], None]) -> None:
        try:
            self._plan.progress.say(f"Starting {name} ...")
            start()
        except MissingError as error:
            self._missing[name] = str(error)

    def _ours(self) -> None:
        server = ours.in_cluster(self._servers, POLICIES, load_core=self._plan.cores.load, name=OURS)
        agree(server)
        conditional, plain = (workload.load(POLICIES, _DIFFERENT, action) for action in (EXPORT, READ[1]))
        self._add(OURS, server, conditional)
        self._add("bailiwick, rule without condition", server, plain)
        evidence = [(request.path, dict(ours.as_gateway(request)), ours.with_token(request)) for request in conditional]
        self._targets.append(
            Target(
                "bailiwick, subject's token as evidence", server, WireRequests.write(self._file("evidence"), evidence)
            )
        )
        # The spans are lost, since nobody listens there: what is measured is that they are made.
        for name, flag, budget in (
            ("bailiwick, --record-chain off", "--record-chain=off", ">= 0.97 x"),
            ("bailiwick, with spans", "--otlp-endpoint=http://127.0.0.1:9", ""),
        ):
            program = (*ours.WEBHOOK, flag)
            other = ours.in_cluster(
                self._servers,
                POLICIES,
                load_core=self._plan.cores.load,
                name=flag.strip("-").partition("=")[0],
                program=program,
            )
            self._add(name, other, conditional, budget)
        name = "bailiwick standalone (--policies)"
        try:
            alone = ours.standalone(self._servers, POLICIES, name="standalone")
        except MissingError as error:
            self._missing[name] = str(error)
        else:
            agree(alone)
            self._add(name, alone, conditional)

    def _optimised(self) -> None:
        python = interpreters.optimised(self._servers.folder)
        self._faster = f", optimised Python {python.version}"
        server = ours.in_cluster(
            self._servers, POLICIES, load_core=self._plan.cores.load, name="optimised", python=python
        )
        agree(server)
        self._add(OURS + self._faster, server, workload.load(POLICIES, _DIFFERENT, EXPORT))
        self._bare("server", FLOOR + self._faster, "", python)

    def _bare(self, kind: str, name: str, budget: str, python: Python = CHECKOUT) -> None:
        (port,) = free_ports(1)
        command = [*python.command, "-m", "benchmarks.targets.bare", f"--kind={kind}", f"--port={port}"]
        running = self._servers.spawn(name, command, environment=python.environment)
        await_answer(running, port, "/ready")
        versions = f"aiohttp {version('aiohttp')}, uvloop {version('uvloop')}"
        server = Server(name, versions, running, port, lambda _: "/access/v1/evaluation", _decision)
        self._add(name, server, workload.load(POLICIES, _DIFFERENT, EXPORT), budget)

    def _opa(self, name: str, budget: str, *, log: bool) -> None:
        server = Opa.ensure(self._plan.progress).start(self._servers, POLICIES, log=log, name=f"opa {log}")
        agree(server)
        self._add(name, server, workload.load(POLICIES, _DIFFERENT, EXPORT), budget)

    def _cerbos(self, name: str, budget: str) -> None:
        server = Cerbos.ensure(self._plan.progress).start(self._servers, POLICIES, name="cerbos")
        agree(server)
        self._add(name, server, workload.load(POLICIES, _DIFFERENT, EXPORT), budget)

    def _decern(self, name: str, budget: str) -> None:
        server = Decern.ensure(self._plan.progress).start(self._servers, POLICIES, name="decern")
        agree(server)
        self._add(name, server, workload.load(POLICIES, _DIFFERENT, EXPORT), budget)

    def _add(self, name: str, server: Server, requests: list[Request], budget: str = "") -> None:
        lines = [(server.path(request), dict(server.headers(request)), server.body(request)) for request in requests]
        self._targets.append(Target(name, server, WireRequests.write(self._file(name), lines), budget))

    def _file(self, name: str) -> Path:
        return self._servers.folder / f"{name}.requests"

    def _measure(self, wrk: Wrk) -> None:
        for number in range(self._plan.rounds + 1):
            self._plan.progress.say(f"Round {number} of {self._plan.rounds}" if number else "Warming up")
            for target in self._targets:
                found = wrk.round(target.server, target.prepared, self._plan.seconds if number else 1)
                if number:
                    target.rounds.append(found)
                self._forget(target.server)

    def _forget(self, server: Server) -> None:
        """Empty what a server logged, so that no disk fills up; it appends, so it goes on at the new end."""
        for file in self._servers.folder.glob(f"{server.running.name}*.jsonl"):
            with suppress(OSError):
                file.write_bytes(b"")
        with suppress(OSError):
            server.running.log.write_bytes(b"")

    def _row(self, target: Target) -> Row:
        rounds, own = target.rounds, next((one.rounds for one in self._targets if one.name == OURS), [])
        rate, cpu = median(one.per_second for one in rounds), median(one.cpu for one in rounds)
        times = [mine.per_second / other.per_second for mine, other in zip(own, rounds, strict=False)]
        by_cpu = [other.cpu / mine.cpu for mine, other in zip(own, rounds, strict=False) if mine.cpu]
        itself = target.name == OURS or not own
        cells = (
            target.server.version,
            f"{rate:,.0f}",
            f"{cpu:.1f}" if cpu else NONE,
            f"{median(one.p50 for one in rounds):.2f}",
            f"{median(one.p99 for one in rounds):.2f}",
            NONE if itself else f"{ratio(median(times))} ({min(times):.2f}..{max(times):.2f})",
            NONE if itself or not by_cpu else ratio(median(by_cpu)),
            target.budget or NONE,
        )
        data = {
            "rounds": [
                {"per_second": one.per_second, "cpu_us": one.cpu, "p50_ms": one.p50, "p99_ms": one.p99}
                for one in rounds
            ],
            "ratio": None if itself else median(times),
            "ratio_by_cpu": None if itself or not by_cpu else median(by_cpu),
        }
        return Row(target.name, cells, data=data)

    def _beside_its_floor(self) -> list[str]:
        """Say how the decision point stands to the bare server where both run on the optimised Python."""
        rounds = {one.name: one.rounds for one in self._targets}
        if not self._faster or OURS + self._faster not in rounds:
            return []
        pairs = zip(rounds[OURS + self._faster], rounds[FLOOR + self._faster], strict=True)
        by_cpu = [other.cpu / mine.cpu for mine, other in pairs if mine.cpu]
        if not by_cpu:
            return []
        return [f"On the optimised Python, as in the images, by CPU over its own bare server: {ratio(median(by_cpu))}."]

    def _notes(self) -> None:
        size = len(workload.load(POLICIES, 1, EXPORT)[0].encoded())
        how = f"the median of {self._plan.rounds} rounds of {self._plan.seconds} s, interleaved"
        self._section.notes += [
            *self._beside_its_floor(),
            f"Each row is {how}; body {size} bytes, {_DIFFERENT} different ones in turn.",
            f"bailiwick and its peers gave the same, right answers to {_SAMPLE} requests of every outcome before.",
            "bailiwick's rate: its requests/s over this row's (range of the rounds).",
            "By CPU: the same of processor time per request, which other load on the machine disturbs less.",
            "bailiwick checks the caller's token, writes its record and answers with policy, rule and snapshot;",
            "its peers check nobody, OPA answers true or false, and Cerbos logs nothing;",
            "decern-serve signs each decision and waits until the disk has it; bailiwick's record waits for no disk.",
        ]


def agree(server: Server, policies: int = POLICIES) -> None:
    """Hold a server against what the policies mean. Raises `MissingError`."""
    for request in workload.sample(policies, _SAMPLE):
        if server.ask(request) != request.allowed:
            raise MissingError(f"{server.name} decides otherwise than the policies mean: {request.encoded().decode()}")


def _decision(said: bytes) -> bool:
    return bool(orjson.loads(said)["decision"])
