"""Asking for an approval, and waiting: no verdict comes of it, and no URL of an answer is followed."""

from typing import Any, Final

import pytest

from bailiwick import Approval, ApprovalNeeded, Bailiwick, Call, Decision, Denied, Resource, TransportError, Unavailable
from bailiwick.breaker import FAILURES
from bailiwick.questions import Questions
from support.sdk.script import Driver, Script, Scripted, allow, answer, deny, header

CALL: Final = Call(action="export", resource=Resource("customer", "42"), args={"n": 1})
BASE: Final = "https://pdp.example/endpoints/crm/crm-api"
SHOWN: Final = {"id": "g.u", "approved_until": "t", "state": "jws"}


def task(status: str = "pending", **more: object) -> dict[str, Any]:
    return {"task": {"id": "g.u", "status": status, "status_endpoint": "https://evil.example/x", **more}}


def client(*answers: Scripted) -> tuple[Bailiwick, Script]:
    script = Script(*answers)
    return Bailiwick("https://pdp.example", endpoint="crm/crm-api", token=lambda: "own", transport=script), script


def needed(pdp: Bailiwick) -> ApprovalNeeded:
    with pytest.raises(ApprovalNeeded) as caught:
        pdp.require(CALL)
    return caught.value


def test_looks_that_fail_deny_no_call_and_keep_it_from_no_connection() -> None:
    # Whoever knows the path of a guarded application can have looks made, without a credential.
    # And the one that settles the doubt, after a look at the metadata.
    pdp, script = client(*[TransportError("no answer")] * (FAILURES + 2), allow())
    for number in range(10):
        pdp.approval(f"g.{number}")
    looks = {request.lane for request in script.sent if "/requests/" in request.url}
    assert pdp.evaluate(CALL).allowed
    assert script.sent[-1].lane not in looks


def test_it_is_asked_for_with_the_denial_that_it_follows() -> None:
    asks = {"endpoint": "https://evil.example/", "template": "t", "expires_at": "x", "binding_token": "b"}
    pdp, script = client(
        deny("approval_required", evaluation_id="e", access_request=asks), answer(task(), 202, retry_after="7")
    )
    approval = pdp.request_approval(needed(pdp), reason="INC-1")
    body = script.bodies[1]
    assert script.sent[1].url == f"{BASE}/access/v1/requests"
    assert body["context"]["business_justification"] == "INC-1"
    assert body["context"]["args"] == {"n": 1}
    assert body["denial"] == {
        "evaluation_id": "e",
        "reason": "approval_required",
        "template": "t",
        "expires_at": "x",
        "binding_token": "b",
    }
    assert header(script.sent[1], "idempotency-key")
    assert (approval.id, approval.pending, approval.approved, approval.retry_after) == ("g.u", True, False, 7.0)


def test_one_that_the_denial_has_opened_is_not_asked_for_again() -> None:
    pdp, script = client(deny("approval_pending", task={"id": "g.u", "status": "pending"}))
    assert pdp.request_approval(needed(pdp), reason="INC-1").id == "g.u"
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    ("came", "error", "reason"),
    [
        (answer({"reason": "approval_denied", "detail": "No."}, 400), Denied, "approval_denied"),
        (answer({"type": "urn:openid:authzen:access-request:error:not_requestable"}, 400), Denied, "not_requestable"),
        (answer({"reason": "approval_throttled"}, 429), Denied, "approval_throttled"),
        (answer({"type": "x/forbidden"}, 403), Unavailable, "pdp_unavailable"),
        (answer({"reason": "x"}, 500), Unavailable, "pdp_unavailable"),
        (answer({}, 202), Unavailable, "pdp_unavailable"),
        (allow(), Unavailable, "pdp_unavailable"),
    ],
    ids=["denied", "not requestable", "throttled", "stranger", "failure", "no task", "an allow"],
)
def test_where_none_comes_of_it_the_error_says_why(came: Scripted, error: type[Denied], reason: str) -> None:
    pdp, _ = client(came)
    with pytest.raises(Denied) as caught:
        pdp.request_approval(CALL, reason="INC-1")
    assert (type(caught.value), caught.value.decision.reason) == (error, reason)


NOT_APPROVED: Final[dict[str, dict[str, Any]]] = {
    "pending": task(result={"mode": "reevaluate", "approval": SHOWN}),
    "denied": task("denied", result={"mode": "reevaluate", "approval": SHOWN}),
    "a status that there is not": task("Approved", result={"mode": "reevaluate", "approval": SHOWN}),
    "no result": task("approved"),
    "another mode": task("approved", result={"mode": "token", "approval": SHOWN}),
    "no approval": task("approved", result={"mode": "reevaluate"}),
    "one without an id": task("approved", result={"mode": "reevaluate", "approval": {"state": "jws"}}),
}


@pytest.mark.parametrize("came", NOT_APPROVED.values(), ids=NOT_APPROVED)
def test_what_is_no_approval_is_not_shown(came: dict[str, Any]) -> None:
    found = Approval.of_task(came)
    assert (found.approved, found.shown) == (False, None)


def test_an_approval_is_shown_as_it_came() -> None:
    found = Approval.of_task(task("approved", result={"mode": "reevaluate", "approval": SHOWN}))
    assert found.approved
    assert Approval.of_header(found.header).shown == SHOWN


def test_an_approval_is_not_taken_for_an_allow() -> None:
    with pytest.raises(TypeError, match="no allow"):
        bool(Approval(id="g.u", status="approved", shown=SHOWN))


@pytest.mark.parametrize("value", ["", "{", "[]", '"x"', "{}", '{"id": 1}', '{"id": "a", "id": "b"}'])
def test_a_header_that_is_no_approval_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        Approval.of_header(value)


