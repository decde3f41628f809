"""A grant's life, model-checked: decision points, an operator, reviewers and revokers in every order of their steps.

The pipeline, the consumer, the opener, the engine and the operator's state machine are the real ones; `lifeserver` has
the API server, and checks each write. Each call to it is two steps of the machine, done and answered, between which
anything may happen; a replica may die in between, an answer may be lost, and nobody's clock or store need be right.
"""

import contextlib
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bailiwick_api.accounts import Installation
from bailiwick_api.approvalgrant import TERMINAL_PHASES
from bailiwick_engine.snapshot import Snapshot
from bailiwick_operator.reconcile.approvalgrant import Observed, reconcile
from bailiwick_webhook.asked import Asked
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.consume import IDEMPOTENT_FOR, Consumer
from bailiwick_webhook.decision import Decision
from bailiwick_webhook.opening import Opener
from bailiwick_webhook.pdp import Pdp
from bailiwick_webhook.record.writer import RecordFailedError
from property.lifeserver import Op, Server, Use, Wire, phase
from support.objects import Object, gated_rule
from support.pdp.alone import StaticStore
from unit.engine.cases import CALL, governed

REPLICAS: Final = 3
REVIEWERS: Final = ("carol", "dave", "erin")
INSTALLATION: Final = Installation()
# Of replicas and operator against the API server; the last is more than a decision point bears.
CLOCKS: Final = st.sampled_from([0.0, 0.0, -25.0, 25.0, 600.0])
some: Final = st.integers(0, 5)


class Replica:
    """A decision point. Its store is the API server's log as far as it has heard."""

    def __init__(self, server: Server, snapshot: Snapshot, skew: float) -> None:
        self.server, self.snapshot, self.skew = server, snapshot, skew
        self.start()

    def start(self) -> None:
        """Begin with a list; nothing else outlives a process."""
        store: Any = StaticStore(())
        store.snapshot = self.snapshot
        self.store, self.heard = store, len(self.server.log)
        for stored in self.server.stored.values():
            self._take("ADDED", stored)
        wire = cast("Any", Wire())
        opener = Opener(wire, store, INSTALLATION, self.now)
        self.pdp = Pdp(store, Consumer(wire, self.now), opener, wire, INSTALLATION, self.now)

    def now(self) -> float:
        return self.server.now + self.skew

    def hear(self, events: int) -> None:
        for kind, stored in self.server.log[self.heard : self.heard + events]:
            self._take(kind, stored)
        self.heard = min(self.heard + events, len(self.server.log))

    def _take(self, kind: str, stored: Object) -> None:
        self.store.grants.apply(kind, (stored["metadata"]["namespace"], stored["metadata"]["name"]), stored)


@dataclass
class Flight:
    """One request to a replica: where it stands, and what it saw last of the API server."""

    replica: int
    request_id: str | None
    work: Coroutine[Any, Any, Any]
    op: Op | None = None
    answer: Any = None
    """What the API server answered, while that is on its way."""
    done: bool = False
    read: Object | None = None
    read_at: float = 0.0
    recorded: bool = False
    result: Any = None

    def go_on(self, step: Callable[[], Op]) -> None:
        """Run to the next call, or to the end."""
        self.done, self.answer = False, None
        try:
            self.op = step()
        except StopIteration as end:
            self.op, self.result = None, end.value


