"""A list makes no call: whatever it shows, on a real cluster nothing is counted, used or requested by it."""

from collections.abc import Sequence
from typing import Final

import pytest

from bailiwick.mcp.calls import McpMessage
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from bailiwick_engine.history.state import parse_state
from support.installation import accepted
from support.mcp.fronts import gate_of
from support.objects import Object, gated_rule, rule
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants

pytestmark = pytest.mark.cluster

TOOLS: Final = [{"type": "tool", "ids": ["*"]}]
NAMES: Final = ("orders", "pay", "refund", "convert", "wipe")
SHOWN: Final = [True, True, True, True, False]
HISTORIES: Final[Sequence[Object]] = (
    {"name": "orders", "key": ["agent"], "window": "1h", "counts": {"actions": ["orders"]}},
    {
        "name": "paid",
        "key": ["agent"],
        "window": "1h",
        "counts": {"actions": ["pay"]},
        "amount": {"of": "context.args.amount", "digits": 2},
    },
)
ANYTIME: Final = {"steps": STEPS, "binding": "Scope", "maxUses": 1, "limits": PLENTY}
AT_ONCE: Final = {"steps": STEPS, "open": "OnDeny", "limits": PLENTY}


def limited(name: str, expression: str) -> Object:
    """Return a rule that lets a tool through while that holds."""
    return rule(name, actions=[name], resources=TOOLS, conditions=[{"name": "limit", "expression": expression}])


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    rules = [
        RULES[0],
        limited("orders", "history.orders.count <= 5"),
        limited("pay", "history.paid.sum <= 100.0"),
        gated_rule("refund", actions=["refund"], resources=TOOLS, approval=ANYTIME),
        gated_rule("convert", actions=["convert"], resources=TOOLS, approval=AT_ONCE),
    ]
    return tenants.make("lists", rules, HISTORIES)


def about(tenant: Tenant, name: str, path: str = "evaluation", reason: str | None = None) -> Said:
    """Ask about a tool as the gate does."""
    body = tenant.body(name, business_justification=reason)
    return questions.post(tenant.url(path), {**body, "resource": {"type": "tool", "id": name}}, tenant.pep)


def counted(tenant: Tenant) -> int:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    states = [parse_state(item["spec"]) for item in accepted(tenant.callers.admin.get(path))["items"]]
    return sum(slot.count for state in states if state for line in state.lines.values() for slot in line.slots)


async def test_twenty_lists_count_nothing_use_nothing_and_request_nothing(tenant: Tenant) -> None:
    requested = about(tenant, "refund", "requests", "INC-1 please")
    assert requested.status == 202, requested.body
    grant = requested.grant_name
    tenant.approve(grant)
    message = McpMessage(method="tools/list", token=tenant.token("agent", tenant.audience))
    gate = gate_of(tenant)
    for _ in range(20):
        assert await gate.visible(message, [(name, None) for name in NAMES]) == SHOWN
    await gate.close()
    assert (counted(tenant), tenant.uses(grant), len(tenant.grants())) == (0, 0, 1)
    # And what the lists left is there for calls.
    assert [about(tenant, "orders").decision for _ in range(6)] == [True] * 5 + [False]
    assert [about(tenant, "refund").decision for _ in range(2)] == [True, False]
    assert about(tenant, "convert").reason == "approval_pending"
    assert (counted(tenant), tenant.uses(grant), len(tenant.grants())) == (5, 1, 2)
