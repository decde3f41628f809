"""`serve-console` as a process: what it is started with is looked at, and it waits for its certificate."""

import signal
from pathlib import Path

import pytest

from issuer.server import serving
from support.commandline import run
from support.console.clusterconsole import hosted
from support.waits import until

GIVEN = (
    *("serve-console", "--public-url", "https://bailiwick.example.com", "--issuer", "https://login.example.com"),
    *("--client-id", "bailiwick", "--tls-certificate-file", "tls.crt", "--tls-key-file", "tls.key"),
)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--kubeconfig", "x"), "acts as the person who logs in"),
        (("--context", "x"), "acts as the person who logs in"),
        (("--as", "carol"), "acts as the person who logs in"),
        (("--scope", "profile"), "openid is missing"),
        ((), "--api-server: give the URL"),
    ],
)
def test_what_cannot_be_right_is_said_before_anything_is_served(more: tuple[str, ...], said: str) -> None:
    done = run(*GIVEN, *more)
    assert (done.code, said in done.err) == (2, True), done


def test_it_waits_for_its_certificate_and_is_not_ready_before(tmp_path: Path) -> None:
    with serving(tmp_path / "issuer") as issuer:
        ca = issuer.ca_file
        with hosted(tmp_path / "c", issuer, api_server="https://127.0.0.1:1", api_ca_file=ca, issued=False) as console:
            until(lambda: console.health("/healthz") == 200, "the console lives")
            assert console.health() == 503
            console.console.await_said("is not used")
            console.issue()
            until(lambda: console.health() == 200, "the console has its certificate")
            assert "Log in at" in console.browser().load("/").text
            assert console.console.end(signal.SIGTERM) == 0
