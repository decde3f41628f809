"""Records as the decision point makes them of a verdict, without a decision point."""

from typing import Any

from bailiwick_engine.call import Call
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.record.line import RecordLines


def lines_of(lines: RecordLines, snapshot: Snapshot, call: Call, verdict: Verdict, **fields: Any) -> list[bytes]:  # noqa: ANN401 - of `RecordLines.line`
    """Return the lines of the record of a decision by this snapshot; `now` has to be among the fields."""
    given = {
        "kind": "evaluation",
        "evaluation_id": "eval_1",
        "request_id": None,
        "trace": None,
        "allowed": verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT},
        "used": None,
        "revision": "1/1",
        "age": 0.0,
    }
    endpoint = snapshot.endpoints.get((call.namespace, call.endpoint))
    return lines.line(call, verdict, endpoint, **{**given, **fields}).splitlines()
