"""The scene of every test of a proxy: a decision point with the shipped policy, the proxy, an upstream, tokens."""

import copy
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from joserfc.jwk import ECKey

from proxies.configurations import EXAMPLES
from support.objects import AGENT
from support.pdp.standalone import COMMAND, Process
from support.proxies.authority import PairFiles, TestAuthority
from unit.webhook.identity.forgery import compact, signing

ISSUER: Final = "https://kubernetes.default.svc"
PROXY_URI: Final = "spiffe://cluster.local/ns/gateways/sa/proxy"
PROXY_ACCOUNT: Final = "system:serviceaccount:gateways:proxy"
SERVER_NAME: Final = "bailiwick-webhook.bailiwick-system.svc"
LIFE: Final = 6 * 3600


class Scene:
    """Keys, certificates and files of one decision point that is reached over TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.authority = TestAuthority(folder / "pki", "authority")
        self.clients = TestAuthority(folder / "pki", "clients")
        self.serving = self.authority.server("serving", SERVER_NAME)
        self.proxy = self.clients.client("proxy", uris=(PROXY_URI,))
        self.account = PROXY_ACCOUNT
        self.client_ca = folder / "client-ca.crt"
        self.client_ca.write_bytes(self.clients.pem)
        self.policies = folder / "policies"
        self.policies.mkdir()
        shutil.copy(EXAMPLES / "policy.yaml", self.policies / "policy.yaml")
        (folder / "cluster.json").write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))
        issuers = [{"name": "cluster", "issuer": ISSUER, "jwksFile": "cluster.json"}]
        (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": issuers}))

    def point(
        self,
        log: Any,  # noqa: ANN401 - a file
        *flags: str,
        grpc: bool = False,
        command: Sequence[str] = COMMAND,
    ) -> Process:
        """Start the decision point."""
        return Process(
            self.folder,
            self.policies,
            log,
            *("--issuers", str(self.folder / "issuers.yaml")),
            *("--tls-cert-file", str(self.serving.certificate), "--tls-key-file", str(self.serving.key)),
            *("--client-ca-file", str(self.client_ca), "--tls-poll-seconds", "0.2"),
            *flags,
            grpc=grpc,
            command=command,
        )

    def token(self, username: str = AGENT, audience: str = "crm-api.crm", *, seconds: float = LIFE) -> str:
        """Return a service account's token."""
        now = time.time()
        account = {"serviceaccount": {"name": "x", "uid": f"{username}-uid"}}
        claims = {"iss": ISSUER, "sub": username, "aud": [audience], "iat": now - 1, "exp": now + seconds}
        header = {"alg": "ES256", "kid": self.key.kid}
        return compact(header, {**claims, "kubernetes.io": account}, signing(self.key, "ES256"))

    def bearer(self, username: str = AGENT) -> tuple[str, str]:
        """Return the header by which a caller proves itself."""
        return "Authorization", f"Bearer {self.token(username)}"

    def by_a_stranger(self) -> "Scene":
        """Return the same scene with a proxy that proves itself and that no policy names."""
        other = copy.copy(self)
        other.proxy, other.account = self.stranger, "system:serviceaccount:gateways:other"
        return other

    @property
    def stranger(self) -> PairFiles:
        """A certificate that is fit for the port and named by no policy."""
        return self.clients.client("stranger", uris=("spiffe://cluster.local/ns/gateways/sa/other",))
