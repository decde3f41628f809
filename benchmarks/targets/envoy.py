"""Calls through a real Envoy, which asks nobody, a server that allows everything, or Bailiwick.

Standing: starts them for `enforcement`, with the configuration that ships (`examples/enforcement/envoy`). Holds: only
addresses, places of files and what is served are put in; Envoy serves the call itself, so that there is no upstream to
measure.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.rig import workload
from benchmarks.rig.servers import HOST, MissingError, Servers, await_answer
from localcluster.errors import LocalClusterError
from localcluster.pki import Authority, Pair
from localcluster.ports import free_ports
from localcluster.process import RunningProcess
from proxies import envoy

_SERVICE: Final = "bailiwick-webhook.bailiwick-system.svc"
_PROXY: Final = "proxy.gateways"
_ISSUER: Final = "https://issuer.example"
_NAMESPACE: Final = "shop"
_ENDPOINT: Final = "orders"
_AGENT: Final = "system:serviceaccount:agents:agent"
_CONDITION: Final = "context.args.amount <= 500 && context.args.currency == 'EUR' && resource.id != '0'"
_LIFE_SECONDS: Final = 6 * 3600
TARGET: Final = "/orders/8812/refund"
BODY: Final = b'{"amount": 120, "currency": "EUR", "note": "INC-4412"}'


@dataclass(frozen=True, slots=True)
class AskedPdp:
    """A decision point that Envoy asks: its process, and the port of each of its contracts."""

    running: RunningProcess
    http: int
    grpc: int
    authority: Path
    proxy: Pair
    headers: Mapping[str, str]


def decision_point(servers: Servers, policies: int) -> AskedPdp:
    """Start a decision point over files: this many policies, and the one that Envoy's calls are about."""
    folder = servers.folder / "enforcing"
    held = folder / "policies"
    held.mkdir(parents=True)
    for place in workload.places(policies - 1):
        (held / f"{place.name}.yaml").write_bytes(orjson.dumps(workload.policy(place)))
    (held / "orders.yaml").write_bytes(orjson.dumps(_policy()))
    key = ECKey.generate_key("P-256", {"kid": "one"})
    (folder / "keys.json").write_bytes(orjson.dumps({"keys": [key.as_dict(private=False)]}))
    issuers = folder / "issuers.yaml"
    issuers.write_text(
        yaml.safe_dump({"issuers": [{"name": "cluster", "issuer": _ISSUER, "jwksFile": "keys.json"}]}),
        encoding="utf-8",
    )
    pki = folder / "pki"
    pki.mkdir()
    authority = Authority.at(pki, "ca")
    serving, proxy = authority.serving("serving", [_SERVICE]), authority.serving("proxy", [_PROXY])
    port, grpc, status = free_ports(3)
    flags: list[str | Path] = ["--policies", held, "--issuers", issuers]
    flags += ["--tls-cert-file", serving.certificate, "--tls-key-file", serving.key]
    flags += ["--client-ca-file", authority.certificate, "--record-file", folder / "records.jsonl"]
    flags += [f"--port={port}", f"--grpc-port={grpc}", f"--status-port={status}", "--log-level=error"]
    running = servers.spawn("enforcing bailiwick", [sys.executable, "-m", "bailiwick_webhook", *flags])
    await_answer(running, status, "/readyz")
    headers = {"Host": "orders.example.com", "Authorization": f"Bearer {_token(key)}"}
    return AskedPdp(running, port, grpc, authority.certificate, proxy, headers)


def bare(servers: Servers) -> tuple[RunningProcess, int]:
    """Start a server that allows every call it is asked about, as fast as aiohttp can."""
    (port,) = free_ports(1)
    running = servers.spawn(
        "allow-all", [sys.executable, "-m", "benchmarks.targets.bare", "--kind=allow", f"--port={port}"]
    )
    await_answer(running, port, "/ready")
    return running, port


def by_http(servers: Servers, asked: AskedPdp) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks Bailiwick over HTTP."""
    return _start(servers, "Envoy by HTTP", _configuration("envoy.yaml", asked, asked.http, 443))


def by_grpc(servers: Servers, asked: AskedPdp) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks Bailiwick over gRPC."""
    return _start(servers, "Envoy by gRPC", _configuration("envoy-grpc.yaml", asked, asked.grpc, 8444))


