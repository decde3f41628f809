"""What the fold of signed reviews says, in words and as an object.

Standing: under `audit verify`. Holds: data only; every text of others is escaped.
"""

from collections.abc import Iterator

from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.reviewfold import ReviewReport
from bailiwick_governance.display import Line


def reviews_line(report: ReviewReport) -> str:
    """Return the counts in a line."""
    if not report.verified:
        return f"{report.reviews} signed reviews, not verified"
    good = report.reviews - sum(bool(found.reviewer) for found in report.findings)
    return f"{report.reviews} signed reviews, {good} verified; files of reviewers' keys: {report.files}"


def review_lines(report: ReviewReport) -> Iterator[Line]:
    """Yield a line for each finding."""
    for found in report.findings:
        about = visible(f"{found.grant} by {found.reviewer}" if found.reviewer else found.grant)
        place = f"{found.place[0]} {found.place[1]}"
        yield [
            (f"{place} ({about}): " if about else f"{place}: ", ""),
            (found.code.value, "red"),
            (f": {visible(found.said)}", ""),
        ]


def reviews_notes(report: ReviewReport) -> Iterator[str]:
    """Say what the fold could not find out, and what would help."""
    if report.reviews and not report.verified:
        yield "signed reviews are verified only with --registrar-key"
    elif report.reviews and not report.files:
        yield "no file of reviewers' keys that these registrars signed: add the operator's ledger to the files"
    if report.files_left_out:
        yield (
            f"{report.files_left_out} files of reviewers' keys were left out, since there are too many, so no review is"
            " proven: give the files of a shorter time"
        )
    if report.left_out:
        yield f"{report.left_out} signed reviews were not verified, since there are too many: give fewer files"


def reviews_object(report: ReviewReport) -> dict[str, object]:
    """Return it as an object."""
    return {
        "verified": report.verified,
        "reviews": report.reviews,
        "files": report.files,
        "leftOut": report.left_out,
        "filesLeftOut": report.files_left_out,
        "findings": [
            {
                "code": one.code.value,
                "bad": True,
                "grant": one.grant,
                "reviewer": one.reviewer,
                "line": f"{one.place[0]} {one.place[1]}",
                "message": one.said,
            }
            for one in report.findings
        ],
    }
