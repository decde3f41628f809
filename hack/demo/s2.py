"""Case S2: a service account may deploy only from an approved workload, and only where the target is in scope.

Standing: played by the demo and the end-to-end tests; raises `NotAsToldError` where a step does not come out as told.
Where there is a node its pods run; without one they are objects of the API server whose status is written as a kubelet
would write it, and what is shown is what Bailiwick makes of a pod.
"""

from typing import Any, Final

from demo.ground import Ground, Pod
from demo.narrator import Narrator
from demo.pep import Pep, must
from localcluster.tokenrequest import Account

DEPLOYER: Final = "system:serviceaccount:ci:deployer"
ACCOUNT: Final = Account("ci", "deployer", ("deploy-api.deploy",), 600)


class S2:
    """The case, on a running stack."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        self._stack = stack
        self._tell = tell
        self._pep = Pep(stack, tell, "deploy/deploy-api", "deploy-api")

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S2: deploy only from an approved workload, and only to a target in scope")
        self._pep.await_policy()
        self._tell.step(f"Three pods of the deployer are created. {self._stack.workloads.how}")
        pods = self._stack.workloads
        approved = pods.create("deployer-0", {"main": True})
        beside = pods.create("deployer-with-sidecar", {"main": True, "sidecar": False})
        starting = pods.create("deployer-starting", {"main": True}, init={"setup": False})
        self._tell.answer("deployer-0 runs the approved image. deployer-with-sidecar runs another image beside it.")
        self._tell.answer("deployer-starting has an init container that does not report its image yet.")
        self._tell.step("The deployer deploys to staging, from the pod that runs only the approved image.")
        must(self._deploy(approved, "staging"), allowed=True)
        self._tell.held("allowed: the decision point read the pod of the token, and the policy lists all of its images")
        self._tell.step("The same pod deploys to production.")
        must(self._deploy(approved, "production"), allowed=False, reason="no_rule")
        self._tell.held("denied: production is not in the declared scope")
        self._tell.step("The same pod does not say where to deploy.")
        must(self._deploy(approved, None), allowed=False, reason="no_rule")
        self._tell.held("denied: an unknown target is not in scope")
        self._tell.step("The same account calls with a token that is not bound to a pod, as from a laptop.")
        must(self._deploy(None, "staging"), allowed=False, reason="workload_unapproved")
        self._tell.held("denied: the account alone is not enough")
        self._tell.step("The pod with the approved image and another container calls.")
        must(self._deploy(beside, "staging"), allowed=False, reason="workload_unapproved")
        self._tell.held("denied: every container counts")
        self._tell.step("The pod whose init container does not report its image yet calls.")
        must(self._deploy(starting, "staging"), allowed=False, reason="workload_unapproved")
        self._tell.held("denied: an unknown image is not approved")

    def _deploy(self, pod: Pod | None, environment: str | None) -> dict[str, Any]:
        # A token for each call, so that each is judged by itself.
        token = self._stack.acting.token(ACCOUNT, pod)
        properties = {} if environment is None else {"environment": environment}
        return self._pep.ask(
            ("serviceAccount", DEPLOYER),
            "deployments.create",
            {"type": "service", "id": "shop", "properties": properties},
            {"subject_token": token},
        )
