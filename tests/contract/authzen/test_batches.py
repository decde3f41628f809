"""A batch over HTTP: what is asked of whom, what is recorded, and who is told nothing."""

import asyncio
import json
from typing import Any, Final

import pytest
from hypothesis import given, settings as hypothesis, strategies as st

from bailiwick_engine.call import Party, PodWorkload
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.pipeline import decision
from contract.asking_alone import AGENT, PEP, STRANGER, asking, body, stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords, NamedWorkloads
from support.pdp.questions import Said

RULES: Final = (
    rule("read"),
    rule("own", actions=["customers.get"], resources=[{"type": "customer", "ids": ["1", "2"]}]),
    gated_rule("export"),
    rule("never", effect="Deny", actions=["customers.purge"]),
)
ITEMS: Final[tuple[Object, ...]] = (
    {},
    {"action": {"name": "customers.get"}},
    {"action": {"name": "customers.get"}, "resource": {"type": "customer", "id": "1"}},
    {"action": {"name": "customers.export"}},
    {"action": {"name": "customers.purge"}},
    {"subject": {"type": "serviceAccount", "id": "system:serviceaccount:agents:other"}},
    {"context": {}},
    {"resource": {"id": "2"}, "action": {"name": "customers.get"}},
)


def batch(*items: object, **more: object) -> Object:
    return {**body(), "evaluations": list(items), **more}


def decisions(said: Said) -> list[bool]:
    return [one["decision"] for one in said.body["evaluations"]]


def stable(answer: Any) -> Any:  # noqa: ANN401 - an answer
    """Return an answer without what differs from call to call."""
    volatile = {"evaluation_id", "evaluated_at", "access_request"}
    context = {name: value for name, value in answer["context"].items() if name not in volatile}
    return {"decision": answer["decision"], "context": context}


@hypothesis(max_examples=60)
@given(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=8))
async def test_a_batch_says_of_each_item_what_an_evaluation_of_it_says(items: list[Object]) -> None:
    async with asking(Alone([stored(*RULES)])) as pdp:
        answers = (await pdp.post("evaluations", batch(*items))).body["evaluations"]
        for item, answer in zip(items, answers, strict=True):
            whole = {**body(), **item}
            whole["resource"] = {"type": "customer", "id": "42", **item.get("resource", {})}
            assert stable((await pdp.post("evaluation", whole)).body) == stable(answer)


IN_A_POD: Final = {
    "name": "agent",
    "serviceAccount": {"namespace": "agents", "name": "crm-agent"},
    "workload": {"podSelector": {"matchLabels": {"app": "crm"}}},
}
MORE: Final[dict[str, tuple[Object, Object]]] = {
    "an explanation": (stored(*RULES), body(explain=True)),
    "a workload": (stored(rule(), subjects=[IN_A_POD]), body()),
    "an approval": (
        stored(*RULES),
        body(action="customers.export", approval={"id": "agr-a", "state": "no token"}),
    ),
}


@pytest.mark.parametrize("more", MORE)
async def test_what_takes_more_than_the_call_is_asked_for_each_item_of_one_subject(
    more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_a_pod(_self: NamedWorkloads, _party: Party) -> PodWorkload:
        return PodWorkload(frozenset(), {"app": "crm"})

    monkeypatch.setattr(NamedWorkloads, "find", in_a_pod)
    policy, call = MORE[more]
    alone = Alone([policy], seers=[PEP])
    async with asking(alone) as pdp:
        whole = stable((await pdp.post("evaluation", call)).body)
        answers = (await pdp.post("evaluations", {**call, "evaluations": [{}] * 3})).body["evaluations"]
    assert [stable(answer) for answer in answers] == [whole] * 3
    assert ("explanation" in whole["context"], whole["decision"]) == (more == "an explanation", more != "an approval")
    shown = [json.loads(line).get("approval") for line in alone.records.lines]
    assert shown == shown[:1] * 4
    assert (shown[0] is None) == (more != "an approval")


@pytest.fixture
def alone() -> Alone:
    return Alone([stored(*RULES)])


class TestABatch:
    async def test_verifies_the_same_evidence_once(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            assert decisions(await pdp.post("evaluations", batch(*[{}] * 50))) == [True] * 50
        # The enforcer's own token, and the subject's.
        assert len(alone.tokens.asked) == 2

    async def test_verifies_other_evidence_for_itself(self, alone: Alone) -> None:
        others = [body(f"system:serviceaccount:agents:{name}") for name in "ab"]
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch({}, *others, {}))
        assert decisions(said) == [True, False, False, True]
        assert len(alone.tokens.asked) == 4

    async def test_takes_nobodys_evidence_for_another(self, alone: Alone) -> None:
        other = {"subject": {"type": "serviceAccount", "id": "system:serviceaccount:agents:other"}}
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch({}, other))
        assert [one["context"]["reason"] for one in said.body["evaluations"]] == ["allowed", "identity_invalid"]

    async def test_records_each_item_under_an_id_of_its_own(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch({}, "wrong", {}), headers={"X-Request-ID": "mine"})
        assert said.headers["X-Request-ID"] == "mine"
        records = [json.loads(line) for line in alone.records.lines]
        assert [(record["request_id"], record["item"]) for record in records] == [("mine", 0), ("mine", 2)]
        ids = [one["context"].get("evaluation_id") for one in said.body["evaluations"]]
        assert [record["evaluation_id"] for record in records] == [ids[0], ids[2]]

    async def test_records_nothing_of_what_it_does_not_answer(self, alone: Alone) -> None:
        options = {"evaluations_semantic": "permit_on_first_permit"}
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch({}, {}, {}, options=options))
        assert (decisions(said), len(alone.records.lines)) == ([True], 1)

    async def test_without_items_has_the_callers_own_id(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch(), headers={"X-Request-ID": "mine"})
        assert said.decision is True
        assert json.loads(alone.records.lines[0])["request_id"] == "mine"


