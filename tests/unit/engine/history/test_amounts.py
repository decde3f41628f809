"""Which values of a call are amounts, and how many units each is."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.history.amounts import amount_units
from bailiwick_engine.history.state import MAX_TOTAL


@pytest.mark.parametrize(
    ("value", "digits", "units"),
    [
        ("0", 2, 0),
        ("0", 0, 0),
        ("10", 2, 1_000),
        ("10.5", 2, 1_050),
        ("10.50", 2, 1_050),
        ('"10.50"', 2, 1_050),
        ('"0.01"', 2, 1),
        ("0.01", 2, 1),
        ("1e3", 0, 1_000),
        ("1.0", 0, 1),
        ("-0", 0, 0),
        ("-0.0", 0, 0),
        ("1e-6", 6, 1),
        ("0.000001", 6, 1),
        ("123456789012.345", 3, 123_456_789_012_345),
        ("999999999999999", 0, 999_999_999_999_999),
        ('"999999999999999"', 0, 999_999_999_999_999),
        ("9999999999999.99", 2, MAX_TOTAL),
    ],
)
def test_a_number_is_counted_exactly(value: str, digits: int, units: int) -> None:
    assert amount_units(orjson.loads(value), digits) == units


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("true", 2),
        ("null", 2),
        ("[]", 2),
        ("{}", 2),
        ('""', 2),
        ("-1", 2),
        ("-0.01", 2),
        ('"-1"', 2),
        ('"-0"', 2),
        ('"+1"', 2),
        ('"01"', 2),
        ('"00"', 2),
        ('".5"', 2),
        ('"5."', 2),
        ('"1e3"', 2),
        ('"1,000"', 2),
        ('"1 000"', 2),
        ('" 1"', 2),
        ('"1\\n"', 2),
        ('"0x10"', 2),
        ('"\u0661"', 2),
        ('"\uff11"', 2),
        ('"NaN"', 2),
        ('"Infinity"', 2),
        ("0.001", 2),
        ("1.5", 0),
        ('"1.500"', 2),
        ('"1.0"', 0),
        ("0.30000000000000004", 6),
        ("1000000000000000", 0),
        ('"1000000000000000"', 0),
        ('"12345678901234.56"', 2),
        ("12345678901234.56", 2),
        ("1e300", 0),
        ("1e15", 0),
        ("1.1e15", 0),
        ("1e-16", 6),
        ("9007199254740993", 0),
        ("90000000000000.01", 2),
        ("999999999999999", 6),
    ],
)
def test_what_has_no_one_reading_is_no_amount(value: str, digits: int) -> None:
    assert amount_units(orjson.loads(value), digits) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, Decimal(1), b"1"])
def test_what_json_does_not_have_is_no_amount(value: Any) -> None:  # noqa: ANN401 - no JSON
    assert amount_units(value, 2) is None


@given(units=st.integers(0, 10**15 - 1), digits=st.integers(0, 6))
def test_each_spelling_of_a_number_is_the_same(units: int, digits: int) -> None:
    exact = Decimal(units).scaleb(-digits)
    assert amount_units(f"{exact:.{digits}f}", digits) == units
    # A double tells fifteen digits apart, and JSON writes the shortest text that reads back as the same one.
    assert amount_units(orjson.loads(orjson.dumps(float(exact))), digits) == units
    assert units / 10**digits == float(exact)
