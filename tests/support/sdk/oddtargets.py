"""Targets as attackers write them: two names for one thing, or one for two, beside plain ones."""

from typing import Final

from hypothesis import strategies as st

_PLAIN: Final = ["customers", "files", "orgs", "v1", "all", "42", "7", "public", "secret", "export", "a", "b"]
_ODD: Final = [
    *("", ".", "..", "%2e%2e", "%2E", "a%2Fb", "a%2fb", "%2F", "a%5Cb", "a\\b", "%5c..", "..%2F", "%252e%252e", "%25"),
    *("all%0A", "%0A", "42%0a", "%00", "%7f", "%0d%0a", "%E2%80%A8", "%09", "%C2%85", "%20", "all%20", "%A0"),
    *(
        "%23",
        "#",
        "a#b",
        "%3F",
        "%3fall",
        ";p=1",
        "..;",
        "%61ll",
        "%76ip",
        "ALL",
        "042",
        "+7",
        "%2B7",
        "7.0",
        "%ff",
        "%C3%28",
    ),
    *("%C3%A9", "%zz", "%", "*", "@", "a:b", "a-b-c", "-", "http:", "%2e", "x%2541"),
]
_NAMES: Final = [
    "amount",
    "amount",
    "amount",
    "limit",
    "tags",
    "Amount",
    "a%6dount",
    "amount%00",
    "other",
    "",
    "amount[]",
]
_VALUES: Final = [
    *("5", "9000", "9_000", "+9000", "%2B9000", "9e3", "9000.0", "09", "-0", "", "%20", "+5+", "5%20", "true", "True"),
    *(
        "yes",
        "on",
        "1",
        "0",
        "inf",
        "nan",
        "%D9%A5",
        "%ff",
        "5%00",
        "5#",
        "5%23",
        "1#&amount=9000",
        "a",
        "5;amount=9",
        "5%26",
    ),
]

segments: Final = st.one_of(*[st.sampled_from(_PLAIN)] * 3, st.sampled_from(_ODD))
pairs: Final = st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES)).map("=".join)
queries: Final = st.one_of(
    st.just(""),
    st.lists(pairs | st.sampled_from(["amount", "&", ";"]), min_size=1, max_size=3).map(
        lambda pieces: "?" + "&".join(pieces)
    ),
)


def paths_of(templates: list[str]) -> st.SearchStrategy[str]:
    """Return paths that fit a template, with odd parts here and there, and some that fit none."""
    fitting = st.sampled_from(templates).flatmap(
        lambda template: st.tuples(*(_part(piece) for piece in template.removeprefix("/").split("/"))).map(
            lambda pieces: "/" + "/".join(pieces)
        )
    )
    loose = st.lists(segments, min_size=1, max_size=4).map(lambda pieces: "/" + "/".join(pieces))
    before = st.sampled_from(["", "", "", "", "/v1", "/", "http://other.example", "/customers/.."])
    after = st.sampled_from(["", "", "", "", "/", "%0A", "#", "%00", "/.", "?"])
    return st.tuples(before, fitting | fitting | loose, after).map("".join)


def _part(piece: str) -> st.SearchStrategy[str]:
    if "{" not in piece:
        return st.sampled_from(
            [piece, piece, piece, piece, piece, piece + "%0A", "%" + piece.encode()[:1].hex() + piece[1:]]
        )
    if "path" in piece:
        return st.lists(segments, min_size=1, max_size=3).map("/".join)
    return segments


def targets_of(templates: list[str]) -> st.SearchStrategy[bytes]:
    """Return targets of requests for routes with these templates."""
    return st.tuples(paths_of(templates), queries).map(lambda both: "".join(both).encode())
