"""The files of a release count as they were signed, and not otherwise; what does not count is named."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import build, versions
from localcluster.progress import Silent
from release.conftest import ROOT, MadeRelease, clone, new_key, settings, version_of
from releasemaker import assembly, contents, exploitability, manifests, provenance, signatures, sums, verification
from releasemaker.errors import ReleaseError
from releasemaker.source import CHART, export


@pytest.fixture
def copy(release: MadeRelease, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "copy"
    shutil.copytree(release.folder, folder)
    yield folder
    shutil.rmtree(folder)


def problems(release: MadeRelease, folder: Path) -> list[str]:
    return list(verification.problems(folder, release.public_key, release.cosign))


def flip(path: Path) -> None:
    """Change one byte, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_file_counts_as_it_was_signed(release: MadeRelease) -> None:
    assert problems(release, release.folder) == []


def test_one_changed_byte_in_any_file_is_refused_with_the_name_of_the_file(release: MadeRelease, copy: Path) -> None:
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        flip(path)
        found = problems(release, copy)
        path.write_bytes(whole)
        # Checksums whose bundle changed are checksums that nobody signed.
        name = path.name.removesuffix(signatures.BUNDLE) if path.name.startswith(sums.NAME) else path.name
        assert [problem.partition(":")[0] for problem in found] == [name], path.name
    assert problems(release, copy) == []


def test_the_tool_of_every_system_names_a_changed_file_too(release: MadeRelease, copy: Path) -> None:
    check = ["sha256sum", "--check", "--quiet", "--strict", sums.NAME]
    assert subprocess.run(check, cwd=copy, capture_output=True, text=True, check=False).returncode == 0
    flip(copy / "install.yaml")
    done = subprocess.run(check, cwd=copy, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "install.yaml: FAILED\n")


def test_a_file_more_and_a_file_less_are_named(release: MadeRelease, copy: Path) -> None:
    (copy / "crds.yaml").unlink()
    more = ["crds.yaml.sigstore.json", "extra.yaml", "install.yaml.sigstore.json"]
    for name in more:
        (copy / name).write_text("kind: Secret\n")
    assert [problem.partition(":")[0] for problem in problems(release, copy)] == [*more, "crds.yaml"]


def test_the_public_key_of_somebody_else_in_a_release_is_named(
    release: MadeRelease, copy: Path, tmp_path: Path
) -> None:
    with signatures.signer(release.cosign, new_key(tmp_path)) as stranger:
        stranger.public_key(copy / assembly.PUBLIC_KEY)
    assert problems(release, copy) == [f"{assembly.PUBLIC_KEY}: not the key that signed the release"]
    (copy / assembly.PUBLIC_KEY).unlink()
    assert problems(release, copy) == []


def test_a_release_that_was_signed_by_another_key_does_not_count(
    release: MadeRelease, copy: Path, tmp_path: Path
) -> None:
    (copy / "install.yaml").write_text("forged")
    (copy / sums.NAME).write_text(f"{sums.sha256(copy / 'install.yaml')}  install.yaml\n")
    with signatures.signer(release.cosign, new_key(tmp_path)) as forger:
        forger.sign(copy / sums.NAME)
        forger.public_key(copy / assembly.PUBLIC_KEY)
    (found,) = problems(release, copy)
    assert found.startswith(f"{sums.NAME}: the signature does not count")


def test_what_cosign_has_encrypted_signs_as_well(
    release: MadeRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signatures.PASSWORD, "of the test")
    cosign = signatures.Cosign(release.cosign, tmp_path)
    cosign.succeed("generate-key-pair", "--output-key-prefix", tmp_path / "pair", password="of the test")
    file = tmp_path / "file"
    file.write_text("content")
    with signatures.signer(release.cosign, tmp_path / "pair.key") as signer:
        signer.sign(file)
    assert signatures.verify(cosign, tmp_path / "pair.pub", file) == ""
    assert signatures.verify(cosign, release.public_key, file) != ""


def test_a_file_that_is_no_private_key_is_refused(release: MadeRelease, tmp_path: Path) -> None:
    with (
        pytest.raises(ReleaseError, match="neither a key that cosign encrypted"),
        signatures.signer(release.cosign, release.public_key),
    ):
        pass
    with (
        pytest.raises(ReleaseError, match="there is no such file"),
        signatures.signer(release.cosign, tmp_path / "none"),
    ):
        pass


def test_the_provenance_names_the_commit_every_file_and_no_higher_level_than_it_has(release: MadeRelease) -> None:
    statement = json.loads((release.folder / provenance.NAME).read_bytes())
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [{"name": "source", "digest": {"gitCommit": commit}}]
    assert definition["internalParameters"] == {"level": "SLSA Build Level 1"}
    named = {one["name"] for one in statement["subject"] if not one["name"].startswith("oci:")}
    files = {path.name for path in release.folder.iterdir() if not assembly.is_signature(path.name)}
    assert named == files - {provenance.NAME}


