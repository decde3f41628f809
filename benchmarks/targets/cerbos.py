"""Cerbos, a peer: the same policies as resource policies, asked at its own AuthZEN endpoint.

Standing: the program comes from the npm package `cerbos` at an exact version, installed into the user's cache; npm is
needed for that once. Its audit log is off, which is to its advantage: Bailiwick's record is on.
"""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.rig import workload
from benchmarks.rig.servers import HOST, MissingError, Server, Servers, await_answer
from benchmarks.rig.workload import DELETE, EXPORT, MAX_ROWS, READ, Place
from localcluster.cache import builds_folder, locked
from localcluster.ports import free_ports
from localcluster.progress import Progress

VERSION: Final = "0.51.0"
_INSTALL_SECONDS: Final = 300.0
_CONDITION: Final = f"R.attr.rows <= {MAX_ROWS} && R.attr.region == P.attr.region && R.attr.classification != 'secret'"
_MACHINES: Final = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Cerbos:
    """The installed program."""

    binary: Path

    @classmethod
    def ensure(cls, progress: Progress) -> "Cerbos":
        """Install it if need be. Raises `MissingError`."""
        folder = builds_folder() / f"cerbos-{VERSION}"
        package = f"cerbos-{sys.platform}-{_MACHINES.get(platform.machine(), platform.machine())}"
        binary = folder / "node_modules" / "@cerbos" / package / package
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not binary.exists():
                with progress.step(f"Installing cerbos {VERSION} from its npm package, once"):
                    _install(folder)
        if not binary.exists():
            raise MissingError(f"the npm package cerbos {VERSION} has no program for this machine ({package})")
        return cls(binary)

    def start(self, servers: Servers, policies: int, *, name: str) -> Server:
        """Start it with this many policies; return it when it is ready."""
        folder = servers.folder / f"{name}.policies"
        folder.mkdir()
        for place in workload.places(policies):
            (folder / f"{place.name}.json").write_bytes(orjson.dumps(_policy(place)))
        port, grpc_port = free_ports(2)
        config = {
            "server": {"httpListenAddr": f"{HOST}:{port}", "grpcListenAddr": f"{HOST}:{grpc_port}"},
            "storage": {"driver": "disk", "disk": {"directory": str(folder), "watchForChanges": False}},
            "telemetry": {"disabled": True},
            "audit": {"enabled": False},
        }
        # JSON is YAML.
        path = servers.folder / f"{name}.config.yaml"
        path.write_text(json.dumps(config), encoding="utf-8")
        running = servers.spawn(name, [self.binary, "server", f"--config={path}", "--log-level=error"])
        ready = await_answer(running, port, "/_cerbos/health", 120.0)
        return Server(
            name, f"cerbos {VERSION}", running, port, lambda _: "/access/v1/evaluation", _allowed, ready_seconds=ready
        )


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("Cerbos comes as an npm package, and npm is not on the PATH (Debian: apt install npm)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: what an interrupted installation left is never taken for a whole one.
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder.parent) as temporary:
        command = [npm, "install", f"--prefix={temporary}", "--ignore-scripts", "--no-save", "--no-package-lock"]
        answer = subprocess.run(  # noqa: S603 - npm, and a pinned package without its scripts
            [*command, "--no-audit", "--no-fund", "--loglevel=error", f"cerbos@{VERSION}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
        if answer.returncode != 0:
            raise MissingError(f"npm could not install cerbos {VERSION}: {answer.stderr.strip()[-500:]}")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(temporary, folder, symlinks=True)


def _policy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {
            "resource": place.type,
            "version": "default",
            "rules": [
                _rule("read", "EFFECT_ALLOW", READ, place),
                _rule("export", "EFFECT_ALLOW", (EXPORT,), place, _CONDITION),
                _rule("delete", "EFFECT_ALLOW", (DELETE,), place),
                _rule("hold", "EFFECT_DENY", (DELETE,), place, "has(R.attr.hold) && R.attr.hold"),
            ],
        },
    }


def _rule(name: str, effect: str, actions: tuple[str, ...], place: Place, condition: str = "") -> dict[str, Any]:
    mine = f'P.id == "{place.agent}"'
    return {
        "name": name,
        "actions": list(actions),
        "effect": effect,
        # What AuthZEN calls the subject's type is a role here.
        "roles": ["serviceAccount"],
        "condition": {"match": {"expr": f"{mine} && ({condition})" if condition else mine}},
    }


def _allowed(said: bytes) -> bool:
    # A proto3 field: false may be left out.
    return bool(orjson.loads(said).get("decision", False))
