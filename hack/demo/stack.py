"""Everything that a case needs, running: Bailiwick's manifests, its operator and decision points, and the CRM example.

Standing: used by the demo and by the end-to-end tests. Each process runs as its own service account, with a token from
TokenRequest that is replaced before it ends; logs and decision records go to one folder.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import requests
import yaml

from bailiwick_api.accounts import ENFORCER_AUDIENCE, GUARD_CONFIG_MAP, Installation
from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from demo.accounts import Accounts, FromHere
from demo.ground import ROOT, Ground, Keeper, Workloads
from demo.pods import Written
from issuer.keys import Signer
from issuer.server import DISCOVERY
from localcluster.access import Cluster
from localcluster.errors import StartError
from localcluster.pki import Pair
from localcluster.ports import free_ports, held
from localcluster.process import RunningProcess, spawn, stop
from localcluster.tokenrequest import Account

MANIFESTS: Final = (
    ("crds/endpointpolicies.yaml", "crds/approvalgrants.yaml", "crds/endpointdata.yaml", "crds/endpointhistories.yaml"),
    ("crds/subjectrevocations.yaml",),
    ("crds/rbac/accounts.yaml", "crds/rbac/operator.yaml", "crds/rbac/webhook.yaml", "crds/rbac/people.yaml"),
    ("crds/guards/open.yaml", "crds/guards/review.yaml", "crds/guards/status.yaml", "crds/guards/delete.yaml"),
    ("crds/guards/history-write.yaml", "crds/guards/history-delete.yaml", "crds/guards/definitions.yaml"),
    ("crds/guards/revocations-write.yaml",),
)
CRM_ENDPOINT: Final = "crm/crm-api"
CRM_ACCOUNT: Final = Account("crm", "crm-api", (ENFORCER_AUDIENCE,))
AGENT: Final = "system:serviceaccount:agents:crm-agent"
# The host that a passkey is registered for: that of the console on a reviewer's own machine.
RP_ID: Final = "bailiwick.localhost"
INSTALLATION: Final = "demo"
AGENT_ACCOUNT: Final = Account("agents", "crm-agent", ("crm-api.crm",))
# Where the issuer's modules lie, and those that it stands on.
_SOURCES: Final = ("hack", "localcluster/src")
# A bound of what hangs; what died is noticed at once.
_START_SECONDS: Final = 180.0
ASKED: Final = 4
"""As many decision points are asked by the operator which policies they serve."""

_Started = TypeVar("_Started")


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """One running webhook process."""

    url: str
    status_url: str
    admission_port: int
    records: Path
    process: RunningProcess

    @property
    def admission_url(self) -> str:
        """Where it is asked about policies, unless it serves TLS."""
        return f"http://127.0.0.1:{self.admission_port}"

    def evaluation(self, endpoint: str = CRM_ENDPOINT) -> str:
        """Where it is asked about an endpoint."""
        return f"{self.url}/endpoints/{endpoint}/access/v1/evaluation"


@dataclass
class Stack(Ground):
    """The processes of one cluster. `start` them in this order: manifests, operator, issuer, decision points, CRM.

    `signer` signs the tokens of people, `issuers` is what decision points are told about it. `status_ports` are those
    of the first decision points, where the operator asks what they serve; where none runs yet, none is ready.
    `external_url` is what all decision points are known by, since the tokens of an approval are for it: where none is
    given, the first one's own, which stands for the service in front of them. `registrar_keys` is the file of whoever
    enrols the keys of reviewers, if processes that start later take signed reviews. `servers` are the URLs of all else
    that was started, by name. `python` runs the operator and decision points that start later: that of another release
    has its modules. `adopt` is told of each process when it starts, so that somebody can end it whatever comes.
    """

    cluster: Cluster
    folder: Path
    keeper: Keeper
    installation: Installation = field(default_factory=Installation)
    processes: list[RunningProcess] = field(default_factory=list)
    decision_points: list[DecisionPoint] = field(default_factory=list)
    adopt: Callable[[RunningProcess], None] = lambda _: None
    status_ports: tuple[int, ...] = field(default_factory=lambda: free_ports(ASKED))
    external_url: str = ""
    crm_url: str = ""
    servers: dict[str, str] = field(default_factory=dict)
    guarded_point: DecisionPoint | None = None
    signer: Signer | None = None
    issuers: Path | None = None
    registrar_keys: Path | None = None
    python: str | Path = sys.executable
    acting: Accounts = field(init=False)
    workloads: Workloads = field(init=False)
    # The operator believes whoever answers where it asks: until one of ours does, nobody else may.
    _held: dict[int, socket.socket | None] = field(init=False)
    # Whoever starts things in several threads wants one keeper for each token.
    _keeping: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Act from this machine, with pods that do not run."""
        # Chosen, and perhaps not listened on yet: no two decision points that start at once may get the same.
        self._held = {port: held(port) for port in self.status_ports}
        self.acting = FromHere(self.cluster)
        self.workloads = Written(self.cluster.rest())

    @property
    def points(self) -> int:
        """How many decision points there are."""
        return len(self.decision_points)

    def evaluation(self, endpoint: str, number: int = 0) -> str:
        """Where a decision point is asked about an endpoint; they are numbered without end."""
        return self.decision_points[number % len(self.decision_points)].evaluation(endpoint)

    def records(self) -> list[str]:
        """Return the lines of all decision records, each point's in its order."""
        points = [*self.decision_points, *([self.guarded_point] if self.guarded_point else [])]
        return [line for point in points for line in point.records.read_text().splitlines()]

    def start_operator(self, *flags: str, name: str = "operator") -> RunningProcess:
        """Start an operator."""
        config = self._kubeconfig(Account(self.installation.namespace, self.installation.operator_name), name)
        replicas = [f"--replica=http://127.0.0.1:{port}" for port in self.status_ports]
        ledger = f"--ledger-file={self.ledger(name)}"
        given = (ledger, *replicas, *self._signing_flags, *flags)
        return self._spawn(name, ["-m", "bailiwick_operator", "--kubeconfig", config, *given], self.python)

    def ledger(self, name: str = "operator") -> Path:
        """Return the file of an operator's own log."""
        return self.folder / f"{name}.ledger.jsonl"

    def await_guard(self) -> None:
        """Wait until the operator has proven the guard once; before that nothing counts."""
        path = f"/api/v1/namespaces/{self.installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
        self.cluster.rest().wait(path, lambda answer: answer.ok, _START_SECONDS)

    def start_issuer(self) -> None:
        """Start the issuer of people's tokens, which decision points that start later know as `corp`."""
        folder = self.folder / "issuer"

        def start() -> Signer:
            (port,) = free_ports(1)
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in _SOURCES)}
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "issuer",
                "--folder",
                folder,
                "--port",
                str(port),
                "serve",
            ]
            process = self._keep(spawn("issuer", command, self.folder / "issuer.log", environment))
            signer = Signer(folder, f"https://127.0.0.1:{port}")
            self._await(process, signer.url + DISCOVERY, requests.codes.ok, authority=folder / "ca.crt")
            return signer

        self.signer = _unless_port_taken(start)
        self.issuers = self.folder / "issuers.yaml"
        corp = {"name": "corp", "issuer": self.signer.url, "caFile": "issuer/ca.crt", "allowPrivateAddresses": True}
        self.issuers.write_text(yaml.safe_dump({"issuers": [corp]}))

    def start_decision_point(self, *flags: str, await_ready: bool = True) -> DecisionPoint:
        """Start one more decision point, and wait until it is ready."""
        number = len(self.decision_points)
        known = iter(self.status_ports[number : number + 1])
        point = self._start_point(f"webhook-{number}", flags, known, await_ready=await_ready)
        self.external_url = self.external_url or point.url
        self.decision_points.append(point)
        return point

    def start_guarded_point(self, serving: Pair, clients: Path) -> DecisionPoint:
        """Start a decision point that enforcers ask over TLS, by certificates of this authority; none of the others.

        It knows what the others know by the time that it is ready.
        """
        tls = (f"--tls-cert-file={serving.certificate}", f"--tls-key-file={serving.key}", f"--client-ca-file={clients}")
        point = self._start_point("webhook-tls", tls, iter(()), await_ready=True)
        self.guarded_point = replace(point, url=point.url.replace("http:", "https:"))
        return self.guarded_point

    def await_decision_points(self) -> None:
        """Wait until those are ready that were started without a wait."""
        for point in self.decision_points:
            self._await(point.process, f"{point.status_url}/readyz", requests.codes.ok)

    def start_crm(self) -> None:
        """Start the CRM example in front of the first decision point."""
        token = self.token_file(CRM_ACCOUNT, "crm-api")
        program = ROOT / "examples" / "crm" / "crm_api.py"
        url = self.decision_points[0].url
        self.crm_url = self.start_server(
            "crm-api", lambda port: [program, "--pdp", url, "--token-file", token, f"--port={port}"]
        )

    def start_server(
        self,
        name: str,
        arguments: Callable[[int], Sequence[str | Path]],
        *,
        program: str | Path = sys.executable,
        status: int = requests.codes.not_found,
    ) -> str:
        """Start a server on a port of this machine; returns its URL once its root answers with this status."""

        def start() -> str:
            (port,) = free_ports(1)
            process = self._spawn(name, arguments(port), program)
            url = f"http://127.0.0.1:{port}"
            self._await(process, url, status)
            return url

        self.servers[name] = _unless_port_taken(start)
        return self.servers[name]

    def token_file(self, account: Account, name: str) -> Path:
        """Return a file that holds a token of this account, always a fresh one."""
        token = self.folder / f"{name}.token"
        self._kubeconfig(account, name)
        return token

    def stop(self) -> None:
        """End every process that was started here."""
        for port in self.status_ports:
            self._let_go(port)
        stop([running.id for running in self.processes])
        for running in self.processes:
            running.handle.wait()

    def _start_point(
        self, name: str, flags: Sequence[str], status_ports: Iterator[int], *, await_ready: bool
    ) -> DecisionPoint:
        config = self._kubeconfig(Account(self.installation.namespace, self.installation.webhook_name), "webhook")
        records = self.folder / f"{name}.records.jsonl"
        common: list[str | Path] = ["-m", "bailiwick_webhook", "--kubeconfig", config, "--record-file", records]
        common += ["--drain-seconds=0.2", "--witness-wait-seconds=0", *self._signing_flags]
        if self.issuers is not None:
            common += ["--issuers", self.issuers]

        def start() -> DecisionPoint:
            port, free, admission_port = free_ports(3)
            # One that the operator was told is tried once: it may be the one that is taken.
            status_port = next(status_ports, free)
            self._let_go(status_port)
            url = f"http://127.0.0.1:{port}"
            where = [f"--port={port}", f"--admission-port={admission_port}", f"--status-port={status_port}"]
            known_as = f"--external-url={self.external_url or url}"
            process = self._spawn(name, [*common, *where, known_as, *flags], self.python)
            point = DecisionPoint(url, f"http://127.0.0.1:{status_port}", admission_port, records, process)
            if await_ready:
                self._await(process, f"{point.status_url}/readyz", requests.codes.ok)
            return point

        return _unless_port_taken(start)

    @property
    def _signing_flags(self) -> tuple[str, ...]:
        if self.registrar_keys is None:
            return ()
        return (
            f"--registrar-keys={self.registrar_keys}",
            "--reviewers-installation=demo",
            f"--passkey-origin={LOCAL_CONSOLES}",
        )

    def _let_go(self, port: int) -> None:
        """Leave a port to the one of ours that is to listen there."""
        if (holder := self._held.pop(port, None)) is not None:
            holder.close()

    def _kubeconfig(self, account: Account, name: str) -> Path:
        token = self.folder / f"{name}.token"
        config = token.with_name(f"{token.name}.kubeconfig")
        with self._keeping:
            return config if config.exists() else self.keeper(account, token)

    def _spawn(
        self, name: str, arguments: Sequence[str | Path], program: str | Path = sys.executable
    ) -> RunningProcess:
        return self._keep(spawn(name, [program, *arguments], self.folder / f"{name}.log"))

    def _keep(self, running: RunningProcess) -> RunningProcess:
        self.processes.append(running)
        self.adopt(running)
        return running

    def _await(self, process: RunningProcess, url: str, status: int, authority: Path | None = None) -> None:
        verify = True if authority is None else str(authority)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.alive:
            try:
                if requests.get(url, timeout=5, verify=verify).status_code == status:
                    return
            except (requests.ConnectionError, OSError):
                pass  # Not listening yet, or its certificate is not written yet.
            time.sleep(0.05)
        raise StartError(f"{process.name} did not become ready; the end of {process.log}:\n{process.last_words()}")


def _unless_port_taken(start: Callable[[], _Started]) -> _Started:
    """Start something; again where somebody took its port between choosing and listening."""
    for _ in range(3):
        try:
            return start()
        except StartError as error:
            if "address already in use" not in str(error).lower():
                raise
    return start()
