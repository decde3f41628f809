"""What conditions that read a history say, and how a history cannot be read."""

from typing import Any, Final

import pytest

from bailiwick_api.kinds.endpointdata import DataSource
from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.data import read_data
from bailiwick_engine.cel.datascope import DataInputs, scope_of
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import HistoryInputs, HistoryMembers, Inputs, inputs
from bailiwick_engine.cel.reads import reads
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.problem import Problem
from bailiwick_engine.truth import UNKNOWN, Truth

SUBJECT: Final = Party("user", "ann", "corp#ann")
CONTEXT: Final[dict[str, Any]] = {"list": [{"count": 1}, {"count": 2}], "history": {"exports": {"count": 9}}}
CALL: Final = Call(
    "crm", "crm-api", ServiceAccount("pep", "1"), SUBJECT, Action("read"), Resource("t", "1"), context=CONTEXT
)
KNOWN: Final[HistoryMembers] = {
    "exports": HistoryNumbers(4, age=61).members,
    "refunds": HistoryNumbers(2, total=100_001, digits=2).members,
}
THROUGH_VARIABLE: Final = Variable(name="few", expression="history.exports.count <= 5")


def seen_with(history: HistoryMembers | None) -> Inputs:
    if history is None:
        return inputs(CALL, SUBJECT, 0.0)
    seen = inputs(CALL, SUBJECT, 0.0, None, HistoryInputs)
    assert isinstance(seen, HistoryInputs)
    seen.history = history
    return seen


def outcome(text: str, history: HistoryMembers | None, *variables: Variable) -> Truth:
    scope = scope_of(variables, ())
    expression = scope.condition(text, "x")
    assert isinstance(expression, Expression), expression
    return scope.evaluate(expression, seen_with(history), light=scope.light(expression))


def problem(text: str) -> Problem:
    found = scope_of((), ()).condition(text, "x")
    assert isinstance(found, tuple), found
    return found[0]


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("history.exports.count <= 5", True),
        ("history.exports.count <= 3", False),
        (".history.exports.count <= 3", False),
        ("history.exports.count == 4", True),
        ("history.exports.age <= 3600", True),
        ("has(history.exports.age)", True),
        ("has(history.refunds.age)", False),
        ("!has(history.refunds.age) || history.refunds.age > 60", True),
        ("history.refunds.age > 60", UNKNOWN),
        ("history.refunds.sum <= 1000", False),
        ("history.refunds.sum == 1000.01", True),
        ("history.exports.sum > 1.0", UNKNOWN),
        ("history.exports.count <= 5 && history.refunds.count <= 5", True),
        ("history.exports.count <= 3 || context.list.exists(one, one.count == history.refunds.count)", True),
        ("context.list.filter(one, one.count > history.exports.count).size() == 0", True),
    ],
)
def test_a_condition_reads_the_numbers_of_a_history(text: str, truth: Truth) -> None:
    assert outcome(text, KNOWN) is truth


@pytest.mark.parametrize(
    "text",
    [
        "history.exports.count <= 5",
        "true || history.exports.count <= 5",
        "false && history.exports.count <= 5",
        "history.refunds.count <= 5 || history.exports.count <= 5",
        "context.list.size() == 2 || has(history.exports.age)",
        "variables.few",
        "true || variables.few",
        "variables.few || true",
    ],
)
@pytest.mark.parametrize("history", [None, {}, {"refunds": KNOWN["refunds"]}])
def test_a_condition_is_unknown_whatever_else_it_says_where_a_history_has_no_numbers(
    text: str, history: HistoryMembers | None
) -> None:
    assert outcome(text, history, THROUGH_VARIABLE) is UNKNOWN


def test_a_variable_reads_a_history_and_another_variable_reads_that() -> None:
    second = Variable(name="more", expression="variables.few && history.refunds.count == 2")
    assert outcome("variables.more", KNOWN, THROUGH_VARIABLE, second) is True
    assert outcome("true || variables.more", {"refunds": KNOWN["refunds"]}, THROUGH_VARIABLE, second) is UNKNOWN


def test_what_the_library_evaluates_reads_the_same_numbers_as_a_closure() -> None:
    by_closure, by_library = "history.exports.count <= 5", "[history.exports.count].all(one, one <= 5)"
    scope = scope_of((), ())
    first, second = (scope.condition(text, "x") for text in (by_closure, by_library))
    assert isinstance(first, Expression)
    assert isinstance(second, Expression)
    assert first.closure is not None
    assert second.closure is None
    for count, truth in ((5, True), (6, False)):
        numbers = {"exports": HistoryNumbers(count).members}
        assert [outcome(text, numbers) for text in (by_closure, by_library)] == [truth, truth]


