"""Attributes from outside the policy: what an EndpointData says is what every decision point decides by."""

from typing import Any, Final

import pytest

from bailiwick_api.kinds.endpointdata import MOST_BYTES
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_DATA, ENDPOINT_POLICIES
from support.installation import accepted
from support.objects import Object, rule
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

REPLICAS: Final = 3
# As documented: seconds until a change is in force.
BOUND: Final = 2.0
AGAIN: Final = 3
DECLARED: Final = [{"name": "incident", "from": "incident-state"}]
OPEN: Final = {"name": "open", "expression": "data.incident.open == true"}
RULES: Final = (rule("read", conditions=[OPEN]),)


def test_data_changes_a_decision_everywhere_and_its_going_closes_what_it_opened(tenants: Tenants) -> None:
    tenant = tenants.make("data", rules=RULES, data=DECLARED)
    _await_everywhere(tenant, "condition_error")
    until(lambda: _data_ready(tenant)["reason"] == "NotFound", "it is told as not found")
    assert "incident-state" in _data_ready(tenant)["message"]
    _write(tenant, {"open": True})
    _await_everywhere(tenant, "allowed")
    until(lambda: _data_ready(tenant)["status"] == "True", "it is ready")
    until(lambda: _status(tenant, "True") is not None, "every process serves it")
    status = _status(tenant, "True") or {}
    assert status["readers"] == ["crm-agent"]
    assert status["digest"].startswith("sha256:")
    _patch(tenant, {"open": False})
    _await_everywhere(tenant, "condition_false")
    _patch(tenant, {"open": True})
    _await_everywhere(tenant, "allowed")
    accepted(tenant.callers.admin.delete(_path(tenant)))
    _await_everywhere(tenant, "condition_error")
    until(lambda: _data_ready(tenant)["reason"] == "NotFound", "it is told as not found")


@pytest.mark.parametrize(
    ("bad", "why"),
    [({"note": "x" * (MOST_BYTES + 1)}, "TooLarge"), ({"note": "a\0b"}, "Unreadable")],
    ids=["too large", "with NUL"],
)
def test_an_object_that_is_stored_and_cannot_be_read_is_unknown_everywhere(
    tenants: Tenants, bad: Object, why: str
) -> None:
    tenant = tenants.make("data-stored", rules=RULES, data=DECLARED)
    _write(tenant, {"open": True})
    _await_everywhere(tenant, "allowed")
    _patch(tenant, bad)
    _await_everywhere(tenant, "condition_error")
    until(lambda: _data_ready(tenant)["reason"] == why, "it is told why")
    _patch(tenant, {"note": None})
    _await_everywhere(tenant, "allowed")
    until(lambda: _data_ready(tenant)["status"] == "True", "it is ready again")


def test_an_object_that_is_deleted_and_made_again_at_once_is_the_new_one_everywhere(tenants: Tenants) -> None:
    tenant = tenants.make("data-anew", rules=RULES, data=DECLARED)
    _write(tenant, {"open": True})
    _await_everywhere(tenant, "allowed")
    for again, reason in ((False, "condition_false"), (True, "allowed"), (False, "condition_false")):
        accepted(tenant.callers.admin.delete(_path(tenant)))
        _write(tenant, {"open": again})
        _await_everywhere(tenant, reason)
    until(lambda: _status(tenant, "True") is not None, "every process serves it")


def _await_everywhere(tenant: Tenant, reason: str) -> None:
    """Within the bound every decision point decides by a change that was made just now, and none by an older state."""

    def reasons() -> set[str | None]:
        return {tenant.ask("customers.list", point=point).reason or "allowed" for point in range(REPLICAS)}

    until(lambda: reasons() == {reason}, f"everybody says {reason}", BOUND)
    for _ in range(AGAIN):
        assert reasons() == {reason}


def _path(tenant: Tenant, name: str = "incident-state") -> str:
    return f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_DATA}/{name}"


def _object(tenant: Tenant, data: Any, name: str = "incident-state") -> Object:  # noqa: ANN401 - any JSON
    metadata = {"namespace": tenant.namespace, "name": name}
    return {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}


def _write(tenant: Tenant, data: Any) -> None:  # noqa: ANN401 - any JSON
    accepted(tenant.callers.admin.create(_object(tenant, data)))


def _patch(tenant: Tenant, data: Any) -> None:  # noqa: ANN401 - any JSON
    accepted(tenant.callers.admin.patch(_path(tenant), {"spec": {"data": data}}, "merge"))


def _status(tenant: Tenant, ready: str) -> Object | None:
    stored: Object = accepted(tenant.callers.admin.get(_path(tenant)))
    status: Object = stored.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
    current = status.get("observedGeneration") == stored["metadata"]["generation"]
    return status if current and conditions["Ready"]["status"] == ready else None


def _data_ready(tenant: Tenant) -> Object:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/crm-agent"
    conditions = accepted(tenant.callers.admin.get(path)).get("status", {}).get("conditions", ())
    found: Object = next((one for one in conditions if one["type"] == "DataReady"), {"reason": "", "status": ""})
    return found
