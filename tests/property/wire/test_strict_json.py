"""Bodies and parts of tokens: what the fast parser proves, the strict ones read alike, and they judge the rest."""

import base64
import json
import random
from typing import Any, Final

import pytest
from hypothesis import example, given, strategies as st

from bailiwick_process.ijson import fast
from bailiwick_process.jwt import compact
from bailiwick_webhook.http import body
from bailiwick_webhook.http.problems import ProblemError

# Few names, so that a member often stands twice; colons and escapes, which the proof counts by.
NAMES: Final = ("a", "b", ":", "a:b", "", "\\", '"', "é", "\ud800", "\udc00a", "\U0001f600", "\u2028", "\x00")
numbers: Final = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(
        ["-0", "-0.0", "1e5", "1E-400", "1e400", "-1e999", "NaN", "-Infinity", "Infinity", "01", "+1", "1."]
    ),
    st.integers(2**53 - 2, 2**53 + 2).map(str),
    st.integers(-(2**53) - 2, 2 - 2**53).map(str),
    st.integers(2**63 - 2, 2**64 + 2).map(str),
    st.integers(-(2**64), 2 - 2**63).map(str),
    st.integers(10**17, 10**25).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**40).map(lambda digits: f"0.{digits}"),
)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A string as it may be spelled: each character as it is or escaped, in small letters or capitals."""
    name = draw(st.one_of(st.sampled_from(NAMES), st.text("0123456789:,{}[]", max_size=22)))
    spelled = []
    for character in name:
        code, way = ord(character), draw(st.integers(0, 3))
        if code > 0xFFFF or (way and character not in '"\\' and code >= 0x20 and not 0xD800 <= code < 0xE000):
            spelled.append(character)
        else:
            spelled.append(f"\\u{code:04x}" if way % 2 else f"\\u{code:04X}")
    return f'"{"".join(spelled)}"'


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}:{value}" for name, value in members) + "}"


documents: Final = st.recursive(
    st.one_of(numbers, strings(), st.sampled_from(["true", "false", "null"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(st.tuples(strings(), inner), max_size=4).map(_object),
    ),
    max_leaves=12,
)


objects: Final = st.lists(st.tuples(strings(), documents), max_size=5).map(_object)


def read(raw: bytes, parse: Any) -> object:  # noqa: ANN401 - either parser
    """Return what a parser makes of bytes: a value with the types of its parts, or the problem as it is told."""
    try:
        return _typed(parse(raw))
    except ProblemError as problem:
        return problem.status, problem.detail, problem.where


def _typed(value: Any) -> object:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    return type(value), repr(value)


def agree(raw: bytes) -> None:
    slowly = read(raw, body.parse_slowly)
    assert read(raw, body.parse_object) == slowly
    found = fast.proven(raw)
    assert found is None or _typed(found) == slowly


@given(objects)
@example('{"a":1,"a":"\\u003a"}')
@example('{"a":":","a":"\\u003A\\u003A"}')
@example('{"a":1,"\\u0061":2}')
@example('{"a":{"b":1,"b":{":":1}}}')
@example('{"a":99999999999999999999}')
@example('{"a":-9223372036854775809}')
@example('{"a":"99999999999999999999"}')
def test_a_body_is_read_alike_by_both_parsers(text: str) -> None:
    agree(text.encode("utf-8", "surrogatepass"))


@given(st.one_of(st.binary(max_size=40), objects.map(lambda text: text.encode("utf-8", "surrogatepass"))), st.data())
def test_bytes_that_are_changed_anywhere_are_read_alike(raw: bytes, data: st.DataObject) -> None:
    changed = bytearray(raw or b"{}")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b":", b",", b'"', b"\\", b"{", b"}", b"0", b"e", b"\x00", b"\xff", b"\xed\xa0\x80", b" "]
            )
        )
        changed = changed or bytearray(b"1")
    agree(bytes(changed))


@pytest.mark.parametrize("depth", range(28, 36))
@pytest.mark.parametrize("leaf", ["", "1", "{}", "[]", '{"a":[]}', "1e300", "12345678901234567890.5"])
def test_a_body_may_be_as_deep_for_both_parsers(depth: int, leaf: str) -> None:
    agree(('{"a":' + "[" * depth + leaf + "]" * depth + "}").encode())
    agree(('{"a":' * depth + (leaf or "0") + "}" * depth).encode())


@pytest.mark.parametrize("count", [19_996, 19_997, 19_998, 19_999, 20_000, 20_001])
def test_a_body_may_hold_as_many_values_for_both_parsers(count: int) -> None:
    agree(b'{"a":[' + b",".join([b"0"] * count) + b"]}")
    agree(b"{" + b",".join(b'"%d":0' % number for number in range(count)) + b"}")
    agree(b'{"a":[' + b",".join([b"[]"] * count) + b"]}")


def test_what_bodies_are_like_every_day_needs_no_second_look() -> None:
    chance = random.Random(1)  # noqa: S311 - reproducible, not secret
    item = {"subject": {"type": "user", "id": "http://a:1/ü"}, "n": [1, 0.5, True, None], "hex": "5e9e" * 16}
    for size in (1, 40):
        value = {"evaluations": [{**item, "id": str(chance.getrandbits(64))} for _ in range(size)], "rows": 2**53 - 1}
        assert fast.proven(json.dumps(value).encode()) == value
        assert fast.proven(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(objects)
@example('{"a":1,"a":"\\u003a"}')
@example('{"a":18446744073709551616}')
def test_a_token_is_taken_apart_alike_whether_or_not_it_can_be_proven(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    part = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    header = base64.urlsafe_b64encode(b'{"alg":"RS256"}').rstrip(b"=").decode()
    with pytest.MonkeyPatch.context() as patched:
        proven = compact.parse(f"{header}.{part}.c2ln")
        patched.setattr(fast, "proven", lambda _: None)
        strict = compact.parse(f"{header}.{part}.c2ln")
    assert (proven and _typed(proven.claims)) == (strict and _typed(strict.claims))


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        ('{"n":18446744073709551616}', {"n": 2**64}),
        ('{"n":1e400}', {"n": float("inf")}),
        ('{"n":' + "[" * 40 + "]" * 40 + "}", ...),
        ('{"a":1,"a":1}', None),
        ('{"a":[{"b":1,"b":1}]}', None),
        ('{"a":NaN}', None),
        ('{"a":-Infinity}', None),
        ('{"a":"\\ud800"}', None),
        ('{"\\ud800":1}', None),
        ('{"a":' + "[" * 4_000, None),
        ('{"a":' + "1" * 5_000 + "}", None),
        ("[]", None),
        ("1", None),
    ],
)
def test_a_token_may_hold_any_number_and_nothing_with_two_meanings(payload: str, read: object) -> None:
    part = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    header = base64.urlsafe_b64encode(b'{"alg":"RS256"}').rstrip(b"=").decode()
    found = compact.parse(f"{header}.{part}.c2ln")
    assert (found and found.claims) == (json.loads(payload) if read is ... else read)


def _values(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_values(one) for one in inner)


@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text('ab,[]{}":\\\n', max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(st.text(',[{"\\', max_size=4), inner, max_size=4)
        ),
        max_leaves=20,
    ),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    off=st.integers(-3, 3),
)
def test_how_many_values_there_are_is_told_without_parsing_them(
    value: object, indent: int | None, *, ascii_only: bool, off: int
) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    most = max(0, _values(value) + off)
    assert fast.too_many(raw, most) is (_values(value) > most)


@pytest.mark.parametrize("unit", ["1", '"a"', '{"a":1}', "[[[[[[1]]]]]]", "[]", "{ }"])
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = ('{"l":[' + ",".join([unit] * 30_000) + "]}").encode()
    monkeypatch.setattr("orjson.loads", None)
    with pytest.raises(ProblemError, match="the body has more than 20000 values"):
        body.parse_object(raw)
