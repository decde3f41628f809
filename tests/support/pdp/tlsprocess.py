"""A decision point that serves over TLS from a mounted Secret, and needs no cluster."""

import signal
import socket
import ssl
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import requests
import yaml
from cryptography import x509

from bailiwick_operator.certificates.issuer import CertificateIssuer
from bailiwick_operator.reconcile.certificates import Authority, Leaf, Terms
from bailiwick_webhook.tls.reload import hardened
from localcluster.ports import free_ports
from support.objects import policy, rule, settings
from support.pdp.standalone import COMMAND
from support.secretmount import SecretMount
from support.waits import until

NAME: Final = "bailiwick-webhook.bailiwick-system.svc"
MAKE: Final = CertificateIssuer("bailiwick-webhook", Terms(frozenset({NAME})))
POLL_SECONDS: Final = 0.1


def authority() -> Authority:
    """Make an authority as the operator does."""
    return MAKE.authority(datetime.now(UTC))


def leaf(of: Authority, make: CertificateIssuer = MAKE) -> Leaf:
    """Issue a certificate as the operator does."""
    return make.leaf(of, datetime.now(UTC))


def serial(pair: Leaf) -> str:
    """Return the number of a certificate, as `Secured.serial` does."""
    return f"{x509.load_pem_x509_certificate(pair.certificate.encode()).serial_number:x}"


def entries(pair: Leaf, *trusted: Authority) -> dict[str, str]:
    """Return what the operator puts into the Secret."""
    bundle = "".join(each.certificate for each in trusted)
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": bundle}


def trusting(authorities: Iterable[Authority]) -> ssl.SSLContext:
    """Return a client's context that trusts these authorities alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata="".join(each.certificate for each in authorities))
    return context


@dataclass
class TlsProcess:
    """A running process."""

    mounted: SecretMount
    port: int
    status_port: int
    log: Path
    process: subprocess.Popen[bytes]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Return status and body of /readyz; 0 while it does not listen."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = requests.get(f"http://127.0.0.1:{self.status_port}/readyz", timeout=5)
        except requests.ConnectionError:
            return 0, {}
        return answer.status_code, answer.json()

    def metric(self, name: str) -> float | None:
        """Return a metric without labels; None where it is absent."""
        text = requests.get(f"http://127.0.0.1:{self.status_port}/metrics", timeout=5).text
        found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0]) if found else None

    def await_ready(self) -> None:
        """Wait until it can be asked."""
        until(lambda: self.readiness()[0] == requests.codes.ok, "ready")

    def await_problem(self, words: str) -> None:
        """Wait until it says what is wrong with the files."""
        until(lambda: words in str(self.readiness()[1].get("certificate", {}).get("problem")), words)

    def serial(self, *trusted: Authority) -> str:
        """Return the number of the certificate that a client is shown who trusts these authorities."""
        with self.connect(trusting(trusted)) as connection:
            shown = connection.getpeercert()
            assert shown is not None
            return str(shown["serialNumber"]).lower().lstrip("0")

    @contextmanager
    def connect(self, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
        """Connect and shake hands."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secured,
        ):
            yield secured


@contextmanager
def secured(folder: Path, content: dict[str, str] | None, *flags: str) -> Iterator[TlsProcess]:
    """Start a process over a mounted Secret with this content; None: the Secret is empty."""
    policies = folder / "policies"
    policies.mkdir()
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
    (policies / "crm.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    mounted = SecretMount(folder / "tls")
    mounted.fill(content or {})
    port, status_port = free_ports(2)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(*COMMAND, "--policies", str(policies), "--development", "--record-file", str(folder / "records")),
                *("--port", str(port), "--status-port", str(status_port), "--drain-seconds", "0.1"),
                *("--tls-cert-file", str(mounted / "tls.crt"), "--tls-key-file", str(mounted / "tls.key")),
                *("--tls-poll-seconds", str(POLL_SECONDS), *flags),
            ],
            stderr=out,
        )
    point = TlsProcess(mounted, port, status_port, log, process)
    try:
        until(lambda: point.readiness()[0] != 0, "its status port answers")
        yield point
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def both_ends(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server shakes hands with, and a client that trusts it. The pair is written to the folder."""
    trusted = authority()
    pair = leaf(trusted)
    (folder / "certificate").write_text(pair.certificate)
    (folder / "key").write_text(pair.key)
    served = hardened()
    served.load_cert_chain(folder / "certificate", folder / "key")
    return served, trusting([trusted])
