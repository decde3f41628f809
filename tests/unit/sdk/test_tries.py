"""One deadline over all tries, and sent again is only what nobody can have read."""

import itertools

import pytest

from bailiwick.breaker import FAILURES, OPEN_SECONDS, Breaker, BreakerPass
from bailiwick.exchange import LOOK_SECONDS, Question, QuestionReply
from bailiwick.transports.base import NotSentError, TransportError
from support.sdk.script import Driver, Script, Scripted, allow, answer, deny, header

UNREACHED = NotSentError("refused")
LOST = TransportError("reset")
BUSY = answer({"detail": "busy"}, 429, retry_after="1")
CLOSED = answer({"detail": "closing"}, 503, retry_after="1")
METADATA = "https://pdp.example/.well-known/authzen-configuration"
SHOWN = {"policy_decision_point": "https://pdp.example"}
# Failures in a row that raise the doubt, and the one that settles it.
OPENING = FAILURES + 1


def asked(driver: Driver, seconds: float = 10.0) -> QuestionReply:
    return driver.run(driver.exchanger.ask(Question("https://pdp.example/x", b"{}", seconds)))


@pytest.mark.parametrize("first", [UNREACHED, BUSY, CLOSED], ids=["not sent", "429", "503"])
def test_what_nobody_read_is_sent_again(first: Scripted) -> None:
    driver = Driver(Script(first, allow()))
    assert asked(driver).status == 200
    assert len(driver.script.sent) == 2


NOT_AGAIN: dict[str, Scripted] = {
    "what may have been read": LOST,
    "a denial": deny(),
    "an allow": allow(),
    "no decision at all": answer([]),
    "429 without Retry-After": answer({}, 429),
    "503 without Retry-After": answer({}, 503),
    "503 with one that nobody can read": answer({}, 503, retry_after="soon"),
    "a failure of the server": answer({}, 500, retry_after="1"),
    "a bad request": answer({}, 400, retry_after="1"),
    "a redirect": answer({}, 307, retry_after="1", location="https://elsewhere.example"),
}


@pytest.mark.parametrize("first", NOT_AGAIN.values(), ids=NOT_AGAIN)
def test_nothing_else_is_sent_again(first: Scripted) -> None:
    driver = Driver(Script(first, allow()))
    asked(driver)
    assert len(driver.script.sent) == 1


@pytest.mark.parametrize("every", [UNREACHED, BUSY])
def test_it_is_sent_again_twice_at_most(every: Scripted) -> None:
    driver = Driver(Script(every))
    reply = asked(driver)
    assert (len(driver.script.sent), reply.attempts) == (3, 3)


def test_every_try_has_the_same_request_id_and_every_question_its_own() -> None:
    driver = Driver(Script(UNREACHED))
    asked(driver)
    first = {header(request, "x-request-id") for request in driver.script.sent}
    asked(driver)
    both = {header(request, "x-request-id") for request in driver.script.sent}
    assert (len(first), len(both)) == (1, 2)


def test_all_tries_share_one_deadline() -> None:
    driver = Driver(Script(UNREACHED), takes=[0.5, 0.5, 0.5])
    asked(driver, 2.0)
    assert driver.script.given[0] == 2.0
    assert driver.script.given == sorted(driver.script.given, reverse=True)
    assert driver.script.given[-1] < 1.0


def test_it_is_not_sent_again_when_the_deadline_would_be_over() -> None:
    driver = Driver(Script(answer({}, 503, retry_after="3"), allow()))
    assert asked(driver, 2.0).status == 503
    assert driver.paused == []


def test_it_waits_as_long_as_the_server_says_and_a_little_longer() -> None:
    driver = Driver(Script(BUSY, allow()), chance=0.5)
    asked(driver)
    assert driver.paused == [pytest.approx(1.05)]


def test_pauses_differ_by_chance() -> None:
    pauses = []
    for chance in (0.0, 0.5, 1.0):
        driver = Driver(Script(UNREACHED), chance=chance)
        asked(driver)
        pauses.append(driver.paused)
    assert pauses == [[0.0, 0.0], [0.025, 0.1], [0.05, 0.2]]


def test_a_date_in_retry_after_is_read_too() -> None:
    driver = Driver(Script(answer({}, 503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), allow()))
    assert asked(driver).status == 200


