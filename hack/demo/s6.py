"""Case S6: an export waits for an approval that the owner's passkey signs, and the agent is taken back afterwards.

Standing: played by the demo and by the end-to-end tests, over MCP; raises `NotAsToldError` if a step has another
outcome. It imports FastMCP, which takes a second.
"""

import asyncio
import json
import shlex
import time
import uuid
from typing import Any, Final

from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.accounts import Call
from demo.enforcement import s1mcp
from demo.enforcement.toolcaller import ToolCaller
from demo.narrator import Narrator
from demo.passkeyowner import PasskeyOwner
from demo.registrar import enrol
from demo.s1 import NotAsToldError
from demo.stack import CRM_ACCOUNT, Stack
from localcluster.tokenrequest import Account

ARCHIVIST: Final = Account("agents", "crm-archivist", ("crm-archive.crm",))
_USERNAME: Final = f"system:serviceaccount:{ARCHIVIST.namespace}:{ARCHIVIST.name}"
_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
_ENDPOINT: Final = "crm/crm-archive"
_SERVER: Final = "crm-archive-mcp"
_TOOL: Final = "export_customer"
_FIRST: Final = {"customer_id": "41", "fields": ["name"]}
_SECOND: Final = {"customer_id": "42", "fields": ["name"]}
_META: Final = {REASON_META: "the yearly archive needs it"}
_REVOKED: Final = "identity_revoked"
_OPERATOR_SECONDS: Final = 20.0
_DENIED_SECONDS: Final = 1.0


def start(stack: Stack) -> str:
    """Start the MCP server of examples/crm for the agent of this case. Returns its URL. Raises `StartError`."""
    return s1mcp.start(stack, _ENDPOINT, _SERVER)


