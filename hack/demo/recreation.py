"""What is made anew inherits nothing: a pod of the same name, and a service account of the same name.

Standing: played after the cases, on a cluster with nodes; raises `NotAsToldError` where a step does not come out as
told.
"""

import time
import uuid
from http import HTTPStatus
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.accounts import Call
from demo.frompods import PARTICIPANTS, manifest, running
from demo.ground import Pod
from demo.incluster import InCluster
from demo.narrator import Narrator
from demo.pep import Pep, must
from demo.s1 import NotAsToldError
from demo.s2 import ACCOUNT, DEPLOYER
from demo.stack import AGENT, AGENT_ACCOUNT, CRM_ACCOUNT, CRM_ENDPOINT

_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
# A token that was confirmed is believed for ten seconds.
_BELIEVED_SECONDS: Final = 11.0
_GONE_SECONDS: Final = 60.0
_ARGS: Final = {"text": "We are closed on Monday."}


class RecreationCase:
    """The case, on a ground of pods."""

    def __init__(self, ground: InCluster, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        self._ground = ground
        self._rest = ground.cluster.rest()
        self._tell = tell
        self._pep = Pep(ground, tell, "deploy/deploy-api", "deploy-api")

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("A recreated pod or account inherits nothing")
        self._a_pod()
        self._an_account()

    def _a_pod(self) -> None:
        self._tell.step("The deployer's pod with the approved image deploys. Somebody keeps its token.")
        old: Pod = self._rest.get("/api/v1/namespaces/ci/pods/deployer-0").body
        token = self._ground.acting.token(ACCOUNT, old)
        must(self._deploys(token), allowed=True)
        self._tell.step("The pod is deleted. A new pod with the same name and account runs another image.")
        self._deleted("/api/v1/namespaces/ci/pods/deployer-0")
        new = self._ground.workloads.create("deployer-0", {"main": False})
        time.sleep(_BELIEVED_SECONDS)
        must(self._deploys(token), allowed=False, reason="identity_invalid")
        self._tell.held("denied: the kept token has not expired, but its pod is gone")
        must(self._deploys(self._ground.acting.token(ACCOUNT, new)), allowed=False, reason="workload_unapproved")
        self._tell.held("denied: the new pod shows its own token, and its own image counts")

    def _an_account(self) -> None:
        self._tell.step("Dave approves three notices for the agent.")
        grant = self._granted()
        self._tell.step("The service account and the pod of the agent are deleted and recreated under the same names.")
        self._deleted("/api/v1/namespaces/agents/pods/crm-agent")
        self._deleted("/api/v1/namespaces/agents/serviceaccounts/crm-agent")
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "agents", "name": "crm-agent"},
        }
        self._made(self._rest.create(account))
        key = ("agents", "crm-agent")
        self._made(
            self._rest.create(manifest(*key, "crm-agent", PARTICIPANTS[key], {"main": self._ground.images.webhook}))
        )
        running(self._ground.cluster, *key)
        self._tell.step(
            "The new account lists customers under its name, and tries to send a notice with the old grant."
        )
        (read,) = self._ground.acting.send(AGENT_ACCOUNT, [Call("GET", f"{self._ground.crm_url}/customers")])
        self._equal(read.status, 200, "the status")
        said = self._notifies()
        self._tell.answer(f"decision: {str(said['decision']).lower()}  {said['context']['reason']}")
        self._equal(said["decision"], False, "the decision")  # noqa: FBT003 - what is expected
        self._tell.held(f"denied: {grant} is bound to the uid of the deleted account")

    def _granted(self) -> str:
        asked = {"X-Approval-Reason": "holidays"}
        call = Call("POST", f"{self._ground.crm_url}/customers/41/notify", _ARGS, asked)
        (answer,) = self._ground.acting.send(AGENT_ACCOUNT, [call])
        self._equal(answer.status, 202, "the status")
        name = str(answer.body["task"]["id"]).partition(".")[0]
        code, said = self._ground.bailiwick(
            *("approve", name, "--namespace", "crm", "--yes", "--reason", "fine"),
            *("--binding", self._binding(name)),
            kubeconfig=self._ground.cluster.kubeconfig("dave"),
        )
        self._tell.answer(said)
        self._equal(code, 0, "the exit code")
        self._rest.wait(
            f"{_GRANTS}/{name}", lambda answer: answer.body.get("status", {}).get("phase") == "Active", 20.0
        )
        said_before = self._notifies()
        self._equal(said_before["decision"], True, "the decision")  # noqa: FBT003 - what is expected
        return name

    def _binding(self, name: str) -> str:
        return str(self._rest.get(f"{_GRANTS}/{name}").body["spec"]["request"]["binding"]["digest"])

    def _notifies(self) -> dict[str, Any]:
        question = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": "customers.notify"},
            "resource": {"type": "customer", "id": "41"},
            "context": {"evidence": {"subject_token": self._ground.acting.token(AGENT_ACCOUNT)}, "args": _ARGS},
        }
        headers = {"X-Request-ID": str(uuid.uuid4())}
        call = Call("POST", self._ground.evaluation(CRM_ENDPOINT), question, headers)
        (answer,) = self._ground.acting.send(CRM_ACCOUNT, [call])
        self._equal(answer.status, 200, "the status")
        body: dict[str, Any] = answer.body
        return body

    def _deploys(self, token: str) -> dict[str, Any]:
        return self._pep.ask(
            ("serviceAccount", DEPLOYER),
            "deployments.create",
            {"type": "service", "id": "shop", "properties": {"environment": "staging"}},
            {"subject_token": token},
        )

    def _deleted(self, path: str) -> None:
        self._made(self._rest.delete(path))
        self._rest.wait(path, lambda answer: answer.status == HTTPStatus.NOT_FOUND, _GONE_SECONDS)

    def _made(self, answer: Any) -> None:  # noqa: ANN401 - an answer of the API server
        if not answer.ok:
            raise NotAsToldError(f"the demo's own change: {answer.status} {answer.message}")

    @staticmethod
    def _equal(found: object, wanted: object, what: str) -> None:
        if found != wanted:
            raise NotAsToldError(f"{what} should be {wanted!r}, but is {found!r}")
