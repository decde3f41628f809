"""Whatever changes when: an answer without a doubt is by the policies that every process had at the moment."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml
from hypothesis import event, given, strategies as st

from bailiwick_governance.errors import UserError
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.records.policytimes import PolicyTimes
from support.decisions import crm_calls, decided, ledger_of, written
from support.evidence.logs import BEGAN, ProcessLog
from support.objects import Object
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
VERSIONS: Final[list[Object]] = [
    yaml.safe_load(EXAMPLE.replace("customers.get]", f"customers.get, version.{number}]")) for number in range(6)
]
HOUR: Final = 3_600.0


def version_at(changes: Sequence[int], hour: float) -> int:
    """Return which version a process had that took the first at once, and each later one at these hours."""
    return sum(1 for change in changes if change <= hour)


@given(
    st.lists(st.integers(1, 40), min_size=0, max_size=4, unique=True).map(sorted),
    st.lists(st.integers(0, 3), min_size=2, max_size=2),
    st.lists(st.lists(st.integers(0, 45), min_size=1, max_size=8, unique=True).map(sorted), min_size=2, max_size=2),
    st.integers(0, 45),
)
def test_an_answer_without_a_doubt_is_by_the_policies_that_held(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[int],
    lags: list[int],
    decisions: list[list[int]],
    asked: int,
) -> None:
    at = asked + 0.5
    ledger = ledger_of(VERSIONS[:1]).at(0)
    for number, hour in enumerate(changes, 1):
        (line,) = (json.loads(one) for one in ledger_of(VERSIONS[number : number + 1]).lines[1:])
        ledger.at(hour * HOUR).add(kind="policy", digest=line["digest"], policy="crm/crm-agent", text=line["text"])
    logs, held = [ledger], set[int]()
    for number, (lag, hours) in enumerate(zip(lags, decisions, strict=True), 2):
        log, late = ProcessLog(number), [hour + lag for hour in changes]
        for hour in hours:
            made = VERSIONS[version_at(late, hour)]
            decided([made], crm_calls(["customers.list"]), log=log, began=BEGAN + hour * HOUR)
        logs.append(log)
        if hours[0] < at < hours[-1]:
            held.add(version_at(late, at))
    path = written(tmp_path_factory.mktemp("past") / "all.log", *logs)
    try:
        found = PolicyTimes(LogFiles([str(path)]), BEGAN + at * HOUR).endpoint(None, None)
    except UserError:
        event("no answer")
        assert all(hours[0] > at for hours in decisions)
        return
    rules = found.endpoint.rules
    (answered,) = (number for number in range(6) if any(f"version.{number}" in rule.actions for rule in rules))
    event("in doubt" if found.doubts else "answered")
    if not found.doubts:
        assert held <= {answered}


def test_a_change_of_which_the_ledger_has_no_line_is_named_as_not_known(tmp_path: Path) -> None:
    # An operator prints each text once, so a change to one that it knows and back leaves nothing between the decisions.
    ledger, log = ledger_of(VERSIONS[:2]).at(0), ProcessLog(2)
    for hour in (3, 6):
        decided(VERSIONS[:1], crm_calls(["customers.list"]), log=log, began=BEGAN + hour * HOUR)
    path = written(tmp_path / "all.log", ledger, log)
    found = PolicyTimes(LogFiles([str(path)]), BEGAN + 4.5 * HOUR).endpoint(None, None)
    assert found.doubts == ()
    assert "may not show at all: the ledger has each text once in the life of an operator" in found.notes[0]


@pytest.mark.parametrize("now", [1e300, -1e300, 1e12])
def test_a_decision_at_no_time_of_a_calendar_is_none(tmp_path: Path, now: float) -> None:
    ledger, log = ledger_of(VERSIONS[:1]).at(0), ProcessLog(2)
    decided(VERSIONS[:1], crm_calls(["customers.list"]), log=log, began=BEGAN)
    (line,) = (json.loads(one) for one in log.lines[1:])
    forged = ProcessLog(3)
    forged.add(**{name: value for name, value in line.items() if name not in {"log", "time"}} | {"now": now})
    path = written(tmp_path / "all.log", ledger, log, forged)
    found = PolicyTimes(LogFiles([str(path)]), BEGAN + HOUR).endpoint(None, None)
    assert found.known == BEGAN
    assert "no decision on crm/crm-api after the moment is in these files" in found.doubts[0]
