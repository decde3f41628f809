"""Laws of outcomes and denied calls: each true report counts once, and nothing else counts.

The decision point's own code counts, over replicas that die and an API server whose requests and answers get lost,
under a virtual time. The oracle is a book of what was reported, and of what was answered.
"""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.history.changes import settle
from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.history.state import CallOutcome, KeyState, parse_state
from bailiwick_engine.policy.histories import SlidingWindow
from bailiwick_webhook.history import settlement
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle, entry_of, new_nonce
from bailiwick_webhook.history.ports import CountingRequest, DeniedCall, ReportedOutcome, ReportResult
from bailiwick_webhook.metrics.table import HistoryDenials
from support.histories import DAY, KEY, history, need
from support.historysimulation import START, Faults
from support.keptobjects import KeptObjects
from support.servedhistories import FaultyApi, ServedReplica
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

FEW: Final = 60
MANY: Final = 1_500
LONG: Final = SlidingWindow(20 * DAY)
EXPORTS: Final = history("exports", LONG)
BACKUPS: Final = history("backups", LONG, what="Succeeded")
FAILURES: Final = history("failures", LONG, what="Failed")
STRAYS: Final = history("strays", LONG, what="Denied")
ALL: Final = (EXPORTS, BACKUPS, FAILURES, STRAYS)
CALLER: Final = "uid-of-the-enforcer"
OUTCOMES: Final[tuple[CallOutcome, ...]] = ("succeeded", "failed", "cancelled")
SECOND: Final = ObjectNeed(
    "h-" + "1" * 40, "sha256:" + "1" * 64, need(BACKUPS).reads, need(BACKUPS).adds, need(BACKUPS).outcome_within
)
FIRST: Final = need(EXPORTS, BACKUPS, FAILURES)


@dataclass
class ReportedCall:
    """A call and what was said of it. `sent`: what was reported; `accepted`: what was answered with 200."""

    nonce: str
    sent: set[CallOutcome] = field(default_factory=set)
    accepted: set[CallOutcome] = field(default_factory=set)


class OutcomeRun:
    """One run. `calm`: nothing goes wrong."""

    def __init__(self, seed: str, time: VirtualTime, *, calm: bool) -> None:
        self.rng = Random(seed)  # noqa: S311 - a run that can be repeated
        rng = self.rng
        self.calm = calm
        self.faults = Faults() if calm else Faults(lost=rng.choice((0.02, 0.15)), late=rng.choice((0, 0.03)))
        self.crash = 0.0 if calm else rng.choice((0, 0.1))
        self.time, self.began = time, time.now
        self.api = KeptObjects(seconds=0.002)
        self.replicas = [self._replica() for _ in range(rng.randint(1, 3))]
        self.gone: list[ServedReplica] = []
        self.calls: list[ReportedCall] = []
        self.denied = 0

    async def run(self) -> None:
        clients = [self._client(ReportedCall(new_nonce())) for _ in range(self.rng.randint(3, 20))]
        strays = [self._stray() for _ in range(self.rng.randint(0, 20))]
        await asyncio.gather(*clients, *strays)
        await asyncio.sleep(20)
        for replica in (*self.replicas, *self.gone):
            await replica.keeper.close()

    def counts(self, name: str = FIRST.name) -> dict[str, int]:
        stored = self.api.objects.get(("crm", name))
        state: KeyState | None = None if stored is None else parse_state(stored["spec"])
        assert stored is None or state is not None
        lines = {} if state is None else state.lines
        return {
            one.name: sum(slot.count for slot in lines[one.digest].slots) if one.digest in lines else 0 for one in ALL
        }

    def _replica(self) -> ServedReplica:
        api: Any = FaultyApi(self.api, self.rng, self.faults)
        return ServedReplica(api, self.time, rng=self.rng, spread=200, start=START, began=self.began)

    def _any(self) -> ServedReplica:
        place = self.rng.randrange(len(self.replicas))
        if self.rng.random() < self.crash:
            reached: Any = self.replicas[place].api
            reached.dead = True
            self.gone.append(self.replicas[place])
            self.replicas[place] = self._replica()
        return self.replicas[place]

    async def _stray(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 10))
        self._any().keeper.count_denied(DeniedCall("crm", "crm-api", HistoryNeeds((need(STRAYS),)), ALL))
        self.denied += 1

    async def _client(self, call: ReportedCall) -> None:
        rng = self.rng
        await asyncio.sleep(rng.uniform(0, 5))
        objects = (FIRST, SECOND) if rng.random() < 0.3 else (FIRST,)
        handle = None
        for _ in range(3):
            entry = entry_of(CALLER, call.nonce, f"{rng.randrange(2**32):08x}")
            request = CountingRequest(
                "crm", "crm-api", HistoryNeeds(objects), entry, lambda _: True, ALL, nonce=call.nonce
            )
            made = await self._any().keeper.reserve(request)
            handle = made.handle if made.stands else None
            if handle is not None and rng.random() < 0.8:
                break
        self.calls.append(call)
        if handle is not None:
            await asyncio.gather(*(self._report(call, handle) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))))

    async def _report(self, call: ReportedCall, handle: EntryHandle) -> None:
        rng = self.rng
        outcome = OUTCOMES[0] if rng.random() < 0.6 else rng.choice(OUTCOMES)
        await asyncio.sleep(rng.choice((rng.uniform(0, 1), rng.uniform(0, 700))))
        for _ in range(4):
            if rng.random() < 0.3:
                await self._forge(handle)
            call.sent.add(outcome)
            replica = self._any()
            result = await replica.keeper.settle(ReportedOutcome("crm", "crm-api", CALLER, handle, outcome, ALL))
            reached: Any = replica.api
            if isinstance(result, ReportResult) and not reached.dead:
                if result.result in {"settled", "repeated"}:
                    call.accepted.add(outcome)
                if result.result != "settled" or rng.random() < 0.7:
                    return
            await asyncio.sleep(rng.uniform(0, 2))

    async def _forge(self, handle: EntryHandle) -> None:
        """Report with what is not the caller's own."""
        uid, forged = self.rng.choice(
            (
                ("another-uid", handle),
                (CALLER, replace(handle, nonce=new_nonce())),
                (CALLER, replace(handle, entries=tuple(replace(one, attempt="0" * 8) for one in handle.entries))),
                (CALLER, replace(handle, entries=(CountedEntry(KEY, "f" * 8),))),
            )
        )
        made = await self._any().keeper.settle(ReportedOutcome("crm", "crm-api", uid, forged, "succeeded", ALL))
        assert not isinstance(made, ReportResult) or made.result == "late"