class GrantLife(RuleBasedStateMachine):
    """One call that needs an approval, asked again and again."""

    server: Server
    replicas: list[Replica]

    @initialize(
        guarded=st.booleans(),
        uses=st.integers(1, 3),
        reviewers=st.integers(1, 2),
        skews=st.tuples(*[CLOCKS] * REPLICAS),
        operator_skew=st.sampled_from([0.0, 0.0, -25.0, 25.0]),
        ready=st.sampled_from([True, True, False]),
    )
    def begin(
        self,
        guarded: bool,
        uses: int,
        reviewers: int,
        skews: tuple[float, ...],
        operator_skew: float,
        ready: bool,
    ) -> None:
        steps = [{"name": "owner", "kind": "Human", "groups": ["crm-owners"], "count": reviewers}]
        snapshot = governed(gated_rule("export", approval={"steps": steps, "maxUses": uses}))
        self.server = Server(guarded)
        self.replicas = [Replica(self.server, snapshot, skew) for skew in skews]
        self.operator_skew = operator_skew
        self.flights: list[Flight] = []
        self.judged: list[tuple[Object, Object]] = []
        if ready:
            self.open(0)
            self.land(0)
            self.approve(0)
            self.everybody_hears()

    # ------------------------------------------------------------------ asking

    @rule(replica=st.integers(0, REPLICAS - 1), request_id=st.sampled_from([None, None, "a", "b"]))
    def ask(self, replica: int, request_id: str | None) -> None:
        asked = Asked(CALL, request_id, live_identity=True)
        self._fly(replica, request_id, self.replicas[replica].pdp.evaluate(asked))

    @rule(replica=st.integers(0, REPLICAS - 1))
    def open(self, replica: int) -> None:
        self._fly(replica, None, _requested(self.replicas[replica].pdp))

    def _fly(self, replica: int, request_id: str | None, work: Coroutine[Any, Any, Any]) -> None:
        flight = Flight(replica, request_id, work)
        flight.go_on(lambda: cast("Op", work.send(None)))
        self.flights.append(flight)
        self._settle(flight)

    # ------------------------------------------------------------------ steps of what is on its way

    @precondition(lambda self: self.flights)
    @rule(which=some)
    def the_api_server_does_it(self, which: int) -> None:
        self._do(self._flight(which))

    @precondition(lambda self: self.flights)
    @rule(which=some)
    def the_answer_arrives(self, which: int) -> None:
        flight = self._flight(which)
        self._do(flight)
        answer = flight.answer
        flight.go_on(lambda: cast("Op", flight.work.send(answer)))
        self._settle(flight)

    @precondition(lambda self: self.flights)
    @rule(which=some)
    def no_answer_arrives(self, which: int) -> None:
        """Lost on the way there or on the way back, 429, 500, too late, garbage: it is all the same."""
        flight = self._flight(which)
        error = RecordFailedError("full") if flight.op and flight.op.kind == "RECORD" else ClusterUnavailableError("")
        flight.go_on(lambda: cast("Op", flight.work.throw(error)))
        self._settle(flight)

    @precondition(lambda self: self.flights)
    @rule(which=some)
    def land(self, which: int) -> None:
        flight = self._flight(which)
        while flight in self.flights:
            self.the_answer_arrives(self.flights.index(flight))

    @precondition(lambda self: self.flights)
    @rule(which=some)
    def the_replica_dies_and_starts_again(self, which: int) -> None:
        replica = self._flight(which).replica
        for flight in self.flights:
            if flight.replica == replica:
                flight.work.close()
        self.flights = [flight for flight in self.flights if flight.replica != replica]
        self.replicas[replica].start()

    def _flight(self, which: int) -> Flight:
        return self.flights[which % len(self.flights)]

    def _do(self, flight: Flight) -> None:
        if flight.done or flight.op is None:
            return
        flight.done = True
        op = flight.op
        match op.kind:
            case "GET":
                flight.answer = self.server.read(op.name)
                flight.read, flight.read_at = flight.answer.body, math.floor(self.server.now)
            case "POST":
                flight.answer = self.server.create(op.body)
            case "PUT":
                taken = op.body["status"]["useRecords"][-1]["evaluationID"]
                use = Use(op.body["metadata"]["uid"], taken, flight.request_id, flight.read_at)
                flight.answer = self.server.put_status(op.body, use)
            case "RECORD":
                flight.recorded = True

    def _settle(self, flight: Flight) -> None:
        """Look at the answer, if that is it."""
        if flight.op is not None:
            return
        self.flights.remove(flight)
        decision = flight.result
        if isinstance(decision, Decision) and decision.allowed:
            self._assert_paid(flight, decision)

    def _assert_paid(self, flight: Flight, decision: Decision) -> None:
        assert decision.used is not None
        assert flight.recorded, "answered before it was recorded"
        paid = [
            use
            for use in self.server.uses
            if use.grant_uid == decision.used.uid
            and (
                use.evaluation_id == decision.evaluation_id
                or (
                    flight.request_id is not None
                    and use.request_id == flight.request_id
                    and flight.read_at - use.read_at <= IDEMPOTENT_FOR
                )
            )
        ]
        assert len(paid) == 1, paid
        assert flight.read is not None
        assert phase(flight.read) in {"Active", "Consumed"}
        assert "revocation" not in flight.read["spec"]

    # ------------------------------------------------------------------ everybody else

    @rule(replica=st.integers(0, REPLICAS - 1), events=st.integers(1, 3))
    def a_store_hears(self, replica: int, events: int) -> None:
        self.replicas[replica].hear(events)

    @rule()
    def everybody_hears(self) -> None:
        for replica in self.replicas:
            replica.hear(len(self.server.log))

    @rule(seconds=st.sampled_from([0.4, 1.0, 10.0, 20.0, 31.0, 580.0, 3500.0]))
    def time_passes(self, seconds: float) -> None:
        self.server.now += seconds

    @precondition(lambda self: self.server.stored)
    @rule(which=some, by=st.sampled_from(REVIEWERS), decision=st.sampled_from(["Approve", "Approve", "Deny"]))
    def review(self, which: int, by: str, decision: str) -> None:
        name = self._name(which)
        request = self.server.stored[name]["spec"]["request"]
        step = request["steps"][0]["name"]
        said = {"decision": decision, "binding": request["binding"]["digest"], "group": "crm-owners"}
        self.server.review(name, {"reviewer": by, "step": step, **said})

    @precondition(lambda self: self.server.stored)
    @rule(which=some)
    def approve(self, which: int) -> None:
        for by in REVIEWERS[:2]:
            self.review(which, by, "Approve")
        self.the_operator_keeps_up()

    @precondition(lambda self: self.server.stored)
    @rule(which=some)
    def revoke(self, which: int) -> None:
        self.server.revoke(self._name(which), "carol")

    @precondition(lambda self: self.server.stored)
    @rule(which=some)
    def touch(self, which: int) -> None:
        self.server.touch(self._name(which))

    @precondition(lambda self: any(phase(stored) in TERMINAL_PHASES for stored in self.server.stored.values()))
    @rule()
    def retention(self) -> None:
        for name, stored in list(self.server.stored.items()):
            if phase(stored) in TERMINAL_PHASES:
                self.server.delete(name)

    @precondition(lambda self: self.server.stored)
    @rule(which=some)
    def somebody_deletes_it_whatever_its_phase(self, which: int) -> None:
        self.server.delete(self._name(which))

    def _name(self, which: int) -> str:
        return list(self.server.stored)[which % len(self.server.stored)]

    # ------------------------------------------------------------------ the operator

    @precondition(lambda self: self.server.log)
    @rule(ago=some, proven=st.sampled_from([True, True, False]))
    def the_operator_judges(self, ago: int, proven: bool) -> None:
        _, seen = self.server.log[-1 - ago % len(self.server.log)]
        self._judge(seen, proven=proven)

    @precondition(lambda self: self.judged)
    @rule(which=some)
    def the_operator_writes(self, which: int) -> None:
        self.server.apply_status(*self.judged.pop(which % len(self.judged)))

    @rule()
    def the_operator_keeps_up(self) -> None:
        for stored in list(self.server.stored.values()):
            if self._judge(stored, proven=True):
                self.the_operator_writes(len(self.judged) - 1)

    def _judge(self, seen: Object, *, proven: bool) -> bool:
        now = datetime.fromtimestamp(self.server.now + self.operator_skew, UTC)
        status = reconcile(seen, Observed(proven, INSTALLATION.is_person), now).status
        if status is not None:
            self.judged.append((seen, status))
        return status is not None

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def uses_are_as_many_as_were_taken_and_no_more_than_approved(self) -> None:
        for stored in self.server.stored.values():
            status = stored.get("status") or {}
            taken = [use for use in self.server.uses if use.grant_uid == stored["metadata"]["uid"]]
            assert status.get("uses", 0) == len(taken) <= stored["spec"]["request"]["maxUses"]
            recorded = [record["evaluationID"] for record in status.get("useRecords", [])]
            assert recorded == [use.evaluation_id for use in taken]

    def teardown(self) -> None:
        for flight in getattr(self, "flights", ()):
            flight.work.close()


async def _requested(pdp: Pdp) -> None:
    with contextlib.suppress(ClusterUnavailableError):
        await pdp.request(Asked(CALL, None, live_identity=True), "because")


# Enough for a grant to be opened, approved, used by several at once, and to end.
GrantLife.TestCase.settings = settings(stateful_step_count=60)
TestGrantLife = pytest.mark.invariant(10)(GrantLife.TestCase)
