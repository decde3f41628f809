"""A release installs: its manifests on a real API server, the plugin by krew, the wheel by pip."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from demo.ground import KUBECTL
from demo.stack import Stack
from localcluster import build, process
from localcluster.cache import cache_folder
from localcluster.controlplane import ControlPlane
from localcluster.ports import free_ports
from release.conftest import ROOT, MadeRelease
from releasemaker import plugin, sums
from support.stacks import stack_on
from support.waits import until

_AGENT: Final = "system:serviceaccount:agents:crm-agent"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """An API server of this test alone, with nothing of ours."""
    with ControlPlane(build.ensure()) as plane, stack_on(plane.cluster, tmp_path) as stack:
        yield stack


def kubectl(stack: Stack, *arguments: str | Path) -> str:
    command = [KUBECTL, f"--kubeconfig={stack.cluster.admin_kubeconfig}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_command_applies_the_manifests_and_the_operator_proves_the_guards(
    release: MadeRelease, empty: Stack
) -> None:
    said = kubectl(empty, "apply", "--server-side", "-f", release.folder / "install.yaml")
    assert "deployment.apps/bailiwick-webhook serverside-applied" in said
    kubectl(empty, "wait", "--for=condition=Established", "--timeout=30s", "crd/endpointpolicies.bailiwick.dev")
    # What stands in the pods' place here: the same accounts, by processes.
    empty.start_operator()
    empty.await_guard()
    empty.start_decision_point()
    # Again, as an upgrade does it: what the operator wrote since then, its keys among it, stays.
    key = ("get", "secret", "bailiwick-keys", "-n", "bailiwick-system", "-o", "jsonpath={.data}")
    before = kubectl(empty, *key)
    kubectl(empty, "apply", "--server-side", "-f", release.folder / "install.yaml")
    assert kubectl(empty, *key) == before != ""


def test_the_definitions_alone_are_applied_by_one_command(release: MadeRelease, empty: Stack) -> None:
    said = kubectl(empty, "apply", "--server-side", "-f", release.folder / "crds.yaml")
    assert len(said.splitlines()) == 5


@pytest.fixture
def krew(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "KREW_ROOT": str(tmp_path / "krew"),
        "HOME": str(tmp_path),
        "BAILIWICK_PYTHON": sys.executable,
    }


def krew_install(release: MadeRelease, archive: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = build.ensure(build.krew()) / "krew"
    command: list[str | Path] = [
        program,
        "install",
        f"--manifest={release.file('*.krew.yaml')}",
        f"--archive={archive}",
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def archive_of_this_machine(release: MadeRelease) -> Path:
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    return release.file(f"kubectl-bailiwick-*-linux-{architecture}.tar.gz")


def test_krew_installs_the_plugin_and_kubectl_finds_it(release: MadeRelease, krew: dict[str, str]) -> None:
    done = krew_install(release, archive_of_this_machine(release), krew)
    assert done.returncode == 0, done.stderr
    path = f"{krew['KREW_ROOT']}/bin:{Path(KUBECTL).parent}:{os.environ['PATH']}"
    found = subprocess.run(
        [KUBECTL, "bailiwick", "--version"], env={**krew, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, f"kubectl-bailiwick {release.version}\n"), found.stderr
    # It needs nothing of this checkout: no variable of ours, and a Python without packages.
    bare = {"PATH": path, "HOME": krew["HOME"], "BAILIWICK_PYTHON": str(Path(sys.executable).resolve())}
    words = ["kubectl", "bailiwick", "validate", str(ROOT / "examples" / "quickstart" / "policy.yaml")]
    checked = subprocess.run(words, env=bare, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_krew_refuses_an_archive_with_a_changed_byte(
    release: MadeRelease, krew: dict[str, str], tmp_path: Path
) -> None:
    archive = tmp_path / archive_of_this_machine(release).name
    content = bytearray(archive_of_this_machine(release).read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    done = krew_install(release, archive, krew)
    assert done.returncode != 0
    assert "checksum" in done.stderr


def test_the_plugin_says_which_python_it_needs(release: MadeRelease, tmp_path: Path) -> None:
    script = tmp_path / "kubectl-bailiwick"
    script.write_text(plugin.launcher("kubectl-bailiwick", "bailiwick_cli.main:main"))
    done = subprocess.run(
        ["sh", script],
        env={"PATH": os.defpath, "BAILIWICK_PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "kubectl-bailiwick needs Python 3.11, 3.12 or 3.13. Install one, or set BAILIWICK_PYTHON to its path.\n"
    )


@pytest.fixture(scope="module")
def wheels() -> Path:
    """The wheels of the decision point's lock, for this Python."""
    lock = ROOT / "requirements" / "webhook.txt"
    folder = cache_folder() / "wheels" / sums.sha256(lock)[:16] / f"this-python-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        loading = folder.with_name(f".{folder.name}-{os.getpid()}")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--require-hashes",
            "--only-binary=:all:",
            "--no-deps",
        ]
        subprocess.run([*pip, "--dest", loading, "--requirement", lock], check=True)
        shutil.move(loading, folder)
    return folder


@pytest.fixture
def installed(release: MadeRelease, wheels: Path, tmp_path: Path) -> Path:
    """The programs of the wheel in an environment of their own, installed without a registry."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip: list[str | Path] = [
        tmp_path / "venv" / "bin" / "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-index",
    ]
    subprocess.run([*pip, "--find-links", wheels, f"{release.file('*.whl')}[webhook]"], check=True)
    return tmp_path / "venv" / "bin"


def test_the_wheel_installs_from_files_and_decides(installed: Path, tmp_path: Path) -> None:
    port, status = free_ports(2)
    flags: list[str | Path] = [
        "--policies",
        ROOT / "examples" / "quickstart",
        "--development",
        f"--port={port}",
        f"--status-port={status}",
    ]
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    running = process.spawn("webhook", [installed / "bailiwick-webhook", *flags], tmp_path / "log", environment)
    try:
        until(lambda: listens(port), running.last_words(), 60)
        listed, exported = (decision(port, action) for action in ("customers.list", "customers.export"))
    finally:
        process.stop([running.id])
        running.handle.wait()
    assert (listed["decision"], exported["decision"]) == (True, False)
    assert exported["context"]["reason"] == "approval_required"


def listens(port: int) -> bool:
    try:
        decision(port, "customers.list")
    except requests.ConnectionError:
        return False
    return True


def decision(port: int, action: str) -> dict[str, Any]:
    question = {
        "subject": {"type": "serviceAccount", "id": _AGENT},
        "action": {"name": action},
        "resource": {"type": "customer", "id": "42"},
    }
    url = f"http://127.0.0.1:{port}/endpoints/crm/crm-api/access/v1/evaluation"
    answer = requests.post(url, json=question, timeout=10)
    answer.raise_for_status()
    return dict(answer.json())
