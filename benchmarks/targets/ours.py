"""Bailiwick itself: the real process of the decision point, with policies from `workload`.

Standing: starts `bailiwick-webhook` as in a cluster, in front of a stand-in for the API server (`apiserver`), and,
where that mode exists, standalone from a folder of files. Holds: nothing of the product is replaced or told that it is
measured, and its record is on, to a file.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.distribution import DISTRIBUTION
from benchmarks.rig import workload
from benchmarks.rig.grants import grant
from benchmarks.rig.interpreters import Python
from benchmarks.rig.servers import HOST, MissingError, Server, Servers, await_answer, await_port
from benchmarks.rig.workload import ENDPOINT, GATEWAY, Request
from benchmarks.targets.apiserver import token
from localcluster.pki import Authority
from localcluster.ports import free_ports

WEBHOOK: Final = (sys.executable, "-m", "bailiwick_webhook")
# A hundred thousand policies take minutes on a slow machine.
_START_SECONDS: Final = 600.0


def in_cluster(
    servers: Servers,
    policies: int,
    *,
    load_core: int | None,
    grants: int = 0,
    name: str,
    program: tuple[str, ...] = WEBHOOK,
    python: Python | None = None,
) -> Server:
    """Start a decision point in front of the stand-in; return it when it is ready. `python`: by another interpreter."""
    opened = [grant(place) for place in workload.places(grants)]
    kubeconfig = start_stand_in(servers, policies, opened, load_core=load_core, name=name)
    if python is not None:
        program = (*python.command, *program[1:])
    environment = None if python is None else python.environment
    return _start(servers, name, ("--kubeconfig", kubeconfig, "--admission-port=0"), program, environment)


def stand_in(servers: Servers, name: str) -> str:
    """Return the URL of the stand-in that the decision point of this name was started in front of."""
    kubeconfig = yaml.safe_load(_kubeconfig(servers, name).read_text(encoding="utf-8"))
    return str(kubeconfig["clusters"][0]["cluster"]["server"])


def standalone(servers: Servers, policies: int, *, name: str, more: Iterable[dict[str, Any]] = ()) -> Server:
    """Start a decision point from a folder of files; return it when it is ready. Raises `MissingError`.

    `more` are policies besides the workload's.
    """
    said = subprocess.run([*WEBHOOK, "--help"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - ours
    if "--policies" not in said:
        raise MissingError("bailiwick-webhook has no --policies yet")
    folder = servers.folder / f"{name}.policies"
    folder.mkdir()
    for place in workload.places(policies):
        # JSON is YAML.
        (folder / f"{place.name}.yaml").write_bytes(orjson.dumps(workload.policy(place)))
    for number, policy in enumerate(more):
        (folder / f"more-{number}.yaml").write_bytes(orjson.dumps(policy))
    return _start(servers, name, ("--policies", folder, "--development"))


def _start(
    servers: Servers,
    name: str,
    source: tuple[str | Path, ...],
    program: tuple[str, ...] = WEBHOOK,
    environment: Mapping[str, str] | None = None,
) -> Server:
    port, status_port = free_ports(2)
    records = servers.folder / f"{name}.records.jsonl"
    flags = (f"--port={port}", f"--status-port={status_port}", "--log-level=error", "--drain-seconds=0.1")
    running = servers.spawn(name, [*program, *source, "--record-file", records, *flags], environment=environment)
    ready = await_answer(running, status_port, "/readyz", _START_SECONDS)
    return Server(
        name, f"bailiwick {version(DISTRIBUTION)}", running, port, _path, _allowed, as_itself, ready_seconds=ready
    )


def _kubeconfig(servers: Servers, name: str) -> Path:
    return servers.folder / f"{name} apiserver" / "kubeconfig.yaml"


def start_stand_in(
    servers: Servers, policies: int, grants: Iterable[dict[str, Any]] = (), *, load_core: int | None, name: str
) -> Path:
    """Start the stand-in on the core of the load; return a kubeconfig that leads to it."""
    kubeconfig = _kubeconfig(servers, name)
    folder = kubeconfig.parent
    folder.mkdir()
    pair = Authority.at(folder, "ca").serving("serving", [HOST])
    lists: dict[str, list[Any]] = {
        "policies": [workload.policy(place) for place in workload.places(policies)],
        "grants": [*grants],
    }
    flags: list[str | Path] = ["--certificate", pair.certificate, "--key", pair.key]
    for kind, objects in lists.items():
        (folder / f"{kind}.json").write_bytes(orjson.dumps(objects))
        flags += [f"--{kind}", folder / f"{kind}.json"]
    (port,) = free_ports(1)
    running = servers.spawn(
        folder.name,
        [sys.executable, "-m", "benchmarks.targets.apiserver", f"--port={port}", *flags],
        core=load_core,
    )
    here = {"server": f"https://{HOST}:{port}", "certificate-authority": pair.certificate.with_name("ca.crt").name}
    entries = {
        "clusters": [{"name": "it", "cluster": here}],
        "users": [{"name": "it", "user": {"token": "any"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    kubeconfig.write_text(yaml.safe_dump({"current-context": "it", **entries}), encoding="utf-8")
    await_port(running, port, _START_SECONDS)
    return kubeconfig


def _path(request: Request) -> str:
    return request.path


def _allowed(said: bytes) -> bool:
    return bool(orjson.loads(said)["decision"])


@cache
def _token(username: str, audience: str) -> str:
    return token(username, audience)


def as_itself(request: Request) -> Mapping[str, str]:
    """The subject asks about itself, as an enforcer of its endpoint: so the body is the same that others get."""
    return {"Authorization": f"Bearer {_token(request.subject, ENFORCER_AUDIENCE)}"}


def as_gateway(_: Request) -> Mapping[str, str]:
    """The gateway asks, for a subject whose token it sends along (`with_token`): the way it is meant to be used."""
    return {"Authorization": f"Bearer {_token(GATEWAY, ENFORCER_AUDIENCE)}"}


def with_token(request: Request) -> bytes:
    """Return the body with the subject's token as evidence."""
    audience = f"{ENDPOINT}.{request.place.namespace}"
    evidence = {"evidence": {"subject_token": _token(request.subject, audience)}}
    return orjson.dumps({**request.body, "context": {**request.body["context"], **evidence}})
