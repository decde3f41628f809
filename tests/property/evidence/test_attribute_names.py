"""Whatever an attribute is called, its name in a record leads back to its place."""

from hypothesis import example, given, strategies as st

from bailiwick_evidence.derive.rebuild import spelled_path
from bailiwick_webhook.record.attributes import spelled

ROOTS = st.sampled_from(["subject", "action", "resource", "context", "actors[0]", "actors[12]"])
NAMES = st.text() | st.sampled_from(["a", "a.b", "'", '"', "\\", "']['", "\ud800", "[0]", "ä"])


@example(("context", 'it\'s "odd"'))
@given(st.tuples(ROOTS, st.lists(NAMES, max_size=4)).map(lambda drawn: (drawn[0], *drawn[1])))
def test_a_name_is_read_back_as_it_was_spelled(path: tuple[str, ...]) -> None:
    assert spelled_path(spelled(path)) == path


@given(st.text())
def test_any_other_text_is_a_path_or_none(text: str) -> None:
    assert spelled_path(text) is None or spelled(spelled_path(text) or ()) is not None


@example("context['a'")
@example("context.a b")
@example("context.a[0]")
@example("contexta.b")
@given(st.sampled_from(["", "now", "variables.a", "actors", "actors[x]"]))
def test_what_no_record_spells_is_no_path(text: str) -> None:
    assert spelled_path(text) is None