def test_an_answer_to_another_request_is_no_answer() -> None:
    driver = Driver(Script(answer({"decision": True}, x_request_id="another")))
    assert asked(driver) == QuestionReply(0, detail="the answer is to another request", attempts=1)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_answer_that_does_not_say_to_which_request_is_no_answer(status: int) -> None:
    driver = Driver(Script(answer({"decision": True}, status, x_request_id="")))
    reply = asked(driver)
    assert (reply.status, reply.body) == (0, None)
    assert "does not carry the X-Request-ID" in reply.detail


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_a_refusal_needs_not_say_to_which_request(status: int) -> None:
    assert asked(Driver(Script(answer({}, status, x_request_id="")))).status == status


def test_where_no_answer_says_to_which_request_each_has_a_connection_of_its_own() -> None:
    driver = Driver(Script(answer({"decision": True}, x_request_id="")), echo=False)
    assert asked(driver).status == 200
    assert header(driver.script.sent[0], "connection") == "close"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(status: int) -> None:
    driver = Driver(Script(answer({"decision": True}, status, location="https://elsewhere.example/")))
    assert asked(driver).status == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"decision": true, "decision": true}', b'{"decision": true, "x": NaN}', b"\xff", b"[" * 100_000],
    ids=["nothing", "half", "twice", "NaN", "no UTF-8", "deep"],
)
def test_what_is_no_json_has_no_body(body: bytes) -> None:
    assert asked(Driver(Script(answer(body)))).body is None


def test_what_does_not_say_that_it_is_json_has_no_body() -> None:
    driver = Driver(Script(answer(b'{"decision": true}', content_type="text/html")))
    assert asked(driver).body is None


def test_a_token_that_cannot_be_read_sends_nothing() -> None:
    driver = Driver(Script(allow()))

    def gone() -> str:
        raise FileNotFoundError("gone")

    driver.exchanger._token = gone
    reply = asked(driver)
    assert (reply.status, reply.detail, driver.script.sent) == (0, "no token of our own: gone", [])


class TestTheBreaker:
    def test_opens_when_five_fail_in_a_row_and_one_more_and_asks_nobody_then(self) -> None:
        driver = Driver(Script(LOST))
        for _ in range(OPENING):
            asked(driver)
        reply = asked(driver)
        assert len(driver.script.sent) == OPENING
        assert (reply.status, reply.attempts) == (0, 0)

    @pytest.mark.parametrize("failure", [LOST, answer({}, 500), answer({}, 503)], ids=["lost", "500", "503"])
    def test_counts_what_is_the_servers_failure(self, failure: Scripted) -> None:
        driver = Driver(Script(failure))
        for _ in range(OPENING):
            asked(driver)
        assert driver.breaker.open

    @pytest.mark.parametrize("said", [deny(), answer({}, 401), BUSY, CLOSED], ids=["denial", "401", "429", "503"])
    def test_does_not_count_what_somebody_answered(self, said: Scripted) -> None:
        driver = Driver(Script(said))
        for _ in range(2 * FAILURES):
            asked(driver)
        assert not driver.breaker.open

    def test_counts_in_a_row_alone(self) -> None:
        driver = Driver(Script(*itertools.chain(*([LOST] * (FAILURES - 1) + [allow()] for _ in range(3))), allow()))
        for _ in range(3 * FAILURES):
            asked(driver)
        assert not driver.breaker.open

    def test_does_not_count_what_was_sent_before_another_was_answered(self) -> None:
        breaker = Breaker(1, 1.0, lambda: 0.0)
        slow, quick = entered(breaker), entered(breaker)
        breaker.succeed(quick)
        breaker.fail(slow)
        assert not entered(breaker).settles

    def test_lets_one_through_after_a_while_and_closes_when_it_is_answered(self) -> None:
        driver = Driver(Script(*[LOST] * OPENING, deny()))
        for _ in range(OPENING):
            asked(driver)
        driver.now += OPEN_SECONDS
        assert asked(driver).status == 200
        assert not driver.breaker.open

    def test_opens_again_when_that_one_fails(self) -> None:
        driver = Driver(Script(LOST))
        for _ in range(OPENING):
            asked(driver)
        driver.now += OPEN_SECONDS
        asked(driver)
        asked(driver)
        assert len(driver.script.sent) == OPENING + 1

    def test_lets_no_second_one_through_meanwhile(self) -> None:
        now = [0.0]
        breaker = Breaker(1, 1.0, lambda: now[0])
        breaker.fail(entered(breaker))
        breaker.fail(entered(breaker))
        now[0] = 1.0
        assert entered(breaker).settles
        assert breaker.enter() is None

    def test_denies_nobody_while_the_first_doubt_is_settled(self) -> None:
        breaker = Breaker(1, 1.0, lambda: 0.0)
        breaker.fail(entered(breaker))
        assert [entered(breaker).settles for _ in range(3)] == [True, False, False]

    def test_stays_half_open_when_another_call_ends_meanwhile(self) -> None:
        breaker = Breaker(1, 1.0, lambda: 0.0)
        early = entered(breaker)
        breaker.fail(entered(breaker))
        assert entered(breaker).settles
        breaker.leave(early)
        assert not entered(breaker).settles

    def test_lets_another_through_when_the_first_was_given_up(self) -> None:
        driver = Driver(Script(LOST))
        for _ in range(OPENING):
            asked(driver)
        driver.now += OPEN_SECONDS
        steps = driver.exchanger.ask(Question("https://pdp.example/x", b"{}", 10.0))
        next(steps)
        steps.close()
        assert driver.breaker.enter()


