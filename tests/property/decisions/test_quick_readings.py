"""What is read at once says the same as what is read step by step."""

from hypothesis import example, given, strategies as st

from bailiwick_engine.policy import segments
from bailiwick_engine.policy.overrides import OVERRIDE_HEADERS, has_ambiguous_header, is_ambiguous_header

SIGNS = st.sampled_from([*"abzAZ09-_.:!#$%&'*+^`|~ ", "", "é", "ﬀ", "K", "\x00", "\n"])
NAMES = st.one_of(
    st.sampled_from(["Host", "content-type", "X-Request-ID", "X-Bailiwick-Subject", "x_bailiwick_subject", "X_Other"]),
    st.sampled_from(OVERRIDE_HEADERS).flatmap(
        lambda name: st.sampled_from([name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", ".")])
    ),
    st.lists(SIGNS, max_size=6).map("".join),
)


@given(st.lists(NAMES, max_size=8))
@example([""])
@example(["Host\n"])
@example(["X-HTTP", "-Method"])
def test_headers_looked_at_together_are_ambiguous_where_one_of_them_is(names: list[str]) -> None:
    assert has_ambiguous_header(names) is any(map(is_ambiguous_header, names))


@given(st.from_regex(segments._SIMPLE, fullmatch=True))
def test_a_segment_of_simple_letters_has_one_reading(segment: str) -> None:
    assert segments._defect(segment) is None


@given(st.one_of(st.text(max_size=8), st.lists(SIGNS, max_size=8).map("".join)))
@example("\n")
@example("a\n")
@example("")
def test_a_segment_is_refused_at_once_as_it_is_step_by_step(segment: str) -> None:
    assert segments.segment_defect(segment) == segments._defect(segment)
