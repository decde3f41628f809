"""decern-serve, a peer: the same policies in Cedar, asked at its AuthZEN endpoint, with its ledger on.

Standing: cargo builds the program from the crate `decern-server` at an exact version into the user's cache, which takes
minutes, once. Its data holds principals, resources and organizations only, and Cedar names a type of resource in the
policy itself; so what a place allows is policy, not data. Cedar goes through every policy for each decision: of the
forms tried side by side the fastest is one Cedar policy in which each place is an alternative, the type first. One for
each place takes twice the processor time, and one for each rule more than four times. Cedar's types have no hyphens, so
each type of the workload has an alias. An action declares of the context what its rule reads; the rest is dropped
before the decision. It authenticates nobody (`--trust-proxy`), which is to its advantage. Its ledger is as it comes: a
decision is signed and on the disk before it is answered. A worker waits for that, so there are as many as connections;
by itself it would start one for each core, and with one it answers half as many.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.rig import workload
from benchmarks.rig.load import CONNECTIONS
from benchmarks.rig.servers import HOST, MissingError, Server, Servers, await_answer
from benchmarks.rig.workload import DELETE, EXPORT, MAX_ROWS, READ, Place
from localcluster.cache import builds_folder, locked
from localcluster.ports import free_ports
from localcluster.progress import Progress

VERSION: Final = "0.6.0"
_PROGRAM: Final = "decern-serve"
# Two hundred crates on two busy cores.
_INSTALL_SECONDS: Final = 1_800.0
# Before it listens, it checks the policy for each pair of an action and a type.
_START_SECONDS: Final = 300.0
_SUBJECT: Final = "serviceAccount"
_SCHEMA: Final = """\
entity {subject};
entity {types};
action {read} appliesTo {{
  principal: [{subject}], resource: [{types}],
  context: {{ now: Long }}
}};
action "{export}" appliesTo {{
  principal: [{subject}], resource: [{types}],
  context: {{
    now: Long,
    subject: {{ region: String }},
    resource: {{ rows: Long, region: String, classification: String }}
  }}
}};
action "{delete}" appliesTo {{
  principal: [{subject}], resource: [{types}],
  context: {{ now: Long, resource?: {{ hold?: Bool }} }}
}};
"""
_POLICY: Final = """\
@id("{id}")
permit (principal, action, resource) when {{
  {places}
}};
"""
_PLACE: Final = """\
(
    resource is {type} && principal == {subject}::"{agent}" && (
      action in [{read}] ||
      (
        action == Action::"{export}" &&
        context.resource.rows <= {rows} &&
        context.resource.region == context.subject.region &&
        context.resource.classification != "secret"
      ) ||
      (
        action == Action::"{delete}" &&
        !(context has resource && context.resource has hold && context.resource.hold)
      )
    )
  )"""


@dataclass(frozen=True, slots=True)
class Decern:
    """The built program."""

    binary: Path

    @classmethod
    def ensure(cls, progress: Progress) -> "Decern":
        """Build it if need be. Raises `MissingError`."""
        binary = program()
        folder = binary.parents[1]
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not binary.exists():
                with progress.step(f"Building {_PROGRAM} {VERSION} from its crate, once: usually 6 minutes on 2 cores"):
                    _install(folder)
        return cls(binary)

    def start(self, servers: Servers, policies: int, *, name: str) -> Server:
        """Start it with this many policies; return it when it is ready."""
        model = servers.folder / f"{name}.model"
        model.mkdir()
        for file, text in model_files(list(workload.places(policies))).items():
            (model / file).write_text(text, encoding="utf-8")
        (port,) = free_ports(1)
        command: list[str | Path] = [self.binary, f"--addr={HOST}:{port}", "--trust-proxy", "--model", model]
        command += ["--ledger", servers.folder / f"{name}.ledger.jsonl", "--key", servers.folder / f"{name}.key"]
        command += ["--missions", servers.folder / f"{name}.missions.json"]
        command += [f"--authzen-type-alias={place.type}={_type(place)}" for place in workload.places(policies)]
        # Read by tokio when it starts the workers.
        running = servers.spawn(name, command, environment={**os.environ, "TOKIO_WORKER_THREADS": str(CONNECTIONS)})
        ready = await_answer(running, port, "/healthz", _START_SECONDS)
        return Server(
            name,
            f"{_PROGRAM} {VERSION}",
            running,
            port,
            lambda _: "/access/v1/evaluation",
            _allowed,
            ready_seconds=ready,
        )


def program() -> Path:
    """Return where the program lies once it is built."""
    return builds_folder() / f"decern-{VERSION}" / "bin" / _PROGRAM


def _install(folder: Path) -> None:
    # rustup puts it into the home folder, and on the PATH of login shells only.
    cargo = shutil.which("cargo") or shutil.which("cargo", path=os.fspath(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        raise MissingError(
            f"{_PROGRAM} is built by cargo, which is neither on the PATH nor in ~/.cargo/bin: install Rust with rustup"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: what an interrupted build left is never taken for a whole one.
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder.parent) as temporary:
        root = Path(temporary) / "root"
        command = [cargo, "install", "decern-server", "--version", VERSION, "--locked", "--quiet", f"--root={root}"]
        try:
            subprocess.run(  # noqa: S603 - cargo, and a pinned crate with the versions that it was released with
                command, capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise MissingError(_failed(error.stderr.strip()[-500:])) from error
        except subprocess.TimeoutExpired as error:
            raise MissingError(_failed(f"it took more than {_INSTALL_SECONDS:g} s")) from error
        shutil.rmtree(folder, ignore_errors=True)
        root.rename(folder)


def _failed(why: str) -> str:
    command = f"cargo install decern-server --version {VERSION} --locked"
    return f"cargo could not build {_PROGRAM} {VERSION}; '{command}' says all of it: {why}"


def model_files(places: Sequence[Place]) -> dict[str, str]:
    """Return the files of the model, by name: what is declared, what is allowed, and nobody, since none is listed."""
    types = ", ".join(map(_type, places))
    read = ", ".join(f'"{action}"' for action in READ)
    schema = _SCHEMA.format(subject=_SUBJECT, types=types, read=read, export=EXPORT, delete=DELETE)
    return {
        "authority.cedarschema": schema,
        "authority.cedar": _POLICY.format(id="customers", places=_any_of(list(map(_place, places)))),
        "entities.json": "[]",
    }


def _any_of(terms: Sequence[str]) -> str:
    """Join them as a balanced tree: Cedar goes down an expression by recursion, and a chain would be too deep."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({_any_of(terms[:middle])} || {_any_of(terms[middle:])})"


def _place(place: Place) -> str:
    return _PLACE.format(
        subject=_SUBJECT,
        agent=place.agent,
        type=_type(place),
        read=", ".join(f'Action::"{action}"' for action in READ),
        export=EXPORT,
        rows=MAX_ROWS,
        delete=DELETE,
    )


def _type(place: Place) -> str:
    """Return the type of resource as an identifier of Cedar."""
    return place.type.replace("-", "_")


def _allowed(said: bytes) -> bool:
    return bool(orjson.loads(said)["decision"])
