"""The table of members has what lines have: nothing less, nothing more."""

import json

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.search import SearchKind
from bailiwick_engine.decision.shadow import decide_shadow
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.record.history import HistoryCount, HistoryEvent, event_line, outcome_line
from bailiwick_webhook.record.members import DECISION, HISTORY, OUTCOME, POLICIES, SEARCH, SHADOW
from bailiwick_webhook.record.search import search_line
from bailiwick_webhook.record.shadow import shadow_line
from support.objects import rule
from unit.engine.cases import CALL, NOW
from unit.webhook.record.everymember import WORKER, all_decisions, carrier, lines, named, paths, stored


def without_party(found: set[str]) -> set[str]:
    """Leave out the members of actors, which are those of the subject."""
    return {path for path in found if not path.startswith("actors[].")} | {"actors[]"} - found


def test_of_a_decision() -> None:
    found = set().union(*map(paths, all_decisions()))
    of_actors = {path.replace("actors[]", "subject") for path in found if path.startswith("actors[].")}
    assert of_actors <= named(DECISION)
    assert {path.removesuffix("[]") for path in without_party(found)} == {
        path.removesuffix("[]") for path in named(DECISION)
    }


def test_what_is_always_there_is_in_every_decision() -> None:
    for member in DECISION:
        if member.when is None and "." not in member.path and "[]" not in member.path:
            assert all(member.path in line for line in all_decisions()), member.path


@pytest.mark.parametrize("kind", SearchKind)
def test_of_a_search(kind: SearchKind) -> None:
    line = search_line(
        replace(CALL, actors=(WORKER,)),
        kind,
        found=1,
        with_approval=1,
        incomplete=False,
        refused=Reason.IDENTITY_REVOKED,
        revocation="r-one",
        request_id=None,
        revision="1",
        age=0.0,
        now=NOW,
    )
    assert paths(json.loads(line)) | {"actors"} == named(SEARCH) | {"actors", "actors[]"}


def test_of_a_list_of_policies() -> None:
    listed, _ = lines(carrier(), *(stored(f"p{number:02}", rules=[rule()]) for number in range(20)))
    assert paths(listed) == named(POLICIES)


def test_of_a_shadow_decision() -> None:
    candidate = carrier(mode="Audit", replaces="crm-agent")
    candidate["metadata"]["name"] = "next"
    snapshot = Snapshot.of(compile_object(one) for one in (carrier(), candidate))
    endpoint = snapshot.endpoints["crm", "crm-api"]
    (found,) = decide_shadow(snapshot, endpoint, CALL, (), Circumstances(NOW))
    live = decide(snapshot, CALL, (), Circumstances(NOW))
    assert found.verdict is not None
    line = shadow_line("e", "crm/crm-api", live, found.shadow, found.verdict, revision="1/1", now=NOW)
    assert paths(json.loads(line)) == named(SHADOW)


def test_of_an_event_in_a_history() -> None:
    count = HistoryCount("strays", "h-0", 7, HistoryNumbers(3, age=0), added=True)
    line = event_line(HistoryEvent("crm", "crm-api", "denied", 2, (count,)), NOW)
    assert paths(json.loads(line)) == named(HISTORY)


def test_of_an_outcome() -> None:
    count = HistoryCount("backups", "h-0", 7, HistoryNumbers(3, age=0), added=True, repeated=True)
    caller = ServiceAccount("system:serviceaccount:crm:crm-api", "uid-1")
    line = outcome_line(caller, "crm/crm-api", "eval_0", "succeeded", (count,), request_id="r", now=NOW)
    assert paths(json.loads(line)) == named(OUTCOME)


def test_no_member_stands_twice() -> None:
    for table in (DECISION, SEARCH, SHADOW, POLICIES, HISTORY, OUTCOME):
        assert len({member.path for member in table}) == len(table)
