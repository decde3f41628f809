"""The files of a layer of an image, in memory: read from a tar archive, changed, and written as one.

Standing: knows nothing of images, and runs no program. Paths begin without a slash. Holds: everything belongs to root;
the same files give the same archive, in whatever order they came.
"""

import io
import posixpath
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Final

_ELF: Final = b"\x7fELF"
# Of an ELF file: the byte that says how numbers are written (1: the lowest byte first), and where `e_machine` is.
_ORDER: Final = 5
_MACHINE: Final = slice(18, 20)
_LOWEST_FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder, link or device. Two paths that have the very same node are hard links of each other.

    `kind` is a type of `tarfile`, `time` is in seconds since 1970, `target` is where a symbolic link leads.
    """

    kind: bytes
    mode: int
    time: int
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)


class LayerTree:
    """The nodes of a layer by their paths."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        """Take these."""
        self.nodes = nodes

    @classmethod
    def read(cls, archive: IO[bytes]) -> "LayerTree":
        """Read a tar archive, compressed or not. Whoever owns a file there, it is root's here."""
        nodes: dict[str, Node] = {}
        with tarfile.open(fileobj=archive, mode="r|*") as files:
            for member in files:
                path = _relative(member.name)
                if member.islnk():
                    nodes[path] = nodes[_relative(member.linkname)]
                elif path:
                    content = files.extractfile(member) if member.isreg() else None
                    nodes[path] = Node(
                        member.type if not member.isreg() else tarfile.REGTYPE,
                        member.mode,
                        int(member.mtime),
                        content.read() if content else b"",
                        member.linkname if member.issym() else "",
                        (member.devmajor, member.devminor),
                    )
        return cls(nodes)

    def copy(self) -> "LayerTree":
        """Return a tree that changes by itself."""
        return LayerTree(dict(self.nodes))

    def follow(self, path: str) -> str:
        """Return a path without links, whether anything is there or not. A circle of links raises `RecursionError`."""
        done = ""
        for part in path.split("/"):
            done = posixpath.join(done, part)
            node = self.nodes.get(done)
            if node is not None and node.kind == tarfile.SYMTYPE:
                done = self.follow(_relative(posixpath.join(posixpath.dirname(done), node.target)))
        return done

    def resolve(self, path: str) -> str:
        """Return a path without links among its folders; its last part may be one."""
        folder, _, name = path.rpartition("/")
        return posixpath.join(self.follow(folder), name) if folder else name

    def content(self, path: str) -> bytes | None:
        """Return what a file holds, over links; None where there is none."""
        node = self.nodes.get(self.follow(path))
        return node.content if node and node.kind == tarfile.REGTYPE else None

    def is_folder(self, path: str) -> bool:
        """Return whether a folder is there, over links."""
        node = self.nodes.get(self.follow(path))
        return node is not None and node.kind == tarfile.DIRTYPE

    def add_file(self, path: str, node: Node) -> None:
        """Add a node, and the folders above it that are not there, of its time."""
        folder = posixpath.dirname(path)
        while folder and folder not in self.nodes:
            self.nodes[folder] = Node(tarfile.DIRTYPE, 0o755, node.time)
            folder = posixpath.dirname(folder)
        self.nodes[path] = node

    def prune(self, folders: Iterable[str]) -> None:
        """Remove those of these folders that are empty, or become so by that."""
        entries = Counter(posixpath.dirname(path) for path in self.nodes)
        # A folder comes after those in it.
        for folder in sorted(folders, reverse=True):
            node = self.nodes.get(folder)
            if node is not None and node.kind == tarfile.DIRTYPE and not entries[folder]:
                del self.nodes[folder]
                entries[posixpath.dirname(folder)] -= 1

    def machines(self) -> Iterator[tuple[str, int]]:
        """Yield the path of each ELF file and its `e_machine`."""
        for path, node in sorted(self.nodes.items()):
            if node.content.startswith(_ELF):
                lowest_first = node.content[_ORDER] == _LOWEST_FIRST
                yield path, int.from_bytes(node.content[_MACHINE], "little" if lowest_first else "big")

    def archive(self) -> bytes:
        """Return a tar archive of all nodes."""
        output = io.BytesIO()
        first: dict[int, str] = {}
        # GNU's format has no further headers, in which pax would keep what differs between machines.
        with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path, node in sorted(self.nodes.items()):
                header = tarfile.TarInfo(path)
                header.type, header.mode, header.mtime = node.kind, node.mode, node.time
                header.linkname, (header.devmajor, header.devminor) = node.target, node.device
                if node.kind == tarfile.REGTYPE and id(node) in first:
                    header.type, header.linkname = tarfile.LNKTYPE, first[id(node)]
                elif node.kind == tarfile.REGTYPE:
                    first[id(node)] = path
                    header.size = len(node.content)
                archive.addfile(header, io.BytesIO(node.content) if header.size else None)
        return output.getvalue()


def _relative(name: str) -> str:
    """Return a path as trees have it; empty for the root."""
    return posixpath.normpath(f"/{name}").lstrip("/")
