"""The rotation of certificates and authorities on a real API server, with times so short that several can be watched.

Standing: the rule itself is a property test (`unit/operator/test_certificate_rules`); here is that it is kept by a
clock, for a client that reads what is published less often than it changes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from cluster.operator.certificates.certificates import Certificates
from cluster.operator.operatorprocess import Operator
from support.waits import until

pytestmark = pytest.mark.long

LEAF_SECONDS: Final = 6
SETTLE_SECONDS: Final = 4
CA_SECONDS: Final = 30


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return (
        *("--certificate-seconds", str(LEAF_SECONDS), "--ca-seconds", str(CA_SECONDS)),
        *("--ca-settle-seconds", str(SETTLE_SECONDS), "--certificate-interval", "0.3", "--proof-interval", "3"),
    )


def test_whatever_was_served_in_the_meantime_is_trusted_by_who_read_what_was_published_before(
    operator: Operator, certificates: Certificates
) -> None:
    certificates.apply_configuration()
    try:
        certificates.await_whole()
        until(lambda: certificates.ca_bundle() == certificates.bundle(), "the caBundle is written")
        leaves, issuers = dict[str, None](), dict[str, None]()
        held = certificates.seen().trusted
        reread = datetime.now(UTC)
        deadline = reread + timedelta(seconds=3.2 * CA_SECONDS)
        while datetime.now(UTC) < deadline and len(issuers) < 3:
            seen = certificates.seen()
            now = datetime.now(UTC)
            leaf = seen.leaf
            assert leaf.not_before <= now < leaf.not_after
            # A client that rereads every three seconds, and the API server, which has the caBundle at once.
            assert leaf.issuer in held
            assert seen.ca_bundle is not None
            assert leaf.issuer in seen.ca_bundle
            leaves[leaf.certificate], issuers[leaf.issuer] = None, None
            if now - reread > timedelta(seconds=SETTLE_SECONDS - 1):
                held, reread = seen.trusted, now
        assert len(issuers) >= 3
        assert len(leaves) >= 6
        assert [each.key is None for each in certificates.authorities()].count(False) <= 2
        assert len(certificates.authorities()) <= 3
    finally:
        certificates.delete_configuration()
    assert operator.said("certificate authority superseded")
