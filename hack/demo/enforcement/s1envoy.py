"""Case S1 through Envoy: the agent's call meets the proxy, and the API behind it has no line of Bailiwick in it.

Standing: played by the demo and by the end-to-end tests; raises `NotAsToldError` where a step comes out otherwise.
Holds: what counts is which calls the API saw, and not what the client was told.
"""

import json
from typing import Any, Final

from demo.accounts import Answer, Call
from demo.enforcement.envoy import AGENT_ACCOUNT, HOST, EnvoyFront
from demo.enforcement.owner import Owner
from demo.ground import Ground
from demo.narrator import Narrator
from demo.s1 import NotAsToldError

_EXPORT: Final = "/customers/42/export"
_BODY: Final = {"fields": ["name", "email"], "to": "report@crm.example"}
_TOLD: Final = ("reason", "detail", "name", "email")


class S1Envoy:
    """The case, on a running stack with an Envoy."""

    def __init__(self, stack: Ground, tell: Narrator, front: EnvoyFront) -> None:
        """Prepare; nothing is asked yet."""
        self._acting = stack.acting
        self._tell = tell
        self._front = front
        self._owner = Owner(stack, tell)

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        before = len(self._front.reached())
        self._tell.chapter("S1 through Envoy: the CRM API has no line of Bailiwick in it")
        self._tell.step("The agent lists the customers. Envoy asks the decision point, then passes the call on.")
        self._sends("GET", "/customers", None, 200)
        self._tell.held("allowed, by the route and rule of the policy in examples/enforcement")
        self._tell.step("The agent exports customer 42.")
        denied = self._sends("POST", _EXPORT, _BODY, 403)
        task = denied.headers.get("X-Bailiwick-Task", "")
        if not task:
            raise NotAsToldError(f"the denial should name the request for approval: {denied.headers}")
        self._tell.held("denied by Envoy: the rule has `open: OnDeny`, so the denial itself requests the approval")
        self._tell.step("Carol, an owner, reads the request and approves it with kubectl bailiwick.")
        self._owner.approve(task)
        self._tell.step("The agent repeats the call, once with another address and once as it was approved.")
        self._sends("POST", _EXPORT, {**_BODY, "to": "somebody@else.example"}, 403)
        self._sends("POST", _EXPORT, _BODY, 200)
        self._tell.step("The agent repeats the call again.")
        self._sends("POST", _EXPORT, _BODY, 403)
        seen = self._front.reached()[before:]
        self._tell.answer(f"The log of the CRM API: {', '.join(seen)}")
        if seen != ["GET /customers", f"POST {_EXPORT}"]:
            raise NotAsToldError(f"the API should have seen one list and one export, but it saw {seen}")
        self._tell.held("the API saw the list and one export; nothing that was denied reached it")

    def _sends(self, method: str, path: str, body: dict[str, Any] | None, status: int) -> Answer:
        self._tell.command(f"{method} http://{HOST}{path} {json.dumps(body) if body else ''}".rstrip())
        call = Call(method, self._front.url + path, body, {"Host": HOST})
        (answer,) = self._acting.send(AGENT_ACCOUNT, [call])
        said = answer.body
        shown = {name: said[name] for name in _TOLD if name in said} if isinstance(said, dict) else said
        self._tell.answer(f"{answer.status} {json.dumps(shown, ensure_ascii=False)}")
        if answer.status != status:
            raise NotAsToldError(f"the status should be {status}, but is {answer.status}: {said}")
        return answer
