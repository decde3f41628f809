"""Policies as the API server lists them: what is compiled, and what is said of those that do not count."""

from collections.abc import Iterable
from typing import Any, Final

import pytest

from bailiwick_engine.compile.listing import DataUnreadError, budget_excess, compile_listed
from bailiwick_engine.policy.snapshot import Snapshot
from support.objects import Object, policy, rule, settings
from unit.engine.cases import NOW

KEY: Final = ("crm", "crm-api")
READS_DATA: Final[dict[str, Any]] = {
    "data": [{"name": "people"}],
    "rules": [rule(conditions=[{"name": "known", "expression": "data.people.size() > 0"}])],
}


def listed(name: str, *, carrier: bool = True, status: Object | None = None, **spec: Any) -> Object:  # noqa: ANN401 - of a policy
    fields = {"endpointSettings": settings(), **spec} if carrier else spec
    made = policy("crm", name, **fields)
    made["metadata"] |= {"uid": f"{name}-uid", "generation": 2}
    return made if status is None else {**made, "status": status}


def compiled(*items: Object, data: Iterable[Object] | Exception = ()) -> tuple[Snapshot, list[str]]:
    def read() -> Iterable[Object]:
        if isinstance(data, Exception):
            raise data
        return data

    told: list[str] = []
    return compile_listed(items, read, told.append, NOW), told


def people(spec: Object | None) -> Object:
    return {"metadata": {"namespace": "crm", "name": "people", "uid": "data-uid", "generation": 1}, "spec": spec}


def over_budget(generation: int) -> Object:
    condition = {
        "type": "Accepted",
        "reason": "OverBudget",
        "observedGeneration": generation,
        "message": "too large\x1b",
    }
    return {"conditions": [{"type": "Ready", "reason": "Other"}, condition]}


def test_a_policy_that_is_in_order_is_served_and_nothing_is_said() -> None:
    snapshot, told = compiled(listed("one"))
    assert [one.name for one in snapshot.endpoints[KEY].carriers] == ["one"]
    assert told == []


def test_a_policy_that_does_not_compile_denies_and_is_said() -> None:
    snapshot, told = compiled(listed("one"), listed("two", carrier=False, rules=[rule(effect="Perhaps")]))
    assert [one.name for one in snapshot.endpoints[KEY].broken.values()] == ["two"]
    assert told
    assert all(line.startswith("error: the policy two is invalid: ") for line in told)


def test_two_policies_with_settings_are_a_conflict_that_names_the_first() -> None:
    _, told = compiled(listed("two"), listed("one"))
    (line,) = told
    assert line.startswith("error: the policy one: ")
    assert "two" in line


def test_an_endpoint_without_settings_is_said() -> None:
    _, (line,) = compiled(listed("one", carrier=False))
    assert line.startswith("error: ")
    assert "crm-api" in line


def test_a_policy_over_budget_denies_only_at_the_generation_that_was_judged() -> None:
    snapshot, told = compiled(listed("one"), listed("two", carrier=False, status=over_budget(2)))
    assert snapshot.endpoints[KEY].broken
    (line,) = told
    assert line.startswith("error: the policy two is over budget: too large")
    assert "\x1b" not in line
    again, told = compiled(listed("one"), listed("two", carrier=False, status=over_budget(1)))
    assert not again.endpoints[KEY].broken
    assert told == []


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": {"conditions": None}}, {"status": {}}])
def test_a_status_that_says_nothing_of_a_budget_takes_nothing_away(status: Object) -> None:
    assert budget_excess({**listed("one"), **status}) is None


def test_an_expiry_that_has_passed_is_a_warning() -> None:
    snapshot, told = compiled(listed("one", rules=[rule(expireTime="2020-01-01T00:00:00Z")]))
    assert snapshot.endpoints[KEY].carriers
    assert [line.partition(":")[0] for line in told] == ["warning"]


def test_data_is_read_only_if_a_policy_reads_some() -> None:
    _, told = compiled(listed("one"), data=AssertionError("nobody asked for it"))
    assert told == []


def test_data_of_the_cluster_is_given_to_the_endpoints_that_read_it() -> None:
    snapshot, told = compiled(listed("one", **READS_DATA), data=[people({"data": {"carol": True}})])
    assert told == []
    assert snapshot.endpoints[KEY].data_names == {"people"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (DataUnreadError("forbidden"), "error: data cannot be read, and counts as unknown: forbidden"),
        ([], "error: there is no EndpointData people: conditions that read it are unknown"),
        ([{"metadata": {"name": "others"}}], "error: there is no EndpointData people: "),
        ([people(None)], "error: the EndpointData people: "),
    ],
)
def test_data_that_is_not_there_is_unknown_and_said(data: Iterable[Object] | Exception, said: str) -> None:
    snapshot, told = compiled(listed("one", **READS_DATA), data=data)
    assert [line for line in told if line.startswith(said)]
    assert snapshot.endpoints[KEY].carriers