class S6:
    """The case, on a running stack with a registrar and an MCP server at this URL."""

    def __init__(self, stack: Stack, tell: Narrator, url: str) -> None:
        """Prepare; nothing is asked yet."""
        self._stack = stack
        self._tell = tell
        self._url = url
        self._token = stack.acting.token(ARCHIVIST)
        self._carol = PasskeyOwner(stack, tell)

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S6: an export waits for an approval that only carol's passkey can sign")
        self._tell.step("Carol makes a passkey, and sends a registrar its line and a proof that she holds it.")
        request = self._carol.write_request()
        self._tell.step("The registrar checks that it is carol's, adds the line, and signs the reviewers' file.")
        enrol(self._stack, self._tell, request)
        asyncio.run(self._play_calls())

    async def _play_calls(self) -> None:
        async with ToolCaller.connect(self._url, self._token, self._tell) as agent:
            first = await self._waits_and_runs_once(agent)
            second = await self._is_not_approved_by_a_copy(agent, first)
            self._tell.chapter("The agent is taken back")
            await asyncio.to_thread(self._is_taken_back)
            self._tell.step("The agent calls a tool.")
            await agent.denied("list_customers", {}, _REVOKED)
            self._tell.held("denied over MCP too")
            self._tell.step("Its request that waited is looked at.")
            phase = await asyncio.to_thread(self._await_end, second)
            self._tell.held(f"the operator has ended it: the grant is {phase}")

    async def _waits_and_runs_once(self, agent: ToolCaller) -> str:
        ran_before = self._runs("41")
        self._tell.step("The archivist, another agent of the CRM, exports customer 41, and says why.")
        task = await agent.await_approval(_TOOL, _FIRST, _META)
        self._tell.held("nothing ran: the decision point opened an ApprovalGrant, and the client may repeat the call")
        self._tell.step("The agent's client repeats the call by itself, and waits.")
        export = asyncio.create_task(agent.call(_TOOL, _FIRST, _META))
        # The call is on its way before the next step is printed.
        await asyncio.sleep(0)
        await asyncio.to_thread(self._is_not_approved_without_a_signature, task)
        self._tell.step("Carol reads the statement, signs it with her passkey and approves.")
        await asyncio.to_thread(self._carol.approve, task)
        self._tell.held("the operator verified her signature by the registrar's file, and counted the review")
        await export
        self._tell.held("the call that waited ran by itself: its client repeated it, and it was decided anew")
        self._tell.step("The agent exports again, with the same task.")
        await agent.denied(_TOOL, _FIRST, "approval_consumed", {APPROVAL_META: task})
        runs = self._runs("41") - ran_before
        if (runs, uses := self._grant(task)["status"]["uses"]) != (1, 1):
            raise NotAsToldError(f"the tool should run once for one use, but ran {runs} times for {uses}")
        self._tell.held("denied: the tool ran exactly once, for the one use that the grant records")
        return task

    def _is_not_approved_without_a_signature(self, task: str) -> None:
        self._tell.step("The API server's administrator impersonates carol, and approves without a signature.")
        said = self._review_as_carol(task, None, succeeds=False)
        wanted = "approve this step with a signature"
        if wanted not in said:
            raise NotAsToldError(f"the guard's refusal should contain {wanted!r}: {said}")
        self._tell.held("refused by the API server itself, with the guard's message")

    async def _is_not_approved_by_a_copy(self, agent: ToolCaller, first: str) -> str:
        ran_before = self._runs("42")
        self._tell.step("The agent asks to export customer 42.")
        task = await agent.await_approval(_TOOL, _SECOND, _META)
        self._tell.step("The administrator approves as carol, with the signature that she gave for customer 41.")
        signature = self._grant(first)["spec"]["reviews"][0]["signature"]
        await asyncio.to_thread(self._review_as_carol, task, signature, succeeds=True)
        voided = await asyncio.to_thread(self._await_voided, task)
        self._tell.answer(f"status.voided: {voided}")
        self._tell.held("stored, but void: the operator verified it, and the signature is over another request")
        self._tell.step("The agent makes the call again.")
        again = await agent.await_approval(_TOOL, _SECOND, _META)
        if again != task or self._runs("42") != ran_before:
            raise NotAsToldError("the export should still wait for the same approval, but it does not")
        self._tell.held("it still waits for a review that counts, and nothing ran")
        return task

    def _is_taken_back(self) -> None:
        self._tell.step("The agent lists the customers, at each decision point.")
        if (reasons := self._ask_each(self._token)) != {"allowed"}:
            raise NotAsToldError(f"the agent should be allowed to list, but the answers are {sorted(reasons)}")
        self._tell.held(f"allowed at all {self._stack.points}")
        self._tell.step("Somebody has seen enough, and takes the agent back.")
        words = ("take-back", f"sa:{ARCHIVIST.namespace}/{ARCHIVIST.name}", "--hold", "--reason", "INC-7: odd exports")
        self._tell.command(f"kubectl bailiwick {shlex.join(words)}    # as the administrator")
        code, said = self._stack.bailiwick(*words, kubeconfig=self._stack.cluster.kubeconfig("admin"))
        began = time.monotonic()
        self._tell.answer(said)
        if code != 0:
            raise NotAsToldError(f"`take-back` should succeed, but exited with {code}: {said}")
        self._tell.step("The agent lists the customers, at each decision point.")
        while (reasons := self._ask_each(self._token)) != {_REVOKED} and time.monotonic() - began < _DENIED_SECONDS:
            time.sleep(0.02)
        if reasons != {_REVOKED}:
            raise NotAsToldError(f"each decision point should say {_REVOKED}, but the answers are {sorted(reasons)}")
        took = time.monotonic() - began
        self._tell.held(f"denied ({_REVOKED}) at all {self._stack.points}, {took:.2f} s after the command")
        self._tell.step("The agent gets a new token, and tries again.")
        if (reasons := self._ask_each(self._stack.cluster.issue_token(ARCHIVIST).value)) != {_REVOKED}:
            raise NotAsToldError(f"a new token should be refused too, but the answers are {sorted(reasons)}")
        self._tell.held("denied: `--hold` refuses new tokens too")

    def _ask_each(self, token: str) -> set[str]:
        """Ask each decision point once, as the CRM does; return the reasons of their answers."""
        question = {
            "subject": {"type": "serviceAccount", "id": _USERNAME},
            "action": {"name": "customers.list"},
            "resource": {"type": "customer", "id": "*"},
            "context": {"evidence": {"subject_token": token}},
        }
        calls = [
            Call("POST", self._stack.evaluation(_ENDPOINT, number), question, {"X-Request-ID": str(uuid.uuid4())})
            for number in range(self._stack.points)
        ]
        answers = self._stack.acting.send(CRM_ACCOUNT, calls)
        return {answer.body["context"]["reason"] for answer in answers}

    def _review_as_carol(self, task: str, signature: str | None, *, succeeds: bool) -> str:
        """Write the review as the administrator does who impersonates her; return what kubectl says."""
        request = self._grant(task)["spec"]["request"]
        review: dict[str, Any] = {
            "reviewer": "carol",
            "step": request["steps"][0]["name"],
            "group": "crm-owners",
            "decision": "Approve",
            "binding": request["binding"]["digest"],
        }
        shown = review if signature is None else {**review, "signature": "<carol's, of another request>"}
        words = ("patch", "approvalgrant", _name(task), "-n", "crm", "--as=carol", "--as-group=crm-owners")
        self._tell.command(f"kubectl {shlex.join(words)} ... {json.dumps(shown)}    # as the administrator")
        entry = review if signature is None else {**review, "signature": signature}
        patch = json.dumps([{"op": "add", "path": "/spec/reviews/-", "value": entry}])
        code, said = self._stack.kubectl(*words, "--type=json", "--patch", patch)
        self._tell.answer(said)
        if (code == 0) is not succeeds:
            raise NotAsToldError(f"whether the API server takes the review should be {succeeds}: {said}")
        return said

    def _await_voided(self, task: str) -> str:
        answer = self._stack.cluster.rest().wait(
            f"{_GRANTS}/{_name(task)}", lambda answer: bool(_status(answer.body).get("voided")), _OPERATOR_SECONDS
        )
        (voided,) = answer.body["status"]["voided"]
        if answer.body["status"]["phase"] != "Pending":
            raise NotAsToldError(f"the grant should still be Pending: {answer.body['status']}")
        return f"{voided['reviewer']}: {voided['message']}"

    def _await_end(self, task: str) -> str:
        answer = self._stack.cluster.rest().wait(
            f"{_GRANTS}/{_name(task)}", lambda answer: _status(answer.body).get("phase") != "Pending", _OPERATOR_SECONDS
        )
        return str(answer.body["status"]["phase"])

    def _grant(self, task: str) -> dict[str, Any]:
        return self._stack.cluster.rest().get(f"{_GRANTS}/{_name(task)}").body

    def _runs(self, customer: str) -> int:
        """Count how often the tool itself has run for a customer: each run writes a line."""
        log = (self._stack.folder / f"{_SERVER}.log").read_text(encoding="utf-8")
        return log.splitlines().count(f"exported {customer}")


def _status(grant: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = grant.get("status", {})
    return status


def _name(task: str) -> str:
    return task.partition(".")[0]
