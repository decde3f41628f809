"""The gates of an endpoint: their digests are made with it, a few at a time, and never for a decision."""

from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import SettingsMeaning
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot, endpoint_steps
from bailiwick_engine.reasons import Reason
from bailiwick_engine.steps import Steps
from support.objects import Object, gated_rule, rule, settings
from unit.engine.cases import AROUND, CALL, carrier, gate_of, snapshot, stored, verdict_of

KEY: Final = ("crm", "crm-api")
ACTIONS: Final = ("customers.export", "customers.list", "orders.get")


def routed(*actions: str) -> Object:
    """Return settings with a route for each action."""
    routes = [
        {
            "methods": ["GET"],
            "path": f"/{action}/{{id}}",
            "action": action,
            "resource": {"type": "customer", "id": "{id}"},
        }
        for action in actions
    ]
    return {**settings(), "http": {"hosts": ["crm.example"], "routes": routes}}


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the digests that grants know rules by, as they are made from those of the rules."""
    made: list[str] = []
    digest = SettingsMeaning.grant_digest

    def counted(meaning: SettingsMeaning, own: str, actions: NameSet) -> str:
        made.append(own)
        return digest(meaning, own, actions)

    monkeypatch.setattr(SettingsMeaning, "grant_digest", counted)
    return made


def many(count: int) -> Iterator[Object]:
    rules = [gated_rule(f"r{number}") for number in range(60)]
    return (stored(f"p{at}", *rules[: count - 60 * at]) for at in range(-(-count // 60)))


@pytest.mark.parametrize(("count", "reason"), [(1, "approval_required"), (4, "approval_required"), (300, None)])
def test_a_decision_digests_no_gate(digested: list[str], count: int, reason: str | None) -> None:
    on = snapshot(carrier(), *many(count))
    assert len(digested) == count
    assert verdict_of(on).reason is Reason(reason or "multiple_gates")
    assert len(digested) == count


def test_a_gate_of_an_endpoint_is_what_its_settings_make_of_the_one_of_the_rule() -> None:
    for actions in (["customers.export"], ["customers.*"], ["*"], ["customers.export", "orders.*"]):
        on = snapshot(
            carrier(endpointSettings=routed(*ACTIONS)),
            stored("p", gated_rule(actions=actions), rule("plain", actions=["orders.get"])),
        )
        endpoint = on.endpoints[KEY]
        assert endpoint.settings is not None
        (gated,) = (one for one in endpoint.rules if one.gate is not None)
        assert gated.gate is not None
        (expected,) = endpoint.settings.gate(gated.gate, gated.actions).rules
        assert gate_of(on).rules == (expected,)
        assert endpoint.gates == {gated: endpoint.settings.gate(gated.gate, gated.actions)}
        # Of the routes, those count that come to one of its actions.
        meaning = endpoint.settings.meaning
        known = [digest for action, digest in meaning.routes if action in gated.actions]
        assert len(known) == sum(action in NameSet.of(actions) for action in ACTIONS)
        alike = SettingsMeaning(meaning.rest, tuple(one for one in meaning.routes if one[1] in known))
        assert alike.gate(gated.gate, NameSet.of(["*"])).rules == (expected,)


@pytest.mark.parametrize(
    "policies",
    [
        [stored("p", gated_rule())],
        [carrier(), stored("second", gated_rule(), endpointSettings=settings())],
        [carrier(), stored("watching", gated_rule(), mode="Audit")],
    ],
    ids=["without settings", "with conflicting settings", "of an Audit-mode policy"],
)
def test_a_gate_that_decides_nothing_is_not_digested(digested: list[str], policies: list[Object]) -> None:
    assert snapshot(*policies).endpoints[KEY].gates == {}
    assert digested == []


def test_a_step_digests_one_gate_at_most(digested: list[str]) -> None:
    steps: Steps[CompiledEndpoint] = endpoint_steps(compile_object(raw) for raw in (carrier(), *many(90)))
    most, endpoint = 0, None
    while endpoint is None:
        before = len(digested)
        try:
            next(steps)
        except StopIteration as end:
            endpoint = end.value
        most = max(most, len(digested) - before)
    assert (len(digested), most) == (90, 1)
    assert verdict_of(Snapshot({KEY: endpoint}), CALL, (), AROUND).reason is Reason.MULTIPLE_GATES


def test_the_gates_of_a_shadow_are_under_the_settings_that_there_would_be() -> None:
    live = stored("live", gated_rule(), endpointSettings=settings())
    for own in (settings(), routed(*ACTIONS)):
        candidate = stored("next", gated_rule(), mode="Audit", replaces="live", endpointSettings=own)
        other = stored("other", gated_rule())
        (shadow,) = snapshot(live, other, candidate).endpoints[KEY].shadows
        instead = snapshot(stored("live", gated_rule(), endpointSettings=own), other)
        assert gate_of(Snapshot({KEY: shadow.endpoint})).keys == gate_of(instead).keys
