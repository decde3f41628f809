"""The images of a running node, by containerd's own client.

Standing: under `node`; all it knows of the node is its first process, so a later command can use it, too.
"""

import subprocess
from pathlib import Path
from typing import Final

from localcluster.errors import StartError
from localcluster.node.config import CONTAINERD_SOCKET
from localcluster.process import ProcessId

_SECONDS: Final = 300
# The images of Kubernetes lie apart from those of anybody else who uses a containerd.
_NAMESPACE: Final = "k8s.io"


class Containerd:
    """The containerd of the node whose first process is `inside`."""

    def __init__(self, ctr: Path, inside: ProcessId) -> None:
        self._ctr = ctr
        self._inside = inside

    def answers(self) -> bool:
        """Whether it runs."""
        return self.run("version").returncode == 0

    def load(self, archive: Path) -> None:
        """Bring an image in, from an OCI or Docker archive; pods name it as the archive does.

        A pod's status then shows it as `name@sha256:...`, by the digest of its manifest, as if it came from a registry.
        """
        before = self._images()
        self._must("images", "import", str(archive))
        for name, digest in self._images().items():
            repository, colon, tag = name.rpartition(":")
            # Beside each there is a name that is a digest alone, and an older one may have its digest already.
            named = colon and "/" not in tag and "@" not in name and repository != "sha256"
            if named and before.get(name) != digest:
                self._must("images", "tag", "--force", name, f"{repository}@{digest}")

    def _images(self) -> dict[str, str]:
        """Return the digest of each name: `ctr` has a table of REF, TYPE, DIGEST and more."""
        rows = [row.split() for row in self._must("images", "list").splitlines()[1:]]
        return {row[0]: row[2] for row in rows}

    def _must(self, *arguments: str) -> str:
        said = self.run(*arguments)
        if said.returncode != 0:
            raise StartError(f"`ctr {' '.join(arguments)}` failed: {said.stderr.strip()[-1000:]}")
        return said.stdout

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the client, and return what it said."""
        # The socket lies in the node's file system, which the kernel shows below the process.
        socket = f"/proc/{self._inside.pid}/root{CONTAINERD_SOCKET}"
        return subprocess.run(  # noqa: S603 - the ctr that we built
            [self._ctr, "--address", socket, "--namespace", _NAMESPACE, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
