"""OPA, a peer: the same policies as Rego over indexed data, with the decision log off and on.

Standing: built from the pin in `pins/opa` by the recipes of `localcluster`, into the user's cache. The rules are data,
found by the type of the resource, and the Rego is the same for all: of the ways that OPA offers, the fastest that was
found. The log goes to a file, as Bailiwick's does, and OPA's own access log is off.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks import workload
from benchmarks.servers import HOST, MissingError, Server, Servers, await_answer
from benchmarks.workload import DELETE, EXPORT, MAX_ROWS, READ, Place, Request
from localcluster import build
from localcluster.errors import LocalClusterError
from localcluster.pins import Module
from localcluster.ports import free_ports
from localcluster.progress import Progress

_PINS: Final = Path(__file__).resolve().parent / "pins"
_PACKAGE: Final = "github.com/open-policy-agent/opa"
_REGO: Final = """\
package bench

default allow := false

policy := data.policies[input.resource.type]

mine if {
	input.subject.type == "serviceAccount"
	input.subject.id == policy.subject
}

allow if {
	input.action.name in policy.read
	mine
}

allow if {
	input.action.name == policy.export
	mine
	input.resource.properties.rows <= policy.max_rows
	input.resource.properties.region == input.subject.properties.region
	input.resource.properties.classification != "secret"
}

allow if {
	input.action.name == policy.delete
	mine
	not input.resource.properties.hold
}
"""


class _Pin(Module):
    """A module whose pin lies here."""

    __slots__ = ()

    @property
    def folder(self) -> Path:
        """Where its go.mod and go.sum lie."""
        return _PINS / self.name


@dataclass(frozen=True, slots=True)
class Opa:
    """The built program."""

    binary: Path
    version: str

    @classmethod
    def ensure(cls, progress: Progress) -> "Opa":
        """Build it if need be. Raises `MissingError`."""
        module = _Pin("opa", {"opa": _PACKAGE}, {})
        recipe = build.GoRecipe((module,), usual="usually 2 minutes on 2 cores")
        try:
            return cls(build.ensure(recipe, progress) / "opa", module.version_of(_PACKAGE).removeprefix("v"))
        except LocalClusterError as error:
            raise MissingError(f"OPA could not be built: {error}") from error

    def start(self, servers: Servers, policies: int, *, log: bool, name: str) -> Server:
        """Start it with this many policies; return it when it is ready."""
        folder = servers.folder / f"{name}.policies"
        folder.mkdir()
        (folder / "bench.rego").write_text(_REGO, encoding="utf-8")
        data = {"policies": {place.type: _data(place) for place in workload.places(policies)}}
        (folder / "data.json").write_bytes(orjson.dumps(data))
        (port,) = free_ports(1)
        command: list[str | Path] = [self.binary, "run", "--server", f"--addr={HOST}:{port}", "--log-level=error"]
        command += ["--skip-version-check", *(("--set=decision_logs.console=true",) if log else ())]
        running = servers.spawn(name, [*command, folder / "bench.rego", folder / "data.json"])
        await_answer(running, port, "/health")
        return Server(name, f"opa {self.version}", running, port, lambda _: "/v1/data/bench/allow", _allowed, body=_body)


def _data(place: Place) -> dict[str, Any]:
    return {"subject": place.agent, "read": READ, "export": EXPORT, "delete": DELETE, "max_rows": MAX_ROWS}


def _body(request: Request) -> bytes:
    return b'{"input":' + request.encoded() + b"}"


def _allowed(said: bytes) -> bool:
    return bool(orjson.loads(said)["result"])
