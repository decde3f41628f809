"""What a rule's purposes, workloads, validity, actions and approval add to comparisons of policies and to replays.

A value that is left out here is a widening that no diff and no replay shows.
"""

from dataclasses import replace
from itertools import combinations
from typing import Final

import pytest

from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.cel.members import Path
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.action import ACTION
from bailiwick_engine.policy.dimensions.approval import APPROVAL
from bailiwick_engine.policy.dimensions.atom import CallDraft, TooManyError
from bailiwick_engine.policy.dimensions.dimension import Meanings
from bailiwick_engine.policy.dimensions.intent import INTENT, IntentPart
from bailiwick_engine.policy.dimensions.validity import VALIDITY
from bailiwick_engine.policy.dimensions.workload import WORKLOAD, WorkloadPart, WorkloadRequirement
from bailiwick_engine.truth import UNKNOWN
from support.objects import gated_rule, rule
from unit.engine.cases import sound, stored

(RULE,) = sound(stored("p", gated_rule())).rules
ANY: Final = replace(RULE, intents=None)
AUDIT: Final = replace(RULE, intents=frozenset({"audit"}))
SUPPORT: Final = replace(RULE, intents=frozenset({"support", "audit"}))
DRAFT: Final = CallDraft(0.0, {"ticket": 1})
AGENT: Final = Party("serviceAccount", "system:serviceaccount:agents:bot", "uid")
(KEY,) = AGENT.keys
OTHER: Final = Key("system:serviceaccount:agents:other")


class TestAPurpose:
    @pytest.mark.parametrize(
        ("rule", "intent", "accepted"),
        [(ANY, None, True), (ANY, "audit", True), (AUDIT, "audit", True), (AUDIT, "x", False), (AUDIT, None, False)],
    )
    def test_is_accepted_by_a_rule_that_lists_it_or_lists_none(
        self, rule: IntentPart, intent: str | None, *, accepted: bool
    ) -> None:
        assert rule.accepts(intent) is accepted

    def test_limits_only_a_rule_that_lists_some(self) -> None:
        assert INTENT.limit(ANY) is None
        assert INTENT.limit(AUDIT) is not None

    def test_distinguishes_no_calls_where_no_rule_lists_any(self) -> None:
        (atom,) = INTENT.atoms([ANY, ANY], frozenset(), 0.0)
        assert (atom.label, atom.put(DRAFT)) == ("", DRAFT)

    def test_is_compared_for_each_that_a_rule_lists_and_for_another(self) -> None:
        atoms = INTENT.atoms([ANY, SUPPORT, AUDIT], frozenset(), 0.0)
        contexts = {atom.label: atom.put(DRAFT).context for atom in atoms}
        assert contexts == {
            "audit": {"ticket": 1, "intent": "audit"},
            "support": {"ticket": 1, "intent": "support"},
            "other": {"ticket": 1},
        }

    @pytest.mark.parametrize(
        ("rules", "paths", "read"),
        [
            ([ANY, ANY], set(), False),
            ([ANY], {("context", "amount"), ("resource", "intent"), ("resource",)}, False),
            ([ANY, AUDIT], set(), True),
            ([ANY], {("context", "amount"), ("context",)}, True),
            ([ANY], {("context", "intent")}, True),
            ([ANY], {("context", "intent", "deeper")}, True),
        ],
    )
    def test_of_a_record_is_read_where_a_rule_lists_some_or_reads_it(
        self, rules: list[IntentPart], paths: set[Path], *, read: bool
    ) -> None:
        reader = INTENT.record_reader(rules, paths)
        assert (reader is not None) is read
        if reader is not None:
            assert [reader({"intent": "audit"}), reader({})] == ["audit", None]


def required(*images: str, **labels: str) -> WorkloadRequirement:
    return WorkloadRequirement(frozenset(images) or None, tuple(sorted(labels.items())))


def rule_for(*requirements: WorkloadRequirement, subjects: frozenset[Key] = frozenset({KEY})) -> WorkloadPart:
    return replace(RULE, subjects=subjects, workloads={KEY: requirements} if requirements else {})


