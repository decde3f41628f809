"""The container of the gate of examples/gates, run as a plain process: its command, its files and its account.

Standing: in place of a kubelet, where there is no node.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from demo.ground import KUBECTL
from localcluster.access import Cluster
from support.commandline import Ran
from support.objects import Object

ACCOUNT: Final = "policy-gate"
_SECONDS: Final = 120.0


def run(
    container: Object, files: Mapping[str, str], folder: Path, kubeconfig: Path, programs: Path | None = None
) -> Ran:
    """Run the command of a container with the files of its ConfigMap, which are written below `folder`.

    `programs` is a folder whose programs come first; by default those beside this Python.
    """
    mounted = folder / "mounted"
    mounted.mkdir(exist_ok=True)
    for name, text in files.items():
        (mounted / name).write_text(text, encoding="utf-8")
    (script,) = container["args"]
    assert "/policies/" in script
    path = f"{programs or KUBECTL.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*container["command"], script.replace("/policies/", f"{mounted}/")],
        env={**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def kubeconfig(cluster: Cluster, namespace: str, path: Path, token: str | None = None) -> Path:
    """Write a kubeconfig with this token, by default of the gate's account: what a pod has in its volume."""
    token = token or cluster.service_account_token(namespace, ACCOUNT, (), 3600)
    raw = yaml.safe_load(cluster.kubeconfig("admin").read_text(encoding="utf-8"))
    raw["users"] = [{**user, "user": {"token": token}} for user in raw["users"]]
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    path.chmod(0o600)
    return path
