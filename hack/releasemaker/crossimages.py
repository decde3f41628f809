"""The image for arm64, made from the one for amd64: what depends on the processor is swapped, and nothing runs.

Standing: above the modules of layers, packages and wheels. Takes the two layers that the Dockerfiles give an image of
`localcluster.node.images`: the base, and our libraries on top. Holds: each program and library in the image is for
arm64; everything that does not depend on the processor is, to the byte, what the image for amd64 has; two runs give the
same bytes.
"""

import csv
import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tarfile import REGTYPE
from typing import Any, Final

from packaging.utils import canonicalize_name, parse_wheel_filename

from bailiwick_api.distribution import DISTRIBUTION
from localcluster.node import images
from localcluster.progress import Progress
from releasemaker import debianpackages, wheels
from releasemaker.errors import ReleaseError
from releasemaker.imageindex import PLATFORMS, open_layout
from releasemaker.layertrees import LayerTree, Node
from releasemaker.layouts import Blob, canonical, layout, manifest
from releasemaker.source import Source
from releasemaker.wheels import ARM64

# `e_machine` of AArch64, by the ELF supplement of its ABI.
MACHINE: Final = 183
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_LIBRARY: Final = "opt/bailiwick/lib"
_COMPILED: Final = "opt/bailiwick/compiled"
# Of an image that buildah made: what it was made on, which is another base here.
_OF_THE_BASE: Final = "org.opencontainers.image.base."
_VERSION: Final = re.compile(r"python(3\.[0-9]+)$")


@dataclass(frozen=True, slots=True)
class _Base:
    """The lowest layer as it was and as it is for arm64; the latter as a blob too, with the digest of its archive."""

    before: LayerTree
    after: LayerTree
    layer: Blob
    diff_id: str

    @property
    def python(self) -> str:
        """The version of its Python, as 3.11. Raises `ReleaseError` where it has none."""
        found = _VERSION.search(self.after.follow("usr/bin/python3"))
        if not found:
            raise ReleaseError("The base has no Python at usr/bin/python3.")
        return found[1]


class CrossImages:
    """Makes images for arm64; keeps the base, which images have in common."""

    def __init__(self, source: Source, progress: Progress) -> None:
        """Make them of a commit, whose locks name the wheels."""
        self._source = source
        self._progress = progress
        self._bases: dict[str, _Base] = {}

    def build(self, native: Path, lock: str, archive: Path, name: str) -> None:
        """Write the layout of the image for arm64, from the layout of the one for amd64 and the lock of that.

        `name` is the image's. Raises `ReleaseError` and `BuildError`.
        """
        with self._progress.step(f"Making {name} for {ARM64.name}"), open_layout(native) as opened:
            image = json.load(opened.blob(opened.top()["digest"]))
            if len(image["layers"]) != 2:  # noqa: PLR2004 - the base and ours
                raise ReleaseError(f"{native.name} has {len(image['layers'])} layers, and not a base and one on top.")
            lowest, highest = (one["digest"] for one in image["layers"])
            if lowest not in self._bases:
                self._bases = {lowest: self._base(lowest, LayerTree.read(opened.blob(lowest)))}
            config = json.load(opened.blob(image["config"]["digest"]))
            ours = LayerTree.read(opened.blob(highest))
            base = self._bases[lowest]
            found = wheels.fetch(self._source.folder / "requirements" / f"{lock}.txt", ARM64, base.python)
            swapped = swap_wheels(ours, found, self._source.created)
            remove_stale((base.before, ours), (base.after, swapped))
            refuse_other_machines(name, swapped)
            layer, diff_id = _compressed(swapped)
            written = _configured(config, [base.diff_id, diff_id])
            annotations = {key: text for key, text in image.get("annotations", {}).items() if _OF_THE_BASE not in key}
            top = manifest(written, [base.layer, layer], annotations)
            archive.write_bytes(layout(top, name, [written, base.layer, layer], self._source.created))

    def _base(self, digest: str, before: LayerTree) -> _Base:
        folder = images.packages(self._progress, ARM64.architecture, digest)
        after = debianpackages.swap(before, sorted(folder.glob("*.deb")))
        refuse_other_machines("the base", after)
        return _Base(before, after, *_compressed(after))


