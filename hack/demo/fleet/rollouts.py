"""How a commit of the policies comes to both clusters: by a person with kubectl, or by Argo CD and an ApplicationSet.

Standing: below the acts, which say what is committed. Holds: in either way, a change is compared with the policies in
force in each cluster before it is applied there.
"""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from demo.fleet.world import Member, Shell
from demo.s1 import NotAsToldError
from localcluster.progress import Progress
from support.fleetsync import HUB, Fleet, set_up


class Rollout(Protocol):
    """Brings what `render.sh` has written to the clusters."""

    def asking(self) -> tuple[str, ...]:
        """Return the options by which `fleet status` finds the clusters."""

    def first(self) -> None:
        """Bring the first policies. Raises `NotAsToldError`."""

    def next(self) -> None:
        """Bring a change that lets no call further. Raises `NotAsToldError`."""


class ByHand:
    """A person applies what is rendered, cluster after cluster."""

    def __init__(self, shell: Shell, members: Mapping[str, Member]) -> None:
        """Prepare the clusters."""
        self._shell = shell
        self._members = members
        for member in members.values():
            set_up(member.running)

    def asking(self) -> tuple[str, ...]:
        """Return the contexts."""
        return ("--contexts", ",".join(self._members))

    def first(self) -> None:
        """Apply them."""
        self._shell.tell.step("The policies are applied in east, and then in west.")
        for name in self._members:
            self._apply(name)

    def next(self) -> None:
        """Compare them with what is in force, and apply them."""
        for name in self._members:
            self._shell.tell.step(f"The change is compared with the policies in force in {name}, and applied.")
            compared = ("kubectl", "bailiwick", "diff", f"rendered/{name}/policies.yaml", "--fail-on", "changed")
            self._shell.type(*compared, "--live", "-n", "crm", "--context", name)
            self._apply(name)

    def _apply(self, name: str) -> None:
        self._shell.type("kubectl", "apply", "-f", f"rendered/{name}/policies.yaml", "--context", name)


class ByArgoCD:
    """Argo CD in east applies what is committed, east first."""

    def __init__(self, shell: Shell, fleet: Fleet, progress: Progress) -> None:
        """Prepare; Argo CD knows the clusters, and has no application yet."""
        self._shell = shell
        self._fleet = fleet
        self._progress = progress

    def asking(self) -> tuple[str, ...]:
        """Return what has the clusters of Argo CD asked."""
        return ("--argocd",)

    def first(self) -> None:
        """Accept the first policies by their digests, commit them, and apply the ApplicationSet."""
        tell = self._shell.tell
        tell.step("The first policies let more through than none, so the team accepts them by their digests.")
        for name in self._fleet.clusters:
            digest = hashlib.sha256(self._fleet.policies(name).read_bytes()).hexdigest()
            (self._fleet.rendered(name) / "accepted").write_text(f"{digest}\n", encoding="utf-8")
            tell.command(f"echo {digest} > rendered/{name}/accepted")
        self._commit("The policies of both clusters")
        tell.step("An administrator of Argo CD applies the ApplicationSet: east is its first wave, west its second.")
        tell.command(f"kubectl apply --server-side -f applicationset.yaml --context {HUB}")
        self._fleet.apply()
        self._await_synced()

    def next(self) -> None:
        """Commit, and wait for both clusters."""
        self._commit("Take a right away")
        self._await_synced()

    def _commit(self, message: str) -> None:
        for name in self._fleet.clusters:
            self._fleet.commit(name)
        self._shell.tell.command(f"git commit --all --message '{message}' && git push")
        self._shell.tell.answer(f"main is at {self._fleet.repository.head}")

    def _await_synced(self) -> None:
        tell = self._shell.tell
        for name in self._fleet.clusters:
            tell.step(f"Argo CD starts the gate in {name}. No node runs here, so the demo runs its container.")
            with self._progress.step(f"Waiting for the gate of {name}"):
                ran = self._fleet.run_gate(name)
            tell.command("python3 -m bailiwick_cli diff /policies/policies.yaml --fail-on changed --live -n crm")
            tell.answer(f"{ran.out}{ran.err}")
            if ran.code != 0:
                raise NotAsToldError(f"the gate of {name} should pass, but exited with {ran.code}")
            tell.held(f"the gate passed, so that the sync of {name} begins")
            with self._progress.step(f"Waiting until {name} is synced"):
                self._fleet.await_settled(name)
        self._shell.type("kubectl", "get", "applications", "-n", "argocd", "--context", HUB)
