"""Attributes from outside the policy: what an EndpointData says is what every decision point decides by."""

from typing import Any, Final

from bailiwick_api.meta import API_VERSION, ENDPOINT_DATA, ENDPOINT_POLICIES
from support.installing import accepted
from support.objects import Object, rule
from support.pdp.tenant import Tenant, Tenants
from support.waiting import until

REPLICAS: Final = 3
DECLARED: Final = [{"name": "incident", "from": "incident-state"}]
OPEN: Final = {"name": "open", "expression": "data.incident.open == true"}
RULES: Final = (rule("read", conditions=[OPEN]),)


def test_data_changes_a_decision_everywhere_and_its_going_closes_what_it_opened(tenants: Tenants) -> None:
    tenant = tenants.make("data", rules=RULES, data=DECLARED)
    for point in range(REPLICAS):
        assert tenant.ask("customers.list", point=point).reason == "condition_error"
    until(lambda: _data_ready(tenant)["reason"] == "NotFound", "it is told as not found")
    assert "incident-state" in _data_ready(tenant)["message"]
    _write(tenant, {"open": True})
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).decision is True, "data is in force", 5)  # noqa: B023 - asked at once
    until(lambda: _data_ready(tenant)["status"] == "True", "it is ready")
    until(lambda: _status(tenant, "True") is not None, "every process serves it")
    status = _status(tenant, "True") or {}
    assert status["readers"] == ["crm-agent"]
    assert status["digest"].startswith("sha256:")
    _patch(tenant, {"open": False})
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).reason == "condition_false", "the change is felt", 5)  # noqa: B023 - asked at once
    _patch(tenant, {"open": True})
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).decision is True, "data is in force", 5)  # noqa: B023 - asked at once
    accepted(tenant.callers.admin.delete(_path(tenant)))
    for point in range(REPLICAS):
        until(lambda: tenant.ask("customers.list", point=point).reason == "condition_error", "it is unknown", 5)  # noqa: B023 - asked at once
    until(lambda: _data_ready(tenant)["reason"] == "NotFound", "it is told as not found")


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
