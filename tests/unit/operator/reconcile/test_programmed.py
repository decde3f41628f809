"""When a policy is Programmed, when it is not, when nobody can say, and what Ready makes of it."""

from typing import Final

import pytest

from bailiwick_operator.reconcile import endpointpolicy, programmed
from bailiwick_operator.reconcile.endpointpolicy import PolicyObservation, PolicyPlan
from bailiwick_operator.reconcile.programmed import Reply, ServedGeneration, tally
from support.objects import Object, changed, policy, rule, settings
from unit.operator.cases import NOW, at, compile_stored, condition, stored

POLICY: Final = stored(policy("crm", endpointSettings=settings()), generation=4)
BROKEN: Final = stored(
    policy("crm", rules=[rule(conditions=[{"name": "x", "expression": "((("}])], endpointSettings=settings()),
    generation=4,
)


def reconciled(body: Object, serving: ServedGeneration | None, *carriers: str) -> PolicyPlan:
    observed = PolicyObservation(compile_stored(body), carriers or ("crm-agent",), serving)
    return endpointpolicy.reconcile(body, observed, NOW)


def told(body: Object, serving: ServedGeneration | None, *carriers: str) -> tuple[Object, Object]:
    """Return Programmed and Ready."""
    status = reconciled(body, serving, *carriers).status
    assert status is not None
    return condition(status, "Programmed"), condition(status, "Ready")


def after(body: Object, serving: ServedGeneration | None) -> Object:
    """Return the policy as it is stored after this was found."""
    return body | {"status": reconciled(body, serving).status}


