"""A real Envoy before a CRM API that asks nobody, by the files of examples/enforcement.

Standing: above `stack`, whose decision point it asks over TLS, and below the case. Holds: of the shipped files only
addresses, places of files and the names of policy and endpoint are put in, since examples/crm has those names here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests

from bailiwick_api.accounts import Installation
from demo.ground import ROOT
from demo.stack import Stack
from localcluster.pki import Authority
from localcluster.tokenrequest import Account
from proxies import envoy
from proxies.configurations import configured

HOST: Final = "crm.example.com"
NAME: Final = "crm-behind-envoy"
AGENT_ACCOUNT: Final = Account("agents", "crm-agent", (f"{NAME}.crm",))
_PROXY: Final = "spiffe://cluster.local/ns/gateways/sa/proxy"
_LINE: Final = re.compile(r"^(?:GET|POST) \S+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EnvoyFront:
    """A running Envoy, and the log of the API behind it."""

    url: str
    upstream: Path

    def reached(self) -> list[str]:
        """Return method and path of all calls that the API has seen."""
        return _LINE.findall(self.upstream.read_text(encoding="utf-8"))


def policy(stack: Stack) -> Path:
    """Write the policy, under names of its own."""
    file = stack.folder / "envoy" / "policy.yaml"
    file.parent.mkdir(exist_ok=True)
    names = {"\n  name: crm-agent\n": f"\n  name: {NAME}\n", "\n  endpoint: crm-api\n": f"\n  endpoint: {NAME}\n"}
    file.write_text(configured("policy.yaml", names), encoding="utf-8")
    return file


def start(stack: Stack, program: Path) -> EnvoyFront:
    """Start a decision point that proxies ask, the API, and Envoy. Raises `StartError`."""
    folder = stack.folder / "envoy"
    folder.mkdir(exist_ok=True)
    own = Installation()
    authority = Authority.at(folder, "ca")
    serving = authority.serving("serving", (f"{own.webhook_name}.{own.namespace}.svc",))
    client = authority.client("client", "proxy", uris=(_PROXY,))
    point = stack.start_guarded_point(serving, authority.certificate)
    upstream = stack.start_server(
        "plain-crm", lambda port: [ROOT / "examples" / "enforcement" / "plain_crm.py", f"--port={port}"]
    )

    def command(port: int) -> tuple[str, ...]:
        ports = (_port(upstream), _port(point.url))
        places = envoy.Places(port, *ports, client.certificate, client.key, authority.certificate)
        text = envoy.configuration("envoy.yaml", places).replace("/crm/crm-api", f"/crm/{NAME}")
        file = folder / "envoy.yaml"
        file.write_text(text, encoding="utf-8")
        return envoy.command(program, file)[1:]

    # Without a token: whoever has none is asked about, too.
    url = stack.start_server("envoy", command, program=program, status=requests.codes.unauthorized)
    return EnvoyFront(url, stack.folder / "plain-crm.log")


def _port(url: str) -> int:
    return urlsplit(url).port or 0