def faults_of(run: OutcomeRun) -> list[str]:
    """Return what breaks a law."""
    counted = run.counts()
    found = []
    for outcome, name in (("succeeded", "backups"), ("failed", "failures")):
        accepted = sum(outcome in call.accepted for call in run.calls)
        sent = sum(outcome in call.sent for call in run.calls)
        if not accepted <= counted[name] <= sent:
            found.append(f"{name}: {accepted} accepted, {sent} sent, {counted[name]} counted")
    if any(len(call.accepted) > 1 for call in run.calls):
        found.append("two outcomes of one call")
    if counted["backups"] + counted["failures"] > sum(bool(call.sent) for call in run.calls):
        found.append("a call is counted twice")
    if run.counts(SECOND.name)["backups"] > sum("succeeded" in call.sent for call in run.calls):
        found.append("a call is counted twice in the second object")
    if run.calm and counted["strays"] != run.denied:
        found.append(f"{run.denied} denied, {counted['strays']} counted")
    done = sum(replica.tally.denied[HistoryDenials.COUNTED] for replica in (*run.replicas, *run.gone))
    if counted["strays"] < done:
        found.append(f"{done} told to be counted, {counted['strays']} counted")
    return found


async def assert_laws_hold(time: VirtualTime, seeds: int, *, calm: bool) -> None:
    settled = 0
    for seed in range(seeds):
        run = OutcomeRun(f"outcomes {seed}", time, calm=calm)
        await run.run()
        assert faults_of(run) == [], seed
        settled += run.counts()["backups"]
    assert settled > seeds


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "faults"])
async def test_each_report_counts_once_and_nothing_else_does(virtual_time: VirtualTime, calm: bool) -> None:
    await assert_laws_hold(virtual_time, FEW, calm=calm)


@pytest.mark.long
@pytest.mark.parametrize("calm", [True, False], ids=["calm", "faults"])
async def test_each_report_counts_once_in_many_runs(virtual_time: VirtualTime, calm: bool) -> None:
    await assert_laws_hold(virtual_time, MANY, calm=calm)


@pytest.mark.parametrize("missing", ["the mark of a report", "the account"])
async def test_a_law_is_broken_without(
    missing: str, virtual_time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "the account":
        monkeypatch.setattr(settlement, "entry_of", lambda _, nonce, attempt: entry_of(CALLER, nonce, attempt))
    else:

        def forgetful(state: KeyState, entry: str, *given: Any) -> Any:  # noqa: ANN401 - as the function has it
            bare = tuple(
                one
                if one.outcome is None
                else replace(one, outcome=replace(one.outcome, reported=None), shares=one.shares)
                for one in state.recent
            )
            fresh = tuple(
                replace(
                    one,
                    shares=tuple(
                        replace(s, count=0, slot=0, previous=None) if s.line == BACKUPS.digest else s
                        for s in one.shares
                    ),
                )
                for one in bare
            )
            return settle(replace(state, recent=fresh), entry, *given)

        monkeypatch.setattr(settlement, "settle", forgetful)
    for seed in range(60):
        run = OutcomeRun(f"outcomes {seed}", virtual_time, calm=False)
        try:
            await run.run()
        except AssertionError:
            await end_all_tasks()
            return
        if faults_of(run):
            await end_all_tasks()
            return
    pytest.fail("no run broke a law")


async def end_all_tasks() -> None:
    """End what a run that broke off has left, so that no later test finds it."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
