"""Endpoints with histories, calls and numbers, drawn: for laws of decisions and of their records.

Holds: policies are as people write them; what a call has no key for has no numbers.
"""

import functools
import json
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from support.objects import Object, gated_rule, rule, settings
from unit.engine.cases import CALL, NOW, stored

OPENS: Final = frozenset({Outcome.ALLOW, Outcome.USE_GRANT})
NAMES: Final = ("a", "b", "c")
EXPORT: Final = "customers.export"
LACKING: Final = ["context.lacking"]
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
_OF_CEILING: Final = TEXTS[:7]
_VARIABLES: Final = [{"name": "few", "expression": "history.a.count <= 1 || context.flag == true"}]

numbers: Final = st.builds(
    HistoryNumbers,
    count=st.integers(0, 4),
    total=st.none() | st.integers(0, 2_000),
    digits=st.just(2),
    age=st.none() | st.integers(0, 9),
)
every_number: Final = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
some_names: Final = st.frozensets(st.sampled_from(NAMES))
_conditions: Final = st.lists(st.sampled_from(TEXTS), max_size=2)


@dataclass(frozen=True)
class HistoryWorld:
    """Policies of one endpoint, and a call of it."""

    policies: tuple[Object, ...]
    call: Call

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot.of(_compiled(json.dumps(one)) for one in self.policies)

    @property
    def endpoint(self) -> CompiledEndpoint:
        return self.snapshot.endpoints[self.call.namespace, self.call.endpoint]

    @property
    def untold(self) -> frozenset[str]:
        """The histories of whose key the call lacks a part."""
        carrier = self.policies[0]["spec"]["endpointSettings"]
        return frozenset(one["name"] for one in carrier.get("history", ()) if one["key"] == LACKING)

    def readings(self, known: dict[str, HistoryNumbers], *, counted: bool = True) -> HistoryReadings:
        """Return what can be known of these numbers."""
        return HistoryReadings({name: one for name, one in known.items() if name not in self.untold}, counted=counted)

    def verdict(self, readings: HistoryReadings) -> Verdict:
        return self.judged(readings)[0]

    def judged(self, readings: HistoryReadings) -> tuple[Verdict, tuple[Hop, ...] | None]:
        return evaluate_hops(self.snapshot, self.call, (), Circumstances(NOW, history=readings))


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> CompiledPolicy | BrokenPolicy:
    return compile_object(json.loads(text))


@st.composite
def _rules(draw: st.DrawFn, number: int) -> Object:
    effect = draw(st.sampled_from(("Allow", "Allow", "Deny", "RequireApproval")))
    make = gated_rule if effect == "RequireApproval" else rule
    fields: dict[str, Any] = {"actions": [EXPORT], "effect": effect}
    if texts := draw(_conditions):
        fields["conditions"] = [{"name": f"c{at}", "expression": text} for at, text in enumerate(texts)]
    if draw(st.integers(0, 9)) == 0:
        fields["expireTime"] = "2020-01-01T00:00:00Z"
    return make(f"r{number}", **fields)


@st.composite
def _definitions(draw: st.DrawFn) -> list[Object]:
    """Return some of the histories `a` to `c`; any may count the call, and not be able to."""
    found: list[Object] = []
    for name in NAMES:
        if draw(st.integers(0, 4)) == 0:
            continue
        counts: Object = {"actions": [EXPORT if draw(st.booleans()) else "elsewhere"]}
        if draw(st.integers(0, 3)) == 0:
            counts["when"] = draw(st.sampled_from(("context.flag == true", "context.absent == 1")))
        key = LACKING if draw(st.integers(0, 5)) == 0 else draw(st.sampled_from(([], ["agent"], ["context.flag"])))
        history: Object = {"name": name, "key": key, "window": "1h", "counts": counts}
        if draw(st.booleans()):
            history["amount"] = {"of": "context.amount", "digits": 2}
        found.append(history)
    return found


@st.composite
def worlds(draw: st.DrawFn) -> HistoryWorld:
    ceiling: Object = {"actions": [EXPORT], "resources": [{"type": "customer", "ids": ["*"]}]}
    if texts := draw(st.lists(st.sampled_from(_OF_CEILING), max_size=1)):
        ceiling["conditions"] = [{"name": "c", "expression": text} for text in texts]
    carrying = {**settings(), "delegation": {"principals": ["agent"], "maxDepth": 1, "ceiling": [ceiling]}}
    if definitions := draw(_definitions()):
        carrying["history"] = definitions
    policies = []
    for number in range(draw(st.integers(1, 3))):
        fields: dict[str, Any] = {"variables": _VARIABLES}
        if number == 0:
            fields["endpointSettings"] = carrying
        elif draw(st.integers(0, 2)) == 0:
            fields["mode"] = "Audit"
        listed = [draw(_rules(at)) for at in range(draw(st.integers(1, 3)))]
        policies.append(stored(f"p{number}", *listed, **fields))
    context: dict[str, Any] = {"flag": draw(st.booleans()), "amount": draw(st.sampled_from((1, "2.50", "many")))}
    actors = (CALL.subject,) if draw(st.booleans()) and isinstance(CALL.subject, Party) else ()
    return HistoryWorld(tuple(policies), replace(CALL, context=context, actors=actors))


def subset(known: dict[str, HistoryNumbers], names: frozenset[str]) -> dict[str, HistoryNumbers]:
    """Return the numbers of these histories alone."""
    return {name: held for name, held in known.items() if name in names}
