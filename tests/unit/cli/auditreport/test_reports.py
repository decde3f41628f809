"""What a report says of a log: who did what by which approval, what it left out, and never more than was witnessed."""

import json
from typing import Any, Final

import pytest

from bailiwick_cli.auditreport.document import document
from bailiwick_cli.auditreport.figures.period import ReportPeriod
from bailiwick_cli.auditreport.logsections import findings_section
from bailiwick_cli.auditreport.markdown import markdown
from bailiwick_cli.auditreport.page import page
from bailiwick_cli.auditreport.report import ReportVerdict
from bailiwick_cli.auditreport.sections import head_of
from support.evidence.auditreports import report_of
from support.evidence.logs import BEGAN, ProcessLog, written

CALL: Final[dict[str, Any]] = {
    "evaluation_id": "e",
    "decision": True,
    "reason": "allowed",
    "endpoint": "crm/crm-api",
    "subject": {"type": "service_account", "id": "crm-agent"},
    "actors": [{"id": "copilot"}],
    "action": "customers.export",
    "resource": {"type": "customer", "id": "42"},
    "policy": {"name": "crm", "rule": "export"},
    "grant": None,
}
GRANT: Final[dict[str, Any]] = {
    "name": "agr-1",
    "uid": "u-1",
    "reviews": [{"reviewer": "carol", "step": "owner", "time": "2023-11-14T22:13:20Z"}],
}
ENDED: Final[dict[str, Any]] = {
    "namespace": "crm",
    "name": "agr-2",
    "uid": "u-2",
    "phase": "Denied",
    "ended": "2023-11-14T22:13:25Z",
    "subject": "crm-agent",
    "action": "customers.delete",
    "resource": {"type": "customer", "id": "7"},
    "counted": ["carol"],
    "reviews": [
        {"reviewer": "carol", "step": "owner", "decision": "Deny"},
        {"reviewer": "mallory", "step": "owner", "decision": "Approve"},
    ],
}


def one_log(*records: dict[str, Any]) -> ProcessLog:
    log = ProcessLog(2)
    for record in records:
        log.add(**record)
    return log.close()


def test_a_call_by_an_approval_names_who_what_rule_and_reviewer() -> None:
    log = one_log(CALL | {"grant": GRANT}, CALL)
    report = report_of([b"".join(log.lines)], [log.checkpoint()])
    (row,) = report.tally.uses.top(9).rows
    assert row.key.approval == "crm/agr-1"
    assert row.key.parties == ("crm-agent", "copilot")
    assert (row.key.action, row.key.resource, row.key.rule) == ("customers.export", "customer/42", "crm/export")
    assert [review.reviewer for review in row.key.reviews.listed] == ["carol"]
    (rule,) = report.tally.rules.top(9).rows
    assert (rule.count, rule.key.kind) == (1, "customer")
    assert "crm-agent through copilot" in markdown(report)


def test_who_reviewed_counts_a_review_once_and_one_that_did_not_count_never() -> None:
    log, ledger = one_log(CALL | {"grant": GRANT}, CALL | {"grant": GRANT}), ProcessLog(4, component="operator")
    for _ in range(2):
        ledger.add(kind="grant", **ENDED)
        ledger.add(kind="grant", **ENDED | {"name": "agr-1", "uid": "u-1", "phase": "Consumed", "reviews": []})
    report = report_of([b"".join(log.lines), b"".join(ledger.lines)], [log.checkpoint(), ledger.checkpoint()])
    assert [(one.reviewer, one.approved, one.denied, one.approvals) for one in report.reviewers] == [("carol", 1, 1, 2)]
    assert report.phases == {"Denied": 1, "Consumed": 1}


@pytest.mark.parametrize(("reviews", "more"), [(20, 0), (23, 3)], ids=["as many as there can be", "more"])
def test_all_reviewers_of_an_approval_are_named_and_those_of_a_forged_line_are_counted(reviews: int, more: int) -> None:
    people = [f"person-{number:02}" for number in range(reviews)]
    given = [{"reviewer": person, "step": "owner", "decision": "Approve"} for person in people]
    log, ledger = one_log(CALL | {"grant": GRANT | {"reviews": given}}), ProcessLog(4, component="operator")
    ledger.add(kind="grant", **ENDED | {"phase": "Consumed", "counted": people, "reviews": given})
    report = report_of([b"".join(log.lines), b"".join(ledger.lines)], [log.checkpoint(), ledger.checkpoint()])
    named = people[:20]
    assert [one.reviewer for one in report.reviewers] == named
    said = json.loads(document(report))
    for (row,) in (said["uses"]["rows"], said["ended"]["rows"]):
        assert ([one["reviewer"] for one in row["reviews"]], row["moreReviews"]) == (named, more)
    listed = ", ".join(f"{person} (owner)" for person in named)
    for text in (markdown(report), page(report)):
        assert [text.count(listed), text.count(f"{listed} and {more} more")] == [2, 2 if more else 0]