class TestAnItemThatCannotBeRecorded:
    """The second item: customers.get of 1."""

    ITEMS: Final = (ITEMS[4], ITEMS[2], ITEMS[0])

    @pytest.mark.parametrize(
        ("semantic", "answered"),
        [
            ("execute_all", [False, False, True]),
            ("deny_on_first_deny", [False]),
            ("permit_on_first_permit", [False, False]),
        ],
    )
    async def test_turns_to_deny(self, semantic: str, answered: list[bool]) -> None:
        alone = Alone([stored(*RULES)], records=KeptRecords(lambda line: b"customers.get" in line))
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", batch(*self.ITEMS, options={"evaluations_semantic": semantic}))
        assert decisions(said) == answered


UNKNOWN: Final = "/endpoints/crm/nowhere"
PATHS: Final[dict[str, Object]] = {
    "evaluation": body(),
    "evaluations": batch({}, {}),
    "evaluations of nothing that can be decided": batch("wrong"),
    "search/subject": body(),
    "search/resource": body(),
    "search/action": body(),
}


@pytest.mark.parametrize("name", PATHS)
class TestAStranger:
    async def test_and_whoever_asks_of_nowhere_are_told_the_same(self, alone: Alone, name: str) -> None:
        path = name.partition(" ")[0]
        async with asking(alone) as pdp:
            stranger = await pdp.post(path, PATHS[name], STRANGER)
            nowhere = await pdp.post(path, PATHS[name], PEP, UNKNOWN)
            both = await pdp.post(path, PATHS[name], STRANGER, UNKNOWN)
        assert (stranger.status, nowhere.status, both.status) == (403, 403, 403)
        assert stranger.raw == nowhere.raw == both.raw

    async def test_must_be_proven_before_the_body_is_looked_at(self, alone: Alone, name: str) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post(name.partition(" ")[0], [], "nobody", headers={"X-Request-ID": "mine"})
        assert (said.status, said.headers["X-Request-ID"]) == (401, "mine")


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("waits", [False, True])
async def test_the_first_item_that_is_forbidden_ends_a_batch_and_is_its_one_record(
    alone: Alone,
    monkeypatch: pytest.MonkeyPatch,
    large: bool,
    waits: bool,
) -> None:
    monkeypatch.setattr(KeptRecords, "waits", waits)
    asked = batch(*[{}] * 100)
    if large:
        asked["context"]["args"] = {"text": "x" * 9_000}
    async with asking(alone) as pdp:
        said = await pdp.post("evaluations", asked, STRANGER)
    assert said.status == 403
    assert [json.loads(line)["item"] for line in alone.records.lines] == [0]


async def test_a_batch_that_ends_before_what_is_forbidden_is_answered(alone: Alone) -> None:
    of_itself = {**body(), "context": {}}
    other = {"subject": {"type": "serviceAccount", "id": STRANGER}}
    asked = {**of_itself, "evaluations": [ITEMS[4], other]}
    async with asking(alone) as pdp:
        whole = await pdp.post("evaluations", asked, AGENT)
        ended = await pdp.post(
            "evaluations", asked | {"options": {"evaluations_semantic": "deny_on_first_deny"}}, AGENT
        )
    assert (whole.status, ended.status, decisions(ended)) == (403, 200, [False])


class TestASubjectThatAsksAboutItself:
    def itself(self, **more: object) -> Object:
        return {**body(), "context": {}, **more}

    async def test_is_answered_for_itself(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", self.itself(evaluations=[{}, ITEMS[4]]), AGENT)
        assert decisions(said) == [True, False]
        assert all(one["context"]["dry_run"] for one in said.body["evaluations"])

    async def test_is_told_nothing_where_an_item_is_about_another(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("evaluations", self.itself(evaluations=[{}, ITEMS[5]]), AGENT)
        assert said.status == 403

    async def test_may_search_for_what_it_may_do(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("search/action", self.itself(resource={"type": "customer", "id": "1"}), AGENT)
            subjects = await pdp.post("search/subject", self.itself(), AGENT)
        assert said.body["results"] == [{"name": "customers.get"}, {"name": "customers.list"}]
        assert said.body["context"]["incomplete"] is True
        assert subjects.status == 403


async def test_an_answer_is_never_kept_by_a_cache(alone: Alone) -> None:
    async with asking(alone) as pdp:
        for path, asked in PATHS.items():
            assert (await pdp.post(path.partition(" ")[0], asked)).headers["Cache-Control"] == "no-store"


class HangingApiServer:
    """An API server that answers nothing any more."""

    def __init__(self) -> None:
        self.asked = 0

    async def list_grants(self, namespace: str, selector: str) -> list[Object]:
        self.asked += 1
        await asyncio.sleep(0.06)
        raise ClusterUnavailableError(selector)


@pytest.mark.invariant(26)
async def test_a_batch_waits_for_an_api_server_that_hangs_once_and_not_for_each_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "BATCH_SECONDS", 0.05)
    gated = gated_rule("export")
    on_deny = {**gated, "approval": {**gated["approval"], "open": "OnDeny"}}
    hanging = HangingApiServer()
    items = [{"action": {"name": "customers.export"}, "resource": {"type": "customer", "id": f"{n}"}} for n in range(9)]
    async with asking(Alone([stored(rule("read"), on_deny)], cluster=hanging)) as pdp:
        said = await pdp.post("evaluations", batch(*items, {}))
    assert decisions(said) == [False] * 9 + [True]
    reasons = {one["context"]["reason"] for one in said.body["evaluations"][:9]}
    assert (reasons, hanging.asked) == ({"approval_unverifiable"}, 1)
