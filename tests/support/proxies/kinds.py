"""Every kind of proxy that a configuration ships for: how it is started between a decision point and an upstream."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from localcluster import build
from localcluster.node import needs
from localcluster.ports import free_ports
from proxies import envoy
from proxies.configurations import EXAMPLES, configured
from support.proxies.proxyprocess import RunningProxy
from support.proxies.scene import SERVER_NAME, Scene

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
Changes = Mapping[str, str]


class Starts(Protocol):
    """Starts a proxy before these ports of upstream and decision point. `changes`: more to replace in its file."""

    def __call__(
        self, scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE, /
    ) -> RunningProxy: ...


def _envoy(scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE) -> RunningProxy:
    return _an_envoy(scene, folder, upstream, point, changes, "envoy.yaml", 443)


def envoy_grpc(scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE) -> RunningProxy:
    """Start Envoy before the gRPC port of a decision point."""
    return _an_envoy(scene, folder, upstream, point, changes, "envoy-grpc.yaml", 8444)


def _an_envoy(
    scene: Scene, folder: Path, upstream: int, point: int, changes: Changes, name: str, asked: int
) -> RunningProxy:
    (port,) = free_ports(1)
    own = scene.proxy
    places = envoy.Places(port, upstream, point, own.certificate, own.key, scene.authority.bundle)
    file = _written(folder / name, envoy.configuration(name, places, asked, changes))
    return RunningProxy(envoy.command(envoy.ensure(), file), port, folder / "envoy.log")


def _nginx(scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE) -> RunningProxy:
    (port,) = free_ports(1)
    replaced = {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "server crm-api.crm.svc:8080 max_fails=0;": f"server 127.0.0.1:{upstream} max_fails=0;",
        f"server {SERVER_NAME}:443 ": f"server 127.0.0.1:{point} ",
        "/etc/nginx/client/tls.crt": str(scene.proxy.certificate),
        "/etc/nginx/client/tls.key": str(scene.proxy.key),
        "/etc/nginx/bailiwick/ca.crt": str(scene.authority.bundle),
        "pid /run/nginx.pid;": f"pid {folder}/nginx.pid; daemon off;",
    } | dict(changes)
    file = _written(folder / "nginx.conf", configured("nginx/nginx.conf", replaced))
    if os.geteuid() == 0:
        # Its workers are somebody else, who must be able to reach its files.
        file.write_text(f"user root;\n{file.read_text()}", encoding="utf-8")
    return RunningProxy((_program("nginx"), "-c", file, "-p", folder, "-e", "stderr"), port, folder / "nginx.log")


def _haproxy(scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE) -> RunningProxy:
    (port,) = free_ports(1)
    token = _written(folder / "token", scene.token(scene.account, "bailiwick") + "\n")
    lua = {
        f"https://{SERVER_NAME}:443/": f"https://127.0.0.1:{point}/",
        "/var/run/secrets/bailiwick/token": str(token),
    }
    # It has two files: a change is of the one that has its text.
    text = (EXAMPLES / "haproxy" / "bailiwick.lua").read_text(encoding="utf-8")
    of_script = {old: new for old, new in changes.items() if old in text}
    script = _written(folder / "bailiwick.lua", configured("haproxy/bailiwick.lua", lua | of_script))
    replaced = {
        "/etc/haproxy/bailiwick.lua": str(script),
        "/etc/haproxy/bailiwick-ca.crt": str(scene.authority.bundle),
        "bind :8080": f"bind 127.0.0.1:{port}",
        "server crm crm-api.crm.svc:8080": f"server crm 127.0.0.1:{upstream}",
    } | {old: new for old, new in changes.items() if old not in of_script}
    file = _written(folder / "haproxy.cfg", configured("haproxy/haproxy.cfg", replaced))
    return RunningProxy((_program("haproxy"), "-f", file, "-db"), port, folder / "haproxy.log")


def _caddy(scene: Scene, folder: Path, upstream: int, point: int, changes: Changes = _NONE) -> RunningProxy:
    (port,) = free_ports(1)
    replaced = {
        "http://:8080 {": f"http://:{port} {{\n\tbind 127.0.0.1",
        f"https://{SERVER_NAME}:443": f"https://127.0.0.1:{point}",
        "crm-api.crm.svc:8080": f"127.0.0.1:{upstream}",
        "/etc/caddy/client/tls.crt": str(scene.proxy.certificate),
        "/etc/caddy/client/tls.key": str(scene.proxy.key),
        "/etc/caddy/bailiwick/ca.crt": str(scene.authority.bundle),
    } | dict(changes)
    file = _written(folder / "Caddyfile", configured("caddy/Caddyfile", replaced))
    program = build.ensure(build.caddy()) / "caddy"
    return RunningProxy((program, "run", "--config", file, "--adapter", "caddyfile"), port, folder / "caddy.log")


BY_HTTP: Final[dict[str, Starts]] = {"envoy": _envoy, "nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}
PROXIES: Final[dict[str, Starts]] = {**BY_HTTP, "envoy-grpc": envoy_grpc}


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _program(name: str) -> Path:
    found = needs.find(name)
    assert found is not None, f"there is no {name}: `python -m proxies packages` installs it"
    return found
