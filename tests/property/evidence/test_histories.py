"""Whatever an endpoint counts: the record of a decision derives to the verdict that was served."""

import json

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_webhook.record.line import RecordLines
from property.decisions.historyworld import OPENS, HistoryWorld, every_number, some_names, subset, worlds
from support.derivations import derivations, texts_of
from support.historyrecords import counts_of
from support.objects import Object
from support.records import lines_of
from unit.engine.cases import NOW

HOLDS = {DerivationClass.DERIVED, DerivationClass.ATTESTED}
COUNTED_APART = {Reason.HISTORY_UNAVAILABLE, Reason.HISTORY_UNCOUNTABLE}


def served(
    world: HistoryWorld, known: dict[str, HistoryNumbers], *, counted: bool, sealed: bool, weighing: bool
) -> tuple[list[bytes], Reason]:
    """Return the record of a call as the pipeline decides it: again with numbers, where the first verdict needs any."""
    snapshot = world.snapshot
    verdict, passed = world.judged(UNREAD)
    needs, readings = verdict.needs, UNREAD
    if needs is not None:
        readings = world.readings(known, counted=counted)
        if not counted:
            readings = replace(readings, refusal=Reason.HISTORY_UNAVAILABLE)
        verdict, passed = world.judged(readings)
    lines = lines_of(
        RecordLines(b"k" if sealed else None),
        snapshot,
        world.call,
        verdict,
        now=NOW,
        weighed=passed if weighing else None,
        history=counts_of(needs, readings, verdict),
    )
    return lines, verdict.reason


@given(worlds(), every_number, some_names, st.booleans(), st.booleans(), st.booleans())
def test_a_record_derives_to_the_verdict(
    world: HistoryWorld,
    known: dict[str, HistoryNumbers],
    left: frozenset[str],
    counted: bool,
    sealed: bool,
    weighing: bool,
) -> None:
    numbers = known if counted else subset(known, left)
    lines, reason = served(world, numbers, counted=counted, sealed=sealed, weighing=weighing)
    ((record, found),) = derivations(lines, texts_of([one["spec"] for one in world.policies]))
    assert found.kind in HOLDS, (found, json.dumps(record))
    assert found.kind is DerivationClass.ATTESTED or reason not in COUNTED_APART


@given(worlds(), every_number, st.data())
def test_a_record_with_another_number_never_holds_where_that_changes_the_verdict(
    world: HistoryWorld, known: dict[str, HistoryNumbers], data: st.DataObject
) -> None:
    lines, _ = served(world, known, counted=True, sealed=True, weighing=True)
    record: Object = json.loads(lines[-1])
    if not record.get("history"):
        return
    forged = data.draw(st.sampled_from(record["history"]))
    other = HistoryNumbers(forged["count"] + data.draw(st.integers(1, 3)), age=forged["age"])
    numbers = {one["name"]: known[one["name"]] for one in record["history"]}
    before = world.verdict(world.readings(numbers))
    after = world.verdict(
        world.readings(numbers | {forged["name"]: replace(numbers[forged["name"]], count=other.count)})
    )
    forged["count"] = other.count
    attribute = f"history.{forged['name']}.count"
    if attribute in record.get("attributes", {}):
        record["attributes"][attribute] = other.count
    texts = texts_of([one["spec"] for one in world.policies])
    ((_, found),) = derivations([json.dumps(record).encode()], texts)
    if (before.outcome in OPENS) is not (after.outcome in OPENS) and after.gate is None and before.gate is None:
        assert found.kind is DerivationClass.CONTRADICTED
