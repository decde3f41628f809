"""What is said of a log as a whole: nothing is called unchanged that was not checked."""

from dataclasses import replace

import pytest

from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_governance.views.verificationview import LogVerification
from support.evidence.auditreports import report_of
from support.evidence.logs import ProcessLog


@pytest.fixture
def intact() -> LogVerification:
    """Of a log that is intact."""
    process = ProcessLog().records(10).close()
    return report_of([b"".join(process.lines)], [process.checkpoint()]).verification


def test_a_log_that_is_intact_is_unchanged(intact: LogVerification) -> None:
    assert (intact.bad, intact.incomplete) == (False, False)
    assert intact.headline.startswith("Nothing removed or changed up to ")


@pytest.mark.parametrize("what", ["counts", "reviews", "files of keys"])
def test_a_log_that_was_too_large_to_check_is_not_called_unchanged(intact: LogVerification, what: str) -> None:
    """Whoever adds lines could hide by that what other lines contradict."""
    totals = intact.totals
    totals = {
        "counts": replace(totals, histories=replace(HistoryFold().report({}), left_out=1)),
        "reviews": replace(totals, signed=replace(totals.signed, verified=True, left_out=1)),
        "files of keys": replace(totals, signed=replace(totals.signed, files_left_out=1)),
    }[what]
    found = replace(intact, totals=totals)
    assert (found.bad, found.incomplete) == (True, True)
    assert found.headline == "Not all of this log was checked, since there is too much of it: give fewer files."