class TestAWorkload:
    def test_that_is_not_known_is_neither_met_nor_unmet(self) -> None:
        assert required("sha256:a").meets(None) is UNKNOWN
        assert rule_for(required("sha256:a")).names(AGENT) is UNKNOWN

    def test_is_asked_only_of_a_party_that_the_rule_names(self) -> None:
        assert rule_for(required("sha256:a"), subjects=frozenset({OTHER})).names(AGENT) is False
        assert rule_for(subjects=frozenset({OTHER})).names(AGENT) is False
        assert rule_for().names(AGENT) is True

    def test_distinguishes_no_calls_where_no_rule_asks_for_one(self) -> None:
        (atom,) = WORKLOAD.atoms([rule_for()], frozenset({KEY}), 0.0)
        assert (atom.label, atom.put(DRAFT)) == ("", DRAFT)

    def test_is_compared_for_each_set_of_requirements_that_can_be_met(self) -> None:
        rule = rule_for(required("sha256:a", "sha256:b"), required("sha256:b", "sha256:c", app="web"))
        atoms = WORKLOAD.atoms([rule], frozenset({KEY}), 0.0)
        drafts = {atom.label: atom.put(DRAFT).workload for atom in atoms}
        sets = {"images sha256:a, sha256:b", "images sha256:b, sha256:c", "images sha256:b", "other images"}
        assert set(drafts) == {"unknown workload", *sets, *(f"{images} app=web" for images in sets)}
        assert drafts.pop("unknown workload") is None
        for label, workload in drafts.items():
            assert workload is not None
            assert workload.labels == ({"app": "web"} if label.endswith(" app=web") else {})
        shared = drafts["images sha256:b app=web"]
        assert shared == PodWorkload(frozenset({"sha256:b"}), {"app": "web"})

    def test_of_any_image_is_compared_with_other_images_alone(self) -> None:
        atoms = WORKLOAD.atoms([rule_for(required(app="web"))], frozenset({KEY}), 0.0)
        assert {atom.label for atom in atoms} == {"unknown workload", "other images", "other images app=web"}

    def test_that_is_required_differently_means_another_rule(self) -> None:
        rules = [rule_for(), rule_for(required("sha256:a")), rule_for(required("sha256:a", app="web"))]
        meanings = Meanings(condition=id, gate=id)
        assert len({WORKLOAD.meaning(rule, meanings) for rule in rules}) == len(rules)

    def test_with_more_sets_of_images_than_can_be_compared_is_refused_as_too_many(self) -> None:
        pairs = [required(*pair) for pair in combinations(("sha256:a", "sha256:b", "sha256:c", "sha256:d"), 2)]
        assert WORKLOAD.atoms([rule_for(*pairs)], frozenset({KEY}), 0.0)
        with pytest.raises(TooManyError):
            WORKLOAD.atoms([rule_for(*pairs, required("sha256:e"))], frozenset({KEY}), 0.0)


class TestAnEnd:
    def test_is_reached_at_its_moment_and_never_without_one(self) -> None:
        assert [replace(RULE, expires=10.0).over(now) for now in (9.0, 10.0)] == [False, True]
        assert replace(RULE, expires=None).over(1e12) is False

    def test_limits_only_a_rule_that_ends_or_is_suspended(self) -> None:
        assert VALIDITY.limit(replace(RULE, expires=None, suspended=False)) is None
        assert VALIDITY.limit(replace(RULE, expires=10.0)) is not None
        assert VALIDITY.limit(replace(RULE, suspended=True)) is not None

    @pytest.mark.parametrize(("effect", "limited"), [("Deny", False), ("Allow", True)])
    def test_and_a_suspension_of_the_policy_never_reach_a_deny(self, effect: str, *, limited: bool) -> None:
        body = stored("p", rule(effect=effect), suspend=True, expireTime="2026-01-01T00:00:00Z")
        (compiled,) = sound(body).rules
        assert (compiled.expires is not None, compiled.suspended) == (limited, limited)

    def test_is_compared_from_now_on_and_from_each_that_is_to_come(self) -> None:
        rules = [replace(RULE, expires=expires) for expires in (None, 5.0, 10.0, 20.0)]
        atoms = VALIDITY.atoms(rules, frozenset(), 10.0)
        assert [(atom.label, atom.put(DRAFT).now) for atom in atoms] == [("", 0.0), ("1970-01-01T00:00:20Z", 20.0)]

    def test_of_a_record_is_read_where_a_rule_has_one(self) -> None:
        assert VALIDITY.record_reader([replace(RULE, expires=None)], set()) is None
        reader = VALIDITY.record_reader([replace(RULE, expires=ends) for ends in (None, 20.0, 10.0)], set())
        assert reader is not None
        assert [reader({"now": now}) for now in (9.0, 10.0, 19.0, 20.0)] == [0, 1, 1, 2]


def test_other_actions_mean_another_rule() -> None:
    meanings = Meanings(condition=id, gate=id)
    names = (["a"], ["b"], ["a*"], ["*"])
    rules = [replace(RULE, actions=NameSet.of(listed)) for listed in names]
    assert len({ACTION.meaning(each, meanings) for each in rules}) == len(names)


def test_an_approval_means_what_its_gate_means_and_none_means_nothing() -> None:
    meanings = Meanings(condition=id, gate=lambda gate: ("gate", gate.max_uses))
    assert RULE.gate is not None
    assert APPROVAL.meaning(RULE, meanings) == ("gate", RULE.gate.max_uses)
    assert APPROVAL.meaning(replace(RULE, gate=None), meanings) is None
