"""The serving certificate as the operator keeps it in real Secrets: issued, published, repaired, and renewed by hand.

Holds: what is seen here is what any reader sees; the operator's log never holds a key; each test leaves Secrets that
the operator can fill.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import requests

from bailiwick_operator.certificates import authorities
from bailiwick_operator.certificates.issuer import CertificateIssuer
from bailiwick_operator.reconcile.certificates import Terms
from cluster.operator.certificates.certificates import FOREIGN, TERMS, Certificates, encoded, now
from cluster.operator.operatorprocess import Operator
from support.installation import MANAGER
from support.waits import until, until_ok

pytestmark = pytest.mark.long

NAMES: Final = {
    "bailiwick-webhook",
    "bailiwick-webhook.bailiwick-system",
    "bailiwick-webhook.bailiwick-system.svc",
    "bailiwick-webhook.bailiwick-system.svc.cluster.local",
}


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


def test_the_first_certificate_is_there_soon_and_its_authority_is_published(
    operator: Operator, certificates: Certificates
) -> None:
    certificates.await_alone()
    leaf, (authority,) = certificates.leaf(), certificates.authorities()
    assert leaf.issuer == authority.id
    assert leaf.names == {*NAMES, "pdp.example", "10.1.2.3"}
    assert timedelta(days=89) < leaf.not_after - now() <= timedelta(days=90)
    assert timedelta(days=1824) < authority.not_after - now() <= timedelta(days=1825)
    assert certificates.bundle() == authority.certificate == certificates.entry(certificates.serving, "ca.crt")
    for path in (certificates.ca, certificates.serving):
        assert certificates.body(path)["type"] == "Opaque"
    said = operator.await_said("serving certificate issued")[-1]
    assert said["not_after"] == leaf.not_after.isoformat()


def test_what_is_as_it_should_be_is_not_written_again(operator: Operator, certificates: Certificates) -> None:
    certificates.await_whole()
    certificates.apply_configuration()
    try:
        until(lambda: certificates.ca_bundle() == certificates.bundle(), "the caBundle is written")
        paths = (certificates.ca, certificates.serving, certificates.config_map, certificates.configuration)

        def untouched() -> bool:
            """Tell whether a few looks in a row wrote nothing. What is seen for the first time is stamped once."""
            versions = [certificates.body(path)["metadata"]["resourceVersion"] for path in paths]
            quiet = now() + timedelta(seconds=2)
            until(lambda: now() > quiet, "a few looks")
            return [certificates.body(path)["metadata"]["resourceVersion"] for path in paths] == versions

        until(untouched, "nothing is written any more", 15)
        operator.await_said("the certificates are in order")
    finally:
        certificates.delete_configuration()


def test_applying_the_manifest_again_takes_nothing_away(operator: Operator, certificates: Certificates) -> None:
    certificates.await_whole()
    paths = (certificates.ca, certificates.serving)
    before = [certificates.body(path)["data"] for path in paths]
    certificates.apply()
    certificates.apply()
    assert [certificates.body(path)["data"] for path in paths] == before
    for path in paths:
        owners = {entry["manager"]: entry["fieldsV1"] for entry in certificates.body(path)["metadata"]["managedFields"]}
        assert "f:data" in owners["bailiwick-operator"]
        assert "f:data" not in owners[MANAGER]


def foreign() -> dict[str, str]:
    authority = FOREIGN.authority(now())
    leaf = FOREIGN.leaf(authority, now())
    return encoded(tls_crt=leaf.certificate, tls_key=leaf.key, ca_crt=authority.certificate)


def another_key() -> dict[str, str]:
    return encoded(tls_key=FOREIGN.leaf(FOREIGN.authority(now()), now()).key)


DAMAGED: Final[dict[str, Callable[[], dict[str, str]]]] = {
    "emptied": lambda: encoded(tls_crt="", tls_key="", ca_crt=""),
    "no certificate": lambda: encoded(tls_crt=""),
    "no key": lambda: encoded(tls_key=""),
    "prose": lambda: encoded(tls_crt="once upon a time", tls_key="there was"),
    "no text": lambda: {"tls.crt": base64.b64encode(b"\xff\xfe\x00").decode()},
    "a torn certificate": lambda: encoded(tls_crt="-----BEGIN CERTIFICATE-----\nMIIB"),
    "another's key": another_key,
    "another authority's": foreign,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_certificate_that_cannot_be_served_is_replaced_under_the_same_authority(
    damage: Callable[[], dict[str, str]], operator: Operator, certificates: Certificates
) -> None:
    before = certificates.await_alone()
    bundle = certificates.bundle()
    data = certificates.body(certificates.serving)["data"]
    certificates.write(certificates.serving, {**data, **damage(), "other": "b3RoZXI="})
    after = certificates.await_other(before)
    assert (after.issuer, certificates.bundle()) == (before.issuer, bundle)
    # What is not ours stays, and the operator too.
    assert certificates.body(certificates.serving)["data"]["other"] == "b3RoZXI="
    assert operator.process.poll() is None


@pytest.mark.usefixtures("operator")
def test_only_what_is_trusted_was_edited_and_it_is_put_right_without_another_certificate(
    certificates: Certificates,
) -> None:
    before = certificates.await_alone()
    data = certificates.body(certificates.serving)["data"]
    certificates.write(certificates.serving, {**data, **encoded(ca_crt="nobody")})
    until(lambda: certificates.entry(certificates.serving, "ca.crt") == certificates.bundle(), "it is put right")
    assert certificates.leaf() == before


EDITED: Final = {
    "emptied": {},
    "prose": {"ca.crt": "once upon a time"},
    "another authority added": {"ca.crt": FOREIGN.authority(datetime.now(UTC)).certificate},
}


@pytest.mark.parametrize("edited", EDITED.values(), ids=EDITED)
@pytest.mark.usefixtures("operator")
def test_what_is_published_is_put_right(edited: dict[str, str], certificates: Certificates) -> None:
    before = certificates.await_alone()
    bundle = certificates.bundle()
    certificates.write(certificates.config_map, {**edited, "other": "stays"})
    until(lambda: certificates.bundle() == bundle, "it is put right")
    assert certificates.body(certificates.config_map)["data"]["other"] == "stays"
    certificates.delete(certificates.config_map)
    until_ok(lambda: certificates.answer(certificates.config_map), "it is there again")
    assert certificates.bundle() == bundle
    assert certificates.leaf() == before


@pytest.mark.parametrize("which", ["ca", "serving"])
@pytest.mark.usefixtures("operator")
def test_a_secret_that_is_missing_is_asked_for_and_never_made(
    which: str, certificates: Certificates, health: Callable[[], str]
) -> None:
    certificates.await_whole()
    path = getattr(certificates, which)
    certificates.delete(path)
    try:
        until(
            lambda: (
                health()
                == f"Secret bailiwick-{which} is missing, so there is no certificate: apply crds/rbac/accounts.yaml"
            ),
            "the operator says so",
        )
        assert certificates.answer(path).status == 404
    finally:
        certificates.apply()
    certificates.await_whole()
    until(lambda: health() == "ok", "all is well again")


@pytest.mark.usefixtures("operator")
def test_a_secret_of_another_type_is_not_used(certificates: Certificates, health: Callable[[], str]) -> None:
    certificates.await_whole()
    data = certificates.body(certificates.serving)["data"]
    certificates.delete(certificates.serving)
    certificates.create(certificates.serving, "kubernetes.io/tls", data)
    try:
        until(
            lambda: "has type kubernetes.io/tls instead of Opaque and is not used" in health(), "the operator says so"
        )
    finally:
        certificates.delete(certificates.serving)
        certificates.apply()
    certificates.await_whole()


@pytest.mark.usefixtures("operator")
def test_where_nothing_may_be_written_that_is_told_and_mended_later(
    certificates: Certificates, health: Callable[[], str]
) -> None:
    certificates.await_whole()
    certificates.write(certificates.serving, {}, immutable=True)
    try:
        until(lambda: "immutable" in health(), "the operator says so")
    finally:
        certificates.delete(certificates.serving)
        certificates.apply()
    certificates.await_whole()


@pytest.mark.usefixtures("operator")
def test_what_cannot_be_published_keeps_no_certificate_from_being_renewed(
    certificates: Certificates, health: Callable[[], str]
) -> None:
    before = certificates.await_alone()
    certificates.write(certificates.config_map, {"ca.crt": "nobody"}, immutable=True)
    try:
        until(lambda: "ConfigMap bailiwick-ca cannot be written" in health(), "the operator says so")
        certificates.write(certificates.serving, {})
        until(lambda: certificates.entry(certificates.serving, "tls.crt") not in {"", before.certificate}, "another")
        assert certificates.leaf().issuer == before.issuer
    finally:
        certificates.delete(certificates.config_map)
    certificates.await_whole()
    until(lambda: health() == "ok", "all is well again")


@pytest.mark.usefixtures("operator")
def test_times_at_the_end_of_all_times_are_put_right(operator: Operator, certificates: Certificates) -> None:
    before = certificates.await_alone()
    end = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    ca = FOREIGN.authority(now())
    for annotation in ("0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "soon"):
        certificates.annotate(certificates.ca, bailiwick_dev__renew_before=annotation)
        certificates.annotate(certificates.serving, bailiwick_dev__renew_before=annotation)
    leaf = CertificateIssuer("somebody", Terms(TERMS.names, leaf_life=end - now() + timedelta(seconds=30))).leaf(
        replace(ca, not_before=end, not_after=end + timedelta(seconds=59)), now()
    )
    certificates.write(certificates.ca, {})
    certificates.write(certificates.serving, encoded(tls_crt=leaf.certificate, tls_key=leaf.key, ca_crt=ca.certificate))
    after = certificates.await_other(before)
    assert after.not_before <= now() < after.not_after
    assert operator.process.poll() is None


def test_no_key_is_ever_logged(operator: Operator, certificates: Certificates) -> None:
    leaf = certificates.await_whole()
    log = operator.log.read_text()
    assert "PRIVATE" not in log
    for pem in (leaf.key, *(each.key or "" for each in authorities.read(certificates.body(certificates.ca)["data"]))):
        assert not any(line in log for line in pem.splitlines() if line)
