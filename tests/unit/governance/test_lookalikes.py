"""Words that mix alphabets are found, and nobody's own alphabet is."""

import pytest

from bailiwick_governance.lookalikes import foreign_digits, mixed_alphabets, warnings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("customer/42", ()),
        ("Kundenn\u00fcmmer \u00e9t\u00e9", ()),
        ("\u043a\u043b\u0438\u0435\u043d\u0442 customer", ()),
        ("\u65e5\u672c customer", ()),
        ("p\u0430ypal", ("Cyrillic", "Latin")),
        ("fine p\u0430ypal", ("Cyrillic", "Latin")),
        ("\u03bf\u0440en", ("Cyrillic", "Greek", "Latin")),
        ("\uff50\u0430", ("Cyrillic", "Latin")),
        ("p\u0430\u0301ypal", ("Cyrillic", "Latin")),
        ("p\u0301\u0430ypal", ("Cyrillic", "Latin")),
        ("p_\u0430_ypal", ("Cyrillic", "Latin")),
        ("\u043a\u0301\u043b_\u0438", ()),
        ("cafe\u0301 \u043a", ()),
        ("5\u03bcg", ("Greek", "Latin")),
        ("\ua4eedmin", ("Latin", "Lisu")),
        ("\u15c5dmin", ("Canadian", "Latin")),
        ("\u2d54rders", ("Latin", "Tifinagh")),
        ("\u101drders", ("Latin", "Myanmar")),
        ("\u0d20rders", ("Latin", "Malayalam")),
        ("\U00010404rders", ("Deseret", "Latin")),
        ("\u0e23\u0e32\u0e04\u0e32", ()),
        ("\u0e23\u0e32\u0e04\u0e32 USD", ()),
        ("\u0e23\u0e32\u0e04\u0e32USD", ("Latin", "Thai")),
        ("\u0e23ervice", ("Latin", "Thai")),
        ("USD\u0e19\u0e33", ("Latin", "Thai")),
        ("iPhone\u624b\u673a", ()),
        ("T\u30b7\u30e3\u30c4", ()),
        ("API\ud0a4", ()),
        ("5 \u00b5s \u212a", ()),
    ],
)
def test_alphabets_of_one_word(text: str, found: tuple[str, ...]) -> None:
    assert mixed_alphabets(text) == found


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("140", ""),
        ("\uff11\uff14\uff10", ""),
        ("1\u09ea0", "140"),
        ("1\u06f50 of 9", "150"),
        ("\u09ea", "4"),
        ("\u096a\u096b, 7 and \u0be7", "45, 1"),
        # They move what stands beside them, and are told as they are stored.
        ("\u0665\u0660", ""),
    ],
)
def test_digits_that_look_like_others_are_told_by_what_they_mean(text: str, meant: str) -> None:
    assert foreign_digits(text) == meant
    assert (f"digits of another alphabet, which mean: {meant}" in warnings(text)) == bool(meant)
