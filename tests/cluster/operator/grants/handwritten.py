"""Grants that people write by hand in these tests, and what they name: a policy that takes scopes, and an account."""

from typing import Final

from cluster.operator.grants.grants import Grants
from localcluster.rest import Answer
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles
from support.objects import AGENT, Object, gated_rule, grant, policy, settings, subject

APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 3}


class HandWritten:
    """Carol writes them; the agent that they name is an account of the test's own namespace."""

    def __init__(self, grants: Grants, callers: Callers, roles: Roles) -> None:
        self._grants = grants
        self._callers = callers
        self._namespace = roles.namespace
        self.admin: Final = callers.admin
        self.agent: Final = AGENT.replace(":agents:", f":{roles.namespace}:")
        roles.bind("bailiwick-request", "carol")

    def make_account(self) -> Object:
        """Make the agent."""
        metadata = {"name": "crm-agent", "namespace": self._namespace}
        return accepted(self.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))

    def make_policy(self, **rule: object) -> Object:
        """Make the policy; keywords replace fields of its one rule."""
        body = policy(
            self._namespace,
            endpointSettings=settings(),
            subjects=[subject("agent", self._namespace)],
            rules=[{**gated_rule(approval=APPROVAL), **rule}],
        )
        return accepted(self.admin.create(body))

    def write(self, name: str = "wanted", **request: object) -> Object:
        """Write one, with names alone; keywords replace fields of its request."""
        named: Object = {
            "rules": [{"policy": "crm-agent", "rule": "export"}],
            "subject": {"type": "serviceAccount", "id": self.agent},
        }
        return accepted(self._callers("carol").create(grant(self._namespace, name, **{**named, **request})))

    def review(self, body: Object, **fields: object) -> Answer:
        """Review it, as Dave."""
        return self._grants.review(body, "dave", **fields)

    def await_resolved(self, body: Object, seconds: float = 10.0) -> Object:
        """Wait until it says what its names stand for, and return it."""
        return self.admin.wait(body, lambda answer: "resolved" in (answer.body.get("status") or {}), seconds).body

    def await_reason(self, body: Object, reason: str, words: str = "", seconds: float = 10.0) -> Object:
        """Wait until its condition Ready has this reason and these words; return that condition."""

        def told(answer: Answer) -> bool:
            ready = _ready(answer.body)
            return ready.get("reason") == reason and words in ready["message"]

        return _ready(self.admin.wait(body, told, seconds).body)


def _ready(body: Object) -> Object:
    entries = (body.get("status") or {}).get("conditions") or ()
    return next((entry for entry in entries if entry["type"] == "Ready"), {})