def test_a_history_stands_beside_data() -> None:
    scope = scope_of((), [DataSource(name="limits")])
    expression = scope.condition("history.exports.count <= data.limits.exports", "x")
    assert isinstance(expression, Expression)
    seen = inputs(CALL, SUBJECT, 0.0, None, DataInputs)
    assert isinstance(seen, DataInputs)
    seen.data = {"limits": read_data("limits", "uid", 1, {"data": {"exports": 4}})}
    for history, truth in ((KNOWN, True), ({"exports": HistoryNumbers(5).members}, False), ({}, UNKNOWN)):
        seen.history = history
        assert scope.evaluate(expression, seen) is truth
    whatever = scope.condition("data.limits.exports == 4 || history.exports.count > 1", "x")
    assert isinstance(whatever, Expression)
    assert scope.evaluate(whatever, seen) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("history == 1", "read a history as history.NAME.count, history.NAME.sum or history.NAME.age"),
        ("size(history) > 1", "read a history as history.NAME.count"),
        ("history['exports'].count > 1", "read a history as history.NAME.count"),
        ("history[subject.id].count > 1", "read a history as history.NAME.count"),
        ("history.?exports.count == 1", "read a history as history.NAME.count"),
        ("history[?'exports'].count == 1", "read a history as history.NAME.count"),
        ("has(history.exports)", "history.exports can only be read by its members: read a history as"),
        ("history.exports == 1", "history.exports can only be read by its members"),
        ("dyn(history.exports).count == 1", "history.exports can only be read by its members"),
        ("history.exports['count'] == 1", "history.exports can only be read by its members"),
        ("history.exports.?count.orValue(0) == 0", "history.exports can only be read by its members"),
        ("history.exports[?'count'].orValue(0) == 0", "history.exports can only be read by its members"),
        ("'count' in history.exports", "history.exports can only be read by its members"),
        ("cel.bind(h, history.exports, h.count == 1)", "history.exports can only be read by its members"),
        ("history.exports.cuont == 1", "a history has no member cuont; did you mean history.exports.count?"),
        ("history.exports.open == 1", "a history has no member open: read a history as"),
        ("has(history.exports.count)", "has(history.exports.count) is always true: only age can be absent"),
        ("has(history.exports.sum)", "has(history.exports.sum) is always true: only age can be absent"),
        ("history.exports.count.foo == 1", "history.exports.count is a number, which has no members"),
        ("histroy.exports.count == 1", "unknown name histroy; did you mean history?"),
        (
            "history.exports.count == 1 && context.list.all(history, history == 1)",
            "history cannot be the name of a loop variable, because the condition reads a history",
        ),
        (
            "cel.bind(history, 1, history == 1 && .history.exports.count == 1)",
            "history cannot be the name of a loop variable",
        ),
    ],
)
def test_a_history_is_read_in_no_other_way(text: str, message: str) -> None:
    found = problem(text)
    assert found.message.startswith(message)
    assert (found.line, found.column) >= (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "context.list.all(history, history.count > 0)",
        "cel.bind(history, context.list, history.exists(one, one.count == 2))",
        "context.history.exports.count == 9",
        "context.list.exists(one, {'history': one}.history.count == 2)",
    ],
)
def test_what_only_has_that_name_is_no_history(text: str) -> None:
    scope = scope_of((), ())
    expression = scope.condition(text, "x")
    assert isinstance(expression, Expression), expression
    assert scope.histories(expression) == frozenset()
    assert not any(path[0] == "history" for path in reads(scope, (expression,)))
    assert outcome(text, None) is True


def test_what_is_read_of_histories_is_told_with_the_variables() -> None:
    scope = scope_of((THROUGH_VARIABLE,), ())
    expression = scope.condition("variables.few && has(history.refunds.age)", "x")
    assert isinstance(expression, Expression)
    assert scope.histories(expression) == {"exports", "refunds"}
    assert reads(scope, (expression,)) == {("history", "exports", "count"), ("history", "refunds", "age")}


def test_a_condition_that_reads_a_history_is_never_taken_for_a_light_one() -> None:
    scope = scope_of((THROUGH_VARIABLE,), ())
    for text, light in (("variables.few", False), ("history.exports.count < 5", False), ("context.a == 1", True)):
        expression = scope.condition(text, "x")
        assert isinstance(expression, Expression)
        assert scope.light(expression) is light
