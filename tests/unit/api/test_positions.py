"""YAML with positions: plain data as the API server would see it, or a flaw that says where."""

from typing import Any, Final

import pytest

from bailiwick_api.documents import positions
from bailiwick_api.documents.positions import Document, documents


def one(text: str | bytes) -> Document:
    found = documents(text.encode() if isinstance(text, str) else text)
    assert len(found) == 1, found
    return found[0]


def flaws(text: str | bytes) -> list[tuple[str, int, int, str]]:
    return [(flaw.path, *flaw.place, flaw.message) for found in documents(_raw(text)) for flaw in found.flaws]


def _raw(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


VALUES: Final[dict[str, object]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "False": False,
    "0": 0,
    "-7": -7,
    "9223372036854775807": 2**63 - 1,
    "1.5": 1.5,
    "1e3": 1000.0,
    "2027-03-31": "2027-03-31",
    "2027-03-31T00:00:00Z": "2027-03-31T00:00:00Z",
    "10.0.0.1": "10.0.0.1",
    "sha256:12": "sha256:12",
    "=": "=",
    "'yes'": "yes",
    '"017"': "017",
    '"\\u00e9"': "é",
    "yesterday": "yesterday",
    "v1": "v1",
}
UNCLEAR: Final = (
    *("y", "Y", "n", "yes", "No", "ON", "off", "017", "0o17", "0x1F", "0b1", "1_000", "+5", "1:30", "22:22:22", ".5"),
    *("5.", ".inf", "-.INF", ".NaN", "1e999", "9223372036854775808", "-1000000000000000000000", "9" * 5000),
)


@pytest.mark.parametrize("written", VALUES)
def test_a_scalar_is_what_every_reader_takes_it_for(written: str) -> None:
    found = one(f"a: {written}\n")
    assert (found.data, found.flaws) == ({"a": VALUES[written]}, ())
    assert type(found.data["a"]) is type(VALUES[written])


@pytest.mark.parametrize("written", UNCLEAR, ids=[text[:25] for text in UNCLEAR])
def test_what_readers_take_for_different_things_is_a_flaw_and_nothing(written: str) -> None:
    found = one(f"b: 1\na: {written}\n")
    assert found.data == {"b": 1, "a": None}
    assert [(flaw.path, flaw.place) for flaw in found.flaws] == [("a", (2, 4))]


def test_a_key_that_stands_twice_says_nothing_and_its_second_place_is_told() -> None:
    text = "spec:\n  a: 1\n  b: 2\n  a: 3\n"
    assert one(text).data == {"spec": {"a": None, "b": 2}}
    assert flaws(text) == [("spec.a", 4, 3, "duplicate key")]


def test_a_key_that_stands_thrice_says_nothing_either() -> None:
    assert one("a: 1\na: 2\n'a': 3\n").data == {"a": None}


@pytest.mark.parametrize(
    "text",
    [
        "<<: {a: 1}",
        "? [a]\n: 1",
        "on: 1",
        "1: 2",
        "? {a: 1}\n: 2",
        "&x a: 1",
        "!!str a: 1",
        "{null: 1}",
        "b: &x q\n*x : 1",
    ],
)
def test_a_key_that_cannot_be_read_ends_the_document(text: str) -> None:
    found = one(text)
    assert not found.complete
    assert len(found.flaws) == 1


@pytest.mark.parametrize("tag", ["!!str", "!!python/object:os.system", "!own", "!", "!!binary", "!!timestamp"])
def test_tags_are_not_accepted(tag: str) -> None:
    assert one(f"a: {tag} b\n").data == {"a": None}
    assert [(path, line, column) for path, line, column, _ in flaws(f"a: {tag} b\n")] == [("a", 1, 4)]


def test_an_alias_is_what_its_anchor_is() -> None:
    assert one("a: &x [1, {b: c}]\nd: *x\n").data == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}


@pytest.mark.parametrize(
    ("text", "path"),
    [("a: *x\n", "a"), ("a: &x [*x]\n", "a[0]"), ("a: &x 1\nb: &x 2\n", "b")],
    ids=["unknown", "itself", "twice"],
)
def test_an_alias_of_nothing_is_a_flaw(text: str, path: str) -> None:
    assert [flaw[0] for flaw in flaws(text)] == [path]


