"""Which calls count as a use of which policy, and what candidates are counted, on the real pipeline."""

from typing import Any, Final

import pytest

from contract.asking_alone import AGENT, STRANGER, asking, body, stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords

LIVE: Final = stored(rule(), gated_rule())


def used(alone: Alone) -> set[str]:
    """Return the policies that were used, by name."""
    return {uid.removesuffix("-uid") for uid in alone.pdp.counts.usage.used}


def bare(*rules: Object, name: str = "other", **spec: object) -> Object:
    """Return a policy without settings."""
    made = stored(*rules, name=name, **spec)
    del made["spec"]["endpointSettings"]
    return made


async def test_a_call_that_is_allowed_uses_the_policy_whose_rule_allows_it() -> None:
    alone = Alone([LIVE, bare(rule("also"))])
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body())).decision is True
    # Both allow it: the first by policy and name is used.
    assert used(alone) == {"crm-agent"}


async def test_each_item_of_a_batch_that_is_allowed_is_a_use() -> None:
    never = bare(rule("never", effect="Deny", actions=["customers.purge"]), name="denying")
    alone = Alone([LIVE, bare(rule("get", actions=["customers.get"])), never])
    items = [{}, {"action": {"name": "customers.get"}}, {"action": {"name": "customers.purge"}}]
    async with asking(alone) as pdp:
        await pdp.post("evaluations", {**body(), "evaluations": items})
    assert used(alone) == {"crm-agent", "other"}


@pytest.mark.parametrize(
    ("path", "asked", "caller"),
    [
        ("evaluation", body(action="customers.purge"), None),
        ("evaluation", body(action="customers.export"), None),
        ("evaluation", {**body(), "context": {}}, AGENT),
        ("evaluation", body(), STRANGER),
        ("search/action", {name: value for name, value in body().items() if name != "action"}, None),
    ],
    ids=["a denial", "an approval that is wanting", "a dry run", "a stranger's", "a search"],
)
async def test_anything_else_is_none(path: str, asked: Any, caller: str | None) -> None:  # noqa: ANN401 - JSON
    alone = Alone([LIVE])
    async with asking(alone) as pdp:
        said = await (pdp.post(path, asked) if caller is None else pdp.post(path, asked, caller=caller))
        assert said.status == (403 if caller == STRANGER else 200)
    assert used(alone) == set()


async def test_a_rule_that_is_only_audited_is_not_used_and_neither_is_a_candidate() -> None:
    following = bare(rule(), name="a", mode="Audit", replaces="crm-agent")
    alone = Alone([LIVE, bare(rule(), name="audited", mode="Audit"), following])
    async with asking(alone) as pdp:
        await pdp.post("evaluation", body())
        await alone.pdp.shadows.idle()
    assert used(alone) == {"crm-agent"}


async def test_what_could_not_be_recorded_is_denied_and_no_use() -> None:
    alone = Alone([LIVE], records=KeptRecords(lambda line: b'"kind":"evaluation"' in line))
    async with asking(alone) as pdp:
        assert (await pdp.post("evaluation", body())).reason == "record_failed"
    assert used(alone) == set()


async def test_a_candidate_is_counted_by_how_many_calls_were_compared_and_differed() -> None:
    following = stored(rule(effect="Deny"), gated_rule(), name="next", mode="Audit", replaces="crm-agent")
    alone = Alone([LIVE, following])
    async with asking(alone) as pdp:
        for action in ("customers.list", "customers.list", "customers.purge"):
            await pdp.post("evaluation", body(action=action))
        await alone.pdp.shadows.idle()
    assert alone.pdp.counts.shadows.candidates == {"next-uid": ("crm", 1, 3, 2)}
