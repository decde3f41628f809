"""What is said and what is not: logs hold no token, and TLS is at least 1.2."""

import json
import logging
import re
import ssl

import pytest
import structlog

from bailiwick_process import logs
from bailiwick_webhook.tls.reload import hardened


def test_what_a_librarys_exception_quotes_does_not_get_into_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = logging.getLogger().handlers[:]
    logging.getLogger().handlers.clear()
    try:
        logs.configure("info")
        try:
            raise ValueError("Invalid header: b'Authorization : Bearer open-sesame'")
        except ValueError:
            logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
    finally:
        logging.getLogger().handlers[:] = handlers
        structlog.reset_defaults()
    said = json.loads(capsys.readouterr().err)
    assert (said["message"], said["error"]) == ("Error handling request from 127.0.0.1", "ValueError")
    assert said["logger"] == "aiohttp.server"
    assert re.fullmatch(re.escape(__name__) + r":\d+", said["at"])
    assert "sesame" not in json.dumps(said)


def test_tls_is_at_least_1_2_and_asks_clients_for_no_certificate() -> None:
    context = hardened()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
