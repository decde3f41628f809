"""What is sent to the API server reads the same as JSON and as YAML, whatever characters a name has."""

import json
import re
from typing import Final

import pytest
import yaml
from hypothesis import given, strategies as st

from bailiwick_kube.bodies import encode_body

NAMES: Final = {
    "beyond the basic plane": "\U0002083f",
    "an emoji": "eve\U0001f600",
    "a non-character beyond it": "a\U0001fffeb",
    "delete": "a\x7fb",
    "a control character of C1": "a\x80b",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "byte order mark": "\ufeffa",
    "the last of the basic plane": "a\uffffb",
    "nul": "a\x00b",
    "tab and newline": "a\tb\r\nc",
    "quotes and backslashes": 'a"b\\c\\ud842\\udfb7',
    "combining": "e\u0301",
    "right to left": "a\u202eb",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_json_and_yaml_read_the_same(name: str) -> None:
    body = {"counted": [{"reviewer": name}], name: 1}
    data = encode_body(body)
    assert json.loads(data) == body
    # The loader in Python knows only what YAML 1.1 lets stand as it is, which is all that is left here.
    assert yaml.safe_load(data.decode()) == body


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_any_body_reads_as_it_was_and_has_no_surrogates(body: object) -> None:
    data = encode_body(body)
    assert json.loads(data) == body
    escapes = [int(found, 16) for found in re.findall(r"(?<!\\)(?:\\\\)*\\u([0-9a-f]{4})", data.decode())]
    assert not any(0xD800 <= code <= 0xDFFF for code in escapes)


def test_a_lone_surrogate_stays_an_escape_and_is_for_the_api_server_to_refuse() -> None:
    assert encode_body(["\ud842"]) == b'["\\ud842"]'


def test_what_no_json_can_hold_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_body({"n": float("nan")})
