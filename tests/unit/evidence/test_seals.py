"""The seal in a record: how it is made is one rule, which who writes it and who checks it share."""

import hashlib
import hmac
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_evidence.seal import key_id, key_in, seal_of
from bailiwick_webhook.record.seals import ValueSealer

KEY: Final = b"k" * 32
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_is_the_hmac_that_the_page_of_the_record_says() -> None:
    text = b'context.iban\0{"a":"\xc3\xa9","b":1}'
    assert seal_of(KEY, "context.iban", {"b": 1.0, "a": "é"}) == hmac.new(KEY, text, hashlib.sha256).hexdigest()


@given(name=st.text(st.characters(exclude_categories=["Cs"])), value=VALUES)
def test_is_what_the_decision_point_writes(name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    seal = seal_of(KEY, name, value)
    written = {"redacted": True} if seal is None else {"hmac": f"{key_id(KEY)}:{seal}"}
    assert ValueSealer(KEY).seal(name, value) == written


@pytest.mark.parametrize("value", [2**53, float("nan"), "\ud800"])
def test_is_none_of_what_has_no_canonical_form(value: Any) -> None:  # noqa: ANN401 - any JSON
    assert seal_of(KEY, "context.a", value) is None


@pytest.mark.parametrize(
    ("held", "key"), [(KEY, KEY), (KEY + b"\n", KEY), (b"k" * 31, None), (b" " * 9 + b"k" * 31, None), (b"", None)]
)
def test_a_key_is_read_without_the_newline_of_its_file_and_is_no_key_if_short(held: bytes, key: bytes | None) -> None:
    assert key_in(held) == key
