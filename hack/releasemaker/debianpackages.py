"""Debian's packages in the tree of an image: those of one architecture, swapped for the same of another one.

Standing: nothing of a package runs here, neither its programs nor its scripts; `dpkg-deb` unpacks. Holds: the packages
are the same, of the same version of their source; what a script of one left in the tree serves the other too, or
nothing is made.
"""

import hashlib
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final

from localcluster.node import debian
from releasemaker.errors import ReleaseError
from releasemaker.layertrees import LayerTree, Node

_ALL: Final = "all"
_DATABASE: Final = "var/lib/dpkg"
_STATUS: Final = f"{_DATABASE}/status"
_INFO: Final = f"{_DATABASE}/info"
# A rebuild of the same source, which one architecture can have alone.
_REBUILD: Final = re.compile(r"\+b[0-9]+$")
# What scripts of packages make for the one architecture, and nothing needs: the loader's cache of the folders that it
# searches anyway, and a list for those who choose packages.
_CACHE: Final = "etc/ld.so.cache"
_AVAILABLE: Final = f"{_DATABASE}/available"


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package as its archive has it: its fields, what dpkg keeps of it beside them, and its files."""

    fields: Mapping[str, str]
    information: Mapping[str, Node]
    files: Mapping[str, Node]

    @classmethod
    def read(cls, archive: Path) -> "DebianPackage":
        """Read the archive of a package. Raises `ReleaseError` where it is none."""
        information = LayerTree.read(BytesIO(_unpack("--ctrl-tarfile", archive))).nodes
        fields = _fields(information.pop("control").content.decode())
        return cls(fields, information, LayerTree.read(BytesIO(_unpack("--fsys-tarfile", archive))).nodes)

    @property
    def paragraph(self) -> str:
        """What dpkg's list says of it once it is installed."""
        fields = {"Package": self.fields["Package"], "Status": "install ok installed", **self.fields}
        if "conffiles" in self.information:
            paths = self.information["conffiles"].content.decode().split()
            # dpkg's own format, by which it knows what a person has changed.
            found = {path: hashlib.md5(self.files[path.lstrip("/")].content, usedforsecurity=False) for path in paths}
            fields["Conffiles"] = "".join(f"\n {path} {digest.hexdigest()}" for path, digest in found.items())
        return "\n".join(f"{name}:{'' if text[:1].isspace() else ' '}{text}" for name, text in fields.items())


def swap(tree: LayerTree, archives: Iterable[Path]) -> LayerTree:
    """Return a tree with these archives of packages in the place of what it has of their architecture's packages.

    Raises `ReleaseError` where they are not the same packages, or where what a script did cannot be taken over.
    """
    packages = {one.fields["Package"]: one for one in map(DebianPackage.read, archives)}
    installed = [_fields(paragraph) for paragraph in _paragraphs(tree)]
    _refuse_different(installed, packages)
    leaving = [fields for fields in installed if fields["Architecture"] != _ALL]
    arriving = [packages[fields["Package"]] for fields in leaving]
    # The links of a merged /usr are folders to packages, and stay where packages have something in them.
    folders = {path for package in arriving for path in package.files if "/" not in path}
    swapped = tree.copy()
    emptied: set[str] = set()
    for fields in leaving:
        _refuse_changed(tree, fields)
        for path in _owned(tree, fields):
            node = swapped.nodes.get(path)
            if node is not None and node.kind == tarfile.DIRTYPE:
                emptied.add(path)
            elif node is not None and path not in folders:
                emptied.add(tree.follow(path))
                del swapped.nodes[path]
    for package in arriving:
        _install(swapped, tree, package)
    stays = {path for fields in installed if fields["Architecture"] == _ALL for path in _owned(tree, fields)}
    swapped.prune(emptied - stays - {swapped.resolve(path) for package in arriving for path in package.files})
    _record(swapped, packages)
    return swapped


