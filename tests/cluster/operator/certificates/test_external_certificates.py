"""A certificate that somebody else issues: the operator publishes its authority, and writes neither Secret."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import requests

from bailiwick_api.accounts import Installation
from bailiwick_operator.certificates.issuer import CertificateIssuer
from bailiwick_operator.reconcile.certificates import Authority, Leaf, Terms
from cluster.operator.certificates.certificates import Certificates, configuration
from cluster.operator.operatorprocess import Operator
from support.waits import until, until_ok

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return (
        *("--tls-mode", "external", "--certificate-interval", "0.5"),
        *("--proof-interval", "3", "--health-port", str(health_port)),
    )


@pytest.fixture
def report(health_port: int) -> Callable[[], dict[str, Any]]:
    return lambda: dict(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json())


@pytest.fixture(autouse=True)
def _anew(certificates: Certificates) -> object:
    yield
    certificates.delete(certificates.serving)
    # An authority that is still trusted, and that the next Secret does not have, would be reported.
    certificates.delete_published()
    certificates.apply()


def issued(life: timedelta = timedelta(days=1)) -> tuple[Authority, Leaf]:
    maker = CertificateIssuer("somebody", Terms(frozenset({"pdp.example"}), timedelta(days=9), life))
    authority = maker.authority(datetime.now(UTC))
    return authority, maker.leaf(authority, datetime.now(UTC))


def given(certificates: Certificates, authority: Authority, leaf: Leaf, kind: str = "kubernetes.io/tls") -> None:
    texts = {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.certificate}
    certificates.delete(certificates.serving)
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    certificates.create(certificates.serving, kind, encoded)


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "Opaque"])
@pytest.mark.usefixtures("operator")
def test_its_authority_is_published_and_nothing_else_is_written(
    kind: str, certificates: Certificates, report: Callable[[], dict[str, Any]]
) -> None:
    certificates.apply_configuration()
    authority, leaf = issued()
    given(certificates, authority, leaf, kind)
    stored = certificates.body(certificates.serving)
    until_ok(lambda: certificates.answer(certificates.config_map), "a ConfigMap")
    until(lambda: certificates.bundle() == authority.certificate, "it is published")
    until(lambda: certificates.ca_bundle() == authority.certificate, "the API server trusts it")
    until(lambda: report()["certificateNotAfter"] == leaf.not_after.isoformat(), "its end is told")
    until(lambda: report()["certificates"] == "ok", "all is well")
    assert certificates.body(certificates.serving) == stored
    assert "data" not in certificates.body(certificates.ca)


@pytest.mark.usefixtures("operator")
def test_a_key_that_stands_beside_the_authority_is_not_published(
    certificates: Certificates, report: Callable[[], dict[str, Any]]
) -> None:
    certificates.apply_configuration()
    authority, leaf = issued()
    assert authority.key is not None
    beside = replace(authority, certificate=f"subject=pdp\n{authority.certificate}{authority.key}")
    given(certificates, beside, leaf)
    until_ok(lambda: certificates.answer(certificates.config_map), "a ConfigMap")
    until(lambda: certificates.bundle() == authority.certificate, "the authority alone is published")
    until(lambda: certificates.ca_bundle() == authority.certificate, "the API server trusts it")
    until(lambda: report()["certificates"] == "ok", "all is well")


@pytest.mark.usefixtures("operator")
def test_where_cert_manager_writes_the_ca_bundle_that_is_left_to_it(
    certificates: Certificates, installed: Installation, report: Callable[[], dict[str, Any]]
) -> None:
    annotations = {"cert-manager.io/inject-ca-from": "bailiwick-system/bailiwick-serving"}
    metadata = {**configuration(installed)["metadata"], "annotations": annotations}
    before = certificates.apply_configuration(metadata=metadata)
    authority, leaf = issued()
    given(certificates, authority, leaf)
    until_ok(lambda: certificates.answer(certificates.config_map), "a ConfigMap")
    until(lambda: certificates.bundle() == authority.certificate, "it is published")
    until(lambda: report()["certificates"] == "ok", "all is well")
    assert certificates.body(certificates.configuration) == before


WRONG: Final = {
    "it is empty": "cannot be used: it contains no certificate",
    "the key is another's": "cannot be used: the key does not match the certificate",
    "it ended": "the certificate in Secret bailiwick-serving expired at",
    "nothing to trust can be read": "ca.crt of Secret bailiwick-serving is not published: it contains no certificate",
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_with_it_is_told_and_not_put_right(
    how: str, operator: Operator, certificates: Certificates, report: Callable[[], dict[str, Any]]
) -> None:
    authority, leaf = issued(timedelta(seconds=1) if how == "it ended" else timedelta(days=1))
    _, other = issued()
    given(certificates, authority, leaf)
    data = certificates.body(certificates.serving)["data"]
    changed = {
        "it is empty": {"tls.crt": "", "tls.key": ""},
        "the key is another's": {"tls.key": base64.b64encode(other.key.encode()).decode()},
        "it ended": {},
        "nothing to trust can be read": {"ca.crt": base64.b64encode(b"nobody").decode()},
    }
    certificates.write(certificates.serving, {**data, **changed[how]})
    stored = certificates.body(certificates.serving)
    until(lambda: WRONG[how] in report()["certificates"], "it is told")
    assert certificates.body(certificates.serving) == stored
    assert "PRIVATE" not in operator.log.read_text()


@pytest.mark.usefixtures("operator")
def test_without_an_authority_of_its_own_nothing_is_published_and_nothing_is_wrong(
    certificates: Certificates, report: Callable[[], dict[str, Any]]
) -> None:
    authority, leaf = issued()
    # In one go: between two writes the operator would see the authority, and publish it.
    given(certificates, replace(authority, certificate=""), leaf)
    until(lambda: report()["certificateNotAfter"] == leaf.not_after.isoformat(), "it was seen")
    until(lambda: report()["certificates"] == "ok", "all is well")
    before = certificates.answer(certificates.config_map).body.get("data")
    later = datetime.now(UTC) + timedelta(seconds=1)
    until(lambda: datetime.now(UTC) > later, "a few looks")
    assert certificates.answer(certificates.config_map).body.get("data") == before
    assert authority.certificate not in str(before)
    assert report()["certificates"] == "ok"
