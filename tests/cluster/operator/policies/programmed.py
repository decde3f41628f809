"""Policies and what their status says of who serves them, for tests of Programmed."""

from localcluster.rest import Rest
from support.installation import accepted
from support.objects import Object, policy, settings
from unit.operator.cases import condition


def create(admin: Rest, namespace: str, name: str = "crm-agent", **spec: object) -> Object:
    """Create a policy with settings, so that nothing but being served is wanting."""
    return accepted(admin.create(policy(namespace, name, endpointSettings=settings(), **spec)))


def await_told(admin: Rest, body: Object, status: str, words: str, generation: int = 1, seconds: float = 15) -> Object:
    """Wait until Programmed says this of this generation, and return the whole status."""

    def holds(stored: Object) -> bool:
        found = condition(stored.get("status") or {"conditions": []}, "Programmed")
        told = (found.get("status"), found.get("observedGeneration"))
        return told == (status, generation) and words in found["message"]

    found: Object = admin.wait(body, lambda answer: holds(answer.body), seconds).body["status"]
    return found
