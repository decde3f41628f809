"""Lists of contents (SBOM), in CycloneDX: of the wheel with all its extras, and of each image.

Standing: Python's packages come from the locks, by cyclonedx-py, with the hashes that an installation accepts; Debian's
come from the image. Holds: the list of an image names what is in the image; what is there and in no lock is an error.
"""

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from packaging.utils import canonicalize_name

from bailiwick_api.distribution import DISTRIBUTION
from releasemaker.errors import ReleaseError
from releasemaker.imageindex import Layout, PlatformImage, open_layout
from releasemaker.layouts import canonical
from releasemaker.source import Source, python, run

LOCKS: Final = ("webhook", "operator", "cli", "gateway")
_FORM: Final = ("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON")
_METADATA: Final = re.compile(r"^opt/bailiwick/lib/[^/]+\.dist-info/METADATA$")
_STATUS: Final = re.compile(r"^var/lib/dpkg/status$")
_SUITE: Final = "debian-12"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImageContents:
    """What lies in an image: Python's packages by name, and Debian's as name, version and architecture."""

    python: Mapping[str, str]
    debian: Sequence[tuple[str, str, str]]


def of_wheel(source: Source, output: Path) -> Path:
    """Write the list of what the wheel needs with all its extras, as it was tested."""
    path = output / f"{DISTRIBUTION}-{source.version}.cdx.json"
    path.write_bytes(canonical(_locked(source, LOCKS)) + b"\n")
    return path


def of_image(source: Source, name: str, lock: str, archive: Path, output: Path) -> list[Path]:
    """Write a list of what is in the image for each platform of an OCI archive. Raises `ReleaseError`."""
    with open_layout(archive) as layout:
        found = {word: (one.digest, _read_layers(layout, one)) for word, one in layout.images().items()}
    return [
        _write_platform(source, name, lock, word, digest, inside, output) for word, (digest, inside) in found.items()
    ]


def _write_platform(
    source: Source, name: str, lock: str, word: str, digest: str, found: ImageContents, output: Path
) -> Path:
    document = _locked(source, (lock,))
    known = {(str(canonicalize_name(one["name"])), one.get("version")): one for one in document["components"]}
    components = []
    for package, version in sorted(found.python.items()):
        if package == DISTRIBUTION:
            continue
        if (package, version) not in known:
            raise ReleaseError(
                f"The image {name} has {package} {version}, which requirements/{lock}.txt does not name."
            )
        components.append(known[package, version])
    components += [_debian(*package) for package in sorted(found.debian)]
    document["components"] = components
    document["dependencies"] = [{"ref": one["bom-ref"]} for one in components]
    document["metadata"]["component"] = {
        "bom-ref": "root-component",
        "type": "container",
        "name": name,
        "version": source.version,
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }
    path = output / f"{name}-{source.version}-{word}.cdx.json"
    path.write_bytes(canonical(document) + b"\n")
    return path


def _read_layers(layout: Layout, image: PlatformImage) -> ImageContents:
    """Read the layers of an image. Packages that a later layer removes count as there."""
    packages: dict[str, str] = {}
    status = ""
    for descriptor in image.manifest["layers"]:
        with tarfile.open(fileobj=layout.blob(descriptor["digest"]), mode="r|*") as layer:
            for member in layer:
                name = member.name.removeprefix("./").lstrip("/")
                if not member.isfile() or not (_METADATA.match(name) or _STATUS.match(name)):
                    continue
                content = layer.extractfile(member)
                text = content.read().decode() if content else ""
                if _STATUS.match(name):
                    status = text
                else:
                    fields = dict(_fields(text))
                    packages[canonicalize_name(fields["Name"])] = fields["Version"]
    return ImageContents(packages, tuple(_installed(status)))


def _locked(source: Source, locks: Sequence[str]) -> Document:
    entries: dict[str, str] = {}
    for lock in locks:
        text = (source.folder / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
        for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE):
            if found := re.match(r"[a-z0-9][\w.-]*", entry):
                entries.setdefault(found[0], entry)
    with tempfile.TemporaryDirectory(prefix="bailiwick-contents-") as folder:
        requirements, output = Path(folder, "requirements.txt"), Path(folder, "contents.json")
        requirements.write_text("".join(text for _, text in sorted(entries.items())), encoding="utf-8")
        project = ("--pyproject", source.folder / "pyproject.toml")
        quiet = {"PYTHONWARNINGS": "ignore"}
        run(python("cyclonedx_py", "requirements", *_FORM, *project, "-o", output, requirements), source, **quiet)
        document: Document = json.loads(output.read_bytes())
    for component in document["components"]:
        # It repeats the whole entry of the lock.
        component.pop("description", None)
    return document


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a head as mail has it, up to the first empty line."""
    for line in text.split("\n\n", 1)[0].splitlines():
        name, separator, value = line.partition(": ")
        if separator and not line.startswith(" "):
            yield name, value


def _installed(status: str) -> Iterator[tuple[str, str, str]]:
    for paragraph in status.split("\n\n"):
        fields = dict(_fields(paragraph))
        if fields.get("Status") == "install ok installed":
            yield fields["Package"], fields["Version"], fields["Architecture"]


def _debian(name: str, version: str, architecture: str) -> Document:
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={_SUITE}"
    return {"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl}
