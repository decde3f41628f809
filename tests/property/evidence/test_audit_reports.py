"""Laws of `audit report`: its verdict is that of `audit verify`, also where shards are added up; no text of a record is
markup, every decision is counted once, and memory stays within bounds.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st
from lxml import html  # type: ignore[import-untyped]  # the library has no types
from markdown_it import MarkdownIt

from bailiwick_cli.auditreport.document import document
from bailiwick_cli.auditreport.figures.linenumbers import LineNumbers
from bailiwick_cli.auditreport.figures.periodtally import OUTCOMES
from bailiwick_cli.auditreport.figures.reportedcall import cut
from bailiwick_cli.auditreport.figures.toprows import TopRows
from bailiwick_cli.auditreport.markdown import markdown
from bailiwick_cli.auditreport.page import page
from bailiwick_cli.auditreport.report import AuditReport
from bailiwick_cli.commands.audit import report, verify
from bailiwick_cli.options import LogOutput
from bailiwick_cli.verbs.auditverbs import AuditReportFlags, AuditReportOutput, VerifyFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import quote
from bailiwick_governance.markdown import plain, table
from support.console.hostiletexts import texts
from support.console.markup import Markup
from support.evidence.auditreports import HOUR, report_of
from support.evidence.forgery.games import game
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog
from support.evidence.shardruns import command, merged, shards_of

HARMLESS: Final = "harmless"
MARKUP: Final = st.sampled_from(
    (
        "<script>alert(1)</script>",
        '"><img src=http://attacker.test/x onerror=alert(1)>',
        "</title></style><svg onload=alert(1)>",
        "<!--",
        "]]>",
        "&#x202e;&lt;b&gt;",
        "![x](http://attacker.test/x.png)",
        "[x](javascript:alert(1))",
        "**a** _b_ ~~c~~ `d`",
        "|",
        "\\|",
        "\\",
        "\n# x\n",
        "\u202e\u2066\x1b[2J\x00",
        "a</td></tr></table><form action=http://attacker.test>",
    )
)
TEXTS: Final = st.one_of(MARKUP, texts(120), st.lists(st.one_of(MARKUP, texts(30)), max_size=4).map("".join))
MEMBERS: Final = (
    *("subject", "actor", "action", "type", "id", "endpoint", "policy", "rule", "reason", "grant", "uid", "reviewer"),
    *("step", "decision", "phase", "pod", "installation", "lost"),
)
SHOWN: Final = ("subject", "actor", "action", "type", "endpoint", "reason", "reviewer", "step", "phase", "installation")


def logs_with(words: dict[str, str]) -> list[ProcessLog]:
    """Return logs that have these texts wherever a report shows a text."""
    log = ProcessLog(2)
    reviews = [{"reviewer": words["reviewer"], "step": words["step"]}]
    call: dict[str, Any] = {
        "evaluation_id": "e",
        "decision": True,
        "reason": words["reason"],
        "endpoint": words["endpoint"],
        "subject": {"id": words["subject"]},
        "actors": [{"id": words["actor"]}],
        "action": words["action"],
        "resource": {"type": words["type"], "id": words["id"]},
        "policy": {"name": words["policy"], "rule": words["rule"]},
    }
    log.add(**call, grant=None)
    log.add(**call, grant={"name": words["grant"], "uid": words["uid"], "reviews": reviews})
    log.add(**call | {"decision": False}, grant=None)
    odd = ProcessLog(3)
    odd.lines.clear()
    odd.writer = type(odd.writer)(odd.id)
    odd.add(kind="open", installation=words["installation"], pod={"name": words["pod"]}, component="operator")
    grant = {"namespace": "crm", "name": words["grant"], "uid": words["uid"], "phase": words["phase"]}
    judged = [one | {"decision": words["decision"]} for one in reviews]
    about = {"subject": words["subject"], "action": words["action"], "counted": [], "reviews": judged}
    odd.add(kind="grant", **grant, **about, resource={"type": words["type"], "id": words["id"]})
    odd.add(kind="checkpoint", chain=words["lost"][:60], note="", lost=2)
    return [log, odd]


def report_with(words: dict[str, str]) -> AuditReport:
    return report_of([b"".join(log.lines) for log in logs_with(words)])


def skeleton(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return elements and the names of their attributes, as a parser of HTML reads them."""
    return [(str(one.tag), tuple(sorted(one.attrib))) for one in html.document_fromstring(text).iter()]


@settings(deadline=None, max_examples=60)
@given(words=st.fixed_dictionaries(dict.fromkeys(MEMBERS, TEXTS)))
def test_a_page_of_hostile_texts_has_the_elements_of_a_page_of_harmless_ones(words: dict[str, str]) -> None:
    one = page(report_with(words))
    assert one.isascii()
    assert skeleton(one) == skeleton(page(report_with({name: f"{HARMLESS}-{name}" for name in MEMBERS})))
    assert Markup(one).scripts == []
    text = "".join(html.document_fromstring(one).itertext())
    assert [name for name in SHOWN if quote(cut(words[name])) not in text] == []


@settings(deadline=None, max_examples=60)
@given(words=st.fixed_dictionaries(dict.fromkeys(MEMBERS, TEXTS)))
def test_markdown_of_hostile_texts_has_the_marks_of_markdown_of_harmless_ones(words: dict[str, str]) -> None:
    def marks(text: str) -> list[str]:
        parser = MarkdownIt("commonmark").enable("table").enable("strikethrough")
        return [
            inner.type
            for token in parser.parse(text)
            for inner in (token.children if token.children is not None else [token])
            if inner.type != "text"
        ]

    harmless = markdown(report_with({name: f"{HARMLESS}-{name}" for name in MEMBERS}))
    assert marks(markdown(report_with(words))) == marks(harmless)


