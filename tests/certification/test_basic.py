"""Basic certification: the Access Evaluation API (scenario, section 2)."""

import uuid

import pytest

from certification.cases import ALICE, DECISIONS, DENY, PERMIT, READ, RECORD_1, Body, body, without
from certification.conftest import Pdp

JSON = "application/json"
WRONG_TYPES: dict[str, object] = {
    "subject": {**PERMIT, "subject": "alice"},
    "subject.id": {**PERMIT, "subject": {"type": "user", "id": 7}},
    "subject.properties": {**PERMIT, "subject": {**ALICE, "properties": []}},
    "action": {**PERMIT, "action": ["read"]},
    "action.name": {**PERMIT, "action": {"name": 123}},
    "resource": {**PERMIT, "resource": None},
    "resource.type": {**PERMIT, "resource": {"type": True, "id": "record-1"}},
    "context": {**PERMIT, "context": "now"},
    "body": [PERMIT],
}


@pytest.mark.parametrize("number", DECISIONS)
class TestADecision:
    def test_is_the_fixtures(self, pdp: Pdp, number: str) -> None:
        asked, decision = DECISIONS[number]
        assert pdp.decide(asked).decision is decision

    def test_does_not_depend_on_context(self, pdp: Pdp, number: str) -> None:
        asked, decision = DECISIONS[number]
        context = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
        assert pdp.decide({**asked, "context": context}).decision is decision

    def test_is_the_same_again(self, pdp: Pdp, number: str) -> None:
        asked, decision = DECISIONS[number]
        assert [pdp.decide(asked).decision for _ in range(3)] == [decision] * 3


class TestARequest:
    def test_may_have_more_properties(self, pdp: Pdp) -> None:
        asked = body(
            {**ALICE, "properties": {"department": "Sales", "role": "manager"}},
            {**READ, "properties": {"method": "GET"}},
            {**RECORD_1, "properties": {"status": "active", "owner": "bob"}},
        )
        assert pdp.decide(asked).decision is True

    def test_may_have_unknown_members(self, pdp: Pdp) -> None:
        asked = {**PERMIT, "foo": "bar", "futureField": {"nested": True}, "subject": {**ALICE, "future": [1]}}
        assert pdp.decide(asked).decision is True

    @pytest.mark.parametrize(
        "path",
        ["subject", "action", "resource", "subject.type", "subject.id", "action.name", "resource.type", "resource.id"],
    )
    def test_without_a_required_member_is_400(self, pdp: Pdp, path: str) -> None:
        answer = pdp.post("evaluation", without(PERMIT, path))
        assert answer.status == 400
        assert answer.body["field"] == path

    @pytest.mark.parametrize("path", WRONG_TYPES)
    def test_with_a_member_of_the_wrong_type_is_400(self, pdp: Pdp, path: str) -> None:
        assert pdp.post("evaluation", WRONG_TYPES[path]).status == 400

    @pytest.mark.parametrize("raw", [b"", b"{", b"null", b'{"subject":', b"subject=alice"])
    def test_whose_body_is_no_json_object_is_400(self, pdp: Pdp, raw: bytes) -> None:
        assert pdp.post("evaluation", raw).status == 400

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
    def test_of_another_content_type_is_400(self, pdp: Pdp, kind: str) -> None:
        assert pdp.post("evaluation", PERMIT, **{"Content-Type": kind}).status == 400

    @pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-8", "Application/JSON"])
    def test_of_json_is_taken_however_that_is_written(self, pdp: Pdp, kind: str) -> None:
        assert pdp.decide(PERMIT, **{"Content-Type": kind}).decision is True

    def test_that_is_wrong_is_told_so_as_a_problem(self, pdp: Pdp) -> None:
        answer = pdp.post("evaluation", b"{")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.body["status"] == 400


class TestTheRequestId:
    @pytest.mark.parametrize(
        "path", ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"]
    )
    @pytest.mark.parametrize("asked", [PERMIT, {}], ids=["answered", "refused"])
    def test_is_echoed(self, pdp: Pdp, path: str, asked: Body) -> None:
        own = str(uuid.uuid4())
        answer = pdp.post(path, asked, **{"X-Request-ID": own})
        assert answer.status == (200 if asked else 400)
        assert answer.headers["X-Request-ID"] == own

    def test_is_echoed_where_there_is_nothing(self, pdp: Pdp) -> None:
        answer = pdp.post("nothing", PERMIT, **{"X-Request-ID": "mine"})
        assert (answer.status, answer.headers["X-Request-ID"]) == (404, "mine")

    def test_may_be_absent(self, pdp: Pdp) -> None:
        assert pdp.decide(DENY).decision is False
