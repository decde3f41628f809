"""Bailiwick itself: the real processes of the decision point, with policies from `workload`.

Standing: starts `bailiwick-webhook` as users do, in two ways: against a stand-in for the API server (`apiserver`), and
standalone from a folder, where that mode exists. Holds: nothing of the product is replaced or told that it is measured.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from benchmarks import workload
from benchmarks.apiserver import token
from benchmarks.servers import HOST, MissingError, Server, Servers, await_answer
from benchmarks.workload import ENDPOINT, GATEWAY, Request
from localcluster.pki import Authority
from localcluster.ports import free_ports

_WEBHOOK: Final = (sys.executable, "-m", "bailiwick_webhook")
_START_SECONDS: Final = 120.0


def version() -> str:
    """Return what is measured: the installed version."""
    from importlib.metadata import version as installed

    return f"bailiwick {installed('bailiwick')}"


def in_cluster(servers: Servers, policies: int, *, grants: int = 0, name: str = "bailiwick") -> Server:
    """Start a decision point in front of the stand-in, its record on and to a file; return it when it is ready."""
    kubeconfig = _stand_in(servers, policies, grants, name)
    records = servers.folder / f"{name}.records.jsonl"
    (port, status_port) = free_ports(2)
    running = servers.spawn(
        name,
        [*_WEBHOOK, "--kubeconfig", kubeconfig, "--record-file", records, "--log-level=warning", "--drain-seconds=0.1"]
        + [f"--port={port}", f"--status-port={status_port}"],
    )
    await_answer(running, status_port, "/readyz", _START_SECONDS)
    return Server(name, version(), running, port, path_of, allowed, _as_itself)


def _stand_in(servers: Servers, policies: int, grants: int, name: str) -> Path:
    """Start the stand-in on the core of the load; return a kubeconfig that leads to it."""
    folder = servers.folder / f"{name}.apiserver"
    folder.mkdir()
    pair = Authority.at(folder, "ca").serving("serving", [HOST])
    lists = {"policies": [workload.policy(place) for place in workload.places(policies)], "grants": []}
    del grants
    for kind, objects in lists.items():
        (folder / f"{kind}.json").write_bytes(orjson.dumps(objects))
    (port,) = free_ports(1)
    running = servers.spawn(
        f"{name}.apiserver",
        [sys.executable, "-m", "benchmarks.apiserver", f"--port={port}", "--policies", folder / "policies.json"]
        + ["--grants", folder / "grants.json", "--certificate", pair.certificate, "--key", pair.key],
    )
    kubeconfig = folder / "kubeconfig.yaml"
    entries = {
        "clusters": [{"name": "it", "cluster": {"server": f"https://{HOST}:{port}", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "it", "user": {"token": "any"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    kubeconfig.write_text(yaml.safe_dump({"current-context": "it", **entries}), encoding="utf-8")
    _await_port(running, port)
    return kubeconfig


def path_of(request: Request) -> str:
    return request.path


def allowed(said: bytes) -> bool:
    return bool(orjson.loads(said)["decision"])


@cache
def _token(username: str, audience: str) -> str:
    return token(username, audience)


def _as_itself(request: Request) -> Mapping[str, str]:
    """The subject asks about itself, as an enforcer of its endpoint: the body is the same that others get."""
    return {"Authorization": f"Bearer {_token(request.subject, ENFORCER_AUDIENCE)}"}
