"""How a node of the test cluster ends: nothing of it is left on the machine, however its owner ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from localcluster.node import cgroups, needs
from localcluster.node.cluster import NodeCluster
from localcluster.node.needs import NodeNeedsError, Program
from localcluster.node.network import claim
from localcluster.node.node import name_of
from localcluster.process import ProcessId
from support.waits import until

# Starts a cluster with a node, in a folder or in one that goes away with it, and then does nothing.
OWNER: Final = """
import sys, time
from pathlib import Path
from localcluster.node.cluster import NodeCluster
bed = NodeCluster(Path(sys.argv[1]) if sys.argv[1:] else None)
bed.start()
print(bed.folder, *(f"{entry.pid}:{entry.started}" for entry in bed.processes.values()), flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class OwnedCluster:
    """A cluster that another process owns."""

    owner: "subprocess.Popen[str]"
    folder: Path
    processes: list[ProcessId]

    @property
    def left(self) -> list[object]:
        """Whatever of it is still there."""
        link = Path("/sys/class/net", name_of(self.folder))
        groups = [group for group in cgroups.groups(name_of(self.folder)) if group.exists()]
        return [*(entry for entry in self.processes if entry.alive), *groups, *([link] if link.exists() else [])]


@pytest.fixture
def owned(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OwnedCluster]:
    where = [str(tmp_path / "cluster")] if request.param == "a folder of its own" else []
    command = [sys.executable, "-c", OWNER, *where]
    environment = {**os.environ, "PYTHONPATH": _SOURCE}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        try:
            folder, *named = owner.stdout.readline().split()
            processes = [ProcessId(int(pid), started) for pid, _, started in (each.partition(":") for each in named)]
            yield OwnedCluster(owner, Path(folder), processes)
        finally:
            owner.kill()


_SOURCE: Final = str(Path(__file__).resolve().parents[2] / "localcluster" / "src")


@pytest.mark.parametrize("owned", ["a temporary folder"], indirect=True)
def test_a_node_whose_owner_is_killed_leaves_nothing_and_stands_beside_another_until_then(
    node: NodeCluster, owned: OwnedCluster
) -> None:
    assert all(entry.alive for entry in owned.processes)
    owned.owner.send_signal(signal.SIGKILL)
    until(lambda: not owned.left and not owned.folder.exists(), "nothing is left")
    assert node.cluster.rest().get("/api/v1/nodes/node").ok


@pytest.mark.parametrize("owned", ["a folder of its own"], indirect=True)
def test_a_node_starts_again_on_the_data_of_one_that_was_killed(owned: OwnedCluster) -> None:
    owned.owner.send_signal(signal.SIGKILL)
    until(lambda: not owned.left, "nothing is left but the folder")
    with NodeCluster(owned.folder) as again:
        assert again.cluster.rest().get("/api/v1/nodes/node").ok
        # What the store says of Services' addresses still holds.
        service = again.cluster.rest().get("/api/v1/namespaces/default/services/kubernetes").body
        assert service["spec"]["clusterIP"] == str(again.network.api_service)


def test_addresses_that_somebody_uses_are_not_claimed(node: NodeCluster) -> None:
    assert claim().slot != node.network.slot


def test_what_a_machine_lacks_is_told_all_at_once_with_its_cure_and_a_code_of_its_own() -> None:
    lacking = (Program("no-such-program", "no-such-package"), Program("nor-this", "no-such-package"), *needs.NODE)
    with pytest.raises(
        NodeNeedsError, match=r"(?s)no-such-program.*nor-this.*apt-get install no-such-package"
    ) as caught:
        needs.require(lacking)
    assert caught.value.exit_code == 4


def test_a_user_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NodeNeedsError, match="root"):
        needs.require()
