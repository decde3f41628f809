"""The fold of histories that count by outcomes, denied calls, and calls that no grant lets through.

The lines are those of whole decision points over one API server that loses requests and answers. What they write is
never contradicted, whatever definitions are known, and whatever lines are missing.
"""

import asyncio
from random import Random
from typing import Any, Final

import pytest

from bailiwick_engine.history.state import CallOutcome
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_evidence.audit.historyfold import HistoryFold
from bailiwick_webhook.history.handles import parse_handle
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.pipeline.outcomes import CallReport
from support.keptobjects import KeptObjects, lost
from support.objects import Object, rule
from unit.engine.cases import ENFORCER
from unit.webhook.pipeline.countingpoint import CountingPoint, counting

SEEDS: Final = range(5)
OF: Final = ("crm", "crm-api")
OUTCOMES: Final[tuple[CallOutcome, ...]] = ("succeeded", "failed", "cancelled")
LIMITS: Final = {"exports": "history.exports.count <= 12", "strays": "history.strays.count <= 9"}
WIPE: Final = rule(
    "wipe", actions=["customers.wipe"], conditions=[{"name": "after", "expression": "history.backups.age <= 600"}]
)


def histories(what: str, *, one_key: bool) -> list[Object]:
    """Return the histories of an endpoint. `what`: what the last of them counts; `one_key`: all have the same key."""
    counts: Object = {"actions": ["customers.export", "customers.wipe"]}
    shared: Object = {"key": ["agent"], "window": "1h"}
    return [
        {**shared, "name": "exports", "counts": counts},
        {**shared, "name": "backups", "counts": {**counts, "what": "Succeeded"}},
        {**shared, "name": "failures", "key": ["agent"] if one_key else [], "counts": {**counts, "what": "Failed"}},
        {**shared, "name": "ruled", "counts": {**counts, "approved": "Ignore"}},
        {**shared, "name": "strays", "counts": {"actions": ["*"], "what": what}},
    ]


class Trace:
    """Calls, reports and denials over two decision points. `faults`: how many requests and answers are lost.

    `alone`: no history counts a call when it is let through.
    """

    def __init__(self, seed: int, *, what: str, faults: float, one_key: bool = False, alone: bool = False) -> None:
        self.rng = Random(seed)  # noqa: S311 - a run that can be repeated
        self.api = KeptObjects(seconds=0.0)
        self.api.before = self.api.after = lambda _: lost() if self.rng.random() < faults else None
        listed = [one for one in histories(what, one_key=one_key) if not alone or one["name"] in {"backups", "strays"}]
        limits = [text for name, text in LIMITS.items() if any(one["name"] == name for one in listed)]
        limited = [{"name": "limit", "expression": " && ".join(limits)}]
        export = rule("export", actions=["customers.export"], conditions=limited)
        policy = counting(export, WIPE, histories=listed)
        self.points = [CountingPoint(self.api, policy) for _ in range(2)]

    async def run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(12)))
        self.api.before = self.api.after = lambda _: None
        for point in self.points:
            await point.pdp.histories.close()

    async def _client(self, number: int) -> None:
        rng = self.rng
        for step in range(4):
            request_id = rng.choice((None, f"{number}", f"{number}-{step}"))
            action = rng.choice(("customers.export", "customers.export", "customers.wipe", "customers.unheard"))
            for _ in range(rng.choice((1, 1, 2))):
                decision = await rng.choice(self.points).ask(action, request_id, dry_run=rng.random() < 0.1)
                told = messages.answer(decision, "https://pdp", {})["context"].get("outcome")
                handle = None if told is None else parse_handle(told["handle"])
                for _ in range(0 if handle is None else rng.choice((0, 1, 2))):
                    assert handle is not None
                    sent = CallReport(decision.evaluation_id, handle, rng.choice(OUTCOMES), None)
                    await rng.choice(self.points).pdp.report(OF, ENFORCER, sent)

    @property
    def definitions(self) -> dict[str, CompiledHistory]:
        found = self.points[0].pdp.snapshot.endpoints[OF].histories
        return {one.name: one for one in found}

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [line for point in self.points for line in point.lines]


def contradictions(lines: list[dict[str, Any]], definitions: dict[str, CompiledHistory] | None) -> list[str]:
    fold = HistoryFold()
    for number, line in enumerate(lines):
        fold.add_record(line, ("chain", number), definitions)
    return [one.said for one in fold.report({}).findings if one.bad]


@pytest.mark.parametrize("faults", [0.0, 0.1], ids=["calm", "faults"])
@pytest.mark.parametrize("what", ["Denied", "Allowed"])
async def test_what_is_served_is_never_contradicted(what: str, faults: float) -> None:
    kinds: set[str] = set()
    for seed in SEEDS:
        trace = Trace(seed, what=what, faults=faults)
        await trace.run()
        lines = trace.lines
        kinds |= {line["kind"] for line in lines}
        trace.rng.shuffle(lines)
        kept = [line for line in lines if trace.rng.random() < 0.7]
        for definitions in (trace.definitions, None):
            assert contradictions(lines, definitions) == [], seed
            assert contradictions(kept, definitions) == [], seed
    assert {"evaluation", "outcome"} <= kinds
    assert what != "Denied" or "history" in kinds


@pytest.mark.parametrize("alone", [False, True], ids=["all", "outcomes alone"])
async def test_a_calm_log_of_one_key_has_no_gap(*, alone: bool) -> None:
    """A call that is counted in several objects may have been taken out of one, and counted again."""
    for seed in SEEDS:
        trace = Trace(seed, what="Denied", faults=0.0, one_key=True, alone=alone)
        await trace.run()
        fold = HistoryFold()
        for number, line in enumerate(trace.lines):
            fold.add_record(line, ("chain", number), trace.definitions)
        assert [one.said for one in fold.report({}).findings] == [], seed
