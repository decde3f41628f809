"""A control plane: etcd, the API server and the controller manager, started and stopped as one.

Standing: above `components` (what is run) and `process` (how); hands out a `Cluster`. A control plane
that `start` returned answers requests and has its default service account; after `stop` none of its
processes is left, nor when the Python process that owns it dies (unless it was detached).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from types import TracebackType
from typing import Final, Self

from localcluster import components, process
from localcluster.access import Cluster
from localcluster.components import LOOPBACK, Files, Ports
from localcluster.errors import StartError, UnreachableError
from localcluster.kubeconfig import for_server
from localcluster.people import ADMIN, PEOPLE, Person
from localcluster.ports import free_ports
from localcluster.process import ProcessId, RunningProcess
from localcluster.reaper import Reaper
from localcluster.rest import Rest

ETCD: Final = "etcd"
APISERVER: Final = "kube-apiserver"
CONTROLLER_MANAGER: Final = "kube-controller-manager"

# A bound of what hangs; what died is noticed at once.
_START_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05
_TRIES: Final = 5
# The API server waits a minute for the watches of clients that are still there. Nothing is lost by not
# waiting: what it has answered is in etcd.
_GRACE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ between control planes. A flag given here wins over the usual one of that name.

    `extra_names` are further names and addresses for the certificate of the API server. `authorization` is an
    AuthorizationConfiguration in place of the usual authorizers.
    """

    name: str = "bailiwick"
    people: tuple[Person, ...] = PEOPLE
    extra_names: tuple[str, ...] = ()
    apiserver_flags: tuple[str, ...] = ()
    controller_manager_flags: tuple[str, ...] = ()
    authorization: Path | None = None


class _PortTakenError(StartError):
    """Somebody bound one of the ports between our look at it and the start."""


