"""An image for several platforms: one OCI index over the image of each, in one layout.

Holds: manifests and layers are copied as bytes, so the image of a platform keeps its digest; the index names what it
holds and nothing else. Nodes, signatures and the chart name the index, by its digest.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from releasemaker.errors import ReleaseError
from releasemaker.layouts import NAME, Blob, canonical

INDEX: Final = "application/vnd.oci.image.index.v1+json"
_BLOBS: Final = "blobs/"
# As OCI writes platforms, by the word for each in the names of files.
PLATFORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "linux-amd64": {"architecture": "amd64", "os": "linux"},
    "linux-arm64": {"architecture": "arm64", "os": "linux", "variant": "v8"},
}
_MACHINES: Final[Mapping[str, str]] = {"x86_64": "linux-amd64", "aarch64": "linux-arm64"}


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """The image of one platform in a layout: its digest, and its manifest."""

    digest: str
    manifest: Mapping[str, Any]


class Layout:
    """A layout in a tar file that is open."""

    def __init__(self, archive: tarfile.TarFile, name: str) -> None:
        """Read from it. `name` stands in messages."""
        self._archive = archive
        self._name = name

    def file(self, name: str) -> IO[bytes]:
        """Open a file of the layout. Raises `ReleaseError` where there is none."""
        try:
            found = self._archive.extractfile(name)
        except KeyError:
            found = None
        if found is None:
            raise ReleaseError(f"{self._name} is no OCI layout: it has no {name}.")
        return found

    def blob(self, digest: str) -> IO[bytes]:
        """Open a blob by its digest."""
        return self.file(f"{_BLOBS}{digest.replace(':', '/')}")

    def top(self) -> Mapping[str, Any]:
        """Return the descriptor of the one thing that the layout holds."""
        found: list[dict[str, Any]] = json.load(self.file("index.json"))["manifests"]
        if len(found) != 1:
            raise ReleaseError(f"{self._name} holds {len(found)} images, and not one.")
        return found[0]

    def images(self) -> dict[str, PlatformImage]:
        """Return the image of each platform, by its word. Raises `ReleaseError` where there is no index of them."""
        top = self.top()
        if top["mediaType"] != INDEX:
            raise ReleaseError(f"{self._name} holds no index of platforms.")
        found = {}
        for one in json.load(self.blob(top["digest"]))["manifests"]:
            words = [word for word, platform in PLATFORMS.items() if platform == one["platform"]]
            if not words:
                raise ReleaseError(f"{self._name} has an image for an unknown platform: {one['platform']}.")
            found[words[0]] = PlatformImage(one["digest"], json.load(self.blob(one["digest"])))
        return found

    def blobs(self) -> Iterator[tarfile.TarInfo]:
        """Yield the entry of each blob."""
        return (entry for entry in self._archive if entry.isfile() and entry.name.startswith(_BLOBS))


@contextmanager
def open_layout(archive: Path) -> Iterator[Layout]:
    """Open a layout. Raises `ReleaseError` where it is none."""
    try:
        with tarfile.open(archive) as files:
            yield Layout(files, archive.name)
    except tarfile.TarError as error:
        raise ReleaseError(f"{archive.name} is no OCI layout: {error}") from error


def platform_word(machine: str) -> str:
    """Return the word for the platform of a machine that Python calls so. Raises `ReleaseError` for any other."""
    try:
        return _MACHINES[machine]
    except KeyError:
        raise ReleaseError(f"Images are built on {' and '.join(_MACHINES)}, and this machine is {machine}.") from None


def join(archives: Mapping[str, Path], output: Path, tag: str, created: int) -> str:
    """Write the layout of an image for all these platforms; returns the digest of its index.

    `archives` are layouts of one image each, by the word of the platform. Raises `ReleaseError`.
    """
    descriptors = []
    temporary = output.with_name(f".{output.name}")
    # GNU's format, and one time for all: the same images give the same bytes.
    with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as written:
        seen: set[str] = set()
        for word, archive in sorted(archives.items()):
            with open_layout(archive) as layout:
                top = layout.top()
                descriptors.append({name: top[name] for name in ("mediaType", "digest", "size")})
                descriptors[-1]["platform"] = dict(PLATFORMS[word])
                for entry in sorted(layout.blobs(), key=lambda entry: entry.name):
                    if entry.name not in seen:
                        seen.add(entry.name)
                        _add(written, entry.name, layout.file(entry.name), entry.size, created)
        index = Blob(INDEX, canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}))
        files = {
            f"{_BLOBS}{index.digest.replace(':', '/')}": index.content,
            "oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
            "index.json": canonical(
                {"schemaVersion": 2, "manifests": [{**index.descriptor, "annotations": {NAME: tag}}]}
            ),
        }
        for name, content in files.items():
            _add(written, name, io.BytesIO(content), len(content), created)
    shutil.move(temporary, output)
    return index.digest


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int, created: int) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, created, 0o644
    archive.addfile(header, content)
