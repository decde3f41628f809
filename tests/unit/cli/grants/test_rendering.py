"""Nothing that somebody else wrote can play tricks on the terminal of whoever approves it."""

import io
import json
import re
from typing import Any

import pytest
import yaml

from bailiwick_cli import output
from bailiwick_cli.commands.show import describe
from bailiwick_cli.options import Output
from bailiwick_cli.output import Table, document
from bailiwick_governance.display import show_escaped
from bailiwick_governance.grants import grantfacts
from bailiwick_governance.grants.grantfacts import FactRows
from bailiwick_governance.grants.grantrows import row
from unit.governance.cases import DIGEST, at, review, stored, view

# A terminal's escape, a bidi override, a zero-width space, a line break, what rich would take for markup.
NASTY = "a\x1b[2J\u202eb\u200bc\n[red]d[/red] :smile: \\"
SHOWN = "a\\u001b[2J\\u202eb\\u200bc\\n[red]d[/red] :smile: \\\\"


def shown(**fields: Any) -> str:  # noqa: ANN401 - as `stored`
    out = io.StringIO()
    output.write(describe(view(**fields)), out)
    return out.getvalue()


def test_the_requesters_words_are_escaped_and_stand_last_and_apart() -> None:
    text = shown(reason=NASTY)
    assert text.endswith(f"The requester's own words (unverified):\n  | {SHOWN}\n")


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": {"type": "user", "id": NASTY}},
        {"action": {"name": NASTY}},
        {"resource": {"type": "customer", "id": NASTY}},
        {"resource": {"type": "customer", "id": "1", "properties": {"env": NASTY}}},
        {"intent": NASTY},
        {"actors": [{"id": NASTY, "issuer": "corp"}]},
        {"requester": NASTY},
        {"excludedReviewers": [NASTY]},
        {"revocation": {"by": "carol", "reason": NASTY}},
        {"unheard": {"of": NASTY}},
    ],
    ids=lambda fields: "-".join([*fields, *(fields.get("resource") or ())]),
)
def test_every_text_is_escaped(fields: dict[str, Any]) -> None:
    text = shown(**fields)
    assert "[red]d[/red] :smile:" in text
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\u202e" not in text


def test_what_bailiwick_says_of_a_grant_is_shown() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "Unresolved", "message": f"no such account {NASTY}"}
    text = shown(status={"conditions": [condition], "resolved": {"subjectUID": "u-1", "rules": []}})
    assert f"Ready:        False, no such account {SHOWN}\n" in text
    assert "uid u-1" in text


def test_a_reviewers_reason_is_escaped() -> None:
    out = io.StringIO()
    output.write(describe(view(review("dave", reason=NASTY))), out)
    assert f"dave Approve crm-agent.export.owner: {SHOWN}" in out.getvalue()


def test_a_review_that_counts_has_the_time_when_it_was_counted() -> None:
    out = io.StringIO()
    status = {"counted": [{"reviewer": "dave", "time": at(-30)}, {"reviewer": "erin"}]}
    output.write(describe(view(review("dave", reason="agreed"), review("erin"), status=status)), out)
    lines = out.getvalue().splitlines()
    assert f"  dave Approve crm-agent.export.owner, counted {at(-30)}: agreed" in lines
    assert "  erin Approve crm-agent.export.owner" in lines


def test_what_the_decision_point_escaped_is_not_escaped_again() -> None:
    # As the decision point renders a value, and as somebody else would write it.
    assert show_escaped("C:\\\\temp \\u202e") == "C:\\\\temp \\u202e"
    assert show_escaped("\u202e") == "\\u202e"
    text = shown(display=[{"name": "args.path", "value": "C:\\\\temp"}, {"name": "args.x", "value": "[b]\x1b"}])
    assert "  args.path   C:\\\\temp\n  args.x      [b]\\u001b\n" in text


def test_nothing_is_cut_or_wrapped() -> None:
    value = "x" * 1024
    assert f"args.long   {value}\n" in shown(display=[{"name": "args.long", "value": value}])


def test_a_scope_and_a_call_without_arguments_say_what_is_not_shown() -> None:
    assert "any call in this scope, with any arguments" in shown(binding={"mode": "Scope"}, display=None)
    assert "Arguments:    not shown" in shown(display=None)


