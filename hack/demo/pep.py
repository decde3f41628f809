"""An enforcement point that only asks and tells: for cases whose protected API would add nothing to what is shown.

Standing: asks the first decision point as its own service account, just as a real one does before it acts. Tokens are
sent, and what they say is shown in their place.
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.accounts import Answer, Call
from demo.ground import Ground
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from localcluster.tokenrequest import Account

_OK: Final = 200
_FORBIDDEN: Final = 403


class Pep:
    """Asks about one endpoint, named `<namespace>/<endpoint>`, as the service account of that namespace and name."""

    def __init__(self, stack: Ground, tell: Narrator, endpoint: str, account: str) -> None:
        """Prepare; the endpoint is waited for at the first call."""
        self._url = stack.evaluation(endpoint)
        self._tell = tell
        self._acting = stack.acting
        self._account = Account(endpoint.partition("/")[0], account, (ENFORCER_AUDIENCE,))

    def await_policy(self, seconds: float = 20.0) -> None:
        """Wait until the decision point knows the endpoint: until then we are a stranger to it."""
        body = {"subject": {"type": "x", "id": "x"}, "action": {"name": "x"}, "resource": {"type": "x", "id": "x"}}
        deadline = time.monotonic() + seconds
        while self._post(body).status == _FORBIDDEN:
            if time.monotonic() > deadline:
                raise NotAsToldError("the decision point does not know the endpoint")
            time.sleep(0.1)

    def ask(
        self,
        subject: tuple[str, str],
        action: str,
        resource: Mapping[str, Any],
        evidence: Mapping[str, str],
    ) -> dict[str, Any]:
        """Ask, tell what was asked and what came back, and return the answer."""
        body = {
            "subject": {"type": subject[0], "id": subject[1]},
            "action": {"name": action},
            "resource": dict(resource),
        }
        shown = {**body, "context": {"evidence": {name: _described(token) for name, token in evidence.items()}}}
        self._tell.command(f"evaluation  {json.dumps(shown)}")
        answer = self._post({**body, "context": {"evidence": dict(evidence)}})
        if answer.status != _OK:
            raise NotAsToldError(f"an evaluation returned status {answer.status}: {answer.body}")
        said: dict[str, Any] = answer.body
        context = said["context"]
        told = {name: context[name] for name in ("reason", "hop") if name in context}
        self._tell.answer(f"decision: {str(said['decision']).lower()}  {json.dumps(told)}")
        return said

    def _post(self, body: Mapping[str, Any]) -> Answer:
        call = Call("POST", self._url, dict(body), {"X-Request-ID": str(uuid.uuid4())})
        (answer,) = self._acting.send(self._account, [call])
        return answer


def _described(token: str) -> str:
    """Say what a token says, in place of the token."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    words = [f"<token of {claims['sub']}"]
    if pod := claims.get("kubernetes.io", {}).get("pod"):
        words.append(f"in pod {pod['name']}")
    holder = claims
    while holder := holder.get("act"):
        words.append(f"act {holder['sub']}")
    return ", ".join(words) + ">"


def must(said: Mapping[str, Any], *, allowed: bool, reason: str = "allowed", hop: str | None = None) -> None:
    """Raise `NotAsToldError` where an answer is not this one."""
    context = said["context"]
    found = (said["decision"], context["reason"], context.get("hop"))
    if found != (allowed, reason, hop):
        raise NotAsToldError(f"the answer should be {(allowed, reason, hop)!r}, but is {found!r}")
