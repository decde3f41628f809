"""What is pushed keeps its digest, by which it is signed, verified and installed; what changes there is refused."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster import build
from release.conftest import MadeRelease
from release.registry import Registry
from releasemaker import provenance, signatures
from releasemaker.layouts import layout_digest
from releasemaker.signatures import PROVENANCE, WITHOUT_LOG, Cosign

CHARTS: Final = "charts/bailiwick"


@pytest.fixture(scope="module")
def chart(release: MadeRelease, registry: Registry) -> str:
    """The chart's reference by digest, in the registry."""
    return registry.push(release.file("*-chart-*.oci.tar"), CHARTS, release.version)


@pytest.fixture(scope="module")
def signed(
    release: MadeRelease, registry: Registry, chart: str, key: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The same, with a signature, provenance and a list of contents beside it."""
    predicate = tmp_path_factory.mktemp("predicate") / "predicate.json"
    statement = json.loads((release.folder / provenance.NAME).read_bytes())
    predicate.write_text(json.dumps(statement["predicate"]))
    access = ("--registry-cacert", str(registry.authority))
    with signatures.signer(release.cosign, key) as signer:
        signer.sign_pushed(chart, *access)
        signer.attest_pushed(chart, PROVENANCE, predicate, *access)
        signer.attest_pushed(chart, "cyclonedx", release.file("bailiwick-authz-*.cdx.json"), *access)
    return chart


@pytest.fixture
def cosign(release: MadeRelease, tmp_path: Path) -> Cosign:
    return Cosign(release.cosign, tmp_path)


def access(release: MadeRelease, registry: Registry) -> list[Any]:
    return ["--key", release.public_key, WITHOUT_LOG, "--registry-cacert", registry.authority]


def helm(registry: Registry, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = build.ensure(build.helm()) / "helm"
    command = [program, *arguments, "--ca-file", registry.authority]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_digest_in_the_registry_is_the_digest_of_the_release(release: MadeRelease, chart: str) -> None:
    assert chart.rpartition("@")[2] == release.summary["chart"] == layout_digest(release.file("*-chart-*.oci.tar"))


def test_signature_provenance_and_list_of_contents_are_verified_by_digest(
    release: MadeRelease, registry: Registry, signed: str, cosign: Cosign
) -> None:
    # One for the signature and one for each attestation.
    payloads = json.loads(cosign.succeed("verify", *access(release, registry), signed))
    digests = {one["critical"]["image"]["docker-manifest-digest"] for one in payloads}
    assert digests == {signed.rpartition("@")[2]}
    for kind in (PROVENANCE, "cyclonedx"):
        said = cosign.succeed("verify-attestation", *access(release, registry), "--type", kind, signed)
        assert "DSSE" in said or "payloadType" in said


def test_another_key_and_another_digest_are_refused(
    release: MadeRelease, registry: Registry, signed: str, cosign: Cosign, tmp_path: Path
) -> None:
    cosign.succeed("generate-key-pair", "--output-key-prefix", tmp_path / "other")
    others = ["--key", tmp_path / "other.pub", *access(release, registry)[2:]]
    assert cosign.run("verify", *others, signed).returncode != 0
    # The same chart with a digit changed: pushed by somebody who could, and signed by nobody.
    unsigned = registry.push(changed_layout(release, tmp_path), CHARTS, "changed")
    assert unsigned != signed
    assert cosign.run("verify", *access(release, registry), unsigned).returncode != 0


def test_helm_pulls_and_renders_by_digest(
    release: MadeRelease, registry: Registry, signed: str, tmp_path: Path
) -> None:
    done = helm(registry, "pull", f"oci://{signed}", "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (pulled,) = tmp_path.glob("*.tgz")
    assert pulled.read_bytes() == release.file("*-chart-*.tgz").read_bytes()
    done = helm(
        registry,
        "template",
        "bailiwick",
        f"oci://{signed}",
        "--namespace",
        "bailiwick-system",
        "--kube-version",
        "1.37.2",
    )
    assert done.returncode == 0, done.stderr
    images = [
        container["image"]
        for one in yaml.safe_load_all(done.stdout)
        if one and one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    ]
    assert all(image.startswith("registry.example/bailiwick/") for image in images)


def test_a_byte_that_changed_inside_the_registry_is_refused_by_helm(
    registry: Registry, signed: str, tmp_path: Path
) -> None:
    repository, _, digest = signed.removeprefix(f"{registry.host}/").partition("@")
    content = json.loads(registry.manifest(repository, digest))["layers"][0]["digest"]
    blob = registry.blob_file(content)
    whole = blob.read_bytes()
    changed = bytearray(whole)
    changed[len(changed) // 2] ^= 1
    blob.write_bytes(changed)
    try:
        done = helm(registry, "pull", f"oci://{signed}", "--destination", tmp_path)
    finally:
        blob.write_bytes(whole)
    assert done.returncode != 0
    assert "mismatched digest" in done.stderr


def test_each_image_keeps_its_digest_and_is_verified_by_it(
    release: MadeRelease, registry: Registry, images: dict[str, str], key: Path, cosign: Cosign
) -> None:
    for name, digest in images.items():
        reference = registry.push(release.file(f"{name}-*.oci.tar"), f"bailiwick/{name}", release.version)
        assert reference.rpartition("@")[2] == digest
        trust = ("--registry-cacert", str(registry.authority))
        repository = reference.partition("@")[0]
        platforms = {
            f"{one['platform']['os']}-{one['platform']['architecture']}": f"{repository}@{one['digest']}"
            for one in json.loads(registry.manifest(f"bailiwick/{name}", digest))["manifests"]
        }
        with signatures.signer(release.cosign, key) as signer:
            signer.sign_pushed(reference, *trust)
            for platform, own in platforms.items():
                signer.attest_pushed(own, "cyclonedx", release.file(f"{name}-*-{platform}.cdx.json"), *trust)
        cosign.succeed("verify", *access(release, registry), reference)
        for platform, own in platforms.items():
            said = cosign.succeed("verify-attestation", *access(release, registry), "--type", "cyclonedx", own)
            statement = json.loads(base64.b64decode(json.loads(said)["payload"]))
            stated = json.loads(release.file(f"{name}-*-{platform}.cdx.json").read_bytes())
            assert statement["predicate"] == stated
            assert statement["subject"][0]["digest"]["sha256"] == own.partition("@sha256:")[2]
            # What OpenVEX speaks of is in the list.
            assert {"apt", "tar", "python3", "cryptography"} <= {one["name"] for one in stated["components"]}


def changed_layout(release: MadeRelease, folder: Path) -> Path:
    """Write the chart's layout with another description, which nobody has signed."""
    unpacked = folder / "layout"
    with tarfile.open(release.file("*-chart-*.oci.tar")) as archive:
        archive.extractall(unpacked, filter="data")
    index = json.loads((unpacked / "index.json").read_bytes())
    blobs = unpacked / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes())
    manifest["annotations"]["org.opencontainers.image.description"] = "another"
    content = json.dumps(manifest).encode()
    digits = hashlib.sha256(content).hexdigest()
    (blobs / digits).write_bytes(content)
    index["manifests"][0] |= {"digest": f"sha256:{digits}", "size": len(content)}
    (unpacked / "index.json").write_text(json.dumps(index))
    path = folder / "changed.tar"
    with tarfile.open(path, "w") as archive:
        for name in sorted(unpacked.rglob("*")):
            archive.add(name, str(name.relative_to(unpacked)), recursive=False)
    shutil.rmtree(unpacked)
    return path
