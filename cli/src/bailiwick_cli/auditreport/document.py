"""The report as one object, for programs: what the page has, and with it all that `audit verify -o json` says.

Standing: over `report`. Holds: data only. Texts of others stand as they came, in ASCII: who shows one escapes it.
"""

from collections.abc import Iterable
from typing import Any

from bailiwick_api import times
from bailiwick_cli import output
from bailiwick_cli.auditreport.callsections import LABELS
from bailiwick_cli.auditreport.figures.periodtally import OUTCOMES, REQUESTS, USES
from bailiwick_cli.auditreport.figures.reportedcall import CallReviews
from bailiwick_cli.auditreport.figures.toprows import CountedRow, TopList
from bailiwick_cli.auditreport.report import AuditReport
from bailiwick_cli.options import Output


def document(report: AuditReport) -> str:
    """Return the report as JSON."""
    tally, period, left = report.tally, report.period, report.tally.left_out
    uses, rules = tally.uses.top(report.top), tally.rules.top(report.top)
    reasons, refusals = tally.reasons.top(report.top), tally.refusals.top(report.top)
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "AuditReport",
        "cluster": report.sources.cluster,
        "verdict": report.verdict.name.lower(),
        "message": report.verification.headline,
        "upTo": None if report.verification.upto is None else times.epoch_stamp(report.verification.upto),
        "covered": report.covered,
        "period": {"from": times.epoch_stamp(period.begin), "to": times.epoch_stamp(period.end)},
        "totals": {
            "decisions": tally.decisions,
            **{_member(LABELS[outcome]): tally.total(outcome) for outcome in OUTCOMES},
            "searches": tally.searches,
            "dryRuns": left.dry_runs,
            "before": left.before,
            "after": left.after,
            "untimed": left.untimed,
            "unread": left.unread,
            "lost": sum(report.losses.values()),
            "notWitnessed": report.unseen_decisions,
        },
        "slots": [
            {
                "from": times.epoch_stamp(period.begin + slot * period.length),
                **{_member(LABELS[outcome]): tally.outcomes[slot, outcome] for outcome in OUTCOMES},
                **{event: tally.events[slot, event] for event in (REQUESTS, USES)},
            }
            for slot in range(period.slots)
        ],
        "uses": _list(
            uses,
            (
                {
                    "approval": row.key.approval,
                    "uid": row.key.uid,
                    "parties": list(row.key.parties),
                    "action": row.key.action,
                    "resource": row.key.resource,
                    "endpoint": row.key.endpoint,
                    "rule": row.key.rule,
                    **_reviews(row.key.reviews),
                    **_count(row),
                }
                for row in uses.rows
            ),
        ),
        "reviewers": [
            {"reviewer": one.reviewer, "approved": one.approved, "denied": one.denied, "approvals": one.approvals}
            for one in report.reviewers[: report.top]
        ],
        "ended": {
            "phases": dict(report.phases.most_common(report.top)),
            "rows": [
                {
                    "approval": one.approval,
                    "uid": one.uid,
                    "phase": one.phase,
                    "subject": one.subject,
                    "action": one.action,
                    "resource": one.resource,
                    "ended": times.epoch_stamp(one.ended),
                    "uses": one.uses,
                    **_reviews(one.reviews),
                }
                for one in report.ended[: report.top]
            ],
            "more": max(0, len(report.ended) - report.top),
            "notWitnessed": report.unseen_ends,
        },
        "reasons": _list(reasons, ({"reason": row.key[0], **_count(row)} for row in reasons.rows)),
        "refusals": _list(
            refusals,
            (
                {
                    "reason": row.key.reason,
                    "parties": list(row.key.parties),
                    "action": row.key.action,
                    "type": row.key.kind,
                    "endpoint": row.key.endpoint,
                    **_count(row),
                }
                for row in refusals.rows
            ),
        ),
        "rules": _list(
            rules,
            (
                {
                    "parties": list(row.key.parties),
                    "action": row.key.action,
                    "type": row.key.kind,
                    "endpoint": row.key.endpoint,
                    "rule": row.key.rule,
                    **_count(row),
                }
                for row in rules.rows
            ),
        ),
        "lost": report.losses,
        "decisionsByLog": dict(tally.chains),
        "caveats": list(report.caveats),
        "audit": report.verification.object(),
    }
    return output.document(body, Output.JSON)


def _member(label: str) -> str:
    """Return an outcome as a member is spelled: `allowedWithAnApproval`."""
    first, *others = label.split()
    return first + "".join(word.capitalize() for word in others)


def _list(top: TopList[Any], rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": list(rows), "more": top.more, "moreDecisions": top.more_counted, "partial": top.dropped}


def _count(row: CountedRow[Any]) -> dict[str, Any]:
    first, last = times.epoch_stamp(row.first), times.epoch_stamp(row.last)
    return {"count": row.count, "partial": row.partial, "first": first, "last": last}


def _reviews(reviews: CallReviews) -> dict[str, Any]:
    listed = [{"reviewer": one.reviewer, "step": one.step, "decision": one.decision} for one in reviews.listed]
    return {"reviews": listed, "moreReviews": reviews.more}
