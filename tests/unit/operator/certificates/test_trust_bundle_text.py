"""What of a bundle goes into a ClusterTrustBundle: CA certificates, each once, since the API server takes no others."""

from bailiwick_operator.certificates.issuer import CertificateIssuer, authorities_alone
from bailiwick_operator.reconcile.certificates import Terms
from unit.operator.cases import NOW

MAKER = CertificateIssuer("pdp", Terms(frozenset({"pdp"})))


def test_certificates_that_are_no_authorities_and_second_copies_are_left_out() -> None:
    first, second = MAKER.authority(NOW), MAKER.authority(NOW)
    leaf = MAKER.leaf(first, NOW)
    bundle = first.certificate + leaf.certificate + "# a comment\n" + second.certificate + first.certificate
    assert authorities_alone(bundle) == first.certificate + second.certificate


def test_without_an_authority_there_is_nothing() -> None:
    leaf = MAKER.leaf(MAKER.authority(NOW), NOW)
    for bundle in (leaf.certificate, "", "no certificate"):
        assert authorities_alone(bundle) == ""