def test_a_dry_run_and_what_has_no_time_did_nothing_in_the_period() -> None:
    log = one_log(CALL | {"dry_run": True}, CALL | {"time": None, "now": "soon"}, CALL)
    report = report_of([b"".join(log.lines)], [log.checkpoint()])
    left = report.tally.left_out
    assert (report.tally.decisions, left.dry_runs, left.untimed) == (1, 1, 1)
    assert any("since they say no time: 1 decision." in one for one in report.caveats)


def test_records_outside_of_the_period_are_left_out_and_the_chain_is_judged_whole() -> None:
    log = one_log(*[CALL] * 4)
    inside = ReportPeriod(BEGAN + 2, BEGAN + 3)
    report = report_of([b"".join(log.lines)], [log.checkpoint()], period=inside)
    left = report.tally.left_out
    assert (report.tally.decisions, left.before, left.after) == (1, 1, 2)
    gone = report_of([b"".join(log.lines[:-2])], [log.checkpoint()], period=inside)
    assert (gone.tally.decisions, gone.verdict) == (1, ReportVerdict.CHANGED)


def test_an_empty_period_says_so() -> None:
    log = one_log(CALL)
    report = report_of([b"".join(log.lines)], [log.checkpoint()], period=ReportPeriod(0, 60))
    assert page(report).count("No decision is on record in this period.") == 2
    assert "No decision is on record in this period." in markdown(report)


def test_a_period_that_ends_after_the_last_cosignature_is_not_called_covered() -> None:
    log = one_log(CALL)
    (late, within) = (
        report_of([b"".join(log.lines)], [log.checkpoint()], period=ReportPeriod(BEGAN, BEGAN + span))
        for span in (3600, 2)
    )
    assert [late.verdict, within.verdict] == [ReportVerdict.INTACT] * 2
    assert [late.covered, within.covered] == [False, True]
    assert "may be missing or changed" in head_of(late).sentences[1]
    assert "ends before that" in head_of(within).sentences[1]


def test_what_no_witness_saw_is_not_intact_and_not_unknown() -> None:
    log = ProcessLog(2).at(60)
    log.add(**CALL)
    report = report_of([b"".join(log.lines)])
    assert (report.verdict, report.verification.bad) == (ReportVerdict.CHANGED, True)


def test_a_chain_that_ended_before_a_witness_asked_is_not_known_and_never_intact() -> None:
    # As verify, which exits with 0 and says that nothing is known.
    brief = report_of([b"".join(ProcessLog(7).close().lines)])
    assert (brief.verdict, brief.verification.bad, brief.covered) == (ReportVerdict.UNKNOWN, False, False)


@pytest.mark.parametrize("invented", [True, False], ids=["an invented log", "behind the last cosignature"])
def test_the_head_counts_decisions_that_no_witness_saw_though_their_times_are_covered(invented: bool) -> None:
    log, forged = one_log(CALL), ProcessLog(3)
    checkpoints = [log.checkpoint(now=BEGAN + 60)]
    if not invented:
        checkpoints.append(forged.checkpoint(now=BEGAN + 60))
    for _ in range(3):
        forged.add(**CALL | {"grant": GRANT})
    if invented:
        forged.close()
    files, period = [b"".join(one.lines) for one in (log, forged)], ReportPeriod(BEGAN, BEGAN + 30)
    report = report_of(files, checkpoints, period=period)
    assert (report.verdict, report.covered, report.tally.decisions) == (ReportVerdict.INTACT, True, 4)
    said = (
        "No witness saw the lines of 3 decisions in the figures, whatever time they give: who could write the logs may"
        " have added them."
    )
    assert head_of(report).sentences[2] == said
    assert said in markdown(report)
    assert json.loads(document(report))["totals"]["notWitnessed"] == 3
    alone = report_of(files[:1], checkpoints[:1], period=period)
    assert len(head_of(alone).sentences) == 2
    assert json.loads(document(alone))["totals"]["notWitnessed"] == 0


