"""The serving certificate as the operator keeps it in real Secrets: issued, published, repaired, and renewed by hand.

Holds: what is seen here is what any reader sees; the operator's log never holds a key; each test leaves Secrets that
the operator can fill.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import requests

from cluster.operator.certificates import Certificates
from cluster.operator.running import Operator
from localcluster.ports import free_ports
from support.waiting import until

NAMES: Final = {
    "bailiwick-webhook",
    "bailiwick-webhook.bailiwick-system",
    "bailiwick-webhook.bailiwick-system.svc",
    "bailiwick-webhook.bailiwick-system.svc.cluster.local",
}


@pytest.fixture(scope="module")
def health_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return (
        *("--proof-interval", "3", "--certificate-interval", "0.5", "--ca-settle-seconds", "3"),
        *("--health-port", str(health_port), "--serving-name", "pdp.example", "--serving-name", "10.1.2.3"),
    )


@pytest.fixture
def health(health_port: int) -> Callable[[], str]:
    """What the operator's health says of the certificates."""
    return lambda: str(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json()["certificates"])


def now() -> datetime:
    return datetime.now(UTC)


def test_the_first_certificate_is_there_soon_and_its_authority_is_published(
    operator: Operator, certificates: Certificates
) -> None:
    leaf = certificates.await_whole()
    (authority,) = certificates.authorities()
    assert leaf.issuer == authority.id
    assert leaf.names == {*NAMES, "pdp.example", "10.1.2.3"}
    assert timedelta(days=89) < leaf.not_after - now() <= timedelta(days=90)
    assert timedelta(days=1824) < authority.not_after - now() <= timedelta(days=1825)
    assert certificates.bundle() == authority.certificate == certificates.entry(certificates.serving, "ca.crt")
    for path in (certificates.ca, certificates.serving):
        assert certificates.body(path)["type"] == "Opaque"
    (said,) = operator.await_said("serving certificate issued")
    assert said["not_after"] == leaf.not_after.isoformat()


def test_what_is_as_it_should_be_is_not_written_again(operator: Operator, certificates: Certificates) -> None:
    certificates.await_whole()
    certificates.apply_configuration()
    try:
        until(lambda: certificates.ca_bundle() == certificates.bundle(), "the caBundle is written")
        paths = (certificates.ca, certificates.serving, certificates.config_map, certificates.configuration)
        settled = now() + timedelta(seconds=2)
        until(lambda: now() > settled, "whatever was seen for the first time is stamped")
        versions = [certificates.body(path)["metadata"]["resourceVersion"] for path in paths]
        quiet = now() + timedelta(seconds=2)
        until(lambda: now() > quiet, "a few looks")
        assert [certificates.body(path)["metadata"]["resourceVersion"] for path in paths] == versions
        operator.await_said("the certificates are as they should be")
    finally:
        certificates.delete_configuration()
