"""A running Bailiwick, and one decision point more, which knows an issuer of people's tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack import DecisionPoint
from issuer.keys import Signer
from issuer.server import serving
from support.pdp.fixtures import pdp
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said, post
from support.pdp.tenant import Tenants

__all__ = ["corp", "corp_tenants", "pdp"]

# The shortest that an issuer may be read again after, so that a test of rotation need not wait for long.
REFRESH = 10


@dataclass
class Corp:
    """An issuer, and the decision point that knows it. It names people as the API server does."""

    signer: Signer
    point: DecisionPoint
    cluster_url: str

    def ask(self, url: str, token: str, enforcer: str, body: dict[str, Any], actor_token: str | None = None) -> Said:
        """Ask as an enforcer, with a person's token for evidence."""
        evidence = {"subject_token": token} | ({} if actor_token is None else {"actor_token": actor_token})
        context = {**body.get("context", {}), "evidence": evidence}
        return post(url, {**body, "context": context}, enforcer)

    def acting(self, *accounts: str) -> list[dict[str, str]]:
        """Return service accounts as the actors of a token, the outermost first."""
        return [{"sub": account, "iss": self.cluster_url} for account in accounts]


@pytest.fixture(scope="session")
def corp(pdp: Bailiwick, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corp]:
    folder: Path = tmp_path_factory.mktemp("issuer")
    with serving(folder) as server:
        file = folder / "issuers.yaml"
        described = {
            "name": "corp",
            "issuer": server.signer.url,
            "caFile": str(server.ca_file),
            "allowPrivateAddresses": True,
            "refreshSeconds": REFRESH,
            "claims": {"kubernetesUsername": "{sub}"},
        }
        file.write_text(yaml.safe_dump({"issuers": [described]}))
        point = pdp.start_point("--issuers", str(file))
        url = pdp.cluster.rest().get("/.well-known/openid-configuration").body["issuer"]
        yield Corp(server.signer, point, url)


@pytest.fixture(scope="module")
def corp_tenants(pdp: Bailiwick, corp: Corp) -> Iterator[Tenants]:
    """Tenants that ask the decision point that knows the issuer."""
    tenants = pdp.tenants(corp.point)
    yield tenants
    tenants.namespaces.clean()