def _refuse_different(installed: list[dict[str, str]], packages: Mapping[str, DebianPackage]) -> None:
    wanted = {fields["Package"]: _REBUILD.sub("", fields["Version"]) for fields in installed}
    found = {name: _REBUILD.sub("", one.fields["Version"]) for name, one in packages.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ReleaseError(
                f"The base has {name} {wanted.get(name, 'not at all')}, and the other architecture "
                f"{found.get(name, 'not at all')}: Debian has changed since. Delete images/store in the cache."
            )


def _refuse_changed(tree: LayerTree, fields: Mapping[str, str]) -> None:
    """Refuse what a script changed after it was unpacked: nothing changes it in the other architecture's package."""
    for line in (tree.content(f"{_INFO}/{_stem(fields)}.md5sums") or b"").decode().splitlines():
        digest, _, path = line.partition("  ")
        if hashlib.md5(tree.content(path) or b"", usedforsecurity=False).hexdigest() != digest:
            raise ReleaseError(f"{path} is not as {fields['Package']} has it: what changed it cannot run here.")


def _owned(tree: LayerTree, fields: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths of a package that is installed, folders too."""
    for path in (tree.content(f"{_INFO}/{_stem(fields)}.list") or b"").decode().splitlines():
        yield tree.resolve(path.strip("/"))


def _install(swapped: LayerTree, before: LayerTree, package: DebianPackage) -> None:
    # By identity, so that hard links stay what they are.
    made: dict[int, Node] = {}
    for name, node in package.files.items():
        path = swapped.resolve(name)
        if node.kind == tarfile.DIRTYPE and swapped.is_folder(path):
            continue
        if path in swapped.nodes:
            raise ReleaseError(f"{package.fields['Package']} has {path}, which is there already.")
        earlier = before.nodes.get(path)
        # What scripts and the settling of the base did to the mode holds for the same file.
        kept = earlier is not None and earlier.kind == node.kind
        mode = earlier.mode if earlier and kept else node.mode & ~debian.LENT_RIGHTS
        swapped.nodes[path] = made.setdefault(id(node), replace(node, mode=mode, time=debian.CREATED))


def _record(tree: LayerTree, packages: Mapping[str, DebianPackage]) -> None:
    """Write dpkg's database: what is installed, and what belongs to it."""
    paragraphs = []
    for paragraph in _paragraphs(tree):
        fields = _fields(paragraph)
        if fields["Architecture"] == _ALL:
            paragraphs.append(paragraph)
            continue
        package = packages[fields["Package"]]
        paragraphs.append(package.paragraph)
        start = f"{_INFO}/{_stem(fields)}."
        for path in [path for path in tree.nodes if path.startswith(start) and "." not in path.removeprefix(start)]:
            del tree.nodes[path]
        names = "".join(f"/{name}\n" for name in (".", *package.files))
        information = {**package.information, "list": Node(tarfile.REGTYPE, 0o644, debian.CREATED, names.encode())}
        for kind, node in information.items():
            tree.nodes[f"{_INFO}/{_stem(package.fields)}.{kind}"] = replace(node, time=debian.CREATED)
    status = "".join(f"{paragraph}\n\n" for paragraph in paragraphs).encode()
    tree.nodes[_STATUS] = replace(tree.nodes[_STATUS], content=status)
    tree.nodes[_AVAILABLE] = replace(tree.nodes[_AVAILABLE], content=b"")
    tree.nodes.pop(_CACHE, None)


def _stem(fields: Mapping[str, str]) -> str:
    """Return what dpkg calls the files that it keeps of a package."""
    own = fields.get("Multi-Arch") == "same"
    return f"{fields['Package']}:{fields['Architecture']}" if own else fields["Package"]


def _paragraphs(tree: LayerTree) -> list[str]:
    return (tree.content(_STATUS) or b"").decode().strip("\n").split("\n\n")


def _fields(paragraph: str) -> dict[str, str]:
    """Return fields by name; a text of several lines keeps its line breaks."""
    found = re.findall(r"^([!-9;-~]+):[ \t]*(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
    return dict(found)


def _unpack(part: str, archive: Path) -> bytes:
    answer = subprocess.run(["dpkg-deb", part, archive], capture_output=True, check=False)  # noqa: S603, S607 - Debian's
    if answer.returncode != 0:
        raise ReleaseError(f"{archive.name} cannot be unpacked: {answer.stderr.decode().strip()}")
    return answer.stdout