CASES: Final[dict[str, tuple[ServedGeneration | None, str, str, str]]] = {
    "nobody was asked": (None, "Unknown", "Asking", "asking the processes about generation 4"),
    "none is ready": (ServedGeneration(0, 0), "Unknown", "NoneReady", "no process of the decision point is ready"),
    "none can be found": (
        ServedGeneration(0, 0, ("(forbidden)",)),
        "Unknown",
        "NoneReady",
        "no process of the decision point is ready; no answer from (forbidden)",
    ),
    "none serves it": (ServedGeneration(2, 0), "False", "Pending", "0 of 2 processes serve generation 4"),
    "some serve it": (ServedGeneration(3, 2), "False", "Pending", "2 of 3 processes serve generation 4"),
    "one says nothing": (
        ServedGeneration(3, 2, ("pod-b (within 3 s)",)),
        "False",
        "Pending",
        "2 of 3 processes serve generation 4; no answer from pod-b (within 3 s)",
    ),
    "many say nothing": (
        ServedGeneration(9, 4, ("e", "d", "c", "b", "a")),
        "False",
        "Pending",
        "4 of 9 processes serve generation 4; no answer from a, b, c and 2 more",
    ),
    "all serve it": (ServedGeneration(3, 3), "True", "Served", "3 of 3 processes serve generation 4"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_those_say_that_are_ready(case: str) -> None:
    serving, status, reason, message = CASES[case]
    found, _ = told(POLICY, serving)
    assert (found["status"], found["reason"], found["message"]) == (status, reason, message)
    assert found["observedGeneration"] == 4


@pytest.mark.parametrize("case", CASES)
def test_ready_sums_up(case: str) -> None:
    serving, status, reason, message = CASES[case]
    _, ready = told(POLICY, serving)
    enforced = ("True", "Enforced", "in force")
    assert (ready["status"], ready["reason"], ready["message"]) == (
        enforced if status == "True" else (status, reason, message)
    )


@pytest.mark.parametrize(
    ("spec", "carriers", "status", "reason"),
    [
        ({"expireTime": at()}, ("crm-agent",), "False", "Expired"),
        ({}, ("crm-agent", "other"), "False", "Conflicted"),
        ({"mode": "Audit"}, ("crm-agent",), "False", "Pending"),
        ({"suspend": True}, ("crm-agent",), "False", "Pending"),
    ],
    ids=["expired", "conflicted", "audit", "suspended"],
)
def test_ready_says_first_what_waiting_does_not_mend(
    spec: Object, carriers: tuple[str, ...], status: str, reason: str
) -> None:
    body = changed(POLICY, "spec", POLICY["spec"] | spec)
    _, ready = told(body, ServedGeneration(2, 1), *carriers)
    assert (ready["status"], ready["reason"]) == (status, reason)


def test_what_does_not_compile_is_served_too_and_says_how() -> None:
    found, ready = told(BROKEN, ServedGeneration(2, 2))
    assert (found["status"], found["message"]) == (
        "True",
        "2 of 2 processes serve generation 4; it does not compile, so they deny the calls that it covers",
    )
    assert (ready["status"], ready["reason"]) == ("False", "InvalidPolicy")


@pytest.mark.parametrize("case", CASES)
def test_once_true_it_stays_true_for_that_generation(case: str) -> None:
    body = after(POLICY, ServedGeneration(2, 2))
    outcome = reconciled(body, CASES[case][0])
    assert (outcome.status, outcome.asks) == (None, False)


@pytest.mark.parametrize(
    "serving",
    [None, ServedGeneration(0, 0), ServedGeneration(2, 1)],
    ids=["not asked", "none is ready", "one serves it"],
)
def test_an_edit_begins_anew(serving: ServedGeneration | None) -> None:
    body = changed(after(POLICY, ServedGeneration(2, 2)), "metadata.generation", 5)
    found, ready = told(body, serving)
    assert (found["status"], ready["status"]) != ("True", "True")
    assert (
        found["observedGeneration"],
        "generation 5" in found["message"] or not (serving or ServedGeneration(1, 0)).ready,
    ) == (
        5,
        True,
    )
    found, _ = told(after(body, serving), ServedGeneration(3, 3))
    assert (found["status"], found["message"]) == ("True", "3 of 3 processes serve generation 5")


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_written_twice(case: str) -> None:
    serving = CASES[case][0]
    assert reconciled(after(POLICY, serving), serving).status is None


def test_it_is_asked_about_until_the_status_says_so() -> None:
    assert reconciled(POLICY, ServedGeneration(2, 1)).asks
    assert reconciled(POLICY, ServedGeneration(2, 2)).asks
    assert not reconciled(after(POLICY, ServedGeneration(2, 2)), None).asks


MINE: Final = ("uid", 4)
SERVES: Final = Reply("a", ready=True, served=frozenset({MINE, ("other", 1)}))
BEHIND: Final = Reply("b", ready=True, served=frozenset({("uid", 3)}))
STARTING: Final = Reply("c", ready=False)
STOPPING: Final = Reply("d", ready=False, served=frozenset({MINE}))
SILENT: Final = Reply("e", ready=True, silent="within 3 s")
ABSENT: Final = Reply("f", ready=False, silent="refused")


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ((), ServedGeneration(0, 0)),
        ((SERVES,), ServedGeneration(1, 1)),
        ((SERVES, BEHIND), ServedGeneration(2, 1)),
        ((SERVES, STARTING, STOPPING), ServedGeneration(1, 1)),
        ((SERVES, SILENT), ServedGeneration(2, 1, ("e (within 3 s)",))),
        ((SERVES, ABSENT), ServedGeneration(1, 1)),
        ((STARTING, STOPPING), ServedGeneration(0, 0)),
        ((ABSENT,), ServedGeneration(0, 0, ("f (refused)",))),
    ],
)
def test_only_those_that_are_ready_count_and_silence_is_no_yes(
    replies: tuple[Reply, ...], expected: ServedGeneration
) -> None:
    assert tally(replies, MINE) == expected
    assert tally(replies[::-1], MINE) == expected


def test_a_status_of_another_generation_or_another_word_holds_nothing() -> None:
    body = after(POLICY, ServedGeneration(2, 2))
    assert programmed.programmed_condition(body) is not None
    assert programmed.programmed_condition(changed(body, "metadata.generation", 5)) is None
    assert programmed.programmed_condition(after(POLICY, ServedGeneration(2, 1))) is None
    assert programmed.programmed_condition(POLICY | {"status": {}}) is None
