"""What a case stands on: a cluster with Bailiwick and the examples, wherever their processes run.

Standing: between the cases and who brings everything up: `stack.Stack` as processes of this machine, `incluster` as
pods. kubectl runs here in either case, as a person would run it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from demo.accounts import Accounts
from issuer.keys import Signer
from localcluster.access import Cluster
from localcluster.tokenrequest import Account

ROOT: Final = Path(__file__).resolve().parents[2]
KUBECTL: Final = Path(sys.executable).with_name("kubectl")

# Keeps a token file of an account filled and returns a kubeconfig that reads it.
Keeper = Callable[[Account, Path], Path]

Pod = dict[str, Any]


class Workloads(Protocol):
    """Makes the pods of case S2, of containers that run the approved image or another one. `how` says how."""

    @property
    def how(self) -> str:
        """Say what kind of pods these are."""

    def create(self, name: str, containers: Mapping[str, bool], init: Mapping[str, bool] | None = None) -> Pod:
        """Return a pod of the deployer; containers by name, with whether each runs the approved image.

        An init container that is not approved does not come to run at all.
        """


class Ground(Protocol):
    """A cluster on which the cases can be played."""

    cluster: Cluster
    folder: Path
    keeper: Keeper
    acting: Accounts
    workloads: Workloads
    crm_url: str
    signer: Signer | None

    @property
    def points(self) -> int:
        """How many decision points there are."""

    def evaluation(self, endpoint: str, number: int = 0) -> str:
        """Where a decision point is asked about an endpoint; they are numbered without end."""

    def records(self) -> list[str]:
        """Return the lines of all decision records, each point's in its order."""

    def kubectl(self, *arguments: str, person: str = "admin", kubeconfig: Path | None = None) -> tuple[int, str]:
        """Run kubectl as a person; return its exit code and what it said."""
        return run(KUBECTL, f"--kubeconfig={kubeconfig or self.cluster.kubeconfig(person)}", *arguments)

    def bailiwick(self, *arguments: str, kubeconfig: Path) -> tuple[int, str]:
        """Run `kubectl bailiwick` with nobody at the terminal; return its exit code and what it said."""
        return run(KUBECTL, "bailiwick", *arguments, f"--kubeconfig={kubeconfig}")


def run(program: Path, *arguments: str, given: str = "", seconds: float = 120) -> tuple[int, str]:
    """Run a program with nobody at the terminal, and `given` on its standard input; return its exit code and words."""
    code, out, errors = output(program, *arguments, given=given, seconds=seconds)
    return code, (out + errors).strip()


def output(
    program: Path,
    *arguments: str,
    given: str = "",
    seconds: float = 120,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Run a program likewise; return its exit code, and what went to standard output and to standard error.

    It starts in a folder, and has these variables of the environment beside our own.
    """
    path = os.pathsep.join((str(KUBECTL.parent), os.environ.get("PATH", "")))
    answer = subprocess.run(  # noqa: S603 - a program of this environment, with the demo's own arguments
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        input=given,
        env={**os.environ, **(environment or {}), "PATH": path},
        timeout=seconds,
    )
    return answer.returncode, answer.stdout, answer.stderr
