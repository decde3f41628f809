"""On a terminal of any width the whole request is read, and no text of others stands where a label stands."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios
import unicodedata
from collections.abc import Iterator, Sequence
from typing import cast

import pytest
from hypothesis import given, settings, strategies
from rich.cells import cell_len

from bailiwick_cli import output
from bailiwick_cli.commands.show import GrantContext, describe, read_context
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.display import Line, legible, legible_escaped
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.reviews import summary
from bailiwick_governance.grants.steps import StepChoice
from support.console.hostiletexts import HostileGrant, hostile_grants, texts, told_of
from support.console.inprocess import TableCluster
from support.console.visibility import meaning, unseen
from support.objects import Object, gated_rule, policy, settings as settings_of
from unit.governance.cases import view

WIDTHS = (24, 40, 80, 200)


def printed(grant: GrantView, columns: int | None = None) -> list[str]:
    out = io.StringIO()
    screen = None if columns is None else os.terminal_size((columns, 24))
    output.write(describe(grant, screen=screen), out)
    return out.getvalue().split("\n")[:-1]


def read(lines: Sequence[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@given(text=texts(400, 1), columns=strategies.integers(8, 120), gutter=strategies.integers(0, 20))
def test_a_line_that_is_folded_fits_and_is_the_same_text(text: str, columns: int, gutter: int) -> None:
    shown = legible(text)
    first, *more = read([*output.fold([(shown, "")], columns, " " * gutter)])
    begin = gutter if gutter <= columns // 2 else columns // 4
    assert all(cell_len(line) <= columns for line in (first, *more))
    assert all(line[:begin].isspace() or not begin for line in more)
    assert first + "".join(line[begin:] for line in more) == shown
    # At the end of a line a space is not seen.
    assert not any(line.endswith(" ") for line in (first, *more))


def test_a_text_is_measured_no_more_often_the_more_lines_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def measure(text: str) -> int:
        measured.append(text)
        return cell_len(text)

    monkeypatch.setattr(output, "cell_len", measure)
    # An ASCII letter is not measured at all.
    assert len([*output.fold([("é" * 10_000, "")], 24, "  ")]) > 400
    assert 10_000 <= len(measured) < 3 * 10_000


@pytest.mark.parametrize("text", ["日本", "e" + "\u0301" * 100, "a日"])
def test_what_is_wider_than_the_terminal_has_a_line_of_its_own(text: str) -> None:
    assert "".join(read([*output.fold([(text, "")], 1, "")])) == text


@settings(max_examples=15)
@given(drawn=hostile_grants(most=3))
def test_no_line_of_a_request_is_wider_than_the_terminal_and_none_is_lost(drawn: HostileGrant) -> None:
    grant = GrantView(drawn.grant, 0.0)
    whole = printed(grant)
    for columns in WIDTHS:
        folded = printed(grant, columns)
        assert max(map(cell_len, folded)) <= columns
        assert [line for line in folded if not line.startswith(" ")] == [
            line for line in begun(whole, columns) if not line.startswith(" ")
        ]
        kept = "".join("".join(folded).split())
        # All but the gutter of the requester's words is there, in the same order.
        assert kept.replace("|", "") == "".join("".join(whole).split()).replace("|", "")


@given(
    cells=strategies.lists(strategies.lists(texts(60, 1), min_size=3, max_size=3), min_size=1, max_size=4),
    columns=strategies.integers(8, 120),
)
def test_each_row_of_a_table_begins_a_line_of_a_terminal_and_no_other_line_begins_so(
    cells: list[list[str]], columns: int
) -> None:
    rows: list[Line] = [
        [(f"r{number}", ""), *((legible(cell), "") for cell in row)] for number, row in enumerate(cells)
    ]

    def printed_rows(screen: os.terminal_size | None) -> list[str]:
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setattr(output, "screen", lambda _: screen)
            output.Table(("A", "B", "C", "D")).add(rows)
        return out.getvalue().split("\n")[:-1]

    folded = printed_rows(os.terminal_size((columns, 24)))
    assert max(map(cell_len, folded)) <= columns
    assert [line[:2].strip() for line in folded if not line[0].isspace()] == ["A", *(row[0][0] for row in rows)]
    assert "".join("".join(folded).split()) == "".join("".join(printed_rows(None)).split())


def begun(lines: Sequence[str], columns: int) -> Iterator[str]:
    """Yield how each line begins at this width; what it goes on in begins with spaces."""
    for line in lines:
        yield read([next(output.fold([(line, "")], columns, " "))])[0]


@settings(max_examples=15)
@given(drawn=hostile_grants(most=3))
def test_each_name_and_value_is_read_to_the_character(drawn: HostileGrant) -> None:
    lines = printed(GrantView(drawn.grant, 0.0))
    begin = lines.index("Call:") + 1
    rows = lines[begin : next(at for at in range(begin, len(lines)) if not lines[at].startswith("  "))]
    said = "\n".join(rows)
    for name, value in drawn.arguments.items():
        shown = [legible_escaped(text) for text in escaped(drawn, name)]
        assert [meaning(text) for text in shown] == [name, value]
        assert f"  {shown[0]}" in said
        assert shown[1] in said
    for line in lines:
        assert [
            found for found in unseen(line.strip(" ").replace("  ", " ")) if found.startswith(("U+", "a pile"))
        ] == []
    every = "\n".join(lines)
    for what, text in told_of(drawn.grant).items():
        assert legible(text) in every, what


def escaped(drawn: HostileGrant, name: str) -> tuple[str, str]:
    """Return an argument as the request holds it."""
    at = [*drawn.arguments].index(name)
    item = drawn.grant["spec"]["request"]["display"][at]
    return item["name"], item["value"]


def test_a_long_name_moves_no_value_and_a_long_value_imitates_no_row() -> None:
    display = [
        {"name": f"args.{'n' * 94}", "value": f"{'x' * 60}Resource:     customer/1"},
        {"name": "args.amount", "value": "9000"},
    ]
    lines = printed(view(display=display), 80)
    assert "  args.amount   9000" in lines
    assert [line for line in lines if line.startswith("Resource:")] == ["Resource:     customer/42"]
    assert any(line.startswith(f"{' ' * 16}{'x' * 60}") for line in lines)


def drawn(line: str) -> int:
    """Return the most columns in which any terminal draws a line: none is known to draw a character in none."""
    marks = [unicodedata.category(letter).startswith("M") for letter in line]
    wide = [unicodedata.east_asian_width(letter) in "AFW" for letter in line]
    return sum(2 if two and not mark else 1 for two, mark in zip(wide, marks, strict=True))


@pytest.mark.parametrize(
    "letter",
    ["\u0903", "\u0bbe", "\U0001f3fb", "\u1161", "\u03a9", "e\u0301", "\u6587"],
    ids=["a mark with room of its own", "another", "a tone of skin", "a vowel", "of either width", "a mark", "wide"],
)
@pytest.mark.parametrize("columns", WIDTHS)
def test_a_text_that_is_drawn_wider_than_others_measure_it_imitates_no_row(letter: str, columns: int) -> None:
    display = [{"name": "args.a", "value": f"x{letter * 300}Resource:     customer/1"}]
    lines = printed(view(display=display), columns)
    assert [line for line in lines if drawn(line) > columns] == []
    assert f"x{letter * 300}Resource" in "".join(line.strip() for line in lines)


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("p\u0430ypal", "letters of several alphabets: Cyrillic, Latin"),
        ("\u05e9 5 9000", "written from right to left, stored as: \\u05e9 5 9000"),
        ("\u0665\u0660", "written from right to left, stored as: \\u0665\\u0660"),
    ],
)
def test_what_reads_as_another_text_is_marked(value: str, warning: str) -> None:
    (line,) = [line for line in printed(view(display=[{"name": "args.a", "value": value}])) if "args.a" in line]
    assert line == f"  args.a   {value} [{warning}]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("", '""'), (" ", "\\u0020"), ("a  b ", "a \\u0020b\\u0020"), ("\u0301a", "\\u0301a"), ("a b", "a b")],
)
def test_spaces_that_cannot_be_counted_are_escaped(value: str, shown: str) -> None:
    assert legible(value) == shown
    assert f"  args.a   {shown}" in printed(view(display=[{"name": "args.a", "value": value}]))


def test_members_of_a_newer_version_are_told_wherever_they_are() -> None:
    grant = view(
        subject={"type": "user", "id": "carol", "tenant": "acme"},
        display=[{"name": "args.a", "value": "1", "unit": "million"}],
        later={"all": True},
    )
    lines = printed(grant)
    assert 'subject.tenant: "acme"' in lines
    assert 'display[0].unit: "million"' in lines
    assert 'later:        {"all": true}' in lines


def test_what_is_agreed_to_is_told_to_the_second() -> None:
    assert "Allows:       1 of 1 use, within 23h59m59s of the approval" in printed(view(windowSeconds=86399))
    assert "Allows:       1 of 1 use, within 10m of the approval" in printed(view(windowSeconds=600))


def test_the_question_names_the_call_so_that_no_text_goes_on_as_a_sentence() -> None:
    grant = view(action={"name": "customers.list on customer/1 by carol"})
    said = summary("carol", StepChoice(grant.steps[0], None), "Approve", grant)
    assert '"customers.list on customer/1 by carol" on customer/42 by system:serviceaccount:agents:crm-agent.' in said


def test_what_cannot_be_read_beside_a_grant_is_said_to_be_unknown() -> None:
    lines = read([*describe(view(), GrantContext(None, "you lack the verb list"))])
    assert "Overlap:      not known: the other grants of the namespace cannot be listed" in lines
    assert "Verified:     not known: you lack the verb list" in lines
    assert "Conditions:   not known: you lack the verb list" in lines


def test_lists_that_do_not_come_keep_nobody_from_reading_a_grant() -> None:
    away = UserError("the API server https://cluster.example does not answer: timed out")
    table = TableCluster(fails=lambda method, path: away if method == "LIST" else None)
    lines = read([*describe(view(), read_context(cast("ClusterClient", table), view()))])
    assert "Overlap:      not known: the other grants of the namespace cannot be listed" in lines
    assert f"Verified:     not known: {away}" in lines


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ({}, "by the tokens of the call, as the endpoint is set now"),
        ({"verification": "Asserted"}, "no: it is only the enforcement point's word (verification: Asserted)"),
    ],
)
def test_who_vouches_for_the_subject_and_what_the_rule_asks_is_told(identity: Object, told: str) -> None:
    rules = [gated_rule(conditions=[{"name": "much", "expression": "context.args.amount > 5"}])]
    stored = policy(
        "crm", rules=rules, endpointSettings={**settings_of(), **({"identity": identity} if identity else {})}
    )
    stored["metadata"]["uid"] = "policy-uid"
    grant = view(display=[{"name": "args.amount", "value": "9000"}])
    lines = read([*describe(grant, GrantContext((), [stored]))])
    assert f"Verified:     {told}" in lines
    assert "Conditions of crm-agent/export: as the rule is now" in lines
    assert "  much                  context.args.amount > 5" in lines
    assert "  context.args.amount   = 9000" in lines


def test_the_settings_of_a_candidate_say_nothing_of_how_a_subject_is_proven() -> None:
    carrier = policy("crm", endpointSettings=settings_of())
    asserting = {**settings_of(), "identity": {"verification": "Asserted"}}
    candidate = policy("crm", "crm-next", mode="Audit", replaces="crm-agent", endpointSettings=asserting)
    second = policy("crm", "crm-second", endpointSettings=asserting)
    for number, one in enumerate((carrier, candidate, second)):
        one["metadata"] |= {"uid": f"uid-{number}", "generation": 1}
    in_force = "by the tokens of the call, as the endpoint is set now"
    none = "not known: the settings of the endpoint are not in one policy"
    for policies, told in (
        ([carrier, candidate], in_force),
        ([candidate], none),
        ([carrier, second], none),
        ([{**carrier, "spec": None}], none),
    ):
        grant = view(rules=[{"policy": "gone", "rule": "export"}])
        assert f"Verified:     {told}" in read([*describe(grant, GrantContext((), policies))])


def test_a_terminal_says_how_wide_it_is_and_a_file_is_none() -> None:
    leader, follower = pty.openpty()
    try:
        with os.fdopen(follower, "w", encoding="utf-8") as terminal:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
            assert output.screen(terminal) == os.terminal_size((40, 10))
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
            assert output.screen(terminal) == os.terminal_size((80, 0))
    finally:
        os.close(leader)
    assert output.screen(io.StringIO()) is None
