"""An API server without ClusterTrustBundles, as before Kubernetes 1.37: the ConfigMap is published as ever."""

from collections.abc import Iterator, Sequence

import pytest
import requests

from cluster.operator.certificates.certificates import Certificates
from cluster.operator.operatorprocess import Operator
from localcluster import build
from localcluster.controlplane import ControlPlane, Settings
from support.callers import Callers
from support.waits import until


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    flags = ("--feature-gates", "ClusterTrustBundle=false,ClusterTrustBundleProjection=false")
    with ControlPlane(build.ensure(), settings=Settings(apiserver_flags=flags)) as plane:
        yield plane


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return ("--proof-interval", "3", "--certificate-interval", "0.3", "--health-port", str(health_port))


def test_everything_else_is_published_and_nothing_is_said_to_be_wrong(
    operator: Operator, certificates: Certificates, callers: Callers, health_port: int
) -> None:
    certificates.await_whole()
    assert callers.admin.get("/apis/certificates.k8s.io/v1/clustertrustbundles").status == 404

    def health() -> str:
        return str(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json()["certificates"])

    until(lambda: health() == "ok", "all is well")
    assert operator.said("the certificates are not in order") == []
