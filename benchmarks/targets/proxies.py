"""Calls through a real nginx, HAProxy or Caddy, without a check, or asking the server at a port.

Standing: starts them for `enforcement`, with the configurations that ship (`examples/enforcement`). Holds: only
addresses and places of files are put in, and without a check, the question alone is taken out; each runs as one
process, whose processor time can be told, and passes calls on to an upstream, since none of them serves after it asked.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.rig.servers import HOST, MissingError, Servers, await_port
from benchmarks.targets.points import SERVICE, TENANT, AskedPdp
from localcluster import build
from localcluster.errors import LocalClusterError
from localcluster.node import needs
from localcluster.ports import free_ports
from localcluster.process import RunningProcess
from proxies.configurations import configured

Start = Callable[[Servers, AskedPdp, int | None, int], tuple[RunningProcess, int]]
"""Starts a proxy that asks at a port, or nobody, before the port of an upstream."""

_ENDPOINT: Final = "crm/crm-api"
_UPSTREAM: Final = "crm-api.crm.svc:8080"


def _nginx(servers: Servers, asked: AskedPdp, port: int | None, upstream: int) -> tuple[RunningProcess, int]:
    folder, own = _folder(servers, "nginx", port)
    replaced = {
        "listen 8080;": f"listen {HOST}:{own};",
        f"server {_UPSTREAM};": f"server {HOST}:{upstream};",
        f"server {SERVICE}:443 ": f"server {HOST}:{port or 1} ",
        "/etc/nginx/client/tls.crt": str(asked.proxy.certificate),
        "/etc/nginx/client/tls.key": str(asked.proxy.key),
        "/etc/nginx/bailiwick/ca.crt": str(asked.authority),
        "pid /run/nginx.pid;": f"pid {folder}/nginx.pid; daemon off;",
        "worker_processes auto;": "master_process off;",
        _ENDPOINT: TENANT,
    }
    text = configured("nginx/nginx.conf", replaced)
    if port is None:
        text = _without(r" +auth_request /_bailiwick;\n", text)
    file = _written(folder / "nginx.conf", text)
    command = (_program("nginx"), "-c", file, "-p", folder, "-e", "stderr")
    return _started(servers, folder.name, command, own)


def _haproxy(servers: Servers, asked: AskedPdp, port: int | None, upstream: int) -> tuple[RunningProcess, int]:
    folder, own = _folder(servers, "haproxy", port)
    lua = {
        f"https://{SERVICE}:443/": f"https://{HOST}:{port or 1}/",
        "/var/run/secrets/bailiwick/token": str(asked.token),
        _ENDPOINT: TENANT,
    }
    script = _written(folder / "bailiwick.lua", configured("haproxy/bailiwick.lua", lua))
    replaced = {
        "/etc/haproxy/bailiwick.lua": str(script),
        "/etc/haproxy/bailiwick-ca.crt": str(asked.authority),
        "bind :8080": f"bind {HOST}:{own}",
        f"server crm {_UPSTREAM}": f"server crm {HOST}:{upstream}",
    }
    if port is None:
        replaced["http-request lua.bailiwick"] = "http-request set-var(txn.allow) bool(true)"
    file = _written(folder / "haproxy.cfg", configured("haproxy/haproxy.cfg", replaced))
    return _started(servers, folder.name, (_program("haproxy"), "-f", file, "-db"), own)


def _caddy(servers: Servers, asked: AskedPdp, port: int | None, upstream: int) -> tuple[RunningProcess, int]:
    folder, own = _folder(servers, "caddy", port)
    replaced = {
        "http://:8080 {": f"http://:{own} {{\n\tbind {HOST}",
        f"https://{SERVICE}:443": f"https://{HOST}:{port or 1}",
        _UPSTREAM: f"{HOST}:{upstream}",
        "/etc/caddy/client/tls.crt": str(asked.proxy.certificate),
        "/etc/caddy/client/tls.key": str(asked.proxy.key),
        "/etc/caddy/bailiwick/ca.crt": str(asked.authority),
        _ENDPOINT: TENANT,
    }
    text = configured("caddy/Caddyfile", replaced)
    if port is None:
        text = _without(r"(?s)\t\tforward_auth .*?\n\t\t\}\n", text)
    file = _written(folder / "Caddyfile", text)
    try:
        program = build.ensure(build.caddy()) / "caddy"
    except LocalClusterError as error:
        raise MissingError(str(error)) from error
    return _started(servers, folder.name, (program, "run", "--config", file, "--adapter", "caddyfile"), own)


PROXIES: Final[Mapping[str, Start]] = {"nginx": _nginx, "HAProxy": _haproxy, "Caddy": _caddy}


def _folder(servers: Servers, name: str, port: int | None) -> tuple[Path, int]:
    folder = servers.folder / f"{name}-{port or 'alone'}"
    folder.mkdir()
    (own,) = free_ports(1)
    return folder, own


def _without(pattern: str, text: str) -> str:
    found, count = re.subn(pattern, "", text)
    if count != 1:
        raise MissingError(f"the shipped file asks {count} times, where it should ask once")
    return found


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def _program(name: str) -> Path:
    found = needs.find(name)
    if found is None:
        raise MissingError(f"there is no {name}: `python -m proxies packages` installs it")
    return found


def _started(servers: Servers, name: str, command: tuple[str | Path, ...], port: int) -> tuple[RunningProcess, int]:
    running = servers.spawn(name, command)
    await_port(running, port)
    return running, port
