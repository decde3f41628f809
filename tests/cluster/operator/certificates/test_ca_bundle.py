"""The caBundle of our webhook configuration on a real API server: one field under a manager of its own.

Holds: the rest of the configuration is whoever's installs it, and that one sees no drift.
"""

import base64
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import Installation
from bailiwick_kube.access import from_kubeconfig
from bailiwick_kube.connections import HttpTransport
from bailiwick_operator.certificates.publisher import CA_BUNDLE_MANAGER, PublishedBundles, Publisher
from bailiwick_operator.kube import OperatorClient
from cluster.operator.certificates.certificates import Certificates, configuration
from support.callers import Callers
from support.installation import accepted
from support.waits import until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return ("--proof-interval", "3", "--certificate-interval", "0.5", "--health-port", str(health_port))


@pytest.fixture
def health(health_port: int) -> Callable[[], str]:
    return lambda: str(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json()["certificates"])


@pytest.fixture(autouse=True)
def _gone_after(certificates: Certificates) -> object:
    yield
    certificates.delete_configuration()


def written(certificates: Certificates) -> None:
    certificates.await_whole()
    until(lambda: certificates.ca_bundle() == certificates.bundle(), "the caBundle is written")


def owners(body: dict[str, object]) -> dict[str, str]:
    """Return who owns what, by the names of managers."""
    metadata: dict[str, list[dict[str, object]]] = body["metadata"]  # type: ignore[assignment]  # what it is
    return {str(entry["manager"]): str(entry["fieldsV1"]) for entry in metadata["managedFields"]}


@pytest.mark.usefixtures("operator")
def test_what_is_installed_later_gets_its_bundle(certificates: Certificates) -> None:
    certificates.await_whole()
    assert certificates.answer(certificates.configuration).status == 404
    certificates.apply_configuration()
    written(certificates)
    found = owners(certificates.body(certificates.configuration))
    assert set(found) == {"helm", CA_BUNDLE_MANAGER}
    assert "f:caBundle" in found[CA_BUNDLE_MANAGER]
    assert "f:caBundle" not in found["helm"]
    assert "f:service" not in found[CA_BUNDLE_MANAGER]


@pytest.mark.usefixtures("operator")
def test_who_applies_the_rest_sees_no_drift_and_takes_nothing_away(certificates: Certificates) -> None:
    certificates.apply_configuration()
    written(certificates)
    before = certificates.body(certificates.configuration)
    # The API server stamps whoever applies anew once, after another manager came; nothing else ever differs.
    first = certificates.apply_configuration()
    assert first["webhooks"] == before["webhooks"]
    assert first["metadata"]["generation"] == before["metadata"]["generation"]
    assert owners(first) == owners(before)
    for _ in range(3):
        assert certificates.apply_configuration() == first
    later = datetime.now(UTC) + timedelta(seconds=2)
    until(lambda: datetime.now(UTC) > later, "a few looks")
    assert certificates.body(certificates.configuration) == first


@pytest.mark.usefixtures("operator")
def test_who_changes_the_rest_leaves_the_bundle(certificates: Certificates, installed: Installation) -> None:
    certificates.apply_configuration()
    written(certificates)
    webhooks = deepcopy(configuration(installed)["webhooks"])
    webhooks[0]["timeoutSeconds"] = 5
    certificates.apply_configuration(webhooks=webhooks)
    body = certificates.body(certificates.configuration)
    assert body["webhooks"][0]["timeoutSeconds"] == 5
    assert certificates.ca_bundle() == certificates.bundle()


@pytest.mark.parametrize("manager", ["kubectl-edit", "helm"])
@pytest.mark.usefixtures("operator")
def test_a_bundle_of_somebody_elses_is_put_right(
    manager: str, certificates: Certificates, callers: Callers, installed: Installation
) -> None:
    certificates.apply_configuration()
    written(certificates)
    webhooks = deepcopy(configuration(installed)["webhooks"])
    webhooks[0]["clientConfig"]["caBundle"] = base64.b64encode(OTHER.encode()).decode()
    accepted(callers.admin.apply(configuration(installed) | {"webhooks": webhooks}, manager, force=True))
    written(certificates)


OTHER: Final = """-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUbQ==
-----END CERTIFICATE-----
"""


@pytest.mark.usefixtures("operator")
def test_one_that_was_deleted_is_not_made_again(certificates: Certificates) -> None:
    certificates.apply_configuration()
    written(certificates)
    certificates.delete_configuration()
    later = datetime.now(UTC) + timedelta(seconds=2)
    until(lambda: datetime.now(UTC) > later, "a few looks")
    assert certificates.answer(certificates.configuration).status == 404
    certificates.apply_configuration()
    written(certificates)


@pytest.mark.usefixtures("operator")
def test_one_without_our_webhook_is_told_and_not_changed(
    certificates: Certificates, installed: Installation, health: Callable[[], str]
) -> None:
    certificates.await_whole()
    webhooks = deepcopy(configuration(installed)["webhooks"])
    webhooks[0]["name"] = "other.bailiwick.dev"
    before = certificates.apply_configuration(webhooks=webhooks)
    until(lambda: "has no webhook endpointpolicies.bailiwick.dev" in health(), "the operator says so")
    assert certificates.body(certificates.configuration) == before


@pytest.mark.usefixtures("operator")
def test_what_cert_manager_writes_is_left_to_it_and_that_is_told(
    certificates: Certificates, installed: Installation, health: Callable[[], str]
) -> None:
    certificates.await_whole()
    annotations = {"cert-manager.io/inject-ca-from": "bailiwick-system/bailiwick-serving"}
    metadata = {**configuration(installed)["metadata"], "annotations": annotations}
    before = certificates.apply_configuration(metadata=metadata)
    until(lambda: "that makes cert-manager write its caBundle" in health(), "the operator says so")
    assert certificates.body(certificates.configuration) == before


@pytest.mark.parametrize("moment", ["deleted", "made anew", "changed"])
async def test_between_read_and_write_it_is_neither_made_nor_overwritten(
    moment: str, certificates: Certificates, installed: Installation, account: Path
) -> None:
    certificates.apply_configuration()
    transport = HttpTransport(from_kubeconfig(account), 10, "test")
    kube = OperatorClient(transport, lambda: True)
    try:
        publisher = Publisher(kube, installed)
        read = await publisher.read()
        if moment != "changed":
            certificates.delete_configuration()
        if moment != "deleted":
            certificates.apply_configuration(metadata={"name": "bailiwick-endpointpolicies", "labels": {"a": "b"}})
        assert await publisher.publish(PublishedBundles(None, read.configuration), OTHER) in {True, False}
    finally:
        await transport.close()
    if moment == "deleted":
        assert certificates.answer(certificates.configuration).status == 404
    else:
        assert certificates.ca_bundle() == ""


async def test_the_account_may_not_make_one_even_if_it_wanted_to(callers: Callers, installed: Installation) -> None:
    answer = callers(installed.operator).apply(configuration(installed), CA_BUNDLE_MANAGER)
    assert answer.status == 403
