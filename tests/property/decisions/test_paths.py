"""Normalisation of paths: what is accepted stays as it is for every reader, and no path is of two resources."""

import posixpath
from urllib.parse import quote, unquote, urlsplit

from hypothesis import example, given, strategies as st

from bailiwick_engine.policy.paths import CanonicalPath, canonical_path

PIECES = st.sampled_from(
    [
        *(
            "a",
            "B",
            "7",
            "-",
            ".",
            "..",
            "~",
            "_",
            "/",
            "//",
            "\\",
            ";",
            "*",
            "?",
            "#",
            "%",
            "%2F",
            "%2f",
            "%2E",
            "%2e",
        ),
        *("%5C", "%00", "%25", "%252F", "%41", "%C3%A9", "%c3%a9", "%FF", "%EF%BC%8F", "e%CC%81", "%20", " ", "+", "&"),
        *("é", "\x00", "\n", "\ufeff", "%E2%80%8B", "@", ":", ",", "%3B", "%40"),
    ]
)
PATHS = st.one_of(
    st.lists(PIECES, max_size=12).map(lambda parts: "/" + "".join(parts)), st.text(max_size=20).map("/{}".format)
)


def written(path: CanonicalPath) -> str:
    """Return a path of these segments, in the spelling of the library that everybody uses."""
    inner = "/".join(quote(segment, safe="!$&'()+,=:@~") for segment in path.segments)
    return f"/{inner}/" if path.slash and path.segments else f"/{inner}"


def accepted(path: str) -> CanonicalPath | None:
    found = canonical_path(path)
    return found if isinstance(found, CanonicalPath) else None


@given(PATHS)
@example("/a%40b")
def test_reading_what_was_read_changes_nothing(path: str) -> None:
    found = accepted(path)
    if found is not None:
        assert accepted(written(found)) == found


@given(PATHS)
def test_every_reader_reads_an_accepted_path_alike(path: str) -> None:
    found = accepted(path)
    if found is None:
        return
    end = "/" if found.slash and found.segments else ""
    plain = "/" + "/".join(found.segments) + end
    # Decoded, then taken apart; or taken apart, then decoded.
    assert unquote(path) == plain
    assert tuple(map(unquote, path.strip("/").split("/"))) == (found.segments or ("",))
    # Decoded once more.
    assert unquote(plain) == plain
    # With dots, doubled slashes and backslashes taken out.
    assert posixpath.normpath(plain) + end == plain if found.segments else plain == "/"
    assert plain.replace("\\", "/") == plain
    # With parameters, query and fragment taken off, and as a URL.
    assert plain.partition(";")[0] == plain
    assert urlsplit(f"http://host{path}").path == path


@given(PATHS, PATHS)
def test_two_readings_are_of_two_paths(one: str, other: str) -> None:
    if one.rstrip("/") == other.rstrip("/"):
        return
    first, second = accepted(one), accepted(other)
    if first is not None and second is not None and first == second:
        # The same resource by two spellings is one resource; never the reverse.
        assert unquote(one) == unquote(other)
