"""The process: what it refuses to start with, when it says that it is ready, how it stops, and TLS."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from signal import SIGTERM
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests

from demo.stack import DecisionPoint
from localcluster import process
from localcluster.pki import Authority, Pair
from support import faultkinds
from support.faultproxy import FaultProxy
from support.pdp import questions
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import Tenant
from support.waits import until

LIST: Final = r"/(endpointpolicies|approvalgrants)\?.*limit="


def _run(*flags: str | Path) -> tuple[int, str]:
    """Run it to its end; it must not get as far as serving."""
    command = [sys.executable, "-m", "bailiwick_webhook", *(str(flag) for flag in flags)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, ended.stderr


def test_listening_beyond_loopback_without_tls_is_refused_with_a_sentence() -> None:
    code, said = _run("--host", "0.0.0.0")  # noqa: S104 - what must be refused
    assert code == 2
    assert (
        "0.0.0.0 is not loopback: set --tls-cert-file and --tls-key-file, because clients send tokens to this port"
    ) in said


@pytest.mark.parametrize("missing", ["kubeconfig", "record folder"])
def test_what_cannot_be_used_ends_the_start_with_a_sentence(pdp: Bailiwick, tmp_path: Path, missing: str) -> None:
    config = pdp.stack.folder / "webhook.token.kubeconfig"
    flags: dict[str, tuple[str | Path, ...]] = {
        "kubeconfig": ("--kubeconfig", tmp_path / "nothing"),
        "record folder": ("--kubeconfig", config, "--record-file", tmp_path / "no" / "records"),
    }
    code, said = _run(*flags[missing])
    assert (code, said.startswith("bailiwick-webhook: cannot start: ")) == (1, True)
    assert "Traceback" not in said


@pytest.mark.long
@pytest.mark.parametrize("taken", ["--port", "--admission-port", "--status-port"])
def test_a_port_that_is_taken_ends_the_start(pdp: Bailiwick, taken: str) -> None:
    port = urlsplit(pdp.points[0].url).port
    config = pdp.stack.folder / "webhook.token.kubeconfig"
    ports = {"--port": 0, "--admission-port": 0, "--status-port": 0, taken: port}
    flags = [f"{flag}={number}" for flag, number in ports.items()]
    code, said = _run("--kubeconfig", config, *flags, "--record-file", "/dev/null")
    assert code == 1
    assert "cannot start" in said


def test_with_a_certificate_it_serves_https_and_nothing_else(pdp: Bailiwick, tenant: Tenant, tmp_path: Path) -> None:
    pair = _pair(tmp_path, "serving")
    point = pdp.start_point("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key))
    url = tenant.url().replace(tenant.points[0], point.url)
    secure = url.replace("http://", "https://")
    body = tenant.body("customers.list")
    assert questions.post(secure, body, tenant.pep, verify=str(tmp_path / "ca.crt")).decision is True
    with pytest.raises(requests.exceptions.SSLError):
        questions.post(secure, body, tenant.pep)
    with pytest.raises(requests.ConnectionError):
        questions.post(url, body, tenant.pep)
    assert _handshake(point, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert _handshake(point, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    process.stop([point.process.id])


@pytest.mark.long
def test_it_is_not_ready_and_answers_nothing_before_the_first_lists(pdp: Bailiwick, faults: FaultProxy) -> None:
    fault = faults.on("GET", LIST, faultkinds.status(404), times=None)
    config = faults.kubeconfig(pdp.stack.folder / "webhook.token.kubeconfig")
    point = pdp.stack.start_decision_point("--kubeconfig", str(config), await_ready=False)
    until(lambda: fault.seen > 4, "it asks for the lists")
    assert readiness(point)[0] == 503
    assert readiness(point)[1]["checks"] == {"synced": False, "fresh": False, "serving": False}
    assert requests.get(f"{point.status_url}/healthz", timeout=5).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(point.url, timeout=5)
    faults.clear()
    await_ready(point)
    assert requests.get(point.url, timeout=5).status_code == 404
    process.stop([point.process.id])


@pytest.mark.long
@pytest.mark.parametrize("collection", ["endpointpolicies", "approvalgrants"])
def test_ab_21_a_first_list_that_breaks_off_midway_never_makes_it_ready(
    pdp: Bailiwick, faults: FaultProxy, collection: str
) -> None:
    # A first page that promises more; what then follows, the API server itself refuses.
    page = b'{"items":[],"metadata":{"resourceVersion":"1","continue":"bm8gc3VjaCBwYWdl"}}'
    fault = faults.on("GET", rf"^(?!.*continue=).*/{collection}\?.*limit=", faultkinds.events(page), times=None)
    rest = faults.on("GET", rf"/{collection}\?.*continue=", faultkinds.pass_on, times=None)
    config = faults.kubeconfig(pdp.stack.folder / "webhook.token.kubeconfig")
    point = pdp.stack.start_decision_point("--kubeconfig", str(config), await_ready=False)
    until(lambda: min(fault.seen, rest.seen) > 2, "it asks for the list again")
    assert readiness(point)[0] == 503
    assert readiness(point)[1]["checks"] == {"synced": False, "fresh": False, "serving": False}
    with pytest.raises(requests.ConnectionError):
        requests.get(point.url, timeout=5)
    faults.clear()
    await_ready(point)
    process.stop([point.process.id])


def test_it_ends_at_once_when_it_is_told_to_before_it_is_ready(pdp: Bailiwick, faults: FaultProxy) -> None:
    fault = faults.on("GET", LIST, faultkinds.hang, times=None)
    config = faults.kubeconfig(pdp.stack.folder / "webhook.token.kubeconfig")
    point = pdp.stack.start_decision_point("--kubeconfig", str(config), "--drain-seconds", "30", await_ready=False)
    until(lambda: fault.seen >= 2, "it asks for the lists")
    began = time.monotonic()
    point.process.id.send(SIGTERM)
    assert point.process.handle.wait(15) == 0
    assert time.monotonic() - began < 10
    assert '"message": "serving"' not in point.process.log.read_text()


@pytest.mark.long
def test_being_told_to_stop_it_becomes_unready_and_loses_no_request(pdp: Bailiwick, tenant: Tenant) -> None:
    point = pdp.start_point("--drain-seconds", "3")
    url, body = tenant.url().replace(tenant.points[0], point.url), tenant.body("customers.list")
    seen: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {tenant.pep}"}

    def work() -> None:
        """Ask over one connection, until an answer says that it is the last one."""
        with requests.Session() as session:
            while True:
                try:
                    answer = session.post(url, json=body, headers=headers, timeout=10)
                except requests.ConnectionError:
                    seen["lost"] += 1
                    return
                seen[str(answer.json().get("decision"))] += 1
                if answer.headers.get("Connection", "").lower() == "close":
                    seen["told"] += 1
                    return

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)
    point.process.id.send(SIGTERM)
    until(lambda: readiness(point)[0] == 503, "it says that it is not ready", 3)
    assert readiness(point)[1]["checks"]["serving"] is False
    for worker in workers:
        worker.join(15)
    assert point.process.handle.wait(15) == 0
    assert (seen["told"], seen["lost"], seen["False"], seen["None"]) == (4, 0, 0, 0)
    assert seen["True"] > 20


def test_records_are_whole_lines_and_hold_no_token(pdp: Bailiwick, tenant: Tenant) -> None:
    tenant.ask("customers.export", "recorded", args={"iban": "DE00 5555"}, secret="open sesame")
    questions.post(tenant.url(), tenant.body("customers.list"), tenant.token("api"))
    until(lambda: '"recorded"' in pdp.points[0].records.read_text(), "the decision is on record")
    written = pdp.points[0].records.read_text()
    last = json.loads(written.splitlines()[-1])
    assert (last["action"], last["resource"]["id"], last["decision"]) == ("customers.export", "recorded", False)
    told = written + "".join(point.process.log.read_text() for point in pdp.points)
    for secret in (tenant.pep, tenant.token("agent", tenant.audience), "DE00 5555", "open sesame"):
        assert secret not in told


def _pair(folder: Path, name: str) -> Pair:
    return Authority.at(folder, "ca").serving(name, ["127.0.0.1"])


def _handshake(point: DecisionPoint, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    address = urlsplit(point.url)
    with (
        socket.create_connection((address.hostname, address.port), timeout=5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        return secured.version()
