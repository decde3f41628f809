"""Whether the reason of a request will do: the one rule of decision point, operator and command line."""

from typing import Final

import pytest

from bailiwick_api.kinds.approvalgrant import MAX_REASON
from bailiwick_engine.decision.justification import reason_problem
from unit.engine.cases import approving, gate_of

REQUIRED: Final = {"required": True}
OPTIONAL: Final = {"required": False, "pattern": "INC-[0-9]+"}
LONG: Final = f"the reason must have at most {MAX_REASON} characters"


@pytest.mark.parametrize(
    ("wanted", "reason", "problem"),
    [
        (REQUIRED, "please", None),
        (REQUIRED, None, "a reason is required"),
        (REQUIRED, "", "a reason is required"),
        (REQUIRED, " \t ", "a reason is required"),
        (OPTIONAL, None, None),
        (OPTIONAL, "  ", None),
        (OPTIONAL, "INC-7", None),
        (OPTIONAL, "INC-7 and more", "the reason must match INC-[0-9]+"),
        (REQUIRED, "x" * MAX_REASON, None),
        (REQUIRED, "x" * (MAX_REASON + 1), LONG),
    ],
)
def test_a_reason_does_or_is_told_what_is_wrong(
    wanted: dict[str, object], reason: str | None, problem: str | None
) -> None:
    assert reason_problem(gate_of(approving(reason=wanted)), reason) == problem
