"""Case S5: an agent may export five reports an hour, and the sixth is denied, whichever decision point is asked.

Standing: played by the demo and the end-to-end tests; raises `NotAsToldError` where a step does not come out as told.
"""

import json
import uuid
from typing import Any, Final

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import API_VERSION
from demo.accounts import Answer, Call
from demo.ground import Ground
from demo.narrator import Narrator
from demo.pep import Pep, must
from demo.s1 import NotAsToldError
from localcluster.tokenrequest import Account

EXPORTS: Final = 5
CALLERS: Final = 60
ENDPOINT: Final = "reports/reports-api"
ANALYST: Final = Account("agents", "analyst", ("reports-api.reports",), 600)
ARCHIVIST: Final = Account("agents", "archivist", ("reports-api.reports",), 600)
_ENFORCER: Final = Account("reports", "reports-api", (ENFORCER_AUDIENCE,))
_HISTORIES: Final = f"/apis/{API_VERSION}/namespaces/reports/endpointhistories"


class S5:
    """The case, on a running stack."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        self._stack = stack
        self._tell = tell
        self._pep = Pep(stack, tell, ENDPOINT, "reports-api")

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        points = self._stack.points
        self._tell.chapter(f"S5: {EXPORTS} exports an hour, over all {points} decision points")
        self._pep.await_policy()
        self._tell.step(f"The analyst exports {EXPORTS} reports. Each time, another decision point is asked.")
        for number in range(EXPORTS):
            self._must(self._export(ANALYST, number), allowed=True)
        self._tell.held("allowed: each was counted at the API server before its answer")
        self._tell.step(f"The analyst exports report {EXPORTS + 1}.")
        self._must(self._export(ANALYST, EXPORTS), allowed=False)
        self._tell.held("denied: the condition reads `history.exports.count <= 5`, and this call would make it 6")
        self._tell.step("The analyst lists reports.")
        must(self._list(), allowed=True)
        self._tell.held("allowed: only exports count")
        self._race(points)
        self._show()

    def _race(self, points: int) -> None:
        self._tell.step(f"The archivist exports {CALLERS} reports at once, spread over {points} decision points.")
        answers = self._ask_at_once(ARCHIVIST)
        allowed = sum(answer.body["decision"] for answer in answers)
        self._tell.answer(f"allowed: {allowed}, denied: {len(answers) - allowed}")
        if allowed != EXPORTS:
            raise NotAsToldError(f"{EXPORTS} of {CALLERS} calls should be allowed, but {allowed} are")
        self._tell.held(f"exactly {EXPORTS} of {CALLERS} calls were allowed; each agent has a count of its own")

    def _show(self) -> None:
        self._tell.step("What was counted is an object for each agent, which only decision points can write.")
        code, said = self._stack.kubectl("get", "endpointhistories", "--namespace", "reports")
        self._tell.command("kubectl get endpointhistories -n reports")
        self._tell.answer(said)
        counted = self._stack.cluster.rest().get(_HISTORIES).body["items"]
        numbers = sorted(one["spec"]["seq"] for one in counted)
        if code != 0 or numbers != [EXPORTS, EXPORTS]:
            raise NotAsToldError(f"two agents should have {EXPORTS} counted exports each: {numbers}, {said}")
        self._tell.step("The API server's administrator sets a count back.")
        name = counted[0]["metadata"]["name"]
        patch = json.dumps({"spec": {"seq": 0, "lines": {}, "recent": ""}})
        arguments = ("patch", "endpointhistory", name, "--namespace", "reports", "--type=merge", "--patch", patch)
        code, said = self._stack.kubectl(*arguments)
        self._tell.command(f"kubectl {' '.join(arguments)}    # as the administrator")
        self._tell.answer(said)
        if code == 0:
            raise NotAsToldError("only decision points should be able to write what was counted")
        self._tell.held("refused by the API server itself, with the guard's message")

    def _list(self) -> dict[str, Any]:
        token = self._stack.acting.token(ANALYST)
        return self._pep.ask(
            ("serviceAccount", f"system:serviceaccount:agents:{ANALYST.name}"),
            "reports.list",
            {"type": "report", "id": "*"},
            {"subject_token": token},
        )

    def _export(self, agent: Account, number: int) -> Answer:
        (answer,) = self._stack.acting.send(_ENFORCER, [self._call(agent, self._stack.acting.token(agent), number)])
        self._tell.command(f"evaluation at decision point {number % self._stack.points}: {agent.name} reports.export")
        return answer

    def _ask_at_once(self, agent: Account) -> list[Answer]:
        token = self._stack.acting.token(agent)
        calls = [self._call(agent, token, number) for number in range(CALLERS)]
        answers = self._stack.acting.send(_ENFORCER, calls)
        if {answer.status for answer in answers} != {200}:
            raise NotAsToldError(f"an evaluation returned status {sorted({answer.status for answer in answers})}")
        return answers

    def _call(self, agent: Account, token: str, number: int) -> Call:
        question = {
            "subject": {"type": "serviceAccount", "id": f"system:serviceaccount:agents:{agent.name}"},
            "action": {"name": "reports.export"},
            "resource": {"type": "report", "id": f"q{number}"},
            "context": {"evidence": {"subject_token": token}},
        }
        return Call("POST", self._stack.evaluation(ENDPOINT, number), question, {"X-Request-ID": str(uuid.uuid4())})

    def _must(self, answer: Answer, *, allowed: bool) -> None:
        context = answer.body["context"]
        told = {name: context[name] for name in ("reason", "reason_user") if name in context}
        self._tell.answer(f"decision: {str(answer.body['decision']).lower()}  {json.dumps(told)}")
        must(answer.body, allowed=allowed, reason="allowed" if allowed else "condition_false")
