"""What an EndpointData comes to, and what conditions that read it say."""

import hashlib
from typing import Any, Final

import pytest
import rfc8785

from bailiwick_api.kinds.endpointdata import DataSource
from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.data import Data, DataObject, read_data, read_steps
from bailiwick_engine.cel.datascope import DataInputs, scope_of
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.cel.reads import reads
from bailiwick_engine.problem import Problem
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth

SOURCES: Final = [DataSource(name="incident", from_="incident-state"), DataSource(name="people")]
SUBJECT: Final = Party("user", "ann", "corp#ann")
CALL: Final = Call("crm", "crm-api", ServiceAccount("pep", "1"), SUBJECT, Action("read"), Resource("t", "1"))
PEOPLE: Final = {"ann": {"groups": ["ops", "dev"], "level": 3}, "bob": {"groups": [], "level": 1}}
MANY: Final = {f"person-{number}": {"groups": ["a", "b"], "level": 1} for number in range(4_000)} | PEOPLE


def made(name: str, value: object) -> DataObject:
    return read_data(name, f"{name}-uid", 1, {"data": value})


def said(text: str, data: Data, *variables: Variable) -> Truth:
    scope = scope_of(variables, SOURCES)
    expression = scope.condition(text, "x")
    assert isinstance(expression, Expression), expression
    seen = inputs(CALL, SUBJECT, 0.0, None, DataInputs)
    assert isinstance(seen, DataInputs)
    seen.data = data
    return scope.evaluate(expression, seen)


def problems(text: str, sources: list[DataSource] = SOURCES) -> tuple[Problem, ...]:
    found = scope_of((), sources).condition(text, "x")
    assert isinstance(found, tuple)
    return found


HELD: Final = {"incident-state": made("incident-state", {"open": True}), "people": made("people", {"by": PEOPLE})}
LARGE: Final = {"people": made("people", {"by": MANY})}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("data.incident.open == true", True),
        ("data.incident.open == false", False),
        ("data.incident.closed == true", UNKNOWN),
        ("has(data.incident.closed)", False),
        ("data.incident.?closed.orValue(true) == true", True),
        ("'ops' in data.people.by[subject.id].groups", True),
        ("data.people.by[resource.id].level == 3", UNKNOWN),
        ("subject.id in data.people.by", True),
        ("data.people.by[?resource.id].?level.orValue(0) == 0", True),
        ("data.people.by[subject.id].groups.exists(g, g == 'dev')", True),
        ("data.people.by[subject.id].groups == ['ops', 'dev']", True),
        ("data.incident.open == true && 'ops' in data.people.by[subject.id].groups", True),
    ],
)
def test_a_condition_reads_data_by_its_name(text: str, truth: Truth) -> None:
    assert said(text, HELD) is truth


def test_a_variable_reads_data() -> None:
    assert said("variables.open", HELD, Variable(name="open", expression="data.incident.open == true")) is True
    assert said("variables.open", {}, Variable(name="open", expression="data.incident.open == true")) is UNKNOWN


@pytest.mark.parametrize("text", ["data.incident.open == true", "true || data.incident.open == true"])
def test_a_condition_that_reads_what_is_missing_or_cannot_be_read_is_unknown(text: str) -> None:
    assert said(text, {}) is UNKNOWN
    assert said(text, {"incident-state": made("incident-state", {"open": "\0"})}) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("'ops' in data.people.by[subject.id].groups", True),
        ("data.people.by[subject.id].level == 3", True),
        ("subject.id in data.people.by", True),
        ("data.people.by[?resource.id].?level.orValue(0) == 0", True),
        # What only the library can say, it would have to be handed all of it for, in every call.
        ("data.people.by[subject.id].groups.exists(g, g == 'dev')", TOO_COSTLY),
        ("data.people.by.all(p, p != '')", TOO_COSTLY),
    ],
)
def test_a_lookup_in_large_data_is_made_in_place_and_a_loop_over_it_is_too_costly(text: str, truth: Truth) -> None:
    assert said(text, LARGE) is truth


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("data.incdent.open == true", "unknown data incdent; did you mean data.incident?"),
        ("size(data) > 0", "data can only be read by the names that spec.data declares"),
        ("data[subject.id] == 1", "data can only be read by the names that spec.data declares"),
        ("context.l.exists(data, data.people == 1)", "data cannot be the name of a loop variable"),
    ],
)
def test_data_that_is_not_declared_is_refused_with_its_place(text: str, hint: str) -> None:
    (problem, *_) = problems(text)
    assert problem.message.startswith(hint)
    assert (problem.line, problem.column) >= (1, 1)