def test_aliases_do_not_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    found = one("\n".join(lines))
    assert not found.complete
    assert "aliases expanded" in found.flaws[-1].message


def test_a_long_text_is_not_multiplied_either() -> None:
    found = one(f"a: &a {'x' * 200_000}\nb: [{', '.join(['*a'] * 20)}]\n")
    assert not found.complete


@pytest.mark.parametrize("text", ["[" * 40, "- " * 40 + "a", "{a: " * 40], ids=["flow", "block", "mappings"])
def test_nesting_ends(text: str) -> None:
    assert "nested deeper than" in one(text).flaws[0].message


def test_aliases_do_not_nest_without_end_either() -> None:
    lines = ["a0: &a0 " + "[" * 20 + "]" * 20]
    lines += [f"a{n}: &a{n} " + "[" * 10 + f"*a{n - 1}" + "]" * 10 for n in range(1, 3)]
    assert one("\n".join(lines[:2])).complete
    found = one("\n".join(lines))
    assert not found.complete
    assert "nested deeper than" in found.flaws[0].message


def test_of_many_flaws_the_first_are_told() -> None:
    found = one("a: [" + "yes, " * 1000 + "]\n")
    assert (len(found.flaws), found.complete) == (positions.MAX_FLAWS, False)


def test_many_documents_are_no_file_of_policies() -> None:
    found = one("--- a\n" * 2000)
    assert (found.data, found.complete) == (None, False)


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    found = one(b"a: " + b"x" * positions.MAX_BYTES)
    assert (found.data, found.complete) == (None, False)
    assert "larger than" in found.flaws[0].message


def test_a_stream_may_be_larger_than_each_of_its_documents() -> None:
    large = b"---\na: " + "é".encode() * (positions.MAX_BYTES // 2 - 5) + b"\n"
    first, second = positions.documents(large * 2)
    assert (first.complete, second.complete) == (True, True)
    assert [second.place("a").line, len(second.data["a"])] == [4, positions.MAX_BYTES // 2 - 5]


def test_a_document_that_is_too_large_spoils_none_of_its_neighbours() -> None:
    first, second, third = positions.documents(b"a: 1\n---\na: " + b"x" * positions.MAX_BYTES + b"\n---\na: 3\n")
    assert (first.data, third.data, third.complete) == ({"a": 1}, {"a": 3}, True)
    assert (second.data, second.complete, second.start.line) == (None, False, 2)
    assert second.flaws[0].message == f"the document is larger than {positions.MAX_BYTES} bytes"


def test_a_stream_that_is_too_large_is_not_parsed() -> None:
    found = one(b"a: 1\n" + b"#" * positions.MAX_STREAM_BYTES)
    assert (found.data, found.complete) == (None, False)
    assert found.flaws[0].message == f"the file is larger than {positions.MAX_STREAM_BYTES} bytes"


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"a: 1\nb: \xff\n", (2, 4)),
        (b"\xff\xfea\x00", (1, 1)),
        (b"a: 1\nb: \x00\n", (2, 4)),
        (b'a: "\\UFFFFFFFF"', (1, 1)),
        (b"a: 1\n b: 2\n", (2, 3)),
        (b"a: 'x\n", (2, 1)),
        (b"a: [1\n", (2, 1)),
        (b"\ta: 1\n", (1, 1)),
    ],
    ids=str,
)
def test_what_is_not_yaml_is_told_with_its_place(raw: bytes, place: tuple[int, int]) -> None:
    found = one(raw)
    assert not found.complete
    assert [flaw.place for flaw in found.flaws] == [place]


def test_a_lone_surrogate_is_a_flaw() -> None:
    assert [flaw[0] for flaw in flaws('a: "\\ud800"\n')] == ["a"]


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    text = "# nothing\n---\n---\na: 1\n--- # two\nb: 2\n...\n# end\n---\n"
    assert [found.data for found in documents(text.encode())] == [{"a": 1}, {"b": 2}]
    assert [found.start for found in documents(text.encode())] == [(4, 1), (6, 1)]


