"""Search certification: subjects, resources and actions (scenario, section 4)."""

from typing import Any, Final

import pytest

from certification.cases import ADMIN, ALICE, ARCHIVED, BOB, READ, RECORD_1, WRITE, Body, without
from certification.conftest import Pdp

USERS: Final[Body] = {"type": "user"}
RECORDS: Final[Body] = {"type": "record"}
BODIES: Final[dict[str, Body]] = {
    "subject": {"subject": USERS, "action": READ, "resource": RECORD_1},
    "resource": {"subject": ALICE, "action": READ, "resource": RECORDS},
    "action": {"subject": ALICE, "resource": RECORD_1},
}
# Section 1.5: what each search finds at least.
FOUND: Final[dict[str, tuple[str, Body, list[Body]]]] = {
    "S1": ("subject", BODIES["subject"], [ALICE, BOB]),
    "S2": ("resource", BODIES["resource"], [RECORD_1]),
    "S3": ("action", BODIES["action"], [READ, WRITE]),
    "S4": ("subject", {"subject": USERS, "action": WRITE, "resource": ARCHIVED}, [BOB]),
    "S5": ("resource", {"subject": ADMIN, "action": WRITE, "resource": RECORDS}, [{**RECORDS, "id": "record-2"}]),
    "S6": ("action", {"subject": ADMIN, "resource": ARCHIVED}, [WRITE]),
}


@pytest.mark.parametrize("name", FOUND)
class TestASearch:
    def test_finds_what_the_fixture_says(self, pdp: Pdp, name: str) -> None:
        kind, asked, expected = FOUND[name]
        results = pdp.search(kind, asked)
        assert all(one in results for one in expected)
        if kind != "action":
            assert {one["type"] for one in results} == {asked[kind]["type"]}

    def test_agrees_with_evaluation(self, pdp: Pdp, name: str) -> None:
        kind, asked, _ = FOUND[name]
        for one in pdp.search(kind, asked):
            assert pdp.decide({**asked, kind: {**asked.get(kind, {}), **one}}).decision is True

    def test_takes_a_context(self, pdp: Pdp, name: str) -> None:
        kind, asked, _ = FOUND[name]
        assert pdp.search(kind, {**asked, "context": {"ip": "192.168.1.1"}}) == pdp.search(kind, asked)

    def test_ignores_what_is_searched_for_and_unknown_members(self, pdp: Pdp, name: str) -> None:
        kind, asked, _ = FOUND[name]
        more: Any = {"name": "purge"} if kind == "action" else {**asked[kind], "id": "nobody"}
        assert pdp.search(kind, {**asked, kind: more, "foo": 1}) == pdp.search(kind, asked)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("action", {"subject": {"type": "user", "id": "nonexistent-user"}, "resource": RECORD_1}),
        ("subject", {**BODIES["subject"], "subject": {"type": "spaceship"}}),
        ("resource", {**BODIES["resource"], "resource": {"type": "spaceship"}}),
        ("subject", {**BODIES["subject"], "action": {"name": "fly"}}),
    ],
)
def test_a_search_that_matches_nothing_is_empty(pdp: Pdp, kind: str, asked: Body) -> None:
    assert pdp.search(kind, asked) == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("subject", "subject"),
        ("subject", "action"),
        ("subject", "resource"),
        ("subject", "subject.type"),
        ("subject", "action.name"),
        ("subject", "resource.id"),
        ("resource", "subject"),
        ("resource", "subject.id"),
        ("resource", "action"),
        ("resource", "resource"),
        ("resource", "resource.type"),
        ("action", "subject"),
        ("action", "subject.id"),
        ("action", "resource"),
        ("action", "resource.id"),
    ],
)
def test_a_search_without_a_required_member_is_400(pdp: Pdp, kind: str, path: str) -> None:
    answer = pdp.post(f"search/{kind}", without(BODIES[kind], path))
    assert (answer.status, answer.body["field"]) == (400, path)


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("raw", [b"", b"{", b"[]"])
def test_a_search_whose_body_is_no_object_is_400(pdp: Pdp, kind: str, raw: bytes) -> None:
    assert pdp.post(f"search/{kind}", raw).status == 400


class TestAPage:
    def test_holds_as_many_as_were_asked_for_and_leads_to_the_next(self, pdp: Pdp) -> None:
        first = pdp.post("search/subject", {**BODIES["subject"], "page": {"limit": 1}}).body
        assert (first["results"], first["page"]["count"], first["page"]["total"]) == ([ALICE], 1, 2)
        token = first["page"]["next_token"]
        assert token
        second = pdp.post("search/subject", {**BODIES["subject"], "page": {"token": token}}).body
        assert (second["results"], second["page"]) == ([BOB], {"next_token": "", "count": 1, "total": 2})

    @pytest.mark.parametrize("page", [{}, {"limit": 50}, {"limit": 10_000}, {"token": ""}, {"properties": {"a": 1}}])
    def test_that_holds_all_is_the_last(self, pdp: Pdp, page: Body) -> None:
        answer = pdp.post("search/subject", {**BODIES["subject"], "page": page})
        assert answer.body["page"] == {"next_token": "", "count": 2, "total": 2}