def test_the_head_counts_ends_of_approvals_that_no_witness_saw() -> None:
    ledger = ProcessLog(4, component="operator")
    ledger.add(kind="grant", **ENDED)
    note = ledger.checkpoint(now=BEGAN + 60)
    for name in ("agr-2", "agr-3"):
        ledger.add(kind="grant", **ENDED | {"name": name, "phase": "Consumed"})
    report = report_of([b"".join(ledger.lines)], [note], period=ReportPeriod(BEGAN, BEGAN + 30))
    assert report.phases == {"Denied": 1, "Consumed": 1}
    assert "the lines of 1 end of an approval in the figures" in head_of(report).sentences[2]
    assert json.loads(document(report))["ended"]["notWitnessed"] == 1


def test_lost_records_stand_in_the_head_and_by_log() -> None:
    log, ledger = ProcessLog(2), ProcessLog(4, component="operator")
    log.add(**CALL)
    log.close(lost=3)
    ledger.add(kind="checkpoint", chain=log.id, note=log.checkpoint(), lost=2)
    ledger.add(kind="checkpoint", chain="Z" * 22, note="", lost=5)
    report = report_of([b"".join(log.lines), b"".join(ledger.lines)], [log.checkpoint(), ledger.checkpoint()])
    assert report.losses == {log.id: 3, "Z" * 22: 5}
    assert "Lost, as far as is known: 8 records." in head_of(report).sentences


def test_without_a_ledger_the_page_says_what_it_does_not_know() -> None:
    log = one_log(CALL)
    report = report_of([b"".join(log.lines)], [log.checkpoint()])
    assert any("no operator's ledger" in one for one in report.caveats)


def test_findings_that_are_bad_stand_first_and_those_without_a_row_are_counted() -> None:
    logs = [ProcessLog(number) for number in range(2, 9)]
    for log in logs:
        log.add(**CALL)
    cut = b"".join(logs[3].lines[:1])
    files = [cut if log is logs[3] else b"".join(log.lines) for log in logs]
    report = report_of(files, [log.checkpoint() for log in logs], top=2)
    (table,) = findings_section(report).tables
    assert table.rows[0][0] == "not intact"
    assert len(table.rows) == 2
    assert "more findings, 0 of them not intact" in table.rest


@pytest.mark.parametrize("kind", [[], {}, 5, None, "of the future"])
def test_a_line_of_any_kind_is_counted_and_breaks_nothing(kind: object) -> None:
    log = ProcessLog(2)
    log.lines.append(log.writer.append(written({"time": "2023-11-14T22:13:25Z", "kind": kind})))
    report = report_of([b"".join(log.lines)], [log.checkpoint()])
    assert report.tally.left_out.unread == 1


@pytest.mark.parametrize("odd", [5, [], {}, [[]], [{}], {"id": {}}, "x", None, True])
@pytest.mark.parametrize(
    "member", ["subject", "actors", "resource", "action", "policy", "endpoint", "reason", "grant", "decision", "now"]
)
def test_a_record_of_any_shape_is_on_the_page(member: str, odd: object) -> None:
    log, ledger = one_log(CALL | {"grant": GRANT | {"reviews": odd}, member: odd}), ProcessLog(4)
    ledger.add(kind="grant", **ENDED | {"reviews": odd, "counted": odd, "phase": odd, member: odd})
    report = report_of([b"".join(log.lines), b"".join(ledger.lines)], [log.checkpoint(), ledger.checkpoint()])
    left = report.tally.left_out
    assert report.tally.decisions + left.untimed + left.before == 1
    assert page(report)


def test_long_texts_are_cut_and_their_digests_tell_them_apart() -> None:
    begin = "x" * 500
    log = one_log(*(CALL | {"subject": {"id": begin + end}} for end in "ab"))
    report = report_of([b"".join(log.lines)], [log.checkpoint()])
    names = [row.key.parties[0] for row in report.tally.rules.top(9).rows]
    assert len({*names}) == 2
    assert all(len(name) < 250 and "501 characters, sha256:" in name for name in names)
