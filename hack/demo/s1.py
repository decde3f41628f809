"""Case S1: an agent may list customer records, and must show an explicit approval before it exports one.

Standing: played by the demo and by the end-to-end tests. Every step says what must come out, and `NotAsToldError` is
raised where it does not; nothing here is decided by anything but Bailiwick and the API server.
"""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.accounts import Answer, Call
from demo.ground import Ground
from demo.narrator import Narrator
from demo.stack import AGENT, AGENT_ACCOUNT, CRM_ACCOUNT, CRM_ENDPOINT
from localcluster.tokenrequest import Account

RACERS: Final = 60
RACE_USES: Final = 3
_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
_EXPORT: Final = {"fields": ["name", "email"], "format": "csv"}
_PHASE_SECONDS: Final = 20.0


Approve = Callable[[str], None]
"""Approves the grant of this name as carol, in some other way than by kubectl."""


class NotAsToldError(AssertionError):
    """A step did not come out as it must."""


class S1:
    """The case, on a running stack."""

    def __init__(self, stack: Ground, tell: Narrator, approve: Approve | None = None) -> None:
        """Prepare; nothing is asked yet. Without `approve`, carol approves the export with kubectl."""
        self._stack = stack
        self._tell = tell
        self._approve = approve
        # The agent's own way to the API server: its RBAC lets it patch grants, see broad-rights.yaml.
        self._agent = stack.keeper(Account("agents", "crm-agent"), stack.folder / "agent.token")

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S1: the agent can list customers, but needs an approval to export one")
        self._reads_freely()
        task = self._is_stopped_and_asks()
        self._nobody_without_the_right_approves(task)
        self._an_owner_approves(task)
        self._uses_it_once(task)
        self._tell.chapter(f"{RACERS} concurrent calls over {self._stack.points} decision points")
        self._race()
        self._tell.chapter("Revoking")
        self._revocation_is_felt_at_once()

    def _reads_freely(self) -> None:
        self._tell.step(f"The agent ({AGENT}) lists the customers.")
        self._must(self._crm("GET", "/customers"), 200)
        self._tell.held("allowed: rule `read` allows it without an approval")

    def _is_stopped_and_asks(self) -> str:
        self._tell.step("The agent exports customer 42.")
        denied = self._must(self._crm("POST", "/customers/42/export", _EXPORT), 403)
        self._equal(denied["reason"], "approval_required", "the reason")
        self._tell.held(
            f"denied, and the answer says where to request an approval: {denied['access_request']['endpoint']}"
        )
        self._tell.step("The agent requests an approval for exactly this call.")
        reason = "the quarterly report needs it"
        task = self._must(self._crm("POST", "/customers/42/export", _EXPORT, reason=reason), 202)["task"]
        self._tell.held(
            "the decision point opened an ApprovalGrant. An owner sees the call as the decision point rendered it:"
        )
        self._kubectl("get", "approvalgrants", "-n", "crm", person="carol")
        grant = self._grant(task["id"])
        self._tell.answer({key: grant["spec"]["request"][key] for key in ("action", "resource", "display", "reason")})
        return str(task["id"])

    def _nobody_without_the_right_approves(self, task: str) -> None:
        self._tell.step(
            "The agent tries to approve its own request. RBAC allows it to patch grants; the guard must refuse."
        )
        said = self._patch(task, self._review(task, AGENT), person="the agent", kubeconfig=self._agent, succeeds=False)
        self._contains(said, "you cannot review your own request", "the guard's refusal")
        self._tell.held("refused by the API server itself, with the guard's message")
        self._tell.step("Mallory tries to approve. She can patch grants, but does not have the verb approve.")
        said = self._patch(task, self._review(task, "mallory", group=None), person="mallory", succeeds=False)
        self._contains(said, "mallory lacks the verb approve on endpointpolicies/crm-agent", "the guard's refusal")
        self._tell.held("refused by the API server again")
        self._await_phase(task, "Pending")

    def _an_owner_approves(self, task: str) -> None:
        if self._approve is None:
            self._tell.step("Carol, an owner, approves with plain kubectl.")
            self._patch(task, self._review(task, "carol"), person="carol")
        else:
            self._tell.step("Carol, an owner, approves.")
            self._approve(_name(task))
        self._await_phase(task, "Active")
        self._tell.held("the operator counted the review under a proven guard: the grant is Active")

    def _uses_it_once(self, task: str) -> None:
        self._tell.step("The agent repeats the call without showing the approval token.")
        self._equal(self._denied("/customers/42/export", _EXPORT), "approval_token_required", "the reason")
        self._tell.held("denied: rule `export` has `presentation: Token`")
        self._tell.step("The agent reads the task of its request. The task now contains the token.")
        shown = self._approval(task)
        self._tell.step("The agent shows the token for a different export, with one more field.")
        other = {**_EXPORT, "fields": ["name", "email", "revenue"]}
        self._equal(self._denied("/customers/42/export", other, shown), "approval_token_invalid", "the reason")
        self._tell.held("denied: the token is for other arguments")
        self._tell.step("The agent repeats the approved call and shows the token.")
        self._must(self._crm("POST", "/customers/42/export", _EXPORT, shown), 200)
        self._tell.held("exported: the use was recorded in the grant before the answer")
        self._tell.step("The agent repeats the call with the same token.")
        self._equal(self._denied("/customers/42/export", _EXPORT, shown), "approval_consumed", "the reason")
        self._tell.held("denied: the approval was for one use, and the token grants no more")

    def _race(self) -> None:
        self._tell.step(
            f"The agent requests an approval to send a notice. The policy allows {RACE_USES} uses of one approval."
        )
        args = {"text": "We moved to Harbour Street 7."}
        task = self._must(self._crm("POST", "/customers/42/notify", args, reason="the move"), 202)["task"]["id"]
        self._tell.step("Dave, another owner, approves.")
        self._patch(task, self._review(task, "dave"), person="dave")
        self._await_phase(task, "Active")
        self._tell.step(f"{RACERS} identical calls run in parallel, spread over all decision points.")
        answers = self._ask_directly(args)
        allowed = sum(answer["decision"] for answer in answers)
        self._tell.answer(f"allowed: {allowed}, denied: {len(answers) - allowed}")
        self._equal(allowed, RACE_USES, "the number of allowed calls")
        self._equal(self._grant(task)["status"]["uses"], RACE_USES, "the uses that the grant records")
        self._tell.held(f"exactly {RACE_USES} of {RACERS} calls were allowed")

    def _revocation_is_felt_at_once(self) -> None:
        self._tell.step("The agent requests an export of customer 41. Carol approves it, then revokes the approval.")
        asked = self._crm("POST", "/customers/41/export", _EXPORT, reason="once more")
        task = self._must(asked, 202)["task"]["id"]
        self._patch(task, self._review(task, "carol"), person="carol")
        self._await_phase(task, "Active")
        shown = self._approval(task)
        revocation = {
            "op": "add",
            "path": "/spec/revocation",
            "value": {"by": "carol", "reason": "not needed after all"},
        }
        self._patch(task, [revocation], person="carol")
        self._tell.step("The agent makes the call that was just approved, with its token.")
        self._equal(self._denied("/customers/41/export", _EXPORT, shown), "approval_revoked", "the reason")
        self._tell.held("denied: the decision point reads the grant live before every use")

    def _crm(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        shown: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> Answer:
        words = [method, path, json.dumps(body) if body is not None else "", "  # shows the token" if shown else ""]
        asks = f"  # X-Approval-Reason: {reason}" if reason else ""
        self._tell.command(" ".join(word for word in (*words, asks) if word))
        headers = _header(shown) if reason is None else {"X-Approval-Reason": reason}
        return self._sent(Call(method, self._stack.crm_url + path, body, headers))

    def _sent(self, call: Call) -> Answer:
        (answer,) = self._stack.acting.send(AGENT_ACCOUNT, [call])
        return answer

    def _approval(self, task: str) -> dict[str, Any]:
        """Return the approval that the agent shows, as the task of its request holds it."""
        self._tell.command(f"GET /approvals/{task}")
        answer = self._sent(Call("GET", f"{self._stack.crm_url}/approvals/{task}"))
        self._equal(answer.status, 200, "the status")
        approval: dict[str, Any] = answer.body["task"]["result"]["approval"]
        self._tell.answer({**approval, "state": f"<{len(approval['state'])} characters, signed>"})
        return approval

    def _denied(self, path: str, body: dict[str, Any], shown: dict[str, Any] | None = None) -> str:
        return str(self._must(self._crm("POST", path, body, shown), 403)["reason"])

    def _must(self, answer: Answer, status: int) -> Any:  # noqa: ANN401 - any JSON body
        body = answer.body
        shown = {key: body[key] for key in body if key in _TOLD} if isinstance(body, dict) else body
        self._tell.answer(f"{answer.status} {json.dumps(shown or body, indent=2, ensure_ascii=False)}")
        self._equal(answer.status, status, "the status")
        return body

    def _ask_directly(self, args: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask all decision points at once, as the CRM does."""
        question = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": "customers.notify"},
            "resource": {"type": "customer", "id": "42"},
            "context": {"evidence": {"subject_token": self._stack.acting.token(AGENT_ACCOUNT)}, "args": args},
        }
        answers = self._stack.acting.send(
            CRM_ACCOUNT,
            [
                Call(
                    "POST",
                    self._stack.evaluation(CRM_ENDPOINT, number),
                    question,
                    {"X-Request-ID": str(uuid.uuid4())},
                )
                for number in range(RACERS)
            ],
        )
        self._equal({answer.status for answer in answers}, {200}, "the statuses of the evaluations")
        return [answer.body for answer in answers]

    def _grant(self, task: str) -> dict[str, Any]:
        return self._stack.cluster.rest().get(f"{_GRANTS}/{_name(task)}").body

    def _await_phase(self, task: str, phase: str) -> None:
        path = f"{_GRANTS}/{_name(task)}"
        self._stack.cluster.rest().wait(
            path, lambda answer: answer.body.get("status", {}).get("phase") == phase, _PHASE_SECONDS
        )

    def _review(self, task: str, reviewer: str, group: str | None = "crm-owners") -> list[dict[str, Any]]:
        request = self._grant(task)["spec"]["request"]
        review = {
            "reviewer": reviewer,
            "step": request["steps"][0]["name"],
            "group": group or request["steps"][0]["groups"][0],
            "decision": "Approve",
            "binding": request["binding"]["digest"],
        }
        return [{"op": "add", "path": "/spec/reviews/-", "value": review}]

    def _patch(
        self,
        task: str,
        patch: list[dict[str, Any]],
        *,
        person: str,
        kubeconfig: Path | None = None,
        succeeds: bool = True,
    ) -> str:
        return self._kubectl(
            *("patch", "approvalgrant", _name(task), "-n", "crm", "--type=json", "-p", json.dumps(patch)),
            person=person,
            kubeconfig=kubeconfig,
            succeeds=succeeds,
        )

    def _kubectl(self, *arguments: str, person: str, kubeconfig: Path | None = None, succeeds: bool = True) -> str:
        shown = " ".join(f"'{part}'" if " " in part else part for part in arguments)
        self._tell.command(f"kubectl {shown}    # as {person}")
        code, said = self._stack.kubectl(*arguments, person=person, kubeconfig=kubeconfig)
        self._tell.answer(said)
        self._equal(code == 0, succeeds, f"whether {person}'s kubectl succeeds")
        return said

    @staticmethod
    def _equal(found: object, wanted: object, what: str) -> None:
        if found != wanted:
            raise NotAsToldError(f"{what} should be {wanted!r}, but is {found!r}")

    @staticmethod
    def _contains(text: str, part: str, what: str) -> None:
        if part not in text:
            raise NotAsToldError(f"{what} should contain {part!r}: {text}")


_TOLD: Final = ("reason", "reason_user", "next_action", "access_request", "task", "name", "email", "sent")


def _header(shown: dict[str, Any] | None) -> dict[str, str]:
    return {} if shown is None else {"X-Approval": json.dumps(shown)}


def _name(task: str) -> str:
    return task.partition(".")[0]