def test_the_list_of_contents_has_every_package_of_the_locks_with_its_hashes(release: MadeRelease) -> None:
    document = json.loads(release.file("bailiwick-authz-*.cdx.json").read_bytes())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    locked = {
        (found[1], found[2])
        for lock in contents.LOCKS
        for found in re.finditer(
            r"^([a-z0-9][\w.-]*)==(\S+)", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE
        )
    }
    assert {(one["name"], one["version"]) for one in document["components"]} == locked
    for one in document["components"]:
        assert one["purl"].startswith("pkg:pypi/")
        assert any(reference.get("hashes") for reference in one["externalReferences"]), one["name"]


def test_the_statements_of_openvex_say_why(release: MadeRelease) -> None:
    document = json.loads(release.file("*.openvex.json").read_bytes())
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert len(document["statements"]) == len(exploitability.statements()) > 0
    for statement in document["statements"]:
        assert (statement["status"], bool(statement["impact_statement"])) == ("not_affected", True)
        assert all(product["@id"].startswith("pkg:oci/bailiwick-") for product in statement["products"])


def test_the_chart_has_the_files_that_helm_would_pack_and_no_others(release: MadeRelease, tmp_path: Path) -> None:
    helm = build.ensure(build.helm()) / "helm"
    subprocess.run([helm, "package", ROOT / CHART, "--destination", tmp_path], check=True, capture_output=True)
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as theirs, tarfile.open(release.file("bailiwick-chart-*.tgz")) as ours:
        assert sorted(ours.getnames()) == sorted(theirs.getnames())
        assert "bailiwick/Chart.yaml" in ours.getnames()


def render_for(kubernetes: str) -> subprocess.CompletedProcess[str]:
    """Render the chart for a version of Kubernetes."""
    helm = build.ensure(build.helm()) / "helm"
    command: list[str | Path] = [helm, "template", "bailiwick", ROOT / CHART, "--kube-version", kubernetes]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_chart_is_for_each_version_of_kubernetes_that_has_pins_and_refuses_the_one_before() -> None:
    tried = {version.pinned for version in versions.choices()}
    assert {version: render_for(version).returncode for version in tried} == dict.fromkeys(tried, 0)
    oldest = min(int(version.minor.removeprefix("1.")) for version in versions.choices())
    refused = render_for(f"v1.{oldest - 1}.99")
    assert refused.returncode != 0
    assert f"requires kubeVersion: >=1.{oldest}.0-0 which is incompatible" in refused.stderr


def test_the_manifests_name_images_that_nobody_else_can_publish(release: MadeRelease) -> None:
    images = manifests.images(release.folder / "install.yaml")
    assert len(images) == 2
    for image in images:
        assert image.startswith("registry.example/bailiwick/bailiwick-")
        assert not release.summary["images"] or "@sha256:" in image
    kinds = [one["kind"] for one in yaml.safe_load_all((release.folder / "install.yaml").read_text()) if one]
    # A namespace and definitions must be there before what is of them.
    assert kinds[:6] == ["Namespace", *["CustomResourceDefinition"] * 5]
    definitions = [one["kind"] for one in yaml.safe_load_all((release.folder / "crds.yaml").read_text()) if one]
    assert definitions == ["CustomResourceDefinition"] * 5


def test_a_checkout_with_changes_and_a_wrong_version_make_no_release(tmp_path: Path) -> None:
    checkout = clone(tmp_path / "checkout")
    with pytest.raises(ReleaseError, match=r"says .*, and the release is to be 9\.9\.9"):
        export(checkout, "9.9.9", tmp_path / "source")
    (checkout / "new.py").write_text("")
    with pytest.raises(ReleaseError, match=r"changes that no commit has.*\n.*new\.py"):
        export(checkout, version_of(checkout), tmp_path / "again")


def test_a_folder_with_something_else_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ReleaseError, match="holds something that is no release"):
        assembly.assemble(ROOT, tmp_path / "mine", settings("0"), Silent())


def test_two_builds_of_one_commit_are_the_same_to_the_byte(release: MadeRelease, tmp_path: Path) -> None:
    checkout = clone(tmp_path / "elsewhere" / "another name")
    for path in checkout.rglob("*"):
        if ".git" not in path.parts and path.is_file():
            path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    # Git does not count these as changes: it knows executable and not executable.
    output = tmp_path / "dist"
    command: list[Any] = [
        "bash",
        "-c",
        'umask 077; exec "$@"',
        "-",
        sys.executable,
        "-P",
        "-m",
        "releasemaker",
        "build",
    ]
    given = settings(release.version)
    command += ["--version", given.version, "--source", checkout, "--output", output, "-o", "json"]
    command += ["--registry", given.registry, "--address", given.address]
    command += ["--images", given.images] if given.images else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["signed"] is False
    assert "Wheel and source archive: done" in done.stderr
    assert (output / sums.NAME).read_text() == (release.folder / sums.NAME).read_text()
