"""An endpoint whose change is not compiled in time: every kind of question is answered by a denial that says so."""

import json
import time

import pytest

from contract.asking_alone import PEP, STRANGER, TENANT, LoneClient, asking, body, stored
from support.objects import gated_rule, rule
from support.pdp.alone import Alone
from support.pdp.questions import Said

KEY = ("crm", "changing")
DENY = rule("never", effect="Deny", actions=["customers.purge"])
GATED = gated_rule("export", actions=["customers.export"])
OTHER = "/endpoints/erp/crm-api"


def alone(seconds: float | None, *places: tuple[str, str | None]) -> Alone:
    """A decision point in which a change of an endpoint has waited for so long."""
    other = {**stored(), "metadata": {"namespace": "erp", "name": "other", "uid": "other", "generation": 1}}
    made = Alone([stored(rule(), DENY, GATED), other])
    if seconds is not None:
        made.store.waiting.set(KEY, places or [("crm", "crm-api")], time.monotonic() - seconds)
    return made


async def evaluated(pdp: LoneClient, action: str = "customers.list", caller: str = PEP, tenant: str = TENANT) -> Said:
    return await pdp.post("evaluation", body(action=action), caller, tenant)


class TestPastTwoSeconds:
    async def test_what_would_be_allowed_is_denied_and_says_what_goes_on(self) -> None:
        async with asking(alone(2.5)) as pdp:
            said = await evaluated(pdp)
            assert (said.status, said.decision, said.reason) == (200, False, "policy_outdated")
            assert said.body["context"]["next_action"] == "retry"
            assert "is still compiling it. Try again in a moment" in json.dumps(said.body["context"])
            assert 2.5 <= said.body["context"]["snapshot"]["pending_seconds"] < 60
            # Another endpoint's answer knows nothing of it.
            other = await evaluated(pdp, tenant=OTHER)
            assert other.decision is True
            assert "pending_seconds" not in other.body["context"]["snapshot"]

    @pytest.mark.parametrize("place", [("crm", None), ("", None)], ids=["the namespace", "everything"])
    async def test_where_nobody_knows_which_endpoint_it_concerns_all_are_denied(
        self, place: tuple[str, str | None]
    ) -> None:
        async with asking(alone(2.5, place)) as pdp:
            assert (await evaluated(pdp)).reason == "policy_outdated"
            assert (await evaluated(pdp, tenant=OTHER)).decision is (place[0] == "crm")

    async def test_what_is_denied_says_what_it_always_says(self) -> None:
        async with asking(alone(2.5)) as pdp:
            assert [(await evaluated(pdp, action)).reason for action in ("customers.purge", "nothing")] == [
                "policy_denied",
                "no_rule",
            ]
            assert (await evaluated(pdp, caller=STRANGER)).status == 403

    async def test_a_batch_denies_each_item_by_its_own_endpoint(self) -> None:
        async with asking(alone(2.5)) as pdp:
            items = [{}, {"action": {"name": "customers.purge"}}]
            said = await pdp.post("evaluations", {**body(), "evaluations": items})
            assert [item["decision"] for item in said.body["evaluations"]] == [False, False]
            assert [item["context"]["reason"] for item in said.body["evaluations"]] == [
                "policy_outdated",
                "policy_denied",
            ]

    async def test_a_search_finds_nothing_and_says_why(self) -> None:
        async with asking(alone(2.5)) as pdp:
            query = {name: value for name, value in body().items() if name != "action"}
            said = await pdp.post("search/action", query)
            assert "policy_outdated" in said.raw.decode()
            assert not said.body.get("results")

    async def test_the_record_tells_for_how_long_the_change_has_waited(self) -> None:
        made = alone(2.5)
        async with asking(made) as pdp:
            await evaluated(pdp)
            await evaluated(pdp, tenant=OTHER)
        lines = [json.loads(line) for batch in made.records.lines for line in batch.splitlines()]
        found = [line for line in lines if "evaluation_id" in line]
        assert [line["reason"] for line in found] == ["policy_outdated", "allowed"]
        assert found[0]["snapshot"]["pending_seconds"] >= 2.5
        assert "pending_seconds" not in found[1]["snapshot"]


async def test_before_that_it_is_decided_by_the_policies_before_and_told_to_be_behind() -> None:
    async with asking(alone(0.0)) as pdp:
        said = await evaluated(pdp)
        assert said.decision is True
        assert 0 <= said.body["context"]["snapshot"]["pending_seconds"] < 2


async def test_once_it_is_in_force_nothing_is_said_of_it() -> None:
    made = alone(2.5)
    async with asking(made) as pdp:
        assert (await evaluated(pdp)).decision is False
        made.store.waiting.drop(KEY, [("crm", "crm-api")])
        said = await evaluated(pdp)
        assert said.decision is True
        assert "pending_seconds" not in said.body["context"]["snapshot"]
