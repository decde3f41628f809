"""What an endpoint's candidates come to: which are judged, and what their shadows know."""

from collections.abc import Iterable
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, PodWorkload
from bailiwick_engine.cel.data import Data, read_data
from bailiwick_engine.compile.acceptance import carries_settings, judge
from bailiwick_engine.compile.policies import compile_object, policy_ref
from bailiwick_engine.compile.withheld import withheld, withheld_of
from bailiwick_engine.decision.shadow import VerdictClass, decide_shadow, verdict_class
from bailiwick_engine.policy.replacements import MOST_CANDIDATES
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot, denies_namespace
from support.objects import Object, changed, rule, settings, subject
from unit.engine.cases import AROUND, CALL, broken, snapshot, sound, stored

KEY: Final = ("crm", "crm-api")
LIVE: Final = stored("live", rule("read", actions=["customers.export"]), endpointSettings=settings())
PINNED: Final = "sha256:" + "a" * 64


def candidate(*rules: Object, name: str = "next", replaces: str = "live", **spec: object) -> Object:
    return stored(name, *rules, **{"mode": "Audit", "replaces": replaces, "endpointSettings": settings(), **spec})


def judged(*policies: Object) -> list[tuple[str, str]]:
    """Return which candidates have a shadow, and whom they replace."""
    return [(one.candidate.name, one.replaced) for one in snapshot(*policies).endpoints[KEY].shadows]


def told(on: Snapshot, call: Call = CALL) -> list[VerdictClass | None]:
    """Return what each shadow makes of a call."""
    found = decide_shadow(on, on.endpoints[KEY], call, (), AROUND)
    return [None if one.verdict is None else verdict_class(one.verdict) for one in found]


class TestACandidate:
    @pytest.mark.parametrize(
        ("policies", "expected"),
        [
            ([LIVE], []),
            ([LIVE, candidate(rule())], [("next", "live")]),
            ([LIVE, candidate(rule(), replaces="nobody")], []),
            ([LIVE, candidate(rule(), name="a"), candidate(rule(), name="b")], []),
            ([LIVE, candidate(rule(), name="a"), candidate(rule(), name="b", replaces="a")], [("a", "live")]),
            ([LIVE, candidate(rule(actions=[]))], []),
            ([LIVE, candidate(rule(), mode="Enforce", endpointSettings=None)], []),
            ([changed(LIVE, "spec.rules.0.actions", []), candidate(rule())], [("next", "live")]),
        ],
        ids=["none", "one", "of nobody", "two", "of a candidate", "broken", "enforced", "of a broken policy"],
    )
    def test_is_judged_where_it_stands_for_a_policy(
        self, policies: list[Object], expected: list[tuple[str, str]]
    ) -> None:
        assert judged(*policies) == judged(*reversed(policies)) == expected

    def test_is_one_of_eight_at_most(self) -> None:
        names = [f"p{number:02}" for number in range(MOST_CANDIDATES + 3)]
        listed = [stored(name, rule()) for name in names]
        listed += [candidate(rule(), name=f"next-{name}", replaces=name) for name in names]
        assert [name for name, _ in judged(LIVE, *listed)] == [f"next-{name}" for name in names[:MOST_CANDIDATES]]

    @pytest.mark.parametrize("spec", [{"mode": "Enforce"}, {}, {"replaces": "next"}], ids=["Enforce", "none", "itself"])
    def test_of_another_mode_or_for_itself_does_not_compile(self, spec: Object) -> None:
        raw = stored(
            "next", rule(), **{"replaces": "live", **({"mode": "Audit"} if "replaces" in spec else {}), **spec}
        )
        (problem,) = judge(policy_ref(raw), raw["spec"]).problems
        assert problem.path == "spec.replaces"

    def test_that_is_enforced_by_mistake_denies_as_any_broken_policy(self) -> None:
        made = broken(stored("next", rule(), replaces="live"))
        assert (made.replaces, made.audit, made.subjects is None) == (None, False, False)

    @pytest.mark.parametrize("spec", [{"rules": 7}, {"subjects": []}, {"endpoint": 7}, {"endpointSettings": 7}])
    def test_that_cannot_be_read_denies_nothing(self, spec: Object) -> None:
        raw = candidate(rule(), **spec)
        assert not carries_settings(raw["spec"])
        made = broken(raw)
        assert not denies_namespace(made)
        with_it, without = snapshot(LIVE, raw), snapshot(LIVE)
        assert with_it.unreadable == without.unreadable
        assert bare(with_it.endpoints[KEY]) == bare(without.endpoints[KEY])

    @pytest.mark.parametrize("spec", [{}, {"rules": 7}])
    def test_over_budget_stays_one(self, spec: Object) -> None:
        raw = candidate(rule(), **spec)
        for made in (withheld(policy_ref(raw), raw["spec"]), withheld_of(compile_object(raw))):
            assert made.replaces == "live"


