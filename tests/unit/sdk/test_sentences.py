"""What a caller reads of a refusal: what happened and what to do next, and the same from each kind of guard."""

import re
from typing import Final

import pytest

from bailiwick import sentences, web
from bailiwick.decision import AccessDecision
from bailiwick.mcp import calls
from bailiwick.mcp.calls import McpRefusalError
from bailiwick.mcp.refusals import decision_refusal
from bailiwick.web import GuardRule, WebAnswer

UNANSWERED: Final = AccessDecision.denied("pdp_unavailable", available=False)
REFUSED: Final = AccessDecision(allowed=False, reason="pdp_unavailable", available=False, refused=True)
ONE_REFUSAL: Final = {
    "no decision": (web.refusal(UNANSWERED), decision_refusal(UNANSWERED)),
    "a question that is not taken": (web.refusal(REFUSED), decision_refusal(REFUSED)),
    "no mapping": (web.unmapped(), calls.unmapped("This route")),
    "two readings": (web.ambiguous("why").answer, calls.ambiguous("why")),
}
NEXT: Final = re.compile(r"\. (Try|Send|Ask|Change|Correct|Check|Call|Get|Read) [^.]+\.$")


def said_by(refusal: WebAnswer | McpRefusalError) -> str:
    if isinstance(refusal, WebAnswer):
        return str(refusal.body["detail"])
    return str(refusal).partition(": ")[2]


@pytest.mark.parametrize("why", ONE_REFUSAL)
def test_each_kind_of_guard_says_the_same(why: str) -> None:
    of_web, of_mcp = ONE_REFUSAL[why]
    assert said_by(of_web) == said_by(of_mcp)
    assert NEXT.search(said_by(of_web))


def test_the_sentence_on_a_token_is_the_same_but_for_servers_without_http() -> None:
    with pytest.raises(web.RequestError) as caught:
        web.call_of(GuardRule("list", ("customer", "*")), web.WebRequest({}, {}))
    assert said_by(calls.unauthenticated()).startswith(said_by(caught.value.answer))


def test_no_caller_is_sent_again_with_a_question_that_is_not_taken() -> None:
    assert "Try again" in said_by(web.refusal(UNANSWERED))
    assert "ry again" not in said_by(web.refusal(REFUSED))


def test_a_caller_with_too_large_a_body_learns_what_to_send() -> None:
    assert NEXT.search(said_by(web.too_large()))


@pytest.mark.parametrize("why", ["x is no number", "X is no number."])
def test_a_reason_that_is_a_sentence_ends_once(why: str) -> None:
    said = sentences.undecidable("The request", why)
    assert ".." not in said
    assert NEXT.search(said)
