"""Searches over HTTP: pages, tokens, and what is said where there may be more."""

import base64
import hashlib
import json
from typing import Any, Final

import pytest

from contract.asking_alone import AGENT, PEP, asking, body, stored
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone, KeptRecords

IDS: Final = [f"c{number:02}" for number in range(25)]
MANY: Final = rule("read", resources=[{"type": "customer", "ids": IDS}])
WIDE: Final = rule("wide", resources=[{"type": "customer", "ids": ["*", "c00"]}])
GATED: Final = gated_rule(actions=["customers.list"], resources=[{"type": "customer", "ids": ["c00"]}])
QUERY: Final = {**body(), "resource": {"type": "customer"}}


def paged(limit: int | None = None, token: str | None = None, **more: object) -> Object:
    page = {name: value for name, value in (("limit", limit), ("token", token)) if value is not None}
    return {**QUERY, "page": page, **more}


def ids(body: Object) -> list[str]:
    return [one["id"] for one in body["results"]]


def flipped(token: str, place: int) -> str:
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


@pytest.fixture
def alone() -> Alone:
    return Alone([stored(MANY)])


class TestPages:
    @pytest.mark.parametrize("limit", [1, 7, 10, 24, 25, 26, 100])
    async def test_hold_every_result_once_and_in_order(self, alone: Alone, limit: int) -> None:
        told: list[str] = []
        token = None
        async with asking(alone) as pdp:
            while token != "":
                said = await pdp.post("search/resource", paged(limit if token is None else None, token))
                assert said.status == 200
                page = said.body["page"]
                assert page["count"] == len(said.body["results"]) <= limit
                assert page["total"] == len(IDS)
                told += ids(said.body)
                token = page["next_token"]
        assert told == IDS

    async def test_go_on_though_results_come_and_go(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            first = (await pdp.post("search/resource", paged(10))).body
            fewer = [name for name in IDS if name not in {"c03", "c09", "c10"}]
            changed = Alone([stored(rule("read", resources=[{"type": "customer", "ids": fewer}]))])
            alone.store.snapshot = changed.store.snapshot
            second = (await pdp.post("search/resource", paged(token=first["page"]["next_token"]))).body
        assert ids(second) == [name for name in IDS[11:] if name in fewer][:10]

    @pytest.mark.parametrize(
        "page",
        [[], "x", {"limit": 0}, {"limit": -1}, {"limit": "5"}, {"limit": True}, {"limit": 1.5}, {"token": 7}],
    )
    async def test_that_are_malformed_are_400(self, alone: Alone, page: object) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("search/resource", {**QUERY, "page": page})
        assert (said.status, said.body["field"].partition(".")[0]) == (400, "page")

    async def test_may_come_with_newer_evidence(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            token = (await pdp.post("search/resource", paged(10, intent="x"))).body["page"]["next_token"]
            context = {"evidence": QUERY["context"]["evidence"] | {"more": 1}, "explain": False}
            assert (await pdp.post("search/resource", paged(token=token, context=context))).status == 200


CHANGED: Final[dict[str, Object]] = {
    "subject's properties": {"subject": {**QUERY["subject"], "properties": {"a": 1}}},
    "action": {"action": {"name": "customers.get"}},
    "action's properties": {"action": {**QUERY["action"], "properties": {}}},
    "resource type": {"resource": {"type": "order"}},
    "resource's properties": {"resource": {"type": "customer", "properties": {"env": "prod"}}},
    "context": {"context": {**QUERY["context"], "ip": "::1"}},
}


class TestAToken:
    async def token(self, pdp: Any) -> str:  # noqa: ANN401 - who asks
        token: str = (await pdp.post("search/resource", paged(10))).body["page"]["next_token"]
        return token

    @pytest.mark.parametrize("name", CHANGED)
    async def test_serves_no_other_query(self, alone: Alone, name: str) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("search/resource", paged(token=await self.token(pdp), **CHANGED[name]))
        assert (said.status, said.body["field"]) == (400, "page.token")

    @pytest.mark.parametrize("inside", [b"", b"{", b"\xff", b"[1, 10]"])
    async def test_that_anybody_made_of_anything_is_400(self, alone: Alone, inside: bytes) -> None:
        digest = hashlib.sha256(b"bailiwick page\n" + inside).digest()
        async with asking(alone) as pdp:
            answers = [
                await pdp.post("search/resource", paged(token=base64.urlsafe_b64encode(made).rstrip(b"=").decode()))
                for made in (digest[:length] + inside for length in range(1, len(digest) + 1))
            ]
        assert {(said.status, said.body["field"]) for said in answers} == {(400, "page.token")}

    async def test_serves_no_other_limit_search_caller_or_endpoint(self, alone: Alone) -> None:
        other = stored(MANY, name="other", endpoint="other")
        alone = Alone([stored(MANY), other])
        async with asking(alone) as pdp:
            token = await self.token(pdp)
            same = await pdp.post("search/resource", paged(10, token))
            limit = await pdp.post("search/resource", paged(11, token))
            kind = await pdp.post("search/action", {**body(), "page": {"token": token}})
            caller = await pdp.post("search/resource", paged(token=token), AGENT)
            endpoint = await pdp.post("search/resource", paged(token=token), PEP, "/endpoints/crm/other")
        assert same.status == 200
        assert [said.status for said in (limit, kind, caller, endpoint)] == [400] * 4

    async def test_that_was_altered_in_any_place_is_400(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            token = await self.token(pdp)
            spoilt = [flipped(token, place) for place in range(len(token))]
            spoilt += [token[:-1], token + "A", token + "=", token + "\n", "A", "é", "x" * 9000]
            spoilt += [base64.urlsafe_b64encode(b'[1,10,"c05",""]').decode()]
            statuses = {(await pdp.post("search/resource", paged(token=one))).status for one in spoilt}
        assert statuses == {400}

    async def test_of_one_replica_serves_at_another(self, alone: Alone) -> None:
        async with asking(alone) as one, asking(Alone([stored(MANY)])) as another:
            said = await another.post("search/resource", paged(token=await self.token(one)))
        assert ids(said.body) == IDS[10:20]


def account(name: str) -> Object:
    return {"name": name, "serviceAccount": {"namespace": "agents", "name": name}}


AGENTS: Final = [f"a{number}" for number in range(7)]


class TestSubjectsWithApproval:
    """Of a0 to a6 those of an even number may, and the others with an approval."""

    SOUGHT: Final = {**body(resource="c00"), "subject": {"type": "serviceAccount"}}

    @pytest.fixture
    def alone(self) -> Alone:
        resources = [{"type": "customer", "ids": ["*"]}]
        rules = [
            rule("read", subjects=AGENTS[::2], resources=resources),
            gated_rule("ask", actions=["customers.list"], subjects=AGENTS[1::2], resources=resources),
        ]
        return Alone([stored(*rules, subjects=[account(name) for name in AGENTS])])

    def names(self, told: list[Object]) -> list[str]:
        assert {one["type"] for one in told} <= {"serviceAccount"}
        return [one["id"].rpartition(":")[2] for one in told]

    async def test_are_told_apart_and_make_nothing_incomplete(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("search/subject", self.SOUGHT)
        assert self.names(said.body["results"]) == AGENTS[::2]
        assert self.names(said.context["with_approval"]) == AGENTS[1::2]
        assert "incomplete" not in said.context
        assert json.loads(alone.records.lines[0])["with_approval"] == 3

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    async def test_share_the_pages_of_the_others(self, alone: Alone, limit: int) -> None:
        allowed: list[str] = []
        gated: list[str] = []
        token = None
        async with asking(alone) as pdp:
            while token != "":
                page = {"limit": limit} if token is None else {"token": token}
                said = await pdp.post("search/subject", {**self.SOUGHT, "page": page})
                told = said.body["page"]
                results, others = said.body["results"], said.context.get("with_approval", [])
                assert told["count"] == len(results)
                assert told["total"] == len(AGENTS[::2])
                assert 0 < len(results) + len(others) <= limit
                allowed += self.names(results)
                gated += self.names(others)
                token = told["next_token"]
        assert (allowed, gated) == (AGENTS[::2], AGENTS[1::2])

    async def test_are_not_there_where_nobody_needs_an_approval(self) -> None:
        async with asking(Alone([stored(MANY)])) as pdp:
            said = await pdp.post("search/subject", self.SOUGHT)
        assert "with_approval" not in said.context

    async def test_are_only_those_whom_an_evaluation_would_tell_to_ask(self, alone: Alone) -> None:
        alone.store.guard_proven = False
        async with asking(alone) as pdp:
            said = await pdp.post("search/subject", self.SOUGHT)
        assert "with_approval" not in said.context
        assert said.context["incomplete"] is True


class TestASearch:
    @pytest.mark.parametrize(("rules", "incomplete"), [([MANY], None), ([MANY, WIDE], True), ([MANY, GATED], True)])
    async def test_says_where_there_may_be_more(self, rules: list[Object], incomplete: bool | None) -> None:
        async with asking(Alone([stored(*rules)])) as pdp:
            said = await pdp.post("search/resource", QUERY)
        assert said.context.get("incomplete") is incomplete

    async def test_of_a_subject_who_is_not_proven_says_why_it_is_empty(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            said = await pdp.post("search/resource", {**QUERY, "context": {}})
        assert (said.status, said.body["results"], said.reason) == (200, [], "identity_invalid")

    async def test_for_subjects_looks_at_no_evidence(self, alone: Alone) -> None:
        asked = {**body(resource="c00"), "subject": {"type": "serviceAccount"}}
        async with asking(alone) as pdp:
            said = await pdp.post("search/subject", asked)
        assert said.body["results"] == [{"type": "serviceAccount", "id": AGENT}]
        assert len(alone.tokens.asked) == 1

    async def test_for_subjects_is_for_calls_of_their_own(self, alone: Alone) -> None:
        subject = {"type": "serviceAccount", "properties": {"act": {"sub": "x"}}}
        async with asking(alone) as pdp:
            said = await pdp.post("search/subject", {**body(), "subject": subject})
        assert (said.status, said.body["field"]) == (400, "subject")

    async def test_is_recorded_as_a_count(self, alone: Alone) -> None:
        async with asking(alone) as pdp:
            await pdp.post("search/resource", {**QUERY, "context": {**QUERY["context"], "args": {"a": "hush"}}})
        (line,) = alone.records.lines
        record = json.loads(line)
        assert (record["kind"], record["searched"], record["found"]) == ("search", "resource", 25)
        assert b"c00" not in line
        assert b"hush" not in line

    async def test_that_cannot_be_recorded_is_not_answered(self) -> None:
        async with asking(Alone([stored(MANY)], records=KeptRecords(lambda _: True))) as pdp:
            assert (await pdp.post("search/resource", QUERY)).status == 503
