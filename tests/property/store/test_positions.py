"""YAML with positions, over any text: nothing raises, JSON is YAML, and places are those of the characters."""

import json
from typing import Any, Final

import yaml
from hypothesis import assume, given, strategies as st

from bailiwick_api.documents.positions import Document, documents

PRINTABLE: Final = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
LINES: Final = st.lists(st.one_of(PRINTABLE, st.sampled_from(["", "  x", "é😀", " "])), max_size=5).map("\n".join)
SPEC: Final = st.text(st.sampled_from(list("ab:-[]{}#&*!|>'\"%@`,? \n\t\\u\r.\x85\u2028é")), max_size=40)
SCALARS: Final = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), LINES)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(PRINTABLE, inner, max_size=3)),
    max_leaves=8,
)


def only(raw: bytes) -> Document:
    (found,) = documents(raw)
    return found


@given(st.one_of(st.binary(max_size=60), SPEC.map(str.encode)))
def test_nothing_raises_and_every_flaw_has_a_place(raw: bytes) -> None:
    for found in documents(raw):
        assert found.complete or found.flaws
        for flaw in found.flaws:
            assert flaw.place >= (1, 1)
            assert flaw.message
        json.dumps(found.data, allow_nan=False)


@given(SPEC)
def test_what_has_no_flaw_is_what_another_reader_reads(text: str) -> None:
    found = documents(text.encode())
    assume(all(document.complete and not document.flaws for document in found))
    # As text: the two differ in what a plain scalar means, where ours is not refused.
    others = [other for other in yaml.load_all(text, Loader=yaml.BaseLoader) if other not in ("", None)]
    assert len([document for document in found if document.data != ""]) == len(others)
    for document, other in zip((document for document in found if document.data != ""), others, strict=True):
        assert _shape(document.data) == _shape(other)


def _shape(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return value if isinstance(value, str) and value not in {"", "~"} else "scalar"


@given(st.dictionaries(PRINTABLE, VALUES, min_size=1, max_size=3))
def test_json_is_read_as_json(value: dict[str, Any]) -> None:
    found = only(json.dumps(value, ensure_ascii=False).encode())
    assert (found.data, found.flaws) == (value, ())


@given(LINES, st.sampled_from([None, "'", '"', "|", ">"]), st.integers(20, 100), st.booleans())
def test_a_place_is_that_of_the_character(text: str, style: str | None, width: int, deep: bool) -> None:
    data = {"a": [{"b": text}]} if deep else {"b": text}
    path = "a[0].b" if deep else "b"
    dumped = yaml.dump(_StyledText.tree(data, style), Dumper=_Dumper, width=width, allow_unicode=True)
    found = only(dumped.encode())
    assume(not found.flaws)
    assert found.data == data
    file = dumped.split("\n")
    start = found.place(path)
    exact = 0
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            place = found.place(path, number, column)
            there = file[place.line - 1][place.column - 1 :][:1]
            exact += place != start
            # Escapes are told at their first character; a folded blank at the break.
            assert there in {character, "\\", "", " "} or place == start
            assert there == character or not character.isalnum() or there == "\\" or place == start
    if len(text.replace("\n", "").strip()) > 1:
        assert exact, dumped


class _StyledText(str):
    __slots__ = ("style",)
    style: str | None

    @classmethod
    def tree(cls, value: Any, style: str | None) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return {key: cls.tree(inner, style) for key, inner in value.items()}
        if isinstance(value, list):
            return [cls.tree(inner, style) for inner in value]
        styled = cls(value)
        styled.style = style
        return styled


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _StyledText, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=data.style)
)
