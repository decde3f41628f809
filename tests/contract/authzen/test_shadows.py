"""Candidates on the real pipeline: what is recorded and counted of them, and that no answer shows them."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from bailiwick_engine.decision import shadow as engine
from bailiwick_engine.decision.shadow import ShadowVerdict
from bailiwick_webhook.metrics.table import ShadowDrop
from bailiwick_webhook.pipeline import shadows as pipeline
from contract.asking_alone import AGENT, PEP, STRANGER, LoneClient, asking, body, stored
from support.objects import Object, changed, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords
from support.pdp.questions import Said

LIVE: Final = stored(rule(), gated_rule())
# As slow as the bounds of conditions let one be: some thousand comparisons each.
SLOW: Final = [
    {"name": f"slow-{number}", "expression": f"context.l.all(x, context.l.all(y, x == y)) && {number} != 99"}
    for number in range(16)
]


def candidate(*rules: Object, name: str = "crm-agent-next", **spec: object) -> Object:
    """Return a copy of the live policy, but for this, that is to take its place."""
    return stored(*rules, name=name, **{"mode": "Audit", "replaces": "crm-agent", **spec})


def lines(alone: Alone, kind: str = "shadow") -> list[Any]:
    return [record for line in alone.records.lines if (record := json.loads(line))["kind"] == kind]


def met(alone: Alone) -> dict[tuple[str, str, str], int]:
    """Return what was counted, without zeros."""
    return {
        (endpoint, *both): count
        for endpoint, found in alone.pdp.counts.shadows.met.items()
        for both, count in found.items()
        if count
    }


def plain(said: Said) -> Object:
    """Return an answer without what differs from call to call."""
    context = {name: value for name, value in said.context.items() if name not in {"evaluation_id", "evaluated_at"}}
    context.pop("access_request", None)
    return {**said.body, "context": context}


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no shadow decision end before this does."""
    ended = threading.Event()

    def wait(*of: Any) -> Iterable[ShadowVerdict]:  # noqa: ANN401 - as `shadowed`
        ended.wait(timeout=30)
        return engine.decide_shadow(*of)

    monkeypatch.setattr(pipeline, "decide_shadow", wait)
    try:
        yield
    finally:
        ended.set()


async def test_a_difference_is_a_line_of_its_own_that_names_the_decision() -> None:
    alone = Alone([LIVE, candidate(rule(effect="Deny"), gated_rule())], cluster=object())
    async with asking(alone) as pdp:
        said = await pdp.post("evaluation", body())
        await alone.pdp.shadows.idle()
    assert said.decision is True
    decided, told = lines(alone, "evaluation"), lines(alone)
    assert [one["evaluation_id"] for one in told] == [said.context["evaluation_id"]] == [decided[0]["evaluation_id"]]
    assert told[0]["endpoint"] == "crm/crm-api"
    assert told[0]["live"] == {
        "verdict": "allow",
        "reason": "allowed",
        "rule": {"policy": "crm-agent", "name": "read"},
    }
    shadow = told[0]["shadow"]
    assert shadow.pop("digest").startswith("sha256:")
    assert shadow == {
        "policy": "crm-agent-next",
        "uid": "crm-agent-next-uid",
        "generation": 1,
        "replaces": "crm-agent",
        "verdict": "deny",
        "reason": "policy_denied",
        "rule": {"policy": "crm-agent-next", "name": "read"},
    }
    assert met(alone) == {("crm/crm-api", "allow", "deny"): 1}
    assert "crm-agent-next" not in json.dumps(decided)
    assert "shadow" not in json.dumps(decided)


@pytest.mark.parametrize(
    ("action", "rules", "expected", "recorded"),
    [
        ("customers.list", [rule(), gated_rule()], ("allow", "allow"), False),
        ("customers.list", [rule("other-name"), gated_rule()], ("allow", "allow"), False),
        ("customers.list", [gated_rule(actions=["customers.list"])], ("allow", "approval"), True),
        ("customers.export", [rule(), gated_rule()], ("approval", "approval"), False),
        ("customers.export", [rule(actions=["customers.*"])], ("approval", "allow"), True),
        ("customers.purge", [rule(), gated_rule()], ("deny", "deny"), False),
        ("customers.purge", [rule("no", effect="Deny", actions=["customers.purge"])], ("deny", "deny"), True),
        ("customers.purge", [rule(actions=["*"])], ("deny", "allow"), True),
    ],
)
async def test_what_is_counted_and_what_is_told(
    action: str, rules: list[Object], expected: tuple[str, str], recorded: bool
) -> None:
    alone = Alone([LIVE, candidate(*rules)])
    async with asking(alone) as pdp:
        await pdp.post("evaluation", body(action=action))
        await alone.pdp.shadows.idle()
    assert met(alone) == {("crm/crm-api", *expected): 1}
    assert bool(lines(alone)) is recorded


async def test_each_item_of_a_batch_that_is_answered_is_decided_again() -> None:
    alone = Alone([LIVE, candidate(gated_rule())])
    items = [{}, {"action": {"name": "customers.export"}}, {}]
    async with asking(alone) as pdp:
        said = await pdp.post("evaluations", {**body(), "evaluations": items})
        await alone.pdp.shadows.idle()
    ids = [one["context"]["evaluation_id"] for one in said.body["evaluations"]]
    assert sorted(one["evaluation_id"] for one in lines(alone)) == sorted([ids[0], ids[2]])
    assert met(alone) == {("crm/crm-api", "allow", "deny"): 2, ("crm/crm-api", "approval", "approval"): 1}