def test_a_task_is_looked_for_below_the_url_that_the_application_was_given() -> None:
    pdp, script = client(answer(task("denied")))
    assert isinstance(pdp.approval("a/../b"), Approval)
    assert script.sent[0].url == f"{BASE}/access/v1/requests/a%2F..%2Fb"
    assert script.sent[0].body is None


class TestWaiting:
    def waited(
        self, *answers: Scripted, until: float = 600.0, retry_after: float | None = None, status: str = "pending"
    ) -> tuple[Approval, Driver]:
        driver = Driver(Script(*answers))
        began = driver.now
        questions = Questions(BASE, driver.exchanger, 2.0, lambda: driver.now)
        steps = questions.wait(Approval(id="g.u", status=status, retry_after=retry_after), began + until)
        return driver.run(steps), driver

    def test_ends_when_somebody_has_decided(self) -> None:
        came, driver = self.waited(answer(task()), answer(task("denied")))
        assert (came.status, len(driver.script.sent)) == ("denied", 2)

    def test_looks_as_often_as_the_server_says(self) -> None:
        _, driver = self.waited(answer(task(), retry_after="30"), answer(task("denied")), retry_after=2.0)
        assert driver.paused == [2.0, 30.0]

    @pytest.mark.parametrize(("said", "paused"), [(0.0, 5.0), (0.1, 0.5), (3600.0, 60.0), (None, 5.0)])
    def test_looks_neither_all_the_time_nor_hardly_ever(self, said: float | None, paused: float) -> None:
        _, driver = self.waited(answer(task("denied")), retry_after=said)
        assert driver.paused == [paused]

    def test_ends_when_its_time_is_over(self) -> None:
        came, driver = self.waited(answer(task()), until=12.0)
        assert came.pending
        assert driver.paused == [5.0, 5.0, pytest.approx(2.0)]

    @pytest.mark.parametrize("failed", [answer({}, 500), answer({"reason": "overloaded"}, 429)], ids=["500", "429"])
    def test_goes_on_where_a_look_fails(self, failed: Scripted) -> None:
        came, _ = self.waited(failed, answer(task("approved")))
        assert came.status == "approved"

    def test_asks_nobody_about_what_has_ended(self) -> None:
        came, driver = self.waited(answer(task()), status="denied")
        assert (came.status, driver.script.sent) == ("denied", [])

    def test_ends_where_there_is_no_such_request_any_more(self) -> None:
        gone = answer({"type": "urn:openid:authzen:access-request:error:task_expired"}, 410)
        came, _ = self.waited(gone)
        assert (came.status, came.approved) == ("failed", False)


class TestSearches:
    def test_that_were_refused_are_not_taken_for_nobody(self) -> None:
        refused = answer({"results": [], "context": {"reason": "store_stale"}})
        hits = client(refused)[0].search_actions(None, Resource("customer", "42"), token="t")
        assert (hits.found, hits.incomplete) == ((), True)

    def test_take_all_pages(self) -> None:
        first = answer({"results": [{"name": "a"}], "page": {"next_token": "n"}, "context": {"incomplete": True}})
        pdp, script = client(first, answer({"results": [{"name": "b"}, 7], "page": {"next_token": ""}}))
        hits = pdp.search_actions(None, Resource("customer", "42"), token="t")
        assert [one["name"] for one in hits.found] == ["a", "b"]
        assert hits.incomplete
        assert script.sent[0].url == f"{BASE}/access/v1/search/action"
        assert script.bodies[1]["page"] == {"token": "n"}

    @pytest.mark.parametrize("came", [answer({}), answer({"results": 1}), answer({}, 500), answer([], 200)])
    def test_that_find_no_list_are_errors(self, came: Scripted) -> None:
        pdp, _ = client(came)
        with pytest.raises(Unavailable):
            pdp.search_subjects("user", "export", Resource("customer", "42"))

    def test_of_half_a_list_are_errors(self) -> None:
        pdp, _ = client(answer({"results": [], "page": {"next_token": "n"}}), answer({}, 500))
        with pytest.raises(Unavailable):
            pdp.search_resources(None, "export", "customer", token="t")

    def test_that_never_end_are_incomplete(self) -> None:
        pdp, script = client(answer({"results": [], "page": {"next_token": "n"}}))
        assert pdp.search_resources(None, "export", "customer", token="t").incomplete
        assert len(script.sent) == 100


def test_an_unavailable_decision_is_not_asked_about() -> None:
    decision = Decision.denied("pdp_unavailable", available=False)
    assert decision.access_request is None


INVISIBLE: Final = ["", " ", "\u200b", "\u2060\u200d", "\u3164", "\u2800", "\u00ad", "\ufe0f", "\U000e0041", "\u115f\n"]


@pytest.mark.parametrize("reason", INVISIBLE, ids=ascii)
def test_a_reason_that_nobody_can_see_is_none(reason: str) -> None:
    script = Script(answer(task(), 202))
    pdp = Bailiwick("https://pdp.example", token=None, transport=script)
    with pytest.raises(ValueError, match="must hold a character that a reviewer can see"):
        pdp.request_approval(CALL, reason=reason)
    assert script.sent == []


@pytest.mark.parametrize("reason", ["INC-1", "\u200bx", "緊急", "👩‍🚒", "."])
def test_a_reason_in_any_writing_is_one(reason: str) -> None:
    script = Script(answer(task(), 202))
    Bailiwick("https://pdp.example", token=None, transport=script).request_approval(CALL, reason=reason)
    assert script.bodies[0]["context"]["business_justification"] == reason