def swap_wheels(tree: LayerTree, found: Iterable[Path], created: int) -> LayerTree:
    """Return our libraries with these wheels in the place of those that are made for a processor.

    Raises `ReleaseError` where the wheels are not of what is there.
    """
    by_name: dict[str, Path] = {}
    wanted: dict[str, str] = {}
    bound: set[str] = set()
    for wheel in found:
        distribution, version, _, tags = parse_wheel_filename(wheel.name)
        by_name[distribution], wanted[distribution] = wheel, str(version)
        if any(tag.platform != "any" for tag in tags):
            bound.add(distribution)
    information = _installed(tree)
    installed = {name: _stem(folder)[1] for name, folder in information.items()}
    for name in sorted(wanted.keys() | installed.keys()):
        if wanted.get(name) != installed.get(name):
            raise ReleaseError(
                f"The image for amd64 has {name} {installed.get(name, 'not at all')}, and the lock for arm64 "
                f"{wanted.get(name, 'not at all')}: they must be the same."
            )
    bound |= {name for name, folder in information.items() if _is_bound(tree, folder)}
    swapped = tree.copy()
    emptied: set[str] = set()
    for each in bound:
        for path in _recorded(tree, information[each]):
            if swapped.nodes.pop(path, None):
                emptied |= set(_folders(path))
    for each in sorted(bound):
        for path, entry in wheels.unpack(by_name[each]).items():
            mode = 0o755 if entry.executable else 0o644
            swapped.add_file(f"{_LIBRARY}/{path}", Node(REGTYPE, mode, created, entry.content))
    swapped.prune(emptied)
    return swapped


def remove_stale(before: tuple[LayerTree, LayerTree], after: tuple[LayerTree, LayerTree]) -> None:
    """Remove what was compiled of a source that is another one now, from the last of these trees.

    The trees are base and libraries, before and after. Python does not compare what is compiled with its source here.
    """
    ours = after[-1]
    emptied: set[str] = set()
    for path in [path for path, node in ours.nodes.items() if path.endswith(".pyc") and node.kind == REGTYPE]:
        folder, name = posixpath.split(path.removeprefix(f"{_COMPILED}/"))
        source = posixpath.join(folder, f"{name.partition('.')[0]}.py")
        earlier, now = (_content(trees, source) for trees in (before, after))
        if now is None or earlier != now:
            del ours.nodes[path]
            emptied |= set(_folders(path))
    ours.prune(emptied)


def refuse_other_machines(name: str, tree: LayerTree) -> None:
    """Raise `ReleaseError` for a program or library that is for another processor than AArch64."""
    for path, machine in tree.machines():
        if machine != MACHINE:
            raise ReleaseError(f"{name} for arm64 has /{path}, whose e_machine is {machine} and not {MACHINE}.")


def _installed(tree: LayerTree) -> dict[str, str]:
    """Return the name of the folder with the metadata of each distribution but ours, by its name."""
    found = {}
    for path in tree.nodes:
        folder, _, file = path.removeprefix(f"{_LIBRARY}/").partition("/")
        if folder.endswith(".dist-info") and file == "METADATA":
            found[str(canonicalize_name(_stem(folder)[0]))] = folder
    found.pop(DISTRIBUTION, None)
    return found


def _stem(folder: str) -> tuple[str, str]:
    """Return the name and the version in the name of a folder with metadata."""
    name, _, version = folder.removesuffix(".dist-info").rpartition("-")
    return name, version


def _is_bound(tree: LayerTree, folder: str) -> bool:
    text = (tree.content(f"{_LIBRARY}/{folder}/WHEEL") or b"").decode()
    return any(not tag.endswith("-any") for tag in re.findall(r"^Tag: *(\S+)", text, re.MULTILINE))


def _recorded(tree: LayerTree, folder: str) -> list[str]:
    """Return the paths of the files of a distribution that is installed."""
    text = (tree.content(f"{_LIBRARY}/{folder}/RECORD") or b"").decode()
    return [posixpath.normpath(f"{_LIBRARY}/{line[0]}") for line in csv.reader(text.splitlines())]


def _folders(path: str) -> list[str]:
    """Return the folders above a path."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _content(trees: tuple[LayerTree, LayerTree], path: str) -> bytes | None:
    """Return what a file holds in layers over each other; None where there is none."""
    return next((found for tree in reversed(trees) if (found := tree.content(path)) is not None), None)


def _compressed(tree: LayerTree) -> tuple[Blob, str]:
    """Return a layer and its diff id: the digest of the archive that it unpacks to."""
    archive = tree.archive()
    layer = Blob(_LAYER, gzip.compress(archive, compresslevel=6, mtime=0))
    return layer, f"sha256:{hashlib.sha256(archive).hexdigest()}"


def _configured(config: Mapping[str, Any], diff_ids: list[str]) -> Blob:
    """Return the config of an image with its platform and layers; what runs and how stays."""
    return Blob(
        _CONFIG,
        canonical({**config, **PLATFORMS[ARM64.name], "rootfs": {"type": "layers", "diff_ids": diff_ids}}),
    )
