"""All steps of a release, in their order, into one folder.

Standing: above the modules of the single artefacts, below the command line. Holds: the folder appears whole or not at
all; what it holds depends on the commit, the settings and the images alone, but for signatures, which differ each time.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localcluster import build as programs
from localcluster.progress import Progress
from releasemaker import (
    chart,
    contents,
    exploitability,
    manifests,
    notes,
    packages,
    plugin,
    provenance,
    signatures,
    sums,
)
from releasemaker.errors import ReleaseError
from releasemaker.layouts import layout_digest
from releasemaker.signatures import BUNDLE
from releasemaker.source import Source, export

PUBLIC_KEY: Final = "cosign.pub"
# The images by name: the component of the chart that runs each, if one does, and the lock that it is made from.
IMAGES: Final[Mapping[str, tuple[str | None, str]]] = {
    "bailiwick-webhook": ("webhook", "webhook"),
    "bailiwick-operator": ("operator", "operator"),
    "bailiwick-cli": ("console", "cli"),
    "bailiwick-mcp-gateway": (None, "gateway"),
}


@dataclass(frozen=True, slots=True)
class ReleaseSettings:
    """What a maker of a release chooses.

    `registry` is where images will be pulled from, `address` where files will be downloaded from. `images` is a folder
    of OCI archives called after the images, if they were built.
    """

    version: str
    registry: str
    address: str
    key: Path | None = None
    images: Path | None = None


def assemble(checkout: Path, output: Path, settings: ReleaseSettings, progress: Progress) -> dict[str, Any]:
    """Make a release of the commit of a checkout; returns its summary.

    Raises `ReleaseError`, and `LocalClusterError` where a program cannot be built.
    """
    _make_way(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bailiwick-source-") as folder:
        with progress.step("The commit, as a folder of its own"):
            source = export(checkout, settings.version, Path(folder))
        made = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        try:
            summary = _write(source, made, settings, progress)
            made.chmod(0o755)
            if output.exists():
                shutil.rmtree(output)
            made.replace(output)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return summary


def _make_way(output: Path) -> None:
    """Refuse a folder that holds anything but an earlier release."""
    if output.exists() and not (output.is_dir() and (not any(output.iterdir()) or (output / sums.NAME).is_file())):
        raise ReleaseError(f"{output} holds something that is no release: name another folder, or remove it yourself.")


def _write(source: Source, output: Path, settings: ReleaseSettings, progress: Progress) -> dict[str, Any]:
    archives = _take_images(source, output, settings.images)
    digests = {name: layout_digest(archive) for name, archive in archives.items()}
    with progress.step("Wheel and source archive"):
        wheel, _ = packages.build(source, output)
    with progress.step("Chart, as an archive and as an OCI layout"):
        components = {part: digests[name] for name, (part, _) in IMAGES.items() if part and name in digests}
        made_chart = chart.build(source, output, settings.registry, components)
    with progress.step("install.yaml and crds.yaml"):
        helm = programs.ensure(programs.helm(), progress) / "helm"
        manifests.build(source, made_chart.archive, helm, output)
    with progress.step("The plugin of kubectl, for krew"):
        plugin.build(source, wheel, output, settings.address)
    with progress.step("Lists of contents (CycloneDX)"):
        contents.of_wheel(source, output)
        for name, archive in archives.items():
            contents.of_image(source, name, IMAGES[name][1], archive, output)
    with progress.step("OpenVEX and release notes"):
        exploitability.build(source, output, digests)
        _, own_section = notes.build(source, output)
    if not own_section:
        progress.say(f"CHANGELOG.md has no section {source.version}: the notes are those of [Unreleased].")
    with progress.step("Provenance and checksums"):
        statement = provenance.build(source, output, sorted(output.iterdir()), digests, made_chart.digest)
        checksums = sums.build(sorted(output.iterdir()), output)
    if settings.key is not None:
        with progress.step("Signatures"):
            _sign(settings.key, statement, checksums, output, progress)
    else:
        progress.say("No key is named (--key), so nothing is signed: this is no release to publish.")
    return summarize(output)


def summarize(folder: Path) -> dict[str, Any]:
    """Return what a release is, by its own files: version, commit, digests, and every file with its hash."""
    statement = json.loads((folder / provenance.NAME).read_bytes())
    definition = statement["predicate"]["buildDefinition"]
    digests = {
        one["name"].removeprefix("oci:"): f"sha256:{one['digest']['sha256']}"
        for one in statement["subject"]
        if one["name"].startswith("oci:")
    }
    return {
        "version": definition["externalParameters"]["version"],
        "commit": definition["resolvedDependencies"][0]["digest"]["gitCommit"],
        "level": definition["internalParameters"]["level"],
        "signed": (folder / f"{sums.NAME}{BUNDLE}").is_file(),
        "chart": digests.pop("charts/bailiwick"),
        "images": digests,
        "files": [
            {"name": path.name, "sha256": sums.sha256(path), "bytes": path.stat().st_size}
            for path in sorted(folder.iterdir())
        ],
    }


def _take_images(source: Source, output: Path, folder: Path | None) -> dict[str, Path]:
    """Copy the archives of images into a release; none, if no folder is named."""
    if folder is None:
        return {}
    found = {}
    for name in IMAGES:
        archive = folder / f"{name}.oci.tar"
        if not archive.is_file():
            raise ReleaseError(f"{archive} is missing: build the images of this commit first (make release-images).")
        found[name] = Path(shutil.copyfile(archive, output / f"{name}-{source.version}.oci.tar"))
    return found


def _sign(key: Path, statement: Path, checksums: Path, output: Path, progress: Progress) -> None:
    cosign = programs.ensure(programs.cosign(), progress) / "cosign"
    with signatures.signer(cosign, key) as signer:
        signer.attest(statement)
        signer.sign(checksums)
        signer.public_key(output / PUBLIC_KEY)


def is_signature(name: str) -> bool:
    """Return whether a file of a release is made anew by each signing, and so in no list of checksums."""
    return name.endswith(BUNDLE) or name in {PUBLIC_KEY, sums.NAME}