class TestTheLook:
    """What is sent first where a doubt is to be settled: a question for metadata."""

    def looked(self, *answers: Scripted, seconds: float = 10.0, echo: bool = True) -> tuple[Driver, QuestionReply]:
        driver = Driver(Script(*[LOST] * FAILURES, *answers), echo=echo)
        for _ in range(FAILURES):
            asked(driver)
        question = Question("https://pdp.example/x", b"{}", seconds, {"traceparent": "00"}, metadata=METADATA)
        return driver, driver.run(driver.exchanger.ask(question))

    def test_has_no_token_and_nothing_of_the_question(self) -> None:
        driver, _ = self.looked(answer(SHOWN), allow())
        look, question = driver.script.sent[-2:]
        assert (look.method, look.url, look.body) == ("GET", METADATA, None)
        assert not {"authorization", "traceparent"} & {name.lower() for name in look.headers}
        assert header(look, "x-request-id") != header(question, "x-request-id")
        assert look.lane != question.lane

    @pytest.mark.parametrize(("seconds", "given"), [(10.0, LOOK_SECONDS), (0.5, 0.25)])
    def test_has_a_short_time_and_never_more_than_half_of_the_questions(self, seconds: float, given: float) -> None:
        driver, _ = self.looked(answer(SHOWN), allow(), seconds=seconds)
        assert driver.script.given[-2] == given

    def test_that_is_answered_closes_the_breaker_whatever_becomes_of_the_question(self) -> None:
        driver, reply = self.looked(answer(SHOWN), LOST)
        assert (reply.status, reply.attempts) == (0, 1)
        assert not driver.breaker.open

    @pytest.mark.parametrize(
        "came",
        [
            LOST,
            UNREACHED,
            answer(SHOWN, 404),
            answer(SHOWN, 503),
            answer([]),
            answer({"decision": True}),
            answer(b"<html>", content_type="text/html"),
            answer(SHOWN, x_request_id="kept by a cache"),
        ],
        ids=["lost", "not sent", "404", "503", "no object", "no metadata", "no JSON", "another's"],
    )
    def test_that_shows_no_metadata_leaves_it_to_the_question(self, came: Scripted) -> None:
        driver, reply = self.looked(came, allow())
        assert reply.status == 200
        driver, reply = self.looked(came, LOST)
        assert driver.breaker.open

    def test_shares_the_deadline_of_the_question(self) -> None:
        driver = Driver(Script(*[LOST] * FAILURES, LOST, allow()), takes=[0.0] * FAILURES + [0.5])
        for _ in range(FAILURES):
            asked(driver)
        driver.run(driver.exchanger.ask(Question("https://pdp.example/x", b"{}", 2.0, metadata=METADATA)))
        assert driver.script.given[-2:] == [0.5, 1.5]


def entered(breaker: Breaker) -> BreakerPass:
    found = breaker.enter()
    assert found is not None
    return found
