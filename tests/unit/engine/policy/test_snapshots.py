"""What an endpoint is made of, by the policies that there are."""

import itertools
from typing import Final

import pytest

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from support.objects import Object, changed, rule, settings, subject
from unit.engine.cases import carrier, snapshot, stored

KEY: Final = ("crm", "crm-api")
OTHER: Final = [subject(account="other")]


def unreadable(name: str, **spec: object) -> Object:
    return stored(name, **spec)


class TestAnEndpoint:
    @pytest.mark.parametrize(
        "policies",
        [
            [carrier(), changed(carrier(), "metadata.name", "second")],
            [carrier(), unreadable("second", subjects=OTHER, endpointSettings={"enforcers": []})],
            [carrier(), unreadable("second", subjects=OTHER, endpointSettings=settings())],
            [
                unreadable("first", subjects=OTHER, endpointSettings={"enforcers": []}),
                unreadable("second", subjects=OTHER, endpointSettings={"enforcers": []}),
            ],
        ],
        ids=["two", "one of them unreadable", "one of them broken", "both unreadable"],
    )
    def test_with_two_carriers_has_no_settings(self, policies: list[Object]) -> None:
        for order in itertools.permutations(policies):
            endpoint = snapshot(*order).endpoints[KEY]
            assert (endpoint.settings, endpoint.conflicted) == (None, True)

    def test_with_one_carrier_has_its_settings(self) -> None:
        endpoint = snapshot(carrier(), stored("sound", rule()), unreadable("broken")).endpoints[KEY]
        assert endpoint.settings is not None
        assert (endpoint.settings.carrier.name, endpoint.conflicted) == ("carrier", False)

    def test_without_carrier_has_neither_settings_nor_enforcers(self) -> None:
        endpoint = snapshot(stored("sound", rule())).endpoints[KEY]
        assert (endpoint.settings, endpoint.conflicted, endpoint.enforcers) == (None, False, frozenset())

    def test_names_the_first_of_those_that_deny_it_whole(self) -> None:
        policies = [carrier(), *(unreadable(name, subjects=[]) for name in ("z", "a", "m"))]
        for order in itertools.permutations(policies):
            denied = snapshot(*order).endpoints[KEY].denied_whole
            assert denied is not None
            assert denied.name == "a"

    def test_is_denied_whole_by_nobody_who_only_watches(self) -> None:
        assert snapshot(carrier(), unreadable("a", subjects=[], mode="Audit")).endpoints[KEY].denied_whole is None

    def test_knows_whom_its_broken_policies_deny(self) -> None:
        broken = unreadable("broken", subjects=[subject(), subject("b", account="b")])
        watching = unreadable("watching", subjects=OTHER, mode="Audit")
        endpoint = snapshot(carrier(), broken, watching).endpoints[KEY]
        accounts = ("system:serviceaccount:agents:crm-agent", "system:serviceaccount:agents:b")
        assert {name: ref.name for name, ref in endpoint.broken.items()} == dict.fromkeys(accounts, "broken")

    def test_takes_policies_that_can_be_read_but_once(self) -> None:
        made = [compile_object(raw) for raw in (carrier(), stored("sound", rule()), unreadable("broken"))]
        endpoint = CompiledEndpoint.of(
            (one for one in made if isinstance(one, CompiledPolicy)),
            (one for one in made if isinstance(one, BrokenPolicy)),
        )
        assert endpoint.settings is not None
        assert set(endpoint.exact) == {"customers.list", "unrelated"}
        assert list(endpoint.broken) == ["system:serviceaccount:agents:crm-agent"]


class TestASnapshot:
    def test_says_which_state_it_was_made_from(self) -> None:
        assert Snapshot.of([], "7").revision == "7"
        assert not Snapshot.of([]).revision

    def test_keeps_endpoints_apart(self) -> None:
        abroad = changed(stored("abroad", rule()), "metadata.namespace", "other")
        on = snapshot(carrier(), stored("beside", rule(), endpoint="other"), abroad)
        assert set(on.endpoints) == {KEY, ("crm", "other"), ("other", "crm-api")}

    def test_knows_the_namespaces_that_a_policy_without_endpoint_denies(self) -> None:
        lost = changed(unreadable("lost"), "spec.endpoint", ...)
        assert set(snapshot(lost, carrier()).unreadable) == {"crm"}
        assert snapshot(changed(lost, "spec", {"mode": "Audit"})).unreadable == {}