@given(text=TEXTS)
def test_a_cell_of_markdown_reads_as_its_text(text: str) -> None:
    shown = visible(text)
    rows = MarkdownIt("commonmark").enable("table").enable("strikethrough").parse("\n".join(table(["x"], [[shown]])))
    (cell,) = [one for one in rows if one.type == "inline"][1:]
    assert [one.type for one in cell.children or ()] in ([], ["text"])
    assert cell.children is not None
    assert "".join(one.content for one in cell.children) == shown.replace("`", "'").strip(" ")
    assert "`" not in plain(text)


@settings(deadline=None, max_examples=60)
@given(words=st.fixed_dictionaries(dict.fromkeys(MEMBERS, TEXTS)))
def test_json_is_ascii_and_has_the_texts_as_they_came(words: dict[str, str]) -> None:
    text = document(report_with(words))
    assert text.isascii()
    (row,) = json.loads(text)["rules"]["rows"]
    assert row["action"] == words["action"] or len(words["action"]) > 160


DECISIONS: Final = st.lists(
    st.tuples(
        st.integers(-10, 3610),
        st.sampled_from((True, False, None, "x")),
        st.sampled_from(("allowed", "no_rule", "approval_required", "of the future")),
        st.sampled_from((None, {"name": "g"})),
        st.booleans(),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(drawn=DECISIONS)
def test_each_decision_is_in_one_figure(drawn: list[tuple[int, object, str, object, bool]]) -> None:
    log = ProcessLog(2)
    for second, decision, reason, grant, dry in drawn:
        log.add(now=BEGAN + second, decision=decision, reason=reason, grant=grant, dry_run=dry)
    tally = report_of([b"".join(log.lines)], [log.checkpoint()]).tally
    inside = [one for one in drawn if HOUR.has(BEGAN + one[0])]
    left = tally.left_out
    assert left.before + left.after == len(drawn) - len(inside)
    assert left.dry_runs == sum(one[4] for one in inside)
    counted = [one for one in inside if not one[4]]
    assert tally.decisions == sum(tally.total(outcome) for outcome in OUTCOMES) == len(counted)
    allowed = [one for one in counted if one[1] is True]
    assert (tally.uses.total, tally.rules.total) == (
        sum(one[3] is not None for one in allowed),
        sum(one[3] is None for one in allowed),
    )
    assert tally.refusals.total == tally.reasons.total == len(counted) - len(allowed)


@given(
    numbers=st.lists(st.integers(0, 10) | st.integers(8_185, 8_200) | st.integers(0, 10**16), max_size=40),
    first=st.integers(0, 10) | st.integers(8_185, 8_200) | st.integers(0, 10**16),
)
def test_numbers_of_lines_are_counted_as_a_set_counts_them(numbers: list[int], first: int) -> None:
    held = LineNumbers()
    for number in numbers:
        held.add(number)
    assert held.count_from(first) == sum(number >= first for number in {*numbers})


@given(keys=st.lists(st.integers(0, 30), max_size=300), most=st.integers(1, 8), shown=st.integers(1, 8))
def test_top_rows_stay_within_bounds_and_say_what_they_do_not_know(keys: list[int], most: int, shown: int) -> None:
    rows: TopRows[tuple[int]] = TopRows(most)
    for moment, key in enumerate(keys):
        rows.add((key,), float(moment))
        assert len(list(rows.rows())) <= 2 * most
    counts = Counter(keys)
    top = rows.top(shown)
    assert rows.total == len(keys) == sum(row.count for row in top.rows) + top.more_counted
    for row in rows.rows():
        (key,) = row.key
        assert row.count <= counts[key]
        assert row.count == counts[key] or row.partial
    kept = {row.key[0] for row in rows.rows()}
    dropped = len(keys) - sum(row.count for row in rows.rows())
    assert all(key in kept for key, count in counts.items() if count > dropped)
    assert top.dropped or (kept == set(counts) and top.more == max(0, len(counts) - shown))


@pytest.mark.parametrize("captive", [False, True], ids=["all files", "a decision point's key"])
@pytest.mark.parametrize("seed", range(20))
def test_a_report_says_of_a_forged_log_what_verify_and_the_sum_of_its_shards_say(
    seed: int, captive: bool, tmp_path: Path
) -> None:
    played = game(seed, captive=captive)
    names = []
    for number, content in enumerate(played.files):
        (tmp_path / f"{number}.log").write_bytes(content)
        names.append(str(tmp_path / f"{number}.log"))
    (tmp_path / "notes").write_text("\n".join(played.forger.notes), encoding="utf-8")
    flags: dict[str, Any] = {
        "files": names,
        "checkpoints": [str(tmp_path / "notes")] if played.forger.notes else None,
        "witness_key": [str(WITNESS_KEY)],
        "policies": "ledger" if seed % 2 else None,
    }
    run = command(verify.run, VerifyFlags, **flags)
    alone = run(output=LogOutput.JSON)
    period: dict[str, Any] = {"begin": "2023-11-14", "end": "2023-11-15", "output": AuditReportOutput.JSON}
    ran = command(report.run, AuditReportFlags, **flags, **period)()
    assert ran.code == alone.code
    if alone.code == 2:
        assert ran.out == alone.out
        return
    of_kind = {"apiVersion": "cli.bailiwick.dev/v1alpha1", "kind": "LogAudit"}
    found = json.loads(ran.out)
    assert of_kind | found["audit"] == json.loads(alone.out)
    assert (found["verdict"] == "changed") == (ran.code == 1)
    assert merged(shards_of(run, 3, tmp_path), "json") == alone
