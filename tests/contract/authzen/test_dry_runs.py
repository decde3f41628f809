"""A dry run of the enforcer over HTTP: what it is answered, what is recorded, and what it never leads to."""

import json
from typing import Any, Final

import pytest

from contract.asking_alone import AGENT, STRANGER, asking, body, stored
from support.objects import gated_rule, rule
from support.pdp.alone import Alone

ON_DENY: Final = {"steps": [{"name": "owner", "kind": "Human", "groups": ["crm-owners"]}], "open": "OnDeny"}
RULES: Final = (
    rule("read"),
    gated_rule("export"),
    gated_rule("erase", actions=["customers.erase"], approval=ON_DENY),
    rule(
        "small",
        actions=["customers.pay"],
        conditions=[{"name": "dry", "expression": "!has(context.dry_run)"}],
    ),
)


@pytest.fixture
def alone() -> Alone:
    return Alone([stored(*RULES)])


def lines(alone: Alone) -> list[dict[str, Any]]:
    """Return the records of decisions."""
    return [line for line in map(json.loads, alone.records.lines) if "evaluation_id" in line]


@pytest.mark.parametrize(
    ("action", "decision", "reason"),
    [
        ("customers.list", True, "allowed"),
        ("customers.unheard", False, "no_rule"),
        ("customers.export", False, "approval_required"),
        # Not even where the denial would open the request: there is no cluster here that it could fail at.
        ("customers.erase", False, "approval_required"),
        # Rules never see the wish: they decide about the call itself.
        ("customers.pay", True, "allowed"),
    ],
)
async def test_the_answer_is_that_of_the_call_and_says_so(
    alone: Alone, action: str, reason: str, *, decision: bool
) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post("evaluation", body(action=action, dry_run=True))
    assert (said.status, said.decision, said.reason, said.context["dry_run"]) == (200, decision, reason, True)
    assert not said.context.keys() & {"access_request", "task", "approval"}
    assert [(line["decision"], line["dry_run"]) for line in lines(alone)] == [(decision, True)]
    assert alone.pdp.counts.usage.used == {}


@pytest.mark.parametrize("wish", [False, None])
async def test_without_the_wish_it_is_a_decision(alone: Alone, wish: object) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post("evaluation", body(dry_run=wish))
    assert (said.decision, "dry_run" in said.context) == (True, False)
    assert [line["dry_run"] for line in lines(alone)] == [False]
    assert len(alone.pdp.counts.usage.used) == 1


@pytest.mark.parametrize("wish", ["true", 1, 0, [], {}])
@pytest.mark.parametrize("path", ["evaluation", "requests", "search/action"])
async def test_the_wish_is_true_or_false(alone: Alone, path: str, wish: object) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post(path, body(dry_run=wish))
    assert (said.status, said.body["field"]) == (400, "context.dry_run")
    assert lines(alone) == []


async def test_of_a_batch_each_item_has_the_wish_of_its_own_context(alone: Alone) -> None:
    items = [{}, {"context": body()["context"]}, {"context": body(dry_run=True)["context"]}]
    items += [{"context": body(dry_run="yes")["context"]}]
    async with asking(alone) as pdp:
        said = await pdp.post("evaluations", {**body(dry_run=True), "evaluations": items})
    answers = said.body["evaluations"]
    assert [one["context"].get("dry_run") for one in answers] == [True, None, True, None]
    assert answers[3]["context"]["error"]["message"].startswith("context.dry_run ")
    assert [line["dry_run"] for line in lines(alone)] == [True, False, True]


async def test_a_dry_run_asks_for_no_approval(alone: Alone) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post("requests", body(action="customers.export", dry_run=True))
    assert (said.status, said.body["field"]) == (400, "context.dry_run")
    assert lines(alone) == []


async def test_a_stranger_learns_nothing_by_a_dry_run(alone: Alone) -> None:
    async with asking(alone) as pdp:
        answers = [await pdp.post("evaluation", body(dry_run=wish), caller=STRANGER) for wish in (True, False)]
    assert {one.status for one in answers} == {403}
    assert len({one.raw for one in answers}) == 1


async def test_a_subject_that_asks_about_itself_gets_a_dry_run_whatever_it_says(alone: Alone) -> None:
    async with asking(alone) as pdp:
        for wish in (True, False):
            said = await pdp.post("evaluation", {**body(), "context": {"dry_run": wish}}, caller=AGENT)
            assert (said.decision, said.context["dry_run"]) == (True, True)