async def test_a_stranger_causes_no_work() -> None:
    alone = Alone([LIVE, candidate(rule(effect="Deny"))])
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body(), caller=STRANGER)).status == 403
        await alone.pdp.shadows.idle()
    assert (met(alone), lines(alone)) == ({}, [])


@pytest.mark.parametrize(
    "made",
    [
        candidate(rule(effect="Deny", actions=["*"])),
        candidate(rule(actions=["*"])),
        candidate(rule(), endpointSettings={"enforcers": [{"namespace": "crm", "name": "other"}]}),
        candidate(rule(conditions=SLOW)),
        candidate(rule(conditions=[{"name": "broken", "expression": "context.n >"}])),
        changed(candidate(rule()), "spec.endpoint", 7),
        candidate(rule(), replaces="nobody"),
    ],
    ids=["stricter", "wider", "of other settings", "slow", "broken", "of no endpoint", "of nothing"],
)
async def test_answers_are_those_without_it(made: Object) -> None:
    alone, without = Alone([LIVE, made]), Alone([LIVE])
    async with asking(alone) as one, asking(without) as other:
        for action in ("customers.list", "customers.export", "customers.purge"):
            for caller in (PEP, AGENT, "system:serviceaccount:crm:other"):
                asked = body(action=action, l=list(range(64)))
                both = [await pdp.post("evaluation", asked, caller=caller) for pdp in (one, other)]
                assert both[0].status == both[1].status
                assert plain(both[0]) == plain(both[1])
        await alone.pdp.shadows.idle()
    assert sum(alone.pdp.counts.shadows.dropped.values()) == 0


async def test_answers_go_out_while_a_shadow_decision_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Alone([LIVE, candidate(rule(effect="Deny"))])
    with held(monkeypatch):
        async with asking(alone) as pdp:
            for _ in range(20):
                assert (await pdp.post("evaluation", body())).decision is True
            assert (met(alone), len(lines(alone, "evaluation"))) == ({}, 20)
    await alone.pdp.shadows.idle()
    assert met(alone) == {("crm/crm-api", "allow", "deny"): 20}


async def test_a_candidate_as_slow_as_may_be_is_decided_for_each_answer_all_the_same() -> None:
    # More comparisons than one decision may take, so that its rules come to nothing.
    rules = [rule(f"slow-{number}", conditions=SLOW) for number in range(16)]
    alone = Alone([LIVE, candidate(*rules)])
    async with asking(alone) as pdp:
        for _ in range(20):
            assert (await pdp.post("evaluation", body(l=["a"] * 64))).decision is True
        await alone.pdp.shadows.idle()
    assert met(alone) == {("crm/crm-api", "allow", "deny"): 20}


async def flood(pdp: LoneClient, count: int) -> None:
    items: list[Object] = [{}] * 50
    for _ in range(count // len(items)):
        said = await pdp.post("evaluations", {**body(), "evaluations": items})
        assert all(one["decision"] for one in said.body["evaluations"])


async def test_what_waits_is_bounded_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Alone([LIVE, candidate(rule(effect="Deny"))])
    with held(monkeypatch):
        async with asking(alone) as pdp:
            await flood(pdp, 500)
    dropped = alone.pdp.counts.shadows.dropped[ShadowDrop.QUEUE]
    await alone.pdp.shadows.idle()
    # One tenant has a quarter of it.
    assert dropped == 500 - pipeline.MOST_WAITING // 4
    assert sum(met(alone).values()) == pipeline.MOST_WAITING // 4


class NoRoom(KeptRecords):
    """Records without any room to spare."""

    def spare(self, line: bytes, gone: Callable[[], None]) -> bool:
        return False


async def test_a_record_without_room_loses_the_line_and_not_the_count() -> None:
    alone = Alone([LIVE, candidate(rule(effect="Deny"))], records=NoRoom())
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body())).decision is True
        await alone.pdp.shadows.idle()
    assert (lines(alone), met(alone)) == ([], {("crm/crm-api", "allow", "deny"): 1})
    assert alone.pdp.counts.shadows.dropped[ShadowDrop.RECORD] == 1


async def test_a_defect_of_it_is_counted_and_told_to_nobody_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*of: object) -> Iterable[ShadowVerdict]:
        raise RuntimeError("of ours")

    monkeypatch.setattr(pipeline, "decide_shadow", fail)
    alone = Alone([LIVE, candidate(rule(effect="Deny"))])
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body())).decision is True
        await alone.pdp.shadows.idle()
    assert (met(alone), alone.pdp.counts.shadows.dropped[ShadowDrop.FAILED]) == ({}, 1)


async def test_a_decision_that_could_not_be_recorded_has_no_shadow() -> None:
    records = KeptRecords(lambda line: b'"kind":"evaluation"' in line)
    alone = Alone([LIVE, candidate(rule(effect="Deny"))], records=records)
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body())).reason == "record_failed"
        await alone.pdp.shadows.idle()
    assert (met(alone), lines(alone)) == ({}, [])
