"""Words that mix alphabets are found, and nobody's own alphabet is."""

import pytest

from bailiwick_governance.lookalikes import mixed_alphabets


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
    ],
)
def test_alphabets_of_one_word(text: str, found: tuple[str, ...]) -> None:
    assert mixed_alphabets(text) == found
