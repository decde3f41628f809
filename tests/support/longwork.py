"""Floods of what takes long for each request: batches and searches of one tenant, and bodies that are deep."""

import json
from typing import Any, Final
from urllib.parse import urlsplit

from demo.stack import DecisionPoint
from support.floods import Flood
from support.objects import Object, rule
from support.pdp.tenant import Tenant

_ENFORCE: Final = "/admission/enforce"
_ITEMS: Final = 100
_AT_ONCE: Final = 20
NAMED: Final[list[Object]] = [
    rule(
        f"of-{number}",
        actions=["customers.list", "customers.get"],
        resources=[{"type": "customer", "ids": [f"c-{number}-{one}" for one in range(50)]}],
    )
    for number in range(20)
]
"""Rules with the names that each search tries."""


def batches(tenant: Tenant, connections: int = _AT_ONCE, rest: float = 0.0) -> Flood:
    """Return an enforcer that sends batches of a hundred items, with so many seconds between two on a connection."""
    items = [{"resource": {"type": "customer", "id": f"{number}"}} for number in range(_ITEMS)]
    body = {**tenant.body("customers.list"), "evaluations": items}
    return _storm(tenant, "evaluations", body, connections, rest)


def searches(tenant: Tenant, connections: int = _AT_ONCE) -> Flood:
    """Return an enforcer that searches for resources without a pause."""
    body = tenant.body("customers.list")
    return _storm(tenant, "search/resource", {**body, "resource": {"type": "customer"}}, connections)


def counted_calls(tenant: Tenant, action: str, resource: str, connections: int = _AT_ONCE) -> Flood:
    """Return an enforcer that sends calls which a history counts. `resource` may be a `NUMBER`."""
    return _storm(tenant, "evaluation", tenant.body(action, resource), connections, rest=0.05)


def nested(point: DecisionPoint, connections: int, *tokens: str) -> Flood:
    """Return who sends what takes a parser longest: a review of a million lists. Without tokens they are strangers."""
    lists = "[" + "[[[[]]]]," * 350_000 + "0]"
    body = f'{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","object":{lists}}}}}'
    tls = point.url.startswith("https:")
    return Flood("storm", point.admission_port, connections, path=_ENFORCE, body=body, tokens=tokens, tls=tls)


def _storm(tenant: Tenant, path: str, body: dict[str, Any], connections: int, rest: float = 0.0) -> Flood:
    url = urlsplit(tenant.url(path))
    tls, port = url.scheme == "https", url.port or 0
    tokens, text = [tenant.pep], json.dumps(body)
    return Flood("storm", port, connections, path=url.path, tokens=tokens, body=text, tls=tls, rest=rest)