class ControlPlane:
    """One control plane; also a context manager that starts and stops it."""

    def __init__(self, binaries: Path, folder: Path | None = None, settings: Settings | None = None) -> None:
        """Describe it; nothing runs yet.

        `binaries` is the folder that `build.ensure` returns. `folder` holds data, keys and logs; what is
        there already is used. Without one there is a temporary folder, removed by `stop`.
        """
        self._binaries = binaries
        self._settings = settings or Settings()
        self._temporary = folder is None
        self.folder: Final = Path(tempfile.mkdtemp(prefix="bailiwick-")) if folder is None else folder.absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._reaper: Reaper | None = None
        self._running: dict[str, RunningProcess] = {}
        self._files: Files | None = None
        self._ports: Ports | None = None
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """How to talk to it."""
        if self._cluster is None:
            msg = "The control plane is not running: call start() first."
            raise StartError(msg)
        return self._cluster

    @property
    def processes(self) -> dict[str, ProcessId]:
        """The processes that run now, by name."""
        return {name: running.id for name, running in self._running.items() if running.alive}

    @property
    def logs(self) -> Path:
        """The folder of the log files, one for each process."""
        return self.folder / "logs"

    def start(self) -> Cluster:
        """Bring it up, and return when it serves and the default service account exists."""
        if self._running:
            msg = "This control plane is already running: call stop() first, or create another one."
            raise StartError(msg)
        self._reaper = Reaper(*([self.folder] if self._temporary else []))
        try:
            self._files = components.prepare(self.folder, self._settings.people, self._settings.extra_names)
            for _ in range(_TRIES):
                self._ports = Ports(*free_ports(3))
                try:
                    return self._start_all()
                except _PortTakenError:
                    self._end_processes()
            msg = f"Another process took a port {_TRIES} times: see the logs in {self.logs}."
            raise StartError(msg)
        except BaseException:
            self._end_processes()
            # A temporary folder stays: the error names its logs.
            self.detach()
            raise

    def stop(self) -> None:
        """End all processes; a temporary folder goes with them."""
        # Of what is thrown away nothing can be lost.
        self._end_processes(grace=0.0 if self._temporary else _GRACE_SECONDS)
        self._cluster = None
        self.detach()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def detach(self) -> dict[str, ProcessId]:
        """Let the processes outlive this Python process; whoever wants to end them must keep what this returns."""
        if self._reaper is not None:
            self._reaper.release()
            self._reaper = None
        return self.processes

    def stop_apiserver(self, *, grace: float = 1.0) -> None:
        """Make the API server unreachable; with no `grace`, in seconds, as in a crash.

        Left to itself it would go on for a minute, until the last watch of its clients has ended.
        """
        self._end(APISERVER, grace)

    def start_apiserver(self) -> None:
        """Bring the API server back on the same port and data, and wait until it serves."""
        if APISERVER in self.processes:
            return
        self._run(
            APISERVER,
            components.apiserver(*self._inputs(), self._settings.authorization),
            self._settings.apiserver_flags,
        )
        self._await_ready(self.cluster)

    def restart_apiserver(self, *, grace: float = 1.0) -> None:
        """Stop it and start it."""
        self.stop_apiserver(grace=grace)
        self.start_apiserver()

    def start_another_apiserver(self, *flags: str) -> Cluster:
        """Start one more API server on the same store, for the same people, and return how to talk to it.

        It has only these further flags. `stop` ends it too.
        """
        files, ports = self._inputs()
        name = f"{APISERVER}-{1 + sum(name.startswith(APISERVER) for name in self._running)}"
        (port,) = free_ports(1)
        arguments = components.apiserver(files, replace(ports, apiserver=port), self._settings.authorization)
        self._run(name, arguments, flags, program=APISERVER)
        server = for_server(f"https://{LOOPBACK}:{port}", files.authority, name)
        cluster = Cluster.with_tokens(server, self.folder / name, self._settings.people, files.tokens)
        self._await_ready(cluster)
        return cluster

    def stop_etcd(self, *, grace: float = 1.0) -> None:
        """Take the store away from the API server, which stays and can answer little; with no `grace` as in a crash."""
        self._end(ETCD, grace)

    def start_etcd(self) -> None:
        """Bring the store back with the same data, and wait until the API server serves."""
        if ETCD not in self.processes:
            self._run(ETCD, components.etcd(*self._inputs()))
        self._await_ready(self.cluster)

    def pause(self) -> None:
        """Make the API server hang: it accepts connections and never answers."""
        self._apiserver().send(SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._apiserver().send(SIGCONT)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _apiserver(self) -> ProcessId:
        if running := self._running.get(APISERVER):
            return running.id
        msg = "The API server is not running: call start_apiserver() first."
        raise StartError(msg)

    def _inputs(self) -> tuple[Files, Ports]:
        if self._files is None or self._ports is None:
            msg = "The control plane is not running: call start() first."
            raise StartError(msg)
        return self._files, self._ports

    def _start_all(self) -> Cluster:
        files, ports = self._inputs()
        self._run(ETCD, components.etcd(files, ports))
        # All at once: the API server waits for etcd by itself, and the controller manager for the server.
        authorized = components.apiserver(files, ports, self._settings.authorization)
        self._run(APISERVER, authorized, self._settings.apiserver_flags)
        server = for_server(f"https://{LOOPBACK}:{ports.apiserver}", files.authority, self._settings.name)
        cluster = Cluster.with_tokens(server, self.folder, self._settings.people, files.tokens)
        self._await_ready(cluster)
        self._run(
            CONTROLLER_MANAGER, components.controller_manager(files, ports), self._settings.controller_manager_flags
        )
        self._await("/api/v1/namespaces/default/serviceaccounts/default", cluster)
        self._cluster = cluster
        return cluster

    def _run(self, name: str, arguments: Sequence[str], extra: Sequence[str] = (), program: str | None = None) -> None:
        files, _ = self._inputs()
        environment = {**components.GO_ENVIRONMENT, **os.environ}
        command: list[str | Path] = [self._binaries / (program or name), *arguments, *extra]
        running = process.spawn(name, command, files.log(name), environment)
        self._running[name] = running
        if self._reaper is not None:
            self._reaper.add(running.id)

    def _await_ready(self, cluster: Cluster) -> None:
        self._await("/readyz", cluster)

    def _await(self, path: str, cluster: Cluster) -> None:
        rest, deadline = Rest(cluster.rest(ADMIN).login, timeout=5.0), time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self._raise_if_one_died()
            try:
                if rest.get(path).ok:
                    return
            except UnreachableError:
                pass
            time.sleep(_POLL_SECONDS)
        log = self._inputs()[0].log(APISERVER)
        msg = f"{path} did not answer within {_START_SECONDS:g} s. The end of {log}:\n{process.tail(log)}"
        raise StartError(msg)

    def _raise_if_one_died(self) -> None:
        for name, running in self._running.items():
            if not running.alive:
                what = f"{name} ended with code {running.handle.returncode}. The end of {running.log}:"
                msg = f"{what}\n{running.last_words()}"
                taken = "address already in use" in running.last_words(lines=100)
                raise _PortTakenError(msg) if taken else StartError(msg)

    def _end(self, name: str, grace: float) -> None:
        if running := self._running.pop(name, None):
            process.stop([running.id], grace)
            running.handle.wait()

    def _end_processes(self, grace: float = _GRACE_SECONDS) -> None:
        # etcd last, or the others would spend their last seconds looking for it.
        etcd = self._running.pop(ETCD, None)
        others = list(self._running.values())
        self._running.clear()
        process.stop((running.id for running in others), grace)
        process.stop([etcd.id] if etcd else [], grace)
        for running in [*others, *([etcd] if etcd else [])]:
            running.handle.wait()
