"""What a page tells somebody to type, typed: by bash, with kubectl and our plugin, as a person of the cluster."""

import os
import subprocess
from pathlib import Path
from typing import Final

from demo.ground import KUBECTL
from localcluster.access import Cluster
from support.pages import DOCS, script


class Shell:
    """Runs blocks of a page at the root of the repository, where its paths are right."""

    def __init__(self, cluster: Cluster, page: str) -> None:
        self.cluster: Final = cluster
        self._page: Final = page

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
            "PATH": f"{Path(KUBECTL).parent}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.cluster.kubeconfig(person)),
        }
        command = ["bash", "-euo", "pipefail", "-c", text]
        return subprocess.run(
            command, cwd=DOCS.parent, env=environment, capture_output=True, text=True, check=False, timeout=120
        )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed that must succeed; an `AssertionError` has what it complained of."""
    assert done.returncode == 0, done.stderr
    return done.stdout
