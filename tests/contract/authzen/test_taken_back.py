"""A subject that is taken back, at every path on which a decision point answers: `identity_revoked`, and why on record.

The tokens of these tests do not say when they were issued, so that every one of them is from before.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.revocations import PartyRevocation
from bailiwick_webhook.history.reservations import keeping
from contract.adapters.test_adapters import ADAPTERS, GET, bearer, enforcer, governed, sent, served
from contract.adapters.test_kubernetes import NAMED, SERVER, access, admitting, asked, protecting
from contract.asking_alone import AGENT, PEP, LoneClient, asking, body, stored
from support.keptobjects import KeptObjects
from support.objects import Object, gated_rule, rule
from support.pdp.alone import Alone
from support.pdp.questions import Said
from support.revocations import in_force, revocation

RULES: Final = (rule("read"), gated_rule("export"))
WORD: Final = {"identity": {"verification": "Asserted"}, "enforcers": [{"namespace": "crm", "name": "crm-api"}]}
DAVE: Final = {"name": "dave", "entity": {"type": "user", "ids": ["dave"]}}


def taken_back(*policies: Object, by: PartyRevocation, **more: Any) -> Alone:  # noqa: ANN401 - of a decision point
    alone = Alone(policies or [stored(*RULES)], seers=[PEP], **more)
    alone.store.revocations = in_force(by)
    return alone


OF_THE_AGENT: Final = revocation(sub=AGENT)
OF_THE_ENFORCER: Final = revocation(sub=PEP)
BOTH: Final = pytest.mark.parametrize("by", [OF_THE_AGENT, OF_THE_ENFORCER], ids=["subject", "enforcer"])


def records(alone: Alone) -> list[tuple[str, str, str | None]]:
    return [(line["kind"], line["reason"], line.get("revocation")) for line in map(json.loads, alone.records.lines)]


def refused(said: Said) -> bool:
    return (said.status, said.decision, said.reason) == (200, False, "identity_revoked")


async def test_without_a_revocation_each_of_them_is_let_through() -> None:
    async with asking(Alone([stored(*RULES)])) as pdp:
        assert (await pdp.post("evaluation", body())).decision is True


@BOTH
@pytest.mark.parametrize("more", [{}, {"dry_run": True}, {"explain": True}], ids=["call", "dry run", "explanation"])
async def test_an_evaluation_is_denied_and_names_the_object_on_record(
    by: PartyRevocation, more: dict[str, Any]
) -> None:
    alone = taken_back(by=by)
    async with asking(alone) as pdp:
        assert refused(await pdp.post("evaluation", body(**more)))
        assert refused(await pdp.post("evaluation", body(action="customers.export", **more)))
    assert records(alone) == [("evaluation", "identity_revoked", "r-one")] * 2


@BOTH
async def test_every_item_of_a_batch_is_denied(by: PartyRevocation) -> None:
    alone = taken_back(by=by)
    async with asking(alone) as pdp:
        said = await pdp.post("evaluations", {**body(), "evaluations": [{}, {"action": {"name": "customers.export"}}]})
    assert [one["context"]["reason"] for one in said.body["evaluations"]] == ["identity_revoked"] * 2
    assert records(alone) == [("evaluation", "identity_revoked", "r-one")] * 2


async def test_an_item_of_another_subject_in_the_same_batch_is_not() -> None:
    other = "system:serviceaccount:agents:other"
    subjects = [
        {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}},
        {"name": "other", "serviceAccount": {"namespace": "agents", "name": "other"}},
    ]
    policy = stored(rule("read", subjects=["agent", "other"]), subjects=subjects)
    async with asking(taken_back(policy, by=OF_THE_AGENT)) as pdp:
        said = await pdp.post("evaluations", {**body(), "evaluations": [{}, body(other)]})
    assert [one["context"]["reason"] for one in said.body["evaluations"]] == ["identity_revoked", "allowed"]


async def test_an_agent_that_asks_about_itself_is_denied() -> None:
    alone = taken_back(by=OF_THE_AGENT)
    async with asking(alone) as pdp:
        assert refused(await pdp.post("evaluation", {**body(), "context": {}}, caller=AGENT))


@BOTH
@pytest.mark.parametrize("kind", ["resource", "action"])
async def test_a_search_for_what_they_may_do_finds_nothing_and_says_why(by: PartyRevocation, kind: str) -> None:
    alone = taken_back(by=by)
    async with asking(alone) as pdp:
        said = await pdp.post(f"search/{kind}", body())
    assert (said.status, said.body["results"], said.reason) == (200, [], "identity_revoked")
    assert records(alone) == [("search", "identity_revoked", "r-one")]


async def test_a_search_for_subjects_leaves_them_out() -> None:
    asked_for = {**body(), "subject": {"type": "serviceAccount"}}
    async with asking(Alone([stored(*RULES)])) as pdp:
        assert (await pdp.post("search/subject", asked_for)).body["results"] == [
            {"type": "serviceAccount", "id": AGENT}
        ]
    async with asking(taken_back(by=OF_THE_AGENT)) as pdp:
        assert (await pdp.post("search/subject", asked_for)).body["results"] == []
    async with asking(taken_back(by=OF_THE_ENFORCER)) as pdp:
        said = await pdp.post("search/subject", asked_for)
    assert (said.body["results"], said.reason) == ([], "identity_revoked")


@BOTH
async def test_no_approval_can_be_requested(by: PartyRevocation) -> None:
    alone = taken_back(by=by)
    async with asking(alone) as pdp:
        said = await pdp.post("requests", body(action="customers.export"))
    assert (said.status, said.body["reason"]) == (400, "identity_revoked")
    assert records(alone) == [("request", "identity_revoked", "r-one")]


@pytest.mark.parametrize("path", ["requests/agr-k3v9.uid", "requests/agr-k3v9.uid/cancel"])
async def test_an_enforcer_learns_of_no_request_and_withdraws_none(path: str) -> None:
    # There is no cluster here: who is not refused first fails at that.
    method = "POST" if path.endswith("cancel") else "GET"
    async with asking(taken_back(by=OF_THE_ENFORCER)) as pdp:
        said = await asked_by_method(pdp, method, path)
    assert (said.status, said.body["reason"]) == (403, "identity_revoked")
    async with asking(taken_back(by=OF_THE_AGENT)) as pdp:
        assert (await asked_by_method(pdp, method, path)).status == 503


async def asked_by_method(pdp: LoneClient, method: str, path: str) -> Said:
    if method == "POST":
        return await pdp.post(path, {})
    answer = await pdp._client.get(
        f"/endpoints/crm/crm-api/access/v1/{path}", headers={"Authorization": f"Bearer {PEP}"}
    )
    raw = await answer.read()
    return Said(answer.status, json.loads(raw), answer.headers, raw)


EXPORTS: Final = {
    "name": "exports",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.list"], "what": "Succeeded"},
}


async def test_an_outcome_is_reported_of_a_call_from_before_and_not_by_an_enforcer_that_is_taken_back() -> None:
    clock = ServerClock()
    clock.record_answer(clock.wall(), clock.monotonic())
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "history": [EXPORTS]}
    histories = keeping(KeptObjects(seconds=0.0), clock, lambda: True)
    alone = Alone([stored(rule("read"), endpointSettings=settings)], histories=histories)
    async with asking(alone) as pdp:
        context = (await pdp.post("evaluation", body())).context
        report = {
            "evaluation_id": context["evaluation_id"],
            "handle": context["outcome"]["handle"],
            "outcome": "succeeded",
        }
        alone.store.revocations = in_force(OF_THE_ENFORCER)
        said = await pdp.post("outcomes", report)
        assert (said.status, said.body["reason"]) == (403, "identity_revoked")
        # The call was made: what became of it is true, whoever is taken back since.
        alone.store.revocations = in_force(OF_THE_AGENT)
        assert (await pdp.post("outcomes", report)).status == 200


@pytest.mark.parametrize("match", [{"sub": "dave"}, {"email": "DAVE"}, {"username": "dave"}], ids=str)
@pytest.mark.parametrize("issuer", ["corp", "cluster"])
async def test_a_party_on_the_enforcers_word_is_denied_by_its_name(issuer: str, match: dict[str, Any]) -> None:
    policy = stored(rule("read", subjects=["dave"]), subjects=[DAVE], endpointSettings=WORD)
    asked_about = {**body(), "subject": {"type": "user", "id": "dave"}}
    async with asking(Alone([policy])) as pdp:
        assert (await pdp.post("evaluation", asked_about)).decision is True
    async with asking(taken_back(policy, by=revocation(issuer=issuer, before=0.0, **match))) as pdp:
        assert refused(await pdp.post("evaluation", asked_about))


async def test_an_actor_on_the_enforcers_word_is_denied_by_its_name_however_deep() -> None:
    delegation = {"maxDepth": 2, "principals": ["dave"], "ceiling": [{"actions": ["*"], "resources": READ}]}
    policy = stored(
        rule("read", subjects=["dave", "agent"]),
        subjects=[DAVE, {"name": "agent", "entity": {"type": "serviceAccount", "ids": [AGENT]}}],
        endpointSettings={**WORD, "delegation": delegation},
    )
    act = {"sub": AGENT, "act": {"sub": AGENT}}
    asked_about = {**body(), "subject": {"type": "user", "id": "dave", "properties": {"act": act}}}
    async with asking(Alone([policy])) as pdp:
        assert (await pdp.post("evaluation", asked_about)).reason != "identity_revoked"
    async with asking(taken_back(policy, by=revocation(before=0.0, sub=AGENT))) as pdp:
        assert refused(await pdp.post("evaluation", asked_about))


READ: Final = [{"type": "customer", "ids": ["*"]}]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_proxied_call_is_denied_and_the_client_told_to_get_another_token(adapter: str) -> None:
    proxied: Callable[..., Any] = ADAPTERS[adapter]
    call = proxied(*GET, enforcer(), bearer())
    async with served(Alone(governed())) as ports:
        assert (await sent(ports, call)).status == 200
    alone = Alone(governed())
    alone.store.revocations = in_force(OF_THE_AGENT)
    async with served(alone) as ports:
        answer = await sent(ports, call)
    assert (answer.status, answer.header("x-bailiwick-reason")) == (401, "identity_revoked")
    assert "invalid_token" in (answer.header("www-authenticate") or "")
    alone.store.revocations = in_force(OF_THE_ENFORCER)
    async with served(alone) as ports:
        answer = await sent(ports, call)
    # No token of the client's helps where the proxy is taken back.
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "identity_revoked")
    assert [name for _, _, name in records(alone)] == ["r-one", "r-one"]


@pytest.mark.parametrize(("user", "match"), [("dave", {"username": "dave"}), (NAMED, {"sub": NAMED})])
async def test_the_api_servers_reviews_deny_them(user: str, match: dict[str, Any]) -> None:
    reading = access("get", "secrets", name="open", user=user)
    created = admitting(userInfo={"username": user, "uid": "u"})
    alone = Alone([protecting()])
    async with asked(alone, "/admission/enforce") as post:
        assert (await post(created))[1]["response"]["allowed"] is True
    alone.store.revocations = in_force(revocation(before=0.0, **match))
    async with asked(alone, "/admission/enforce") as post:
        response = (await post(created))[1]["response"]
    assert response["allowed"] is False
    assert "identity_revoked" in response["status"]["message"]
    async with asked(alone, "/authorize") as post:
        status = (await post(reading))[1]["status"]
    assert (status["denied"], "identity_revoked" in status["reason"]) == (True, True)
    assert records(alone)[-1] == ("evaluation", "identity_revoked", "r-one")


async def test_the_api_server_itself_can_be_taken_back() -> None:
    alone = Alone([protecting()])
    alone.store.revocations = in_force(revocation(sub=SERVER))
    async with asked(alone, "/admission/enforce") as post:
        assert "identity_revoked" in (await post(admitting()))[1]["response"]["status"]["message"]
