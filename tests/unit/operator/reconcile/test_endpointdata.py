"""The status of an EndpointData, and DataReady of the policies that name it."""

from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.budget.ledger import Excess, Limit
from bailiwick_operator.reconcile import endpointdata
from bailiwick_operator.reconcile.endpointdata import data_ready, names, reconcile, summed_up, unknown
from bailiwick_operator.reconcile.programmed import ServedGeneration
from support.objects import Object, policy
from unit.operator.cases import NOW, stored

SERVED: Final = ServedGeneration(3, 3)
OVER: Final = Excess(Limit.NAMESPACE, 10_000, 90_000, 96_000)


def held(data: object, status: Object | None = None) -> Object:
    metadata = {"namespace": "crm", "name": "incident"}
    body = {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}
    return summed_up(stored(body, status=status))


def conditions(status: Object) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_nothing_is_kept_of_the_data_but_what_it_came_to() -> None:
    body = held({"open": True})
    assert "open" not in str(body["spec"])
    assert summed_up(body) is body


def test_data_that_every_process_reads_is_ready_and_a_second_pass_writes_nothing() -> None:
    plan = reconcile(held({"open": True}), ["b", "a"], None, SERVED, NOW)
    assert plan.status is not None
    assert conditions(plan.status) == {"Programmed": ("True", "Served"), "Ready": ("True", "Served")}
    assert plan.status["readers"] == ["a", "b"]
    assert plan.status["digest"].startswith("sha256:")
    assert reconcile(held({"open": True}, status=plan.status), ["a", "b"], None, SERVED, NOW).status is None


@pytest.mark.parametrize(
    ("serving", "ready"),
    [
        (None, ("Unknown", "Asking")),
        (ServedGeneration(0, 0), ("Unknown", "NoneReady")),
        (ServedGeneration(3, 2), ("False", "Pending")),
    ],
)
def test_data_that_is_not_read_everywhere_is_not_ready(
    serving: ServedGeneration | None, ready: tuple[str, str]
) -> None:
    plan = reconcile(held({"open": True}), [], None, serving, NOW)
    assert plan.status is not None
    assert conditions(plan.status)["Ready"] == ready
    assert plan.asks


def test_data_that_is_unknown_has_no_digest() -> None:
    for body, excess, why in ((held({"a": "\0"}), None, "Unreadable"), (held({"a": 1}), OVER, "OverBudget")):
        plan = reconcile(body, [], excess, SERVED, NOW)
        assert plan.status is not None
        assert conditions(plan.status)["Ready"] == ("False", why)
        assert "digest" not in plan.status


def test_a_policy_is_told_which_of_its_data_is_unknown_and_why() -> None:
    listed = names(policy("crm", data=[{"name": "incident", "from": "state"}, {"name": "people"}]))
    assert listed == (("incident", "state"), ("people", "people"))
    missing = unknown(None, None)
    assert missing is not None
    found = data_ready(listed, {"state": missing})
    assert found is not None
    assert (found.status, found.reason) == ("False", "NotFound")
    assert found.message.startswith("EndpointData state: there is no such EndpointData in the namespace: create it")
    sound = data_ready(listed, {})
    assert sound is not None
    assert (sound.status, sound.reason, sound.message) == ("True", "Ready", "conditions can read people, state")
    assert data_ready((), {}) is None


@pytest.mark.parametrize("spec", [None, [], {"data": "x"}, {"data": [1, {"name": 2}, {"from": "x"}]}])
def test_what_names_no_data_that_can_be_read_names_none(spec: object) -> None:
    assert endpointdata.names({"spec": spec}) == ()
