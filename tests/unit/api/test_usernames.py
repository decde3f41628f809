"""Which usernames are one person's: an email address has one owner, in whatever case it is written."""

import sys

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.usernames import fold_case, is_among


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("ann@corp.example", "Ann@corp.example", True),
        ("oidc:ann@corp.example", "oidc:ANN@CORP.EXAMPLE", True),
        ("OIDC:ann@corp.example", "oidc:ann@corp.example", True),
        ("oidc:élise@corp.example", "oidc:Élise@corp.example", True),
        ("oidc:λδς.δ@corp.example", "oidc:ΛΔΣ.Δ@corp.example", True),
        ("oidc:ann@corp.example", "oidc:ann@other.example", False),
        ("carol", "carol", True),
        ("carol", "Carol", False),
        ("oidc:C1", "oidc:c1", False),
    ],
)
def test_an_email_address_is_compared_in_any_case_and_another_name_is_not(name: str, other: str, *, same: bool) -> None:
    assert is_among(name, ["eve", other]) is same
    assert is_among(other, [name]) is same


@given(st.text(), st.text(), st.data())
def test_names_with_an_at_sign_are_one_in_any_case_of_their_ascii_letters(
    before: str, after: str, data: st.DataObject
) -> None:
    name = f"{before}@{after}"
    other = "".join(letter.swapcase() if letter.isascii() and data.draw(st.booleans()) else letter for letter in name)
    assert fold_case(name) == fold_case(other)
    assert fold_case(fold_case(name)) == fold_case(name)


def test_so_they_are_in_the_other_case_of_every_letter_but_the_dotless_i() -> None:
    # The upper case of a dotless i is that of the other i too, so it does not say which of the two it was.
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code) != "\u0131"]
    apart = {
        (letter, other)
        for letter in letters
        for other in (letter.upper(), letter.lower(), letter.title())
        if other != letter and fold_case(f"n{letter}.x@corp.example") != fold_case(f"n{other}.x@corp.example")
    }
    assert apart == set()
