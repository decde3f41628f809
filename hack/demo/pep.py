"""An enforcement point that only asks and tells: for cases whose protected API would add nothing to what is shown.

Standing: asks the first decision point as its own service account, just as a real one does before it acts. Tokens are
sent, and what they say is shown in their place.
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import Stack


class Pep:
    """Asks about one endpoint, named `<namespace>/<endpoint>`, as the service account of that namespace and name."""

    def __init__(self, stack: Stack, tell: Narrator, endpoint: str, account: str) -> None:
        """Prepare; the endpoint is waited for at the first call."""
        self._url = stack.decision_points[0].evaluation(endpoint)
        self._tell = tell
        self._token = stack.cluster.service_account_token(
            endpoint.partition("/")[0], account, [ENFORCER_AUDIENCE], 3600
        )

    def await_policy(self, seconds: float = 20.0) -> None:
        """Wait until the decision point knows the endpoint: until then we are a stranger to it."""
        body = {"subject": {"type": "x", "id": "x"}, "action": {"name": "x"}, "resource": {"type": "x", "id": "x"}}
        deadline = time.monotonic() + seconds
        while self._post(body).status_code == requests.codes.forbidden:
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
        if answer.status_code != requests.codes.ok:
            raise NotAsToldError(f"an evaluation was answered with {answer.status_code}: {answer.text}")
        said: dict[str, Any] = answer.json()
        context = said["context"]
        told = {name: context[name] for name in ("reason", "hop") if name in context}
        self._tell.answer(f"decision: {str(said['decision']).lower()}  {json.dumps(told)}")
        return said

    def _post(self, body: Mapping[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}", "X-Request-ID": str(uuid.uuid4())}
        return requests.post(self._url, json=body, headers=headers, timeout=30)


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
        raise NotAsToldError(f"the answer should be {(allowed, reason, hop)!r} and is {found!r}")
