"""The line of one record, found in log files by the id of its evaluation. Standing: under the verbs on one record.

Holds: of two records neither is chosen.
"""

from collections.abc import Sequence

from bailiwick_cli.errors import CliError, Exit
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.chain import body
from bailiwick_governance.records.logfiles import LogFiles


def record_line(files: Sequence[str], audit: LogAudit, wanted: str, item: int | None) -> ChainLine:
    """Give all files to an audit, and return the line of an evaluation, or of an item of it. Raises `CliError`."""
    sought = f'"evaluation_id":"{wanted}"'.encode()
    found = [
        line
        for line in LogFiles(files).lines(audit, "Reading lines")
        if sought in line.text and parse_line(line.text).get("evaluation_id") == wanted
    ]
    lines = [line for line in found if item is None or parse_line(line.text).get("item") == item]
    if not lines:
        raise CliError(f"no record of {visible(wanted)} in these files", Exit.NO)
    # The same record may stand twice; what differs is another item, or another line of the decision.
    if len({body(line.text) for line in lines}) > 1:
        raise CliError(f"{len(lines)} records of {visible(wanted)}: choose one with --item", Exit.FAILURE)
    return lines[0]
