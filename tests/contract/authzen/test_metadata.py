"""Metadata over HTTP: to anybody, of any name, by the URL of the setting."""

import pytest

from contract.asking_alone import asking, stored
from support.pdp.alone import Alone

WELL_KNOWN = "/.well-known/authzen-configuration/endpoints"


@pytest.fixture
def alone() -> Alone:
    return Alone([stored()], url="https://pdp.example:8443")


async def test_an_endpoint_that_exists_and_one_that_does_not_are_described_alike(alone: Alone) -> None:
    async with asking(alone) as pdp:
        there = await pdp.get(f"{WELL_KNOWN}/crm/crm-api")
        nowhere = await pdp.get(f"{WELL_KNOWN}/crm/nowhere")
    assert there.status == nowhere.status == 200
    assert there.raw.replace(b"crm-api", b"nowhere") == nowhere.raw
    assert there.headers["Cache-Control"] == nowhere.headers["Cache-Control"] == "public, max-age=3600"
    assert {name: value for name, value in there.headers.items() if name not in {"Date", "Content-Length"}} == {
        name: value for name, value in nowhere.headers.items() if name not in {"Date", "Content-Length"}
    }
    assert alone.tokens.asked == []


async def test_its_urls_are_of_the_setting(alone: Alone) -> None:
    base = "https://pdp.example:8443/endpoints/crm/crm-api"
    async with asking(alone) as pdp:
        body = (await pdp.get(f"{WELL_KNOWN}/crm/crm-api")).body
    assert body == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
        "access_request_endpoint": f"{base}/access/v1/requests",
        "jwks_uri": "https://pdp.example:8443/.well-known/jwks.json",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
    }


@pytest.mark.parametrize("name", ["CRM", "a_b", "-a", "a-", "a" * 64, "a%2Fb", "%22", "a.b", "%C3%A9"])
async def test_what_can_be_no_name_is_not_there(alone: Alone, name: str) -> None:
    async with asking(alone) as pdp:
        said = [await pdp.get(f"{WELL_KNOWN}/{path}") for path in (f"{name}/crm-api", f"crm/{name}")]
    assert [one.status for one in said] == [404, 404]
    assert {one.headers["Content-Type"] for one in said} == {"application/problem+json"}


async def test_it_is_read_and_not_written(alone: Alone) -> None:
    async with asking(alone) as pdp:
        assert (await pdp.get(f"{WELL_KNOWN}/crm/crm-api", "HEAD")).status == 200
        assert (await pdp.get(f"{WELL_KNOWN}/crm/crm-api", "POST")).status == 405
