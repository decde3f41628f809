"""JSON objects from outside: what is refused, in which words, and at which member."""

import pytest

from bailiwick_process.ijson import strict
from bailiwick_process.ijson.fast import MAX_DEPTH, MAX_VALUES

DEEPEST = b'{"a":' * (MAX_DEPTH - 1) + b"1" + b"}" * (MAX_DEPTH - 1)
TOO_DEEP = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b'{"a":[1,-2.5,"\xc3\xa9",null,true,{"b":[]}]}', {"a": [1, -2.5, "é", None, True, {"b": []}]}),
        (b'{"a":":","b":"\\u003a"}', {"a": ":", "b": ":"}),
        (b'{"a":9007199254740991}', {"a": 2**53 - 1}),
        (b'{"a":0.12345678901234567890123}', {"a": 0.12345678901234568}),
        (b'{"a":"1234567890123456789012345"}', {"a": "1234567890123456789012345"}),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    ],
)
def test_an_object_is_read_as_it_is_written(raw: bytes, value: object) -> None:
    assert strict.parse(raw) == value
    assert strict.parse_slowly(raw) == value
    assert strict.parse_unbounded(raw) == value


@pytest.mark.parametrize(
    ("raw", "detail", "where"),
    [
        (b"\xff", "the body is not UTF-8", ""),
        (b"{", "the body is not valid JSON: Expecting property name enclosed in double quotes at line 1 column 2", ""),
        (b"[1]", "the body must be a JSON object", ""),
        (b'{"a":NaN}', "NaN is not valid JSON", ""),
        (b'{"a":-Infinity}', "-Infinity is not valid JSON", ""),
        (b'{"a":[1e400]}', "the number is too large", "a[0]"),
        (b'{"a":{"b":1,"b":2}}', "an object has a duplicate member", "b"),
        (b'{"a\\u0007":1,"a\\u0007":2}', "an object has a duplicate member", "a?"),
        (
            b'{"a":{"b":9007199254740992}}',
            "an integer of 2^53 or more has no canonical form: send it as a string",
            "a.b",
        ),
        (
            b'{"a":[0,123456789012345678901]}',
            "an integer of 2^53 or more has no canonical form: send it as a string",
            "a[1]",
        ),
        (b'{"a":"\\ud800"}', "the string contains a lone surrogate", "a"),
        (b'{"\\udfff":1}', "the string contains a lone surrogate", ""),
        (TOO_DEEP, f"the body is nested deeper than {MAX_DEPTH}", ".".join("a" * MAX_DEPTH)),
    ],
)
def test_what_is_refused_is_named_with_its_place(raw: bytes, detail: str, where: str) -> None:
    with pytest.raises(strict.JsonError) as refused:
        strict.parse(raw)
    assert (refused.value.detail, refused.value.where) == (detail, where)


def test_a_number_of_more_digits_than_python_reads_is_refused() -> None:
    with pytest.raises(strict.JsonError) as refused:
        strict.parse(b'{"a":' + b"1" * 5_000 + b"}")
    assert refused.value.detail.startswith("the body has a number that cannot be read: ")


def test_brackets_without_end_are_refused() -> None:
    with pytest.raises(strict.JsonError) as refused:
        strict.parse_slowly(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    assert refused.value.detail == f"the body is nested deeper than {MAX_DEPTH}"


def test_the_deepest_object_that_is_allowed_is_read() -> None:
    assert strict.parse(DEEPEST) == strict.parse_slowly(DEEPEST)


@pytest.mark.parametrize("value", ['"a,[{"', "1", "{}", "[]", '{"b":1}'])
def test_values_are_counted_and_not_the_signs_in_texts(value: str) -> None:
    # The whole, and the list: the rest is for the items.
    within = 10 - 2 if value != '{"b":1}' else 4
    fits = f'{{"a":[{",".join([value] * within)}]}}'.encode()
    over = f'{{"a":[{",".join([value] * (within + 1))}]}}'.encode()
    assert len(strict.parse(fits, 10)["a"]) == within
    with pytest.raises(strict.JsonError) as refused:
        strict.parse(over, 10)
    assert refused.value.detail == "the body has more than 10 values"


def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "_loaded", lambda _raw: pytest.fail("it was parsed"))
    with pytest.raises(strict.JsonError, match=f"more than {MAX_VALUES} values"):
        strict.parse(b'{"a":[' + b"[]," * MAX_VALUES + b"[]]}")


@pytest.mark.parametrize("raw", [b'{"a":"\\ud800"}', b'{"a":' + b"[" * 900 + b'"\\ud800"' + b"]" * 900 + b"}"])
def test_a_short_text_of_any_depth_has_no_lone_surrogate_either(raw: bytes) -> None:
    with pytest.raises(strict.JsonError, match="lone surrogate"):
        strict.parse_unbounded(raw)


def test_a_short_text_may_hold_numbers_of_any_size() -> None:
    assert strict.parse_unbounded(b'{"exp":123456789012345678901}') == {"exp": 123456789012345678901}
