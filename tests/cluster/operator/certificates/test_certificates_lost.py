"""Certificates that are lost, or renewed by hand, on a real API server: what was trusted stays so for a while.

Holds: each test leaves Secrets that the operator can fill.
"""

import base64
import json
import os
import ssl
import subprocess
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from bailiwick_operator.certificates import issuer
from cluster.operator.certificates.certificates import FOREIGN, Certificates, encoded, now
from cluster.operator.operatorprocess import Operator
from demo.ground import KUBECTL
from localcluster.access import Cluster
from support import pages
from support.waits import until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--certificate-interval", "0.5", "--ca-settle-seconds", "3")


def lost(certificates: Certificates) -> dict[str, dict[str, str]]:
    """Return contents of the Secret of the authorities that are no good, by what is wrong with them."""
    (one, *_) = json.loads(base64.b64decode(certificates.body(certificates.ca)["data"]["authorities.json"]))
    stranger = FOREIGN.authority(now())

    def held(*entries: object) -> dict[str, str]:
        return {"authorities.json": base64.b64encode(json.dumps(entries).encode()).decode()}

    return {
        "emptied": {},
        "prose": encoded(authorities_json="once upon a time"),
        "no authorities": held(),
        "another's key": held({**one, "key": stranger.key}),
        "a time that is none": held({**one, "publishedTime": "soon"}),
        "twice": held(one, one),
        "a certificate of a server": held({**one, "certificate": certificates.leaf().certificate, "key": None}),
        "a name that cannot be read": held({**one, "certificate": _renamed(one["certificate"])}),
    }


def _renamed(pem: str) -> str:
    """Return a certificate with a name that is no UTF-8; it fits its key as before."""
    raw = bytearray(ssl.PEM_cert_to_DER_cert(pem))
    while (at := raw.find(b"bailiwick-webhook CA")) >= 0:
        raw[at] = 0xFF
    return ssl.DER_cert_to_PEM_cert(bytes(raw))


@pytest.mark.parametrize(
    "how",
    [
        "emptied",
        "prose",
        "no authorities",
        "another's key",
        "a time that is none",
        "twice",
        "a certificate of a server",
        "a name that cannot be read",
    ],
)
def test_an_authority_that_is_lost_stays_trusted_until_another_has_settled(
    how: str, operator: Operator, certificates: Certificates
) -> None:
    before, bundle = certificates.await_alone(), certificates.bundle()
    certificates.write(certificates.ca, lost(certificates)[how])
    until(lambda: len(issuer.ids(certificates.bundle())) == 2, "old and new are published")
    assert bundle in certificates.bundle()
    # Nobody knows the new one yet.
    assert certificates.leaf() == before
    published = now()
    after = certificates.await_other(before)
    assert (now() - published).total_seconds() > 2
    assert after.issuer != before.issuer
    until(lambda: before.issuer not in issuer.ids(certificates.bundle()), "the old one is removed")
    assert (now() - published).total_seconds() > 4
    assert certificates.leaf() == after
    assert operator.said("certificate authority removed")[-1]["authority"] == before.issuer[:16]


@pytest.mark.usefixtures("operator")
def test_when_all_is_emptied_everything_begins_anew_at_once(certificates: Certificates) -> None:
    before = certificates.await_alone()
    certificates.write(certificates.ca, {})
    certificates.write(certificates.serving, {})
    until(lambda: certificates.whole() and certificates.leaf().issuer != before.issuer, "another authority", 10)
    until(lambda: before.issuer not in issuer.ids(certificates.bundle()), "the old one is trusted no more", 10)


def test_a_certificate_is_renewed_when_somebody_asks(certificates: Certificates, operator: Operator) -> None:
    before = certificates.await_alone()
    asked = now().replace(microsecond=0) + timedelta(seconds=2)
    certificates.annotate(certificates.serving, bailiwick_dev__renew_before=asked.isoformat())
    after = certificates.await_other(before)
    assert (after.issuer, now() >= asked) == (before.issuer, True)
    # It is not asked for again and again.
    times = len(operator.said("serving certificate issued"))
    later = now() + timedelta(seconds=2)
    until(lambda: now() > later, "a few looks")
    assert len(operator.said("serving certificate issued")) == times


@pytest.mark.usefixtures("operator")
def test_an_authority_is_succeeded_when_somebody_asks(certificates: Certificates) -> None:
    before = certificates.await_alone()
    # Times have whole seconds, and what was made in this one is not made again.
    certificates.annotate(certificates.ca, bailiwick_dev__renew_before=(now() + timedelta(seconds=1)).isoformat())
    until(lambda: len(issuer.ids(certificates.bundle())) == 2, "old and new are published")
    assert certificates.leaf() == before
    after = certificates.await_other(before)
    until(lambda: len(certificates.authorities()) == 2 and certificates.authorities()[0].key is None, "its key is gone")
    until(lambda: issuer.ids(certificates.bundle()) == {after.issuer}, "the old one is removed")
    assert [each.id for each in certificates.authorities()] == [after.issuer]


@pytest.fixture
def shell(cluster: Cluster) -> Callable[[str], None]:
    """Run a line of the documentation as the administrator."""
    path = f"{KUBECTL.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig("admin")), "PATH": path}

    def run(line: str) -> None:
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, check=False, env=environment, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.usefixtures("operator")
def test_by_hand_it_goes_as_the_documentation_says(certificates: Certificates, shell: Callable[[str], None]) -> None:
    renewing, emptying = pages.blocks("reference/certificates.md", "sh")
    leaf_line, authority_line = renewing.splitlines()
    before = certificates.await_alone()
    # Times have whole seconds, and what was made in this one is not made again.
    later = now() + timedelta(seconds=1.1)
    until(lambda: now() > later, "a second")
    shell(leaf_line)
    after = certificates.await_other(before)
    assert after.issuer == before.issuer
    shell(authority_line)
    until(lambda: len(issuer.ids(certificates.bundle())) == 2, "old and new are published")
    assert certificates.leaf() == after
    assert certificates.await_other(after).issuer != before.issuer
    known = issuer.ids(certificates.bundle())
    shell(emptying)
    until(lambda: certificates.whole() and not issuer.ids(certificates.bundle()) & known, "all is made anew", 10)
