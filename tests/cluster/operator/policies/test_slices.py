"""In a cluster the decision point's processes are found by the EndpointSlices of its Service."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.operatorprocess import NewOperator
from cluster.operator.policies.programmed import await_told, create
from localcluster import process
from localcluster.access import Cluster
from localcluster.ports import free_ports
from localcluster.process import spawn
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support.callers import Callers
from support.installation import accepted
from support.objects import Object

pytestmark = pytest.mark.long

SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
NONE: Final = "no process of the decision point is ready"


@pytest.fixture(scope="module")
def host() -> str:
    """An address of this machine that a slice may hold: not of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def port(
    cluster: Cluster, installed: Installation, host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The status port of a decision point."""
    folder = tmp_path_factory.mktemp("point")
    who = Account(installed.namespace, installed.webhook_name)
    with TokenFile(cluster, who, folder / "token") as token:
        (status,), (decisions,) = free_ports(1, host), free_ports(1)
        flags = (f"--kubeconfig={token.write_kubeconfig()}", f"--record-file={folder / 'records'}")
        ports = (f"--port={decisions}", "--admission-port=0", f"--status-host={host}", f"--status-port={status}")
        command = ("-m", "bailiwick_webhook", *flags, *ports)
        running = spawn("webhook", [sys.executable, *command], folder / "log")
        yield status
        process.stop([running.id])
        running.handle.wait()


@pytest.fixture(scope="module")
def operator(account: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewOperator]:
    """One that is told of no URL."""
    operators = NewOperator(account, tmp_path_factory.mktemp("alone"))
    with operators():
        yield operators
    operators.kill_all()


def endpoint(host: str, **conditions: bool) -> Object:
    return {"endpoints": [{"addresses": [host], "conditions": conditions}]}


def test_a_ready_endpoint_is_asked_and_one_that_is_not_is_not(
    operator: NewOperator, host: str, port: int, callers: Callers, namespace: str, installed: Installation
) -> None:
    admin = callers.admin
    body = create(admin, namespace)
    await_told(admin, body, "Unknown", NONE)
    labels = {"kubernetes.io/service-name": installed.webhook_name}
    one = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "bailiwick-webhook-x", "namespace": installed.namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "status", "port": port}],
        **endpoint(host, ready=False),
    }
    stored = accepted(admin.create(one, SLICES.format(installed.namespace)))
    # Longer than between two looks.
    time.sleep(6)
    await_told(admin, body, "Unknown", NONE)
    accepted(admin.patch(stored, endpoint(host, ready=True)))
    await_told(admin, body, "True", "1 of 1 processes serve generation 1")
