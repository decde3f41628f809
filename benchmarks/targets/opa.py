"""OPA, a peer: the same policies as indexed Rego rules, with the decision log off and on.

Standing: built from the pin in `pins/opa` by the recipes of `localcluster`, into the user's cache. Where deciding is
measured, there are three Rego rules a policy, which OPA's rule index finds by the type of the resource, and the bare
body goes to `/v0/data`: of four ways tried side by side the fastest. Rules as data decide a twelfth slower and start
far sooner, so the start is measured both ways. The decision log goes to a file, as Bailiwick's record does; OPA's own
access log is off.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.rig import workload
from benchmarks.rig.servers import HOST, MissingError, Server, Servers, await_answer
from benchmarks.rig.workload import DELETE, EXPORT, MAX_ROWS, READ, Place
from localcluster import build
from localcluster.errors import LocalClusterError
from localcluster.pins import Module
from localcluster.ports import free_ports
from localcluster.progress import Progress

_PINS: Final = Path(__file__).resolve().parent / "pins"
_START_SECONDS: Final = 120.0
_PACKAGE: Final = "github.com/open-policy-agent/opa"
_HEAD: Final = "package bench\n\ndefault allow := false\n"
_AS_DATA: Final = """
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
	input.resource.properties.rows <= policy.rows
	input.resource.properties.region == input.subject.properties.region
	input.resource.properties.classification != "secret"
}

allow if {
	input.action.name == policy.delete
	mine
	not input.resource.properties.hold
}
"""
_RULES: Final = """
allow if {{
	input.resource.type == "{type}"
	input.subject.type == "serviceAccount"
	input.subject.id == "{agent}"
	input.action.name in {{{read}}}
}}

allow if {{
	input.resource.type == "{type}"
	input.subject.type == "serviceAccount"
	input.subject.id == "{agent}"
	input.action.name == "{export}"
	input.resource.properties.rows <= {rows}
	input.resource.properties.region == input.subject.properties.region
	input.resource.properties.classification != "secret"
}}

allow if {{
	input.resource.type == "{type}"
	input.subject.type == "serviceAccount"
	input.subject.id == "{agent}"
	input.action.name == "{delete}"
	not input.resource.properties.hold
}}
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

    def start(self, servers: Servers, policies: int, *, log: bool, name: str, as_data: bool = False) -> Server:
        """Start it with this many policies; return it when it is ready."""
        folder = servers.folder / f"{name}.policies"
        folder.mkdir()
        places = workload.places(policies)
        rules = _AS_DATA if as_data else "".join(map(_rules, places))
        (folder / "bench.rego").write_text(_HEAD + rules, encoding="utf-8")
        data = {"policies": {place.type: _data(place) for place in places}} if as_data else {}
        (folder / "data.json").write_bytes(orjson.dumps(data))
        (port,) = free_ports(1)
        command: list[str | Path] = [self.binary, "run", "--server", f"--addr={HOST}:{port}", "--log-level=error"]
        command += ["--skip-version-check", *(("--set=decision_logs.console=true",) if log else ())]
        running = servers.spawn(name, [*command, folder / "bench.rego", folder / "data.json"])
        ready = await_answer(running, port, "/health", _START_SECONDS)
        return Server(
            name,
            f"opa {self.version}",
            running,
            port,
            lambda _: "/v0/data/bench/allow",
            orjson.loads,
            ready_seconds=ready,
        )


def _data(place: Place) -> dict[str, object]:
    return {"subject": place.agent, "read": READ, "export": EXPORT, "delete": DELETE, "rows": MAX_ROWS}


def _rules(place: Place) -> str:
    read = ", ".join(f'"{action}"' for action in READ)
    return _RULES.format(type=place.type, agent=place.agent, read=read, export=EXPORT, rows=MAX_ROWS, delete=DELETE)