def test_a_broken_document_keeps_what_was_before_the_fault_and_spoils_no_neighbour() -> None:
    text = "a: 1\n---\nb: {c: 2}\nd: [\n---\ne: 3\n"
    assert [(found.data, found.complete) for found in documents(text.encode())] == [
        ({"a": 1}, True),
        ({"b": {"c": 2}, "d": []}, False),
        ({"e": 3}, True),
    ]


def test_a_marker_ends_a_document_in_whatever_it_stands() -> None:
    found = documents(b"a: 'x\n--- \nb: 1\n")
    assert [document.complete for document in found] == [False, True]
    assert documents(b"a: |\n  ---\n  x\n")[0].data == {"a": "---\nx\n"}


def test_a_directive_is_refused() -> None:
    assert not documents(b"%YAML 1.1\n---\na: 1\n")[0].complete


def test_a_byte_order_mark_is_no_character() -> None:
    assert one(b"\xef\xbb\xbfa: [1, *x]\n").flaws[0].place == (1, 8)


TEXT: Final = """\
spec:
  rules:
  - name: one
    conditions:
    - name: first
      expression: |
        a &&
          b == c

        || d
    - name: second
      expression: >-
        a
        b

        c
          d
    - {name: third, expression: "x\\n\\u00e9\\
          y"}
    - {name: fourth, expression: 'it''s
          it'}
    - name: fifth
      expression: plain
        text
    - name: sixth
      expression: &kept |2
          indented
    - name: seventh
      expression: *kept
"""
INSIDE: Final[list[tuple[int, int, int, tuple[int, int]]]] = [
    (0, 1, 1, (7, 9)),
    (0, 2, 3, (8, 11)),
    (0, 3, 1, (9, 1)),
    (0, 4, 4, (10, 12)),
    (0, 4, 5, (10, 13)),
    (1, 1, 1, (13, 9)),
    (1, 1, 3, (14, 9)),
    (1, 2, 1, (16, 9)),
    (1, 3, 3, (17, 11)),
    (2, 1, 1, (18, 34)),
    (2, 2, 1, (18, 37)),
    (2, 2, 2, (19, 11)),
    (3, 1, 3, (20, 37)),
    (3, 1, 4, (20, 39)),
    (3, 1, 6, (21, 11)),
    (4, 1, 7, (24, 9)),
    (5, 1, 3, (27, 11)),
    (0, 1, 99, (6, 19)),
    (0, 99, 1, (6, 19)),
    (0, 0, 0, (6, 19)),
    (6, 1, 3, (29, 19)),
]


@pytest.mark.parametrize(("condition", "line", "column", "place"), INSIDE)
def test_a_place_inside_an_expression_is_its_place_in_the_file(
    condition: int, line: int, column: int, place: tuple[int, int]
) -> None:
    path = f"spec.rules[0].conditions[{condition}].expression"
    assert one(TEXT).place(path, line, column) == place


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_line_endings_change_nothing(ending: str) -> None:
    found = one("a:\n  b: |\n    x\n    y z\n".replace("\n", ending))
    assert found.place("a.b", 2, 3) == (4, 7)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("spec.rules[0].name", (3, 11)),
        ("spec.rules", (2, 3)),
        ("spec.rules[0]", (3, 5)),
        ("spec.rules[0].conditions[2]", (18, 7)),
        ("spec.rules[0].approval.steps", (3, 5)),
        ("spec.rules[7].name", (2, 3)),
        ("metadata.name", (1, 1)),
        ("", (1, 1)),
    ],
)
def test_what_is_not_there_stands_where_it_would_be(path: str, place: tuple[int, int]) -> None:
    assert one(TEXT).place(path) == place


def test_a_name_of_many_dots_has_a_place_too() -> None:
    found = one("labels:\n  a.b/c: [1, 2]\n")
    assert found.place("labels.a.b/c[1]") == (2, 14)


def test_plain_data_is_json() -> None:
    data: Any = one("a: [1, {b: true, c: ~}]\n").data
    assert data == {"a": [1, {"b": True, "c": None}]}
