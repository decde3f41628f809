"""Reports of outcomes over HTTP: who is heard before anything is read, what a report must be, and its answers."""

import json
from typing import Any, Final

import pytest

from bailiwick_api.serverclock import ServerClock
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle
from bailiwick_webhook.history.reservations import keeping
from contract.asking_alone import PEP, STRANGER, LoneClient, asking, body, stored
from support.keptobjects import KeptObjects
from support.objects import Object, rule
from support.pdp.alone import Alone

EXPORTS: Final = {
    "name": "exports",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.export"], "what": "Succeeded"},
}
EXPORT: Final = rule("export", actions=["customers.export"])
# Of a call that was never made.
HANDLE: Final = EntryHandle(64 * "1", (CountedEntry("sha256:" + 64 * "2", 8 * "3"),), 0).text
REPORT: Final[Object] = {"evaluation_id": f"eval_{32 * '0'}", "handle": HANDLE, "outcome": "succeeded"}
OTHER: Final = "/endpoints/crm/other"
OTHER_PEP: Final = "system:serviceaccount:crm:other"


def counting(name: str, enforcer: str, endpoint: str) -> Object:
    settings = {"enforcers": [{"namespace": "crm", "name": enforcer}], "history": [EXPORTS]}
    return stored(EXPORT, name=name, endpoint=endpoint, endpointSettings=settings)


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects(seconds=0.0)


@pytest.fixture
def alone(api: KeptObjects) -> Alone:
    clock = ServerClock()
    clock.record_answer(clock.wall(), clock.monotonic())
    policies = [counting("crm-agent", "crm-api", "crm-api"), counting("other-agent", "other", "other")]
    return Alone(policies, histories=keeping(api, clock, lambda: True))


async def let_through(pdp: LoneClient) -> Object:
    """Return a true report of a call that was just let through."""
    context = (await pdp.post("evaluation", body(action="customers.export"))).context
    return {**REPORT, "evaluation_id": context["evaluation_id"], "handle": context["outcome"]["handle"]}


def outcome_lines(alone: Alone) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, alone.records.lines) if line["kind"] == "outcome"]


async def test_a_report_is_counted_once_and_a_second_one_is_answered_alike(alone: Alone) -> None:
    async with asking(alone) as pdp:
        report = await let_through(pdp)
        answers = [
            await pdp.post("outcomes", {**report, "outcome": said}) for said in ("failed", "failed", "cancelled")
        ]
    assert [(one.status, one.body.get("outcome")) for one in answers] == [(200, "failed"), (200, "failed"), (409, None)]
    assert [line["outcome"] for line in outcome_lines(alone)] == ["failed", "failed"]


@pytest.mark.parametrize("sent", [{}, [], "no report", {**REPORT, "handle": "x"}, {**REPORT, "outcome": 3}])
async def test_a_stranger_learns_nothing_of_what_it_sent(sent: object, alone: Alone, api: KeptObjects) -> None:
    async with asking(alone) as pdp:
        answers = [await pdp.post("outcomes", sent, caller=STRANGER), await pdp.post("outcomes", sent, "")]
        unknown = await pdp.post("outcomes", sent, caller=STRANGER, tenant="/endpoints/crm/unheard-of")
    assert [one.status for one in answers] == [403, 401]
    assert (unknown.status, unknown.body["detail"]) == (403, answers[0].body["detail"])
    assert (api.requests, alone.records.lines) == ([], [])


async def test_an_agent_that_the_call_is_about_is_no_enforcer(alone: Alone) -> None:
    async with asking(alone) as pdp:
        report = await let_through(pdp)
        said = await pdp.post("outcomes", report, caller=body()["subject"]["id"])
        assert said.status == 403
        assert (await pdp.post("outcomes", report)).status == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"evaluation_id": None}, "evaluation_id"),
        ({"evaluation_id": "eval_1"}, "evaluation_id"),
        ({"evaluation_id": f"eval_{32 * '0'}\n"}, "evaluation_id"),
        ({"evaluation_id": [f"eval_{32 * '0'}"]}, "evaluation_id"),
        ({"handle": None}, "handle"),
        ({"handle": {"n": 1}}, "handle"),
        ({"handle": ""}, "handle"),
        ({"handle": HANDLE + "é"}, "handle"),
        ({"handle": HANDLE * 40}, "handle"),
        ({"handle": "\ud800"}, "handle"),
        ({"outcome": None}, "outcome"),
        ({"outcome": "Succeeded"}, "outcome"),
        ({"outcome": ["succeeded"]}, "outcome"),
    ],
)
async def test_what_is_no_report_is_refused_by_the_field_that_is_wrong(
    wrong: Object, field: str, alone: Alone, api: KeptObjects
) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post("outcomes", {**REPORT, **wrong})
    assert said.status == 400
    # Half a character is no JSON text, so that no member is to blame.
    assert said.body.get("field", field) == field
    assert (api.requests, outcome_lines(alone)) == ([], [])


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(REPORT)[:-1] + ', "outcome": "failed"}',
        json.dumps(REPORT)[:-1] + ', "more": ' + 5_000 * "[" + 5_000 * "]" + "}",
        json.dumps([REPORT]),
    ],
    ids=["twice", "deep", "a list"],
)
async def test_a_body_that_has_no_one_reading_is_refused(raw: str, alone: Alone, api: KeptObjects) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post_raw("outcomes", raw)
    assert said.status == 400
    assert (api.requests, outcome_lines(alone)) == ([], [])


async def test_a_call_that_nobody_made_is_gone(alone: Alone, api: KeptObjects) -> None:
    async with asking(alone) as pdp:
        assert (await pdp.post("outcomes", REPORT)).status == 410
    assert (api.objects, outcome_lines(alone)) == ({}, [])


async def test_an_enforcer_of_another_endpoint_reports_nothing_here(alone: Alone, api: KeptObjects) -> None:
    """Not by the handle, whose object belongs to another endpoint, and not by the path of that endpoint."""
    async with asking(alone) as pdp:
        report = await let_through(pdp)
        before = json.dumps([one["spec"] for one in api.objects.values()])
        assert (await pdp.post("outcomes", report, caller=OTHER_PEP)).status == 403
        # An object of another endpoint is none that can be read here.
        assert (await pdp.post("outcomes", report, caller=OTHER_PEP, tenant=OTHER)).status == 503
        assert json.dumps([one["spec"] for one in api.objects.values()]) == before
        assert (await pdp.post("outcomes", report)).status == 200
    assert [(line["endpoint"], line["caller"]["id"]) for line in outcome_lines(alone)] == [("crm/crm-api", PEP)]


async def test_a_dry_run_gives_out_no_handle(alone: Alone, api: KeptObjects) -> None:
    async with asking(alone) as pdp:
        said = await pdp.post("evaluation", body(action="customers.export", dry_run=True))
    assert (said.decision, "outcome" in said.context, api.objects) == (True, False, {})
