"""What a process remembers of uses: every policy of a gate, each party's of a call on behalf of another, no more."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Party
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_webhook.metrics import counts
from bailiwick_webhook.metrics.counts import ShadowTally, UsageTally
from support.objects import Object, gated_rule, rule, settings, subject
from unit.engine.cases import (
    AROUND,
    CALL,
    active,
    asked,
    governed,
    read,
    review,
    reviewed,
    snapshot,
    stored,
    verdict_of,
)

CAROL: Final = Party("user", "carol", "corp#carol", issuer="corp", username="carol@corp.example")
CEILING: Final[list[Object]] = [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}]
PERSON: Final = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}


def test_what_is_remembered_of_a_call_on_behalf_of_another_is_each_partys_policy() -> None:
    delegation = {"maxDepth": 1, "principals": ["carol"], "ceiling": CEILING, "principalMustBeEntitled": True}
    export = rule(actions=["customers.export"])
    on = snapshot(
        stored(
            "agents", export, endpointSettings={**settings(), "delegation": delegation}, subjects=[subject(), PERSON]
        ),
        stored("people", {**export, "subjects": ["carol"]}, subjects=[PERSON]),
        stored("strangers", {**export, "actions": ["customers.list"]}),
    )
    assert isinstance(CALL.subject, Party)
    verdict, passed = evaluate_hops(on, replace(CALL, subject=CAROL, actors=(CALL.subject,)), (), AROUND)
    assert verdict.outcome == "allow"
    tally = UsageTally({})
    tally.use(verdict, passed, 5.0)
    assert tally.used == {"agents-uid": 5.0, "people-uid": 5.0}


def test_what_is_remembered_is_every_policy_whose_gate_an_approval_opened() -> None:
    tally = UsageTally({})
    on = snapshot(
        stored("one", gated_rule(), endpointSettings=settings()),
        stored("two", gated_rule(), rule(actions=["customers.export"])),
    )
    wanted = asked(on)
    approved = active(reviewed(wanted, review(wanted, "carol"), review(wanted, "dave", 1)))
    verdict = verdict_of(on, CALL, [read(approved)])
    assert verdict.outcome == "use_grant"
    tally.use(verdict, None, 5.0)
    assert tally.used == {"one-uid": 5.0, "two-uid": 5.0}


def test_what_is_remembered_is_bounded_and_begins_anew_as_another_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_POLICIES", 3)
    shadows, verdict = ShadowTally(), verdict_of(governed(rule(actions=["customers.export"])))
    tally = UsageTally(shadows.candidates)
    shadows.compare(PolicyRef("crm", "next", "n", 1), different=True)
    tally.used |= {"x": 1.0, "y": 1.0}
    before = tally.memory
    tally.use(verdict, None, 2.0)
    assert (len(tally.used), len(shadows.candidates), tally.memory) == (3, 1, before)
    tally.used["z"] = 1.0
    tally.use(verdict, None, 3.0)
    assert (tally.used, tally.memory == before) == ({}, False)
    # Under another name they would be counted twice by whoever adds them up.
    assert shadows.candidates == {}
    shadows.compare(PolicyRef("crm", "next", "n", 1), different=True)
    assert tally._candidates == {"n": ("crm", 1, 1, 1)}


def test_what_is_remembered_of_candidates_is_bounded_too_and_begins_anew_with_each_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counts, "MOST_CANDIDATES", 2)
    tally = ShadowTally()
    for name, generation in (("a", 1), ("b", 1), ("a", 2), ("a", 2), ("c", 1)):
        tally.compare(PolicyRef("crm", name, name, generation), different=True)
    # Of `a`, which was seen after `b`, it is known still.
    assert tally.candidates == {"a": ("crm", 2, 2, 2), "c": ("crm", 1, 1, 1)}
    tally.compare(PolicyRef("crm", "c", "c", 7), different=False)
    assert tally.candidates["c"] == ("crm", 7, 1, 0)


def test_one_namespace_has_no_more_than_its_share_of_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_CANDIDATES", 4)
    monkeypatch.setattr(counts, "MOST_CANDIDATES_OF_ONE", 2)
    tally = ShadowTally()
    for namespace, name in (("crm", "a"), ("big", "b"), ("big", "c"), ("big", "b"), ("big", "d"), ("big", "e")):
        tally.compare(PolicyRef(namespace, name, name, 1), different=False)
    assert list(tally.candidates) == ["a", "d", "e"]
    for namespace in ("x", "y"):
        tally.compare(PolicyRef(namespace, namespace, namespace, 1), different=False)
    assert list(tally.candidates) == ["d", "e", "x", "y"]
