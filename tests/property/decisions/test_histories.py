"""Laws of decisions that read and count histories, over drawn rules, numbers and knowledge of them."""

import functools
import json
from typing import Any, Final

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers, HistoryReadings
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.histories import Amount, CompiledHistory, MemberPart, PartyPart, SlidingWindow
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import Object, gated_rule, rule, settings
from unit.engine.cases import CALL, NOW, counted, stored

EXPORT: Final = {"actions": ["customers.export"]}
OPENS: Final = frozenset({Outcome.ALLOW, Outcome.USE_GRANT})
TEXTS: Final = (
    "history.a.count <= 2",
    "history.a.count > 2 && context.flag == true",
    "context.flag == true || history.b.count == 1",
    "!has(history.b.age)",
    "has(history.a.age) && history.a.age > 5",
    "history.a.sum <= 10",
    "history.b.count < history.a.count",
    "history.undefined.count < 5",
    "variables.few",
    "!variables.few",
    "[history.b.count].exists(one, one > 1)",
    "context.flag == true",
    "context.absent == 1",
)
VARIABLES: Final = [{"name": "few", "expression": "history.a.count <= 1 || context.flag == true"}]
NAMES: Final = ("a", "b", "c")
LACKING: Final = (MemberPart(("context", "lacking")),)

numbers: Final = st.builds(
    HistoryNumbers,
    count=st.integers(0, 4),
    total=st.none() | st.integers(0, 2_000),
    digits=st.just(2),
    age=st.none() | st.integers(0, 9),
)
every_number: Final = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
conditions: Final = st.lists(st.sampled_from(TEXTS), max_size=2)


@st.composite
def rules(draw: st.DrawFn, number: int) -> Object:
    effect = draw(st.sampled_from(("Allow", "Allow", "Deny", "RequireApproval")))
    make = gated_rule if effect == "RequireApproval" else rule
    texts = draw(conditions)
    fields: dict[str, Any] = {**EXPORT, "effect": effect}
    if texts:
        fields["conditions"] = [{"name": f"c{at}", "expression": text} for at, text in enumerate(texts)]
    if draw(st.integers(0, 9)) == 0:
        fields["expireTime"] = "2020-01-01T00:00:00Z"
    return make(f"r{number}", **fields)


@st.composite
def histories(draw: st.DrawFn) -> tuple[CompiledHistory, ...]:
    """Return some of the histories `a` to `c`; any may count the call, and not be able to."""
    found = []
    for name in NAMES:
        if draw(st.integers(0, 4)) == 0:
            continue
        actions = NameSet.of(["customers.export" if draw(st.booleans()) else "elsewhere"])
        key = LACKING if draw(st.integers(0, 5)) == 0 else draw(st.sampled_from(((), (PartyPart("agent"),))))
        amount = Amount(("context", "amount"), 2) if draw(st.booleans()) else None
        found.append(CompiledHistory(name, name * 12, key, SlidingWindow(60_000), actions, amount=amount))
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> CompiledPolicy | BrokenPolicy:
    return compile_object(json.loads(text))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Snapshot, Call]:
    ceiling: Object = {**EXPORT, "resources": [{"type": "customer", "ids": ["*"]}]}
    if texts := draw(st.lists(st.sampled_from(TEXTS[:7]), max_size=1)):
        ceiling["conditions"] = [{"name": "c", "expression": text} for text in texts]
    carrying = {**settings(), "delegation": {"principals": ["agent"], "maxDepth": 1, "ceiling": [ceiling]}}
    policies = []
    for number in range(draw(st.integers(1, 3))):
        fields: dict[str, Any] = {"variables": VARIABLES}
        if number == 0:
            fields["endpointSettings"] = carrying
        elif draw(st.integers(0, 2)) == 0:
            fields["mode"] = "Audit"
        listed = [draw(rules(at)) for at in range(draw(st.integers(1, 3)))]
        policies.append(compiled(json.dumps(stored(f"p{number}", *listed, **fields))))
    context: dict[str, Any] = {"flag": draw(st.booleans()), "amount": draw(st.sampled_from((1, "2.50", "many")))}
    actors = (CALL.subject,) if draw(st.booleans()) and isinstance(CALL.subject, Party) else ()
    return counted(Snapshot.of(policies), *draw(histories())), replace(CALL, context=context, actors=actors)


def judged(world: tuple[Snapshot, Call], readings: HistoryReadings) -> Verdict:
    on, call = world
    # Of what the call has no key for, there are no numbers.
    lacking = {one.name for one in on.endpoints["crm", "crm-api"].histories if one.key == LACKING}
    told = {name: held for name, held in readings.numbers.items() if name not in lacking}
    return decide(on, call, (), Circumstances(NOW, history=replace(readings, numbers=told)))


def subset(known: dict[str, HistoryNumbers], names: frozenset[str]) -> dict[str, HistoryNumbers]:
    return {name: held for name, held in known.items() if name in names}


some_names: Final = st.frozensets(st.sampled_from(NAMES))


@given(worlds(), every_number, some_names, st.booleans(), st.sampled_from((None, *Reason)))
def test_taking_knowledge_away_never_turns_a_denial_into_an_allow(
    world: tuple[Snapshot, Call],
    known: dict[str, HistoryNumbers],
    left: frozenset[str],
    counting: bool,
    refusal: Reason | None,
) -> None:
    whole = judged(world, HistoryReadings(known, counted=True))
    less = judged(world, HistoryReadings(subset(known, left), counted=counting, refusal=refusal))
    if whole.outcome not in OPENS:
        assert less.outcome not in OPENS


@given(worlds(), every_number)
def test_what_is_let_through_is_counted_everywhere_where_it_has_to_be(
    world: tuple[Snapshot, Call], known: dict[str, HistoryNumbers]
) -> None:
    assert judged(world, HistoryReadings(known, counted=True)).outcome not in OPENS or (
        judged(world, HistoryReadings(known)).outcome in OPENS
    ) is not any(world[1].action.name in one.actions for one in world[0].endpoints["crm", "crm-api"].histories)


@given(worlds(), every_number)
def test_a_denial_that_needs_nothing_is_one_whatever_the_numbers_are(
    world: tuple[Snapshot, Call], known: dict[str, HistoryNumbers]
) -> None:
    first = judged(world, UNREAD)
    assert first.outcome not in OPENS or first.needs is None or not first.needs.counts
    if first.needs is None and first.outcome not in OPENS:
        assert judged(world, HistoryReadings(known, counted=True)).outcome not in OPENS


@given(worlds(), every_number)
def test_what_a_verdict_needs_is_enough_for_the_verdict_of_all_numbers(
    world: tuple[Snapshot, Call], known: dict[str, HistoryNumbers]
) -> None:
    first = judged(world, UNREAD)
    objects = first.needs.objects if first.needs is not None else ()
    names = frozenset(history.name for need in objects for history in need.reads)
    second = judged(world, HistoryReadings(subset(known, names), counted=True))
    whole = judged(world, HistoryReadings(known, counted=True))
    assert second.outcome is whole.outcome
    if second.needs is not None:
        assert second.needs == first.needs
    if first.needs is not None:
        told = [(one.reason, one.rule, one.hop, one.audit) for one in (second, whole)]
        assert told[0] == told[1]
        # What has to be counted was counted: no second reading is asked for.
        assert second.reason is not Reason.HISTORY_UNAVAILABLE
