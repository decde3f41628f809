"""The manifests of the gateway's example, as a real API server takes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_api.accounts import Installation
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.installation import accepted, apply

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "enforcement" / "mcp"


def documents(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLE / file).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def admin(callers: Callers, installed: Installation) -> Iterator[Rest]:
    """A client of a cluster with Bailiwick's definitions, and with the accounts of the example."""
    apply(callers.admin, documents("accounts.yaml"))
    yield callers.admin
    callers.admin.delete("/api/v1/namespaces/shop")


def pod(change: dict[str, Any]) -> dict[str, Any]:
    (deployment,) = [one for one in documents("gateway.yaml") if one["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    template["spec"]["containers"][0] |= change
    metadata = {"namespace": "shop", "name": "gateway", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def test_the_api_server_takes_every_manifest(admin: Rest) -> None:
    for document in (*documents("policy.yaml"), *documents("gateway.yaml")):
        stored = accepted(admin.create(document))
        # Nothing that it does not know was dropped.
        assert stored["spec"].keys() >= document["spec"].keys()


def test_a_pod_of_it_may_run_under_the_restricted_profile(admin: Rest) -> None:
    def create(change: dict[str, Any]) -> Answer:
        return admin.create(pod(change), dry_run=True)

    accepted(create({}))
    assert 'violates PodSecurity "restricted' in create({"securityContext": {}}).message
