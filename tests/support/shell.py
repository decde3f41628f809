"""What a page tells somebody to type, typed: by bash, with kubectl and our plugin, as a person of the cluster."""

import os
import subprocess
from pathlib import Path
from typing import Final, Self

from demo.ground import KUBECTL
from localcluster.access import Cluster
from support.pages import DOCS, script


class Shell:
    """Runs blocks of a page in a folder: the root of the repository, where its paths are right, or another one.

    `variables` are of the environment.
    """

    def __init__(self, cluster: Cluster, page: str, folder: Path = DOCS.parent, **variables: str) -> None:
        self.cluster: Final = cluster
        self._page: Final = page
        self._folder: Final = folder
        self._variables: Final = variables

    def inside(self, folder: str) -> Self:
        """Return one that types in a folder of this one's."""
        return type(self)(self.cluster, self._page, self._folder / folder, **self._variables)

    def run(self, beginning: str, person: str = "admin", **replaced: str) -> subprocess.CompletedProcess[str]:
        """Run the block that begins so. Keywords are words of it to replace; each must be there."""
        text = script(self._page, beginning)
        for old, new in replaced.items():
            assert old in text, (old, text)
            text = text.replace(old, new)
        return self.type(text, person)

    def type(self, text: str, person: str = "admin") -> subprocess.CompletedProcess[str]:
        """Run these words."""
        environment = {
            **os.environ,
            **self._variables,
            "PATH": f"{Path(KUBECTL).parent}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.cluster.kubeconfig(person)),
        }
        command = ["bash", "-euo", "pipefail", "-c", text]
        return subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, check=False, timeout=200
        )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed that must succeed; an `AssertionError` has what it complained of."""
    assert done.returncode == 0, done.stderr
    return done.stdout