CALLS: dict[str, tuple[list[str] | None, list[dict[str, str]] | None, list[str]]] = {
    "neither arguments nor anything else": ([], None, ["none"]),
    "no arguments but another member": (["tenant"], [{"name": "context.tenant", "value": "t"}], ["none"]),
    "no arguments, in a display that is empty": ([], [], ["none"]),
    "arguments that are shown": (["args_digest"], [{"name": "args.a", "value": "1"}], []),
    "arguments that are empty": (["args_digest"], [{"name": "args", "value": "{}"}], []),
    "arguments that nobody sees": (["args_digest"], [{"name": "args", "value": "not shown"}], []),
    "arguments that the policy does not show": (["args_digest"], [], ["not shown"]),
    "an older grant, of which nobody can tell": (None, None, ["not shown"]),
}


@pytest.mark.parametrize(("members", "display", "told"), CALLS.values(), ids=CALLS)
def test_a_call_without_arguments_is_not_one_whose_arguments_are_hidden(
    members: list[str] | None, display: list[dict[str, str]] | None, told: list[str]
) -> None:
    binding = {"mode": "Exact", "digest": DIGEST} | ({} if members is None else {"members": members})
    text = shown(binding=binding, display=display)
    assert re.findall(r"^Arguments: +(.*)$", text, re.MULTILINE) == told


def test_marks_do_not_pile_up_and_what_is_escaped_once_stays_as_it_is() -> None:
    piled = "e" + "\u0301" * 40
    once = show_escaped(piled)
    assert once == "e\u0301\u0301" + "\\u0301" * 38
    assert show_escaped(once) == once


HIDING: dict[str, tuple[list[str], list[dict[str, str]], bool]] = {
    "all that there is": (["args_digest"], [{"name": "args.a", "value": "1"}], False),
    "nothing, of nothing": ([], [], False),
    "an intent, which has its own place": (["intent"], [], False),
    "what a pointer finds": (["args_digest"], [{"name": "/context/args/amount", "value": "1"}], True),
    "nothing that a pointer finds": (["args_digest"], [{"name": "absent", "value": "/context/args/amount"}], True),
    "a digest": (["args_digest"], [{"name": "args", "value": "not shown"}], True),
    "nothing of the arguments": (["args_digest"], [], True),
    "nothing of another member": (["tenant"], [], True),
}


@pytest.mark.parametrize(("members", "display", "hidden"), HIDING.values(), ids=HIDING)
def test_what_is_bound_and_not_shown_is_said_to_be(
    members: list[str], display: list[dict[str, str]], hidden: bool
) -> None:
    text = shown(binding={"mode": "Exact", "digest": DIGEST, "members": members}, display=display)
    assert ("An approval covers the rest of it, unseen" in text) == hidden
    assert f"of the context {', '.join(members) or 'nothing'}\n" in text


def test_arguments_that_nobody_sees_look_unlike_a_value() -> None:
    told = list(grantfacts.arguments(view(display=[{"name": "args", "value": "not shown"}])))
    rows = [one.rows for one in told if isinstance(one, FactRows)]
    assert rows == [([("args", ""), ("not shown", "yellow")],)]


def test_a_table_is_one_line_for_each_grant_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table([f"C{index}" for index in range(14)])
    table.add([row(view(reason=NASTY, resource={"type": "customer", "id": NASTY}), wide=True)])
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == [f"C{index}" for index in range(14)]
    assert f"customer/{SHOWN}" in line
    assert line.endswith(SHOWN)


def test_columns_fit_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(["A", "B"])
    table.add([[("日本", ""), ("x", "")], [("ab", ""), ("y", "")]])
    assert capsys.readouterr().out == "A      B\n日本   x\nab     y\n"


@pytest.mark.parametrize(("kind", "load"), [(Output.JSON, json.loads), (Output.YAML, yaml.safe_load)])
def test_objects_are_written_in_ascii(kind: Output, load: Any) -> None:  # noqa: ANN401 - either's
    raw = stored(reason=NASTY)
    text = document(raw, kind)
    assert text.isascii()
    assert "\x1b" not in text
    assert load(text) == raw


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def printed() -> str:
        out = Terminal()
        output.write([[("Active", "green")]], out)
        return out.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert printed() == "\x1b[32mActive\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed() == "Active\n"
    assert "\x1b" not in shown(status={"phase": "Active"})
