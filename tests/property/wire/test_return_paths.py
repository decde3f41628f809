"""Whatever somebody asks to return to, no browser is sent to another site."""

from typing import Final
from urllib.parse import urljoin, urlsplit

from hypothesis import given, strategies

from bailiwick_console.hosted.logins import FIRST, is_page, return_path

READ_OTHERWISE: Final = ("//", "\\", "..", "?", "#", ":", "@", "https:", "%2f", "\t", "\n", " ")
OURS: Final = ("/", ".", "grants", "decisions", "A" * 22, "crm", "agr-1", "evil.example")
PIECES = strategies.lists(
    strategies.sampled_from((*OURS, *READ_OTHERWISE)),
    max_size=8,
).map("".join)


@given(PIECES | strategies.text(max_size=20))
def test_it_is_a_path_of_ours(target: str) -> None:
    found = return_path(target)
    assert found in {target, FIRST}
    # As browsers do: tabs and line breaks vanish, and backslashes count as slashes.
    read = "".join(one for one in found if one not in "\t\r\n").replace("\\", "/")
    assert urlsplit(urljoin("https://console.example/login", read))[:2] == ("https", "console.example")
    assert urlsplit(read).path == urlsplit(found).path


@given(PIECES)
def test_what_is_on_the_list_is_on_it_whatever_way_it_is_read(target: str) -> None:
    if is_page(target):
        assert urlsplit(urljoin("https://console.example/", target)).path == urlsplit(target).path
