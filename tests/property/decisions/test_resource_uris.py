"""URIs of MCP resources: an accepted one is the only accepted spelling of what any reader takes it for.

The readers are those of others: pydantic's `AnyUrl` (WHATWG), and the standard library's decoding.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import example, given, settings, strategies as st
from pydantic import AnyUrl, ValidationError

from bailiwick.mcp import resourceuri as copied
from bailiwick_engine.policy import resourceuri
from support.mcp.spellings import drawn_spellings, written_spellings

BASES: Final = (
    "crm://customers/vip",
    "https://crm.example.com/customers/vip",
    "https://crm.example.com:8443/a/b",
    "http://127.0.0.1/a",
    "http://[::1]/a",
    "file:///srv/reports/q1.txt",
    "ws://a/b/c",
    "urn:isbn:0451450523",
    "weather://new%20york/current",
    "crm://customers/caf%C3%A9",
    "mail://x/bob@example.com",
)
Defect = Callable[..., str | None]
BOTH: Final = pytest.mark.parametrize("defect", [resourceuri.uri_defect, copied.uri_defect], ids=["engine", "SDK"])


def spelling_pairs() -> st.SearchStrategy[tuple[str, str]]:
    return st.sampled_from(BASES).flatmap(lambda base: st.tuples(st.just(base), drawn_spellings(base)))


def as_any_url(uri: str) -> str | None:
    try:
        return str(AnyUrl(uri))
    except ValidationError:
        return None


@BOTH
@pytest.mark.parametrize("uri", BASES)
def test_a_plain_uri_is_accepted_as_it_is(defect: Defect, uri: str) -> None:
    assert defect(uri) is None
    assert as_any_url(uri) == uri


@BOTH
@settings(deadline=None)
@given(pair=spelling_pairs())
@example(pair=("http://127.0.0.1/a", "http://2130706433/a"))
@example(pair=("http://127.0.0.1/a", "http://127.1/a"))
@example(pair=("http://127.0.0.1/a", "http://0x7f.1/a"))
@example(pair=("http://[::1]/a", "http://[0:0:0:0:0:0:0:1]/a"))
@example(pair=("https://crm.example.com/customers/vip", "https://crm.example.com:443/customers/vip"))
@example(pair=("file:///srv/reports/q1.txt", "file://localhost/srv/reports/q1.txt"))
@example(pair=("urn:isbn:0451450523", "urn:ISBN:0451450523"))
def test_no_reader_takes_two_accepted_uris_for_one(defect: Defect, pair: tuple[str, str]) -> None:
    plain, spelled = pair
    if spelled == plain or defect(spelled) is not None:
        return
    assert unquote(spelled) != unquote(plain)
    assert as_any_url(spelled) != as_any_url(plain)


@BOTH
@settings(deadline=None)
@given(pair=spelling_pairs())
@example(pair=("file:///srv/reports/q1.txt", "file://0/srv/reports/q1.txt"))
def test_an_accepted_uri_stays_as_it_is_whoever_reads_it(defect: Defect, pair: tuple[str, str]) -> None:
    spelled = pair[1]
    if defect(spelled) is not None:
        return
    assert as_any_url(spelled) in {spelled, None}
    for segment in spelled.split("/")[3:]:
        assert quote(unquote(segment), safe=":@!$&'()+,=~") == segment
    # Decoded twice is decoded once.
    assert unquote(unquote(spelled)) == unquote(spelled)
    assert "+" in spelled or unquote_plus(spelled) == unquote(spelled)


@settings(deadline=None)
@given(pair=spelling_pairs(), query=st.booleans())
def test_the_copy_says_what_its_source_says(pair: tuple[str, str], *, query: bool) -> None:
    for uri in pair:
        assert copied.uri_defect(uri, query=query) == resourceuri.uri_defect(uri, query=query)
        assert copied.is_one_uri(pair[0], uri) == resourceuri.is_one_uri(pair[0], uri)


@BOTH
@pytest.mark.parametrize("base", BASES[:2])
def test_what_only_a_known_server_may_read_is_refused(defect: Defect, base: str) -> None:
    queries = [one for one in written_spellings(base) if "?" in one or "#" in one]
    assert queries
    assert all(defect(one) is not None for one in queries)
    assert any(defect(one, query=True) is None for one in queries)


@pytest.mark.parametrize(
    ("sent", "resolved", "same"),
    [
        ("crm://c/vip", "crm://c/vip", True),
        ("crm://c/a@b", "crm://c/a%40b", True),
        ("crm://c/vip?view=short", "crm://c/vip?view=short", True),
        ("crm://c/vip?view=a,b", "crm://c/vip?view=a%2Cb", False),
        ("crm://c/vip?x=1", "crm://c/vip", False),
        ("crm://c/vip", "crm://c/vip?view=", False),
        ("crm://c/a%20b", "crm://c/a%20b", True),
        ("crm://c/a%20b", "crm://c/a b", False),
    ],
)
def test_what_a_server_resolved_is_compared_whole(sent: str, resolved: str, *, same: bool) -> None:
    assert resourceuri.is_one_uri(sent, resolved) is same