def by_bare(servers: Servers, asked: AskedPdp, port: int) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks the server that allows everything, in the clear."""
    made = _configuration("envoy.yaml", asked, port, 443)
    for cluster in made["static_resources"]["clusters"]:
        cluster.pop("transport_socket", None)
    service = _filters(made)[0]["typed_config"]["http_service"]
    service["server_uri"]["uri"] = "http://bailiwick"
    return _start(servers, "Envoy by allow-all", made)


def asking_nobody(servers: Servers, asked: AskedPdp) -> tuple[RunningProcess, int]:
    """Start an Envoy without the filter."""
    made = _configuration("envoy.yaml", asked, 1, 443)
    del _filters(made)[0]
    return _start(servers, "Envoy alone", made)


def _configuration(name: str, asked: AskedPdp, port: int, shipped: int) -> dict[str, Any]:
    # No upstream: below, Envoy is told to answer itself.
    places = envoy.Places(0, 1, port, asked.proxy.certificate, asked.proxy.key, asked.authority)
    text = envoy.configuration(name, places, shipped, {"crm/crm-api": f"{_NAMESPACE}/{_ENDPOINT}"})
    made: dict[str, Any] = yaml.safe_load(text)
    # After its filters.
    (route,) = _manager(made)["route_config"]["virtual_hosts"][0]["routes"]
    route.pop("route")
    route["direct_response"] = {"status": 200, "body": {"inline_string": "true"}}
    return made


def _start(servers: Servers, name: str, configuration: dict[str, Any]) -> tuple[RunningProcess, int]:
    try:
        program = envoy.ensure()
    except LocalClusterError as error:
        raise MissingError(str(error)) from error
    (port,) = free_ports(1)
    (listener,) = configuration["static_resources"]["listeners"]
    listener["address"]["socket_address"] = {"address": HOST, "port_value": port}
    # Whether it listens is not to be asked through its filters, which deny: its administration knows.
    (admin,) = free_ports(1)
    configuration["admin"] = {"address": {"socket_address": {"address": HOST, "port_value": admin}}}
    file = servers.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    running = servers.spawn(name, envoy.command(program, file))
    await_answer(running, admin, "/ready")
    return running, port


def _manager(configuration: dict[str, Any]) -> dict[str, Any]:
    (listener,) = configuration["static_resources"]["listeners"]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def _filters(configuration: dict[str, Any]) -> list[Any]:
    found: list[Any] = _manager(configuration)["http_filters"]
    return found


def _policy() -> dict[str, Any]:
    """Return the policy that decides: one rule with one condition, over what the body says."""
    route = {
        "methods": ["POST"],
        "path": "/orders/{id}/refund",
        "action": "orders.refund",
        "resource": {"type": "order", "id": "{id}"},
        "args": {"amount": "/amount", "currency": "/currency"},
    }
    rule = {
        "name": "refund",
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": ["orders.refund"],
        "resources": [{"type": "order", "ids": ["*"]}],
        "conditions": [{"name": "bounds", "expression": _CONDITION}],
    }
    namespace, name = _AGENT.split(":")[2:]
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointPolicy",
        "metadata": {"namespace": _NAMESPACE, "name": "agent"},
        "spec": {
            "endpoint": _ENDPOINT,
            "endpointSettings": {
                "enforcers": [{"certificate": {"dns": _PROXY}}],
                "http": {"hosts": ["orders.example.com"], "routes": [route]},
            },
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": namespace, "name": name}}],
            "rules": [rule],
        },
    }


def _token(key: ECKey) -> str:
    now = int(time.time())
    claims = {
        "iss": _ISSUER,
        "sub": _AGENT,
        "aud": [f"{_ENDPOINT}.{_NAMESPACE}"],
        "iat": now - 1,
        "exp": now + _LIFE_SECONDS,
        "kubernetes.io": {"serviceaccount": {"name": "agent", "uid": "agent-uid"}},
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])
