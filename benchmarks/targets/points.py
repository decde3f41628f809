"""What proxies ask in the benchmarks: a decision point over TLS, or a server that allows everything.

Standing: starts them for `enforcement`; `envoy` and `proxies` start who asks. Holds: proxies prove themselves as their
shipped files say, by a client certificate or, HAProxy, by a token.
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

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from benchmarks.rig import workload
from benchmarks.rig.interpreters import CHECKOUT, Python
from benchmarks.rig.servers import HOST, Servers, await_answer, await_port
from localcluster.pki import Authority, Pair
from localcluster.ports import free_ports
from localcluster.process import RunningProcess

SERVICE: Final = "bailiwick-webhook.bailiwick-system.svc"
_PROXY: Final = "proxy.gateways"
_ISSUER: Final = "https://issuer.example"
_NAMESPACE: Final = "shop"
_ENDPOINT: Final = "orders"
_AGENT: Final = "system:serviceaccount:agents:agent"
_CONDITION: Final = "context.args.amount <= 500 && context.args.currency == 'EUR' && resource.id != '0'"
_QUERY_CONDITION: Final = "context.args.amount == '120' && context.args.currency == 'EUR' && resource.id != '0'"
_LIFE_SECONDS: Final = 6 * 3600
_PROXY_ACCOUNT: Final = "system:serviceaccount:gateways:proxy"
TENANT: Final = f"{_NAMESPACE}/{_ENDPOINT}"
"""Whose endpoint every proxy asks about."""
TARGET: Final = "/orders/8812/refund"
QUERY_TARGET: Final = "/orders/8812/notice?amount=120&currency=EUR"
"""A call whose arguments are in the query, for proxies that send no body."""
BODY: Final = b'{"amount": 120, "currency": "EUR", "note": "INC-4412"}'


@dataclass(frozen=True, slots=True)
class AskedPdp:
    """A decision point that proxies ask: its process, and the port of each of its contracts.

    `serving` is its certificate, `proxy` that of whoever asks, `token` the file of a token of the same account.
    """

    running: RunningProcess
    http: int
    grpc: int
    authority: Path
    serving: Pair
    proxy: Pair
    token: Path
    headers: Mapping[str, str]


def decision_point(servers: Servers, policies: int, *, name: str = "enforcing", python: Python = CHECKOUT) -> AskedPdp:
    """Start a decision point over files: this many policies, and the one that the proxies' calls are about."""
    folder = servers.folder / name
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
    # Of names HAProxy looks at the common one alone.
    serving, proxy = authority.serving(HOST, [SERVICE, HOST]), authority.serving("proxy", [_PROXY])
    port, grpc, status = free_ports(3)
    flags: list[str | Path] = ["--policies", held, "--issuers", issuers]
    flags += ["--tls-cert-file", serving.certificate, "--tls-key-file", serving.key]
    flags += ["--client-ca-file", authority.certificate, "--record-file", folder / "records.jsonl"]
    flags += [f"--port={port}", f"--grpc-port={grpc}", f"--status-port={status}", "--log-level=error"]
    command = [*python.command, "-m", "bailiwick_webhook", *flags]
    running = servers.spawn(f"{name} bailiwick", command, environment=python.environment)
    await_answer(running, status, "/readyz")
    bearer = f"Bearer {_token(key, _AGENT, f'{_ENDPOINT}.{_NAMESPACE}')}"
    headers = {"Host": "orders.example.com", "Authorization": bearer}
    token = folder / "token"
    token.write_text(_token(key, _PROXY_ACCOUNT, ENFORCER_AUDIENCE), encoding="utf-8")
    return AskedPdp(running, port, grpc, authority.certificate, serving, proxy, token, headers)


def bare(servers: Servers, kind: str, asked: AskedPdp | None = None) -> tuple[RunningProcess, int]:
    """Start a bare server (see `bare`): `allow` allows every call it is asked about, `upstream` serves every call.

    With `asked` over TLS, by the same certificates as that decision point.
    """
    (port,) = free_ports(1)
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.targets.bare", f"--kind={kind}", f"--port={port}"]
    tls = () if asked is None else _tls(asked)
    running = servers.spawn(f"{kind} {port}", [*command, *tls])
    await_port(running, port)
    return running, port


def grpc_bare(servers: Servers, asked: AskedPdp) -> tuple[RunningProcess, int]:
    """Start a server that allows every call it is asked about over gRPC, by the same certificates."""
    (port,) = free_ports(1)
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.targets.grpcallow", f"--port={port}"]
    running = servers.spawn("allow-all over gRPC", [*command, *_tls(asked)])
    await_port(running, port)
    return running, port


def _tls(asked: AskedPdp) -> tuple[str | Path, ...]:
    return "--tls", asked.serving.certificate, asked.serving.key, asked.authority


def _policy() -> dict[str, Any]:
    """Return the policy that decides: a rule with one condition over what the body says, and one over the query."""
    routes = [
        _route("refund", {"amount": "/amount", "currency": "/currency"}),
        _route("notice", {"amount": "{query.amount}", "currency": "{query.currency}"}),
    ]
    rules = [_rule("refund", _CONDITION), _rule("notice", _QUERY_CONDITION)]
    namespace, name = _AGENT.split(":")[2:]
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointPolicy",
        "metadata": {"namespace": _NAMESPACE, "name": "agent"},
        "spec": {
            "endpoint": _ENDPOINT,
            "endpointSettings": {
                "enforcers": [
                    {"certificate": {"dns": _PROXY}},
                    dict(zip(("namespace", "name"), _PROXY_ACCOUNT.split(":")[2:], strict=True)),
                ],
                "http": {"hosts": ["orders.example.com"], "routes": routes},
            },
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": namespace, "name": name}}],
            "rules": rules,
        },
    }


def _route(name: str, args: dict[str, str]) -> dict[str, Any]:
    return {
        "methods": ["POST"],
        "path": f"/orders/{{id}}/{name}",
        "action": f"orders.{name}",
        "resource": {"type": "order", "id": "{id}"},
        "args": args,
    }


def _rule(name: str, condition: str) -> dict[str, Any]:
    return {
        "name": name,
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": [f"orders.{name}"],
        "resources": [{"type": "order", "ids": ["*"]}],
        "conditions": [{"name": "bounds", "expression": condition}],
    }


def _token(key: ECKey, username: str, audience: str) -> str:
    now = int(time.time())
    claims = {
        "iss": _ISSUER,
        "sub": username,
        "aud": [audience],
        "iat": now - 1,
        "exp": now + _LIFE_SECONDS,
        "kubernetes.io": {"serviceaccount": {"name": username.rpartition(":")[2], "uid": f"{username}-uid"}},
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])