def bare(endpoint: CompiledEndpoint) -> tuple[object, ...]:
    """Return what answers hang on, but for rules, which are equal to themselves alone."""
    names = [one.name for one in endpoint.rules]
    return (endpoint.carriers, endpoint.enforcers, endpoint.conflicted, endpoint.denied_whole, endpoint.broken, names)


class TestAShadow:
    def test_has_the_settings_that_there_would_be(self) -> None:
        assert told(snapshot(LIVE, candidate(rule(actions=["customers.export"])))) == ["allow"]
        without = candidate(rule(actions=["customers.export"]))
        del without["spec"]["endpointSettings"]
        assert told(snapshot(LIVE, without)) == ["deny"]

    def test_of_a_second_carrier_is_conflicted_as_it_would_be(self) -> None:
        other = stored("other", rule(), endpointSettings=settings())
        plain = changed(LIVE, "spec.endpointSettings", ...)
        found = candidate(rule(actions=["customers.export"]))
        assert told(snapshot(plain, other, found)) == ["deny"]

    def test_is_undecided_where_a_workload_decides_that_nobody_asked_for(self) -> None:
        pinned = {**subject(), "workload": {"imageDigests": [PINNED]}}
        made = candidate(rule(actions=["customers.export"]), subjects=[pinned])
        assert told(snapshot(LIVE, made)) == [None]
        known = replace(CALL, subject=replace(CALL.subject, workload=PodWorkload(frozenset({PINNED}), {})))
        assert told(snapshot(LIVE, made), known) == ["allow"]
        # Where the live policy asks too, that it is unknown is what both were told.
        asking = changed(LIVE, "spec.subjects", [pinned])
        assert told(snapshot(asking, made)) == ["deny"]

    def test_reads_data_of_its_own(self) -> None:
        condition = {"name": "open", "expression": "data.desk.open == true"}
        made = candidate(rule(actions=["customers.export"], conditions=[condition]), data=[{"name": "desk"}])
        on = snapshot(LIVE, made)
        endpoint = on.endpoints[KEY]
        assert (endpoint.reads, endpoint.data_names) == (frozenset(), frozenset({"desk"}))
        assert told(on) == ["deny"]
        for value, expected in ((True, "allow"), (False, "deny")):
            data: Data = {"desk": read_data("desk", "uid", 1, {"data": {"open": value}})}
            beside = endpoint.with_data(data)
            assert beside.data == {}
            assert told(Snapshot({KEY: beside})) == [expected]

    def test_knows_all_other_policies(self) -> None:
        deny = stored("deny", rule(effect="Deny", actions=["customers.export"]))
        assert told(snapshot(LIVE, deny, candidate(rule(actions=["customers.export"])))) == ["deny"]

    def test_takes_room_for_its_own_rules_alone(self) -> None:
        others = [stored(f"p{number}", rule()) for number in range(50)]
        (shadow,) = snapshot(LIVE, *others, candidate(rule("only"))).endpoints[KEY].shadows
        assert names_in(shadow.endpoint.index.exact.values()) == {"only"}


def names_in(tables: Iterable[object]) -> set[str]:
    return {one.name for table in tables for rules in table.values() for one in rules}  # type: ignore[attr-defined]


def test_a_sound_candidate_is_compiled_as_any_policy() -> None:
    made = sound(candidate(rule()))
    assert (made.replaces, [one.audit for one in made.rules]) == ("live", [True])
