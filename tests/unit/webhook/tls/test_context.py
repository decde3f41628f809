"""TLS is at least 1.2, and no client is asked for a certificate unless that is wanted."""

import ssl

from bailiwick_webhook.tls.reload import hardened


def test_tls_is_at_least_1_2_and_asks_clients_for_no_certificate() -> None:
    context = hardened()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
