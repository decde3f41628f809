"""What the pod of `helm test` runs, against a decision point that really serves over TLS."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from localcluster.ports import free_ports
from support import charts
from support.certificates import self_signed
from support.objects import policy, rule, settings
from support.pdp.standalone import COMMAND
from support.waits import until

PROVEN: Final = ("--issuers", "issuers.yaml")
ANYBODY: Final = ("--development",)


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[str]:
    """Serve from files over TLS; yields the address."""
    (folder / "policies").mkdir()
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
    (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump(given))
    (folder / "keys.json").write_text('{"keys": []}')
    issuer = {"name": "cluster", "issuer": "https://kubernetes.default.svc", "jwksFile": "keys.json"}
    (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": [issuer]}))
    certificate, key = self_signed(folder)
    port, status_port = free_ports(2)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(*COMMAND, "--policies", "policies", "--record-file", "records", "--drain-seconds", "0.1"),
                *("--port", str(port), "--status-port", str(status_port)),
                *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), *flags),
            ],
            cwd=folder,
            stderr=out,
        )
    try:
        until(lambda: '"serving"' in log.read_text() or " serving " in log.read_text(), "it serves")
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def interpreter() -> list[str]:
    """Return what the image itself starts: another base may have nothing called `python`."""
    dockerfile = (charts.PATH.parents[1] / "webhook" / "Dockerfile").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", dockerfile, re.MULTILINE)
    return json.loads(entry)[:1]  # type: ignore[no-any-return]  # a list of words


def asked(base: str, authority: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as the pod does, but for one try alone."""
    pod = charts.render().pods()["Pod/bailiwick-test"]
    (one,) = pod["containers"]
    flag, script, _, mounted, attempts = one["args"]
    assert (one["command"], flag, mounted, int(attempts) > 1) == (interpreter(), "-c", "/ca/ca.crt", True)
    command = [sys.executable, flag, script, base, str(authority), "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_a_decision_point_that_asks_for_proof_passes(tmp_path: Path) -> None:
    with serving(tmp_path, *PROVEN) as base:
        found = asked(base, tmp_path / "tls.crt")
    assert (found.returncode, found.stderr) == (0, "")
    assert "401 for a decision without proof" in found.stdout


def test_one_that_decides_for_anybody_does_not(tmp_path: Path) -> None:
    with serving(tmp_path, *ANYBODY) as base:
        found = asked(base, tmp_path / "tls.crt")
    assert found.returncode == 1
    assert "wanted were 200 and 401" in found.stderr


def test_nor_one_with_a_certificate_of_another_authority(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    self_signed(other)
    with serving(tmp_path, *PROVEN) as base:
        found = asked(base, other / "tls.crt")
    assert found.returncode == 1
    assert "certificate verify failed" in found.stderr


@pytest.mark.parametrize("authority", ["nothing", "empty"])
def test_nor_any_while_nobody_has_published_an_authority(authority: str, tmp_path: Path) -> None:
    if authority == "empty":
        (tmp_path / authority).touch()
    found = asked("https://127.0.0.1:1", tmp_path / authority)
    assert (found.returncode, "Traceback" in found.stderr) == (1, False)
