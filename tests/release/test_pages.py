"""The commands of the page on releases, typed in the folder of one, as its reader types them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from demo.ground import KUBECTL
from localcluster import build
from localcluster.controlplane import ControlPlane
from release.conftest import ROOT, MadeRelease, version_of
from release.registry import Registry
from releasemaker import signatures
from support.pages import script

PAGE: Final = "operations/releases.md"

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(release: MadeRelease, tmp_path: Path) -> Shell:
    """Types a block of the page, where the programs that the page names are on the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cosign").symlink_to(release.cosign)
    (programs / "kubectl-krew").symlink_to(build.ensure(build.krew()) / "krew")
    folder = tmp_path / "release"
    shutil.copytree(release.folder, folder)
    shutil.copyfile(release.public_key, folder / "release.pub")
    path = f"{programs}:{tmp_path / 'krew' / 'bin'}:{Path(KUBECTL).parent}:{os.environ['PATH']}"
    usual = {**os.environ, "PATH": path, "HOME": str(tmp_path), "KREW_ROOT": str(tmp_path / "krew")}

    def type_block(beginning: str, *replaced: tuple[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
        text = script(PAGE, beginning).replace(version_of(ROOT), release.version)
        for old, new in replaced:
            assert old in text, old
            text = text.replace(old, new)
        command = ["bash", "-euo", "pipefail", "-c", text]
        return subprocess.run(
            command, cwd=folder, env={**usual, **variables}, capture_output=True, text=True, check=False, timeout=200
        )

    return type_block


def test_the_hashes_and_the_provenance_are_verified(shell: Shell) -> None:
    done = shell("cosign verify-blob --key")
    assert (done.returncode, "Verified OK" in done.stderr, "install.yaml: OK" in done.stdout) == (0, True, True), done
    done = shell("cosign verify-blob-attestation")
    assert (done.returncode, "Verified OK" in done.stderr) == (0, True), done
    # The key of somebody else, and a file that the provenance does not name.
    assert shell("cosign verify-blob-attestation", ("install.yaml", "release.pub")).returncode != 0


def test_what_is_in_a_registry_is_verified_by_digest(
    release: MadeRelease, registry: Registry, key: Path, shell: Shell
) -> None:
    reference = registry.push(release.file("*-chart-*.oci.tar"), "charts/bailiwick", "of-the-page")
    access = ("--registry-cacert", str(registry.authority))
    with signatures.signer(release.cosign, key) as signer:
        signer.sign_pushed(reference, *access)
        signer.attest_pushed(reference, "cyclonedx", release.file("bailiwick-authz-*.cdx.json"), *access)
    here = ("registry.example/charts/bailiwick@sha256:DIGEST", reference)
    done = shell("cosign verify --key", here, SSL_CERT_FILE=str(registry.authority))
    assert done.returncode == 0, done.stderr


def test_krew_installs_the_plugin(shell: Shell) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the page names the archive for amd64")
    done = shell("kubectl krew install", BAILIWICK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("kubectl-bailiwick ")


def test_the_manifests_are_applied(shell: Shell) -> None:
    with ControlPlane(build.ensure()) as plane:
        done = shell("kubectl apply --server-side", KUBECONFIG=str(plane.cluster.admin_kubeconfig))
    assert done.returncode == 0, done.stderr
