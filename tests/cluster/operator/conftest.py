"""A control plane for each module, because an operator that runs would interfere with everybody else's grants.

Holds: the fixtures of the same names as everywhere (`callers`, `installed`) are here those of that control plane, and
so is what tests/conftest.py makes of them, such as `namespace`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.certificates.certificates import Certificates
from cluster.operator.grants.grants import Grants
from cluster.operator.keys.keys import Secret
from cluster.operator.operatorprocess import NewOperator, Operator
from cluster.operator.pdpprocess import ServesAll
from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from localcluster.ports import free_ports
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support.callers import Callers
from support.installation import install
from support.namespaces import Roles


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane of this module alone, which its tests may break."""
    with ControlPlane(build.ensure()) as plane:
        yield plane


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> Cluster:
    return plane.cluster


@pytest.fixture(scope="module")
def callers(cluster: Cluster) -> Iterator[Callers]:
    with Callers(cluster) as callers:
        yield callers


@pytest.fixture(scope="module")
def installed(callers: Callers) -> Installation:
    installation = Installation()
    install(callers, installation)
    return installation


@pytest.fixture(scope="module")
def health_port() -> int:
    """The port of the operator's `/healthz`, for a module whose `lowered` passes `--health-port`."""
    (port,) = free_ports(1)
    return port


@pytest.fixture
def roles(callers: Callers, namespace: str) -> Roles:
    """Dave and Erin may approve in the namespace of the test, Carol may revoke too."""
    roles = Roles(callers.admin, namespace)
    roles.bind("bailiwick-approve", "dave", "erin", "carol")
    return roles


@pytest.fixture
def grants(callers: Callers, installed: Installation, namespace: str, roles: Roles) -> Grants:
    """Opens grants as the decision point and reviews them as people."""
    return Grants(callers, installed, namespace)


@pytest.fixture
def secret(callers: Callers, installed: Installation) -> Secret:
    """The Secret of the signing keys."""
    return Secret(callers, installed)


@pytest.fixture
def certificates(callers: Callers, installed: Installation) -> Certificates:
    """The certificate, its authorities, and where they are published."""
    return Certificates(callers, installed)


@pytest.fixture(scope="module")
def account(cluster: Cluster, installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig of the operator's service account."""
    folder = tmp_path_factory.mktemp("account")
    with TokenFile(cluster, Account(installed.namespace, installed.operator_name), folder / "token") as token:
        yield token.write_kubeconfig()


@pytest.fixture(scope="module")
def serving() -> Iterator[ServesAll]:
    """What stands for the decision point."""
    with ServesAll() as point:
        yield point


@pytest.fixture(scope="module")
def new_operator(account: Path, serving: ServesAll, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewOperator]:
    """Describe one more operator, not yet started; whatever still runs at the end is killed."""
    operators = NewOperator(account, tmp_path_factory.mktemp("operators"), f"--replica={serving.url}")
    yield operators
    operators.kill_all()


@pytest.fixture(scope="module")
def operator(new_operator: NewOperator, lowered: Sequence[str]) -> Iterator[Operator]:
    """One operator that leads for the whole module."""
    with new_operator(*lowered) as operator:
        yield operator


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    """Flags of `operator`. Proofs come when something asks for them, and every few seconds."""
    return ("--proof-interval", "3")
