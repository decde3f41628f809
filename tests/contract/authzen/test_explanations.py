"""Explanations over HTTP: for whom, and what they say."""

from typing import Any, Final

import pytest

from contract.asking_alone import AGENT, PEP, STRANGER, asking, body, stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone

OFFICE: Final = {"name": "office", "expression": "context.args.hour > 8", "message": "only in office hours"}
RULES: Final = (rule("read", conditions=[OFFICE], intents=["support"]), gated_rule("export"))


def explained(**context: object) -> Object:
    asked = body(explain=True, args={"hour": 3, "secret": "hush"}, intent="support")
    return {**asked, "context": {**asked["context"], **context}}


@pytest.fixture
def alone() -> Alone:
    return Alone([stored(*RULES)], seers=[PEP])


class TestAnExplanation:
    async def test_shows_each_near_rule_and_the_nearest_miss(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", explained())
        explanation = said.context["explanation"]
        (read, export) = explanation["rules"]
        assert (read["policy"], read["rule"], read["standing"], read["party"]) == ("crm-agent", "read", "silent", AGENT)
        assert {one["clause"]: one["held"] for one in read["clauses"]} == {
            "subject": "true",
            "action": "true",
            "resource.type": "true",
            "resource.id": "true",
            "intent": "true",
            "condition": "false",
        }
        assert [one["clause"] for one in export["clauses"] if one["held"] != "true"] == ["action"]
        assert explanation["nearest_miss"] == {
            "changes": [
                {
                    "policy": "crm-agent",
                    "rule": "read",
                    "effect": "Allow",
                    "party": AGENT,
                    "meet": [
                        {
                            "clause": "condition",
                            "held": "false",
                            "name": "office",
                            "wanted": ["context.args.hour > 8"],
                            "message": "only in office hours",
                        }
                    ],
                }
            ],
            "then": "allowed",
        }

    async def test_never_shows_tokens_or_arguments(self, alone: Alone) -> None:
        asked = explained()
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", asked)
        assert b"hush" not in said.raw
        assert asked["context"]["evidence"]["subject_token"].encode() not in said.raw
        assert b"hush" not in b"".join(alone.records.lines)

    async def test_of_an_allowed_call_misses_nothing(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", explained(args={"hour": 9}))
        assert said.decision is True
        assert said.context["explanation"]["rules"][0]["standing"] == "applies"
        assert "nearest_miss" not in said.context["explanation"]

    async def test_changes_nothing_else_of_the_answer(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            plain = (await pdp.post("evaluation", explained(explain=False))).body
            said = (await pdp.post("evaluation", explained())).body
        del said["context"]["explanation"]
        for answer in (plain, said):
            answer["context"] = {
                name: value for name, value in answer["context"].items() if not name.startswith("evaluat")
            }
        assert plain == said

    async def test_is_withheld_from_whoever_may_not_get_policies(self) -> None:
        alone = Alone([stored(*RULES)])
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", explained())
        assert set(said.context["explanation"]) == {"withheld"}
        assert b"office hours" in said.raw  # the policy's own message is for everybody who is denied

    async def test_is_asked_of_the_api_server_once_for_many(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            await pdp.post("evaluation", explained())
            await pdp.post("evaluations", {**explained(), "evaluations": [{}, {}]})
        (review,) = alone.reviews.asked
        assert review == {
            "user": PEP,
            "uid": f"{PEP}-uid",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:crm", "system:authenticated"],
            "resourceAttributes": {
                "namespace": "crm",
                "verb": "get",
                "group": "bailiwick.dev",
                "resource": "endpointpolicies",
            },
        }

    async def test_costs_the_api_server_nothing_where_the_caller_may_not_ask(self, alone: Alone) -> None:
        of_itself = explained() | {"subject": {"type": "serviceAccount", "id": STRANGER}}
        async with asking(alone) as pdp:
            for path in ("/endpoints/crm/crm-api", "/endpoints/elsewhere/nothing"):
                assert (await pdp.post("evaluation", of_itself, STRANGER, path)).status == 403
        assert alone.reviews.asked == []

    async def test_is_not_asked_for_by_default(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", explained(explain=False))
        assert "explanation" not in said.context
        assert alone.reviews.asked == []

    async def test_stands_with_those_items_of_a_batch_that_ask_for_it(self, alone: Alone) -> None:
        items = [{}, {"context": body()["context"]}]
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", {**explained(), "evaluations": items})
        assert ["explanation" in one["context"] for one in said.body["evaluations"]] == [True, False]

    @pytest.mark.parametrize("wish", ["yes", 1, [], {}])
    async def test_is_asked_for_by_true(self, alone: Alone, wish: Any) -> None:  # noqa: ANN401 - any JSON value
        async with asking(alone) as pdp:
            said = await pdp.post("evaluation", explained(explain=wish))
        assert (said.status, said.body["field"]) == (400, "context.explain")