def test_a_policy_without_data_that_reads_some_is_told_where_to_declare_it() -> None:
    (problem,) = problems("data.incident.open == true", [])
    assert problem.message == (
        "unknown data incident; name an EndpointData of the namespace in spec.data, and read it as data.<name>"
    )


def test_a_member_called_data_is_no_data() -> None:
    scope = scope_of((), SOURCES)
    found = scope.condition("context.data.incident == 1", "x")
    assert isinstance(found, Expression)
    assert found.data == frozenset()


def test_what_is_read_is_named_by_its_object() -> None:
    scope = scope_of((), SOURCES)
    found = scope.condition("data.incident.open == true && context.data.x == 1", "x")
    assert isinstance(found, Expression)
    assert reads(scope, (found,)) == {("data", "incident-state", "open"), ("context", "data", "x")}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"a": {"b c": ["x\0y"]}}, "spec.data.a['b c'][0]", "contains the character NUL"),
        ({"a\0": 1}, "spec.data['a\\\\0']", "contains the character NUL"),
        ({"a": "\ud800"}, "spec.data.a", "contains half a character (a lone surrogate)"),
        ({"\udfff": 1}, "spec.data['\\\\udfff']", "contains half a character (a lone surrogate)"),
        ({"a": 2**53}, "spec.data.a", "is an integer beyond 2^53: write it as a string"),
        ({"a": float("nan")}, "spec.data.a", "is not a finite number"),
        ({"a": {1, 2}}, "spec.data.a", "is no JSON value (set)"),
        ([], "spec.data", "must be an object"),
        (None, "spec.data", "must be an object"),
    ],
)
def test_what_is_not_i_json_is_not_read_and_says_where(value: object, path: str, message: str) -> None:
    found = made("x", value)
    assert (found.value, found.digest) == (None, None)
    assert found.unknown is not None
    assert (found.unknown.why, found.unknown.problem.path) == ("Unreadable", path)
    assert found.unknown.problem.message == message


def test_what_is_nested_too_deep_or_has_other_members_is_not_read() -> None:
    deep: object = 1
    for _ in range(32):
        deep = {"a": deep}
    assert made("x", deep).value is not None
    assert made("x", {"a": deep}).value is None
    assert read_data("x", "u", 1, {"data": {}, "more": 1}).unknown is not None
    assert read_data("x", "u", 1, "spec").unknown is not None


def test_data_of_more_than_256_kib_is_not_read() -> None:
    # The quotes and the name take seven bytes.
    assert made("x", {"a": "x" * (256 * 1024 - 8)}).value is not None
    found = made("x", {"a": "x" * (256 * 1024 - 7)})
    assert found.unknown is not None
    assert (found.unknown.why, found.value) == ("TooLarge", None)
    assert "262,145 bytes" in found.unknown.problem.message


@pytest.mark.parametrize(
    "value",
    [
        {"by": MANY},
        {"z": 1.0, "a": [1.5, 2, "\u00e9"], "\U0001f600": {"\uffff": None}},
        {"l": [{"x": 1.25}] * 500, "m": [1] * 500},
    ],
)
def test_the_digest_is_of_the_canonical_form(value: dict[str, Any]) -> None:
    assert made("x", value).digest == f"sha256:{hashlib.sha256(rfc8785.dumps(value)).hexdigest()}"


def test_data_of_more_than_20_000_objects_and_lists_is_not_read() -> None:
    # The list that holds them is one of them.
    assert made("x", {"l": [[]] * 19_999}).value is not None
    found = made("x", {"l": [{}] * 20_000})
    assert found.unknown is not None
    assert (found.unknown.why, found.value) == ("TooLarge", None)


def test_large_data_is_read_in_many_steps() -> None:
    assert sum(1 for _ in read_steps("x", "u", 1, {"data": {"l": [1] * 80_000}})) > 100
