"""A question that gets no answer changes no answer to another one, and a dead decision point is left alone.

The clock is the test's. The oracle of an answer is what the same question gets from a client of its own.
"""

import heapq
import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import given, settings, strategies as st

from bailiwick.breaker import FAILURES, OPEN_SECONDS, Breaker
from bailiwick.exchange import Exchanger, Pause, Question, QuestionReply, Send
from bailiwick.transports.base import HttpResponse, TransportError
from support.sdk.script import answer, echoed

METADATA: Final = "https://pdp.example/.well-known/authzen-configuration"
SECONDS: Final = 2.0


@dataclass(frozen=True)
class TimedQuestion:
    """A question: when, and what the decision point does with it: `status` after `takes` seconds; 0: nothing."""

    at: float
    status: int
    takes: float


_Steps = Generator[Send | Pause, HttpResponse | TransportError | None, QuestionReply]
_times: Final = st.integers(0, 400).map(lambda tenths: tenths / 10)
_takes: Final = st.sampled_from([0.01, 0.3, 1.9])
_answered: Final = st.builds(TimedQuestion, _times, st.sampled_from([200, 400, 401, 403, 429]), _takes)
_unanswered: Final = st.builds(TimedQuestion, _times, st.sampled_from([0, 0, 0, 500, 503]), _takes)
_crowds: Final = st.lists(st.one_of(_answered, _unanswered, _unanswered, _unanswered), max_size=60)


class Clock:
    now = 0.0


def outcomes(questions: Sequence[TimedQuestion], *, lives: bool = True) -> list[tuple[QuestionReply, float]]:
    """Ask all questions of one client, and return what came of each and how long it took. `lives`: metadata come."""
    clock = Clock()
    exchanger = Exchanger(lambda: "own", Breaker(clock=lambda: clock.now), lambda: clock.now, lambda: 0.5)
    found: dict[int, tuple[QuestionReply, float]] = {}
    steps: dict[int, _Steps] = {}
    order = itertools.count()
    waiting: list[tuple[float, int, int, HttpResponse | TransportError | None]] = [
        (one.at, next(order), number, None) for number, one in enumerate(questions)
    ]
    heapq.heapify(waiting)
    while waiting:
        clock.now, _, number, came = heapq.heappop(waiting)
        one = questions[number]
        try:
            if number not in steps:
                steps[number] = exchanger.ask(Question("https://pdp.example/x", b"{}", SECONDS, metadata=METADATA))
            step = steps[number].send(came)
        except StopIteration as end:
            found[number] = (end.value, clock.now - one.at)
            continue
        if isinstance(step, Pause):
            after, came = step.seconds, None
        elif step.request.url == METADATA:
            after, came = _answer(step, 200 if lives else 0, 0.01)
        else:
            after, came = _answer(step, one.status, one.takes)
        heapq.heappush(waiting, (clock.now + after, next(order), number, came))
    return [found[number] for number in range(len(questions))]


def _answer(step: Send, status: int, takes: float) -> tuple[float, HttpResponse | TransportError]:
    if status == 0 or takes > step.seconds:
        return step.seconds, TransportError("no answer within the deadline")
    return takes, echoed(step.request, answer({"policy_decision_point": "https://pdp.example"}, status))


@settings(max_examples=300)
@given(_crowds)
def test_a_question_without_an_answer_changes_no_answer_to_another(crowd: list[TimedQuestion]) -> None:
    for one, (reply, _) in zip(crowd, outcomes(crowd), strict=True):
        # A look whether the decision point lives can cost a question half of its time.
        if one.status and one.takes < SECONDS / 2:
            [(alone, _)] = outcomes([one])
            assert reply == alone


@given(st.lists(st.integers(0, 50).map(lambda tenths: tenths / 10), min_size=1, max_size=40))
def test_a_dead_decision_point_costs_a_few_waits_and_no_wait_a_call(pauses: list[float]) -> None:
    """Of one caller, who asks again some time after each answer."""
    asked: list[TimedQuestion] = []
    now, waits = 0.0, 0
    for pause in pauses:
        now += pause
        asked.append(TimedQuestion(now, 0, 0.0))
        took = outcomes(asked, lives=False)[-1][1]
        now, waits = now + took, waits + (took > 0)
    assert waits <= FAILURES + 1 + (now - asked[0].at) / OPEN_SECONDS


def test_many_callers_wait_for_a_dead_decision_point_no_longer_than_it_takes_to_settle_the_doubt() -> None:
    asked = [TimedQuestion(number / 10, 0, 0.0) for number in range(200)]
    came = zip(asked, outcomes(asked, lives=False), strict=True)
    late = [took > 0 for one, (_, took) in came if one.at > 2 * SECONDS + FAILURES / 10]
    assert sum(late) <= 200 / 10 / OPEN_SECONDS
