"""A grant's life, model-checked: decision points, an operator, reviewers and revokers in every order of their steps.

The pipeline, the consumer, the opener, the engine and the operator's state machine are the real ones; `lifeserver` has
the API server, and checks each write. Each call to it is two steps of the machine, done and answered, between which
anything may happen; a replica may die in between, an answer may be lost, and nobody's clock or store need be right.
"""

import contextlib
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_operator.reconcile.approvalgrant import GrantObservation, reconcile
from bailiwick_webhook.approvals.consumer import IDEMPOTENT_FOR
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.steps import resolve
from property.approvals.lifereplica import INSTALLATION, Flight, Replica
from property.approvals.lifeserver import Op, Server, Use, phase
from support.objects import Object, gated_rule
from unit.engine.cases import CALL, governed, read

REPLICAS: Final = 3
REVIEWERS: Final = ("carol", "dave", "erin")
# Many are asked for here.
LATE: Final = st.sampled_from([0.0, 0.0, 0.0, 40.0, 200.0])
LIMITS: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
# Of replicas and operator against the API server; the last is more than a decision point bears.
CLOCKS: Final = st.sampled_from([0.0, 0.0, -25.0, 25.0, 600.0])
SMALL: Final = ("Approve", "Deny", "label")
GREAT: Final = ("revoke", "delete")
some: Final = st.integers(0, 5)
which_replica: Final = st.integers(0, REPLICAS - 1)


class GrantLife(RuleBasedStateMachine):
    """One call that needs an approval, asked again and again."""

    server: Server
    replicas: list[Replica]

    @initialize(
        guarded=st.booleans(),
        uses=st.integers(1, 3),
        reviewers=st.integers(1, 2),
        skews=st.tuples(*[CLOCKS] * REPLICAS).filter(lambda skews: abs(skews[0]) < 60),
        operator_skew=st.sampled_from([0.0, 0.0, -25.0, 25.0, -300.0, 300.0]),
        grants=st.sampled_from([1, 2, 2, 0]),
        late=LATE,
    )
    def begin(
        self,
        guarded: bool,
        uses: int,
        reviewers: int,
        skews: tuple[float, ...],
        operator_skew: float,
        grants: int,
        late: float,
    ) -> None:
        steps = [{"name": "owner", "kind": "Human", "groups": ["crm-owners"], "count": reviewers}]
        snapshot = governed(gated_rule("export", approval={"steps": steps, "maxUses": uses, "limits": LIMITS}))
        self.server = Server(guarded)
        self.replicas = [Replica(self.server, snapshot, skew) for skew in skews]
        self.operator_skew = operator_skew
        self.flights: list[Flight] = []
        self.judged: list[tuple[Object, Object]] = []
        if grants:
            self.begin_anew(0, 2, denied=False, late=late)
        if grants == 2:
            self._approve_another()

    # ------------------------------------------------------------------ asking

    @rule(replica=which_replica, request_id=st.sampled_from([None, None, "a", "b"]))
    def ask(self, replica: int, request_id: str | None) -> None:
        asked = EvaluationRequest(CALL, request_id, live_identity=True)
        self._fly(replica, request_id, resolve(self.replicas[replica].pdp.evaluate(asked)))

    @rule(request_id=st.sampled_from([None, None, "a", "b"]))
    def ask_everybody(self, request_id: str | None) -> None:
        for replica in range(REPLICAS):
            self.ask(replica, request_id)

    @rule(replica=which_replica)
    def open(self, replica: int) -> None:
        # It opens one at a time for a subject, and waits by a lock, which needs an event loop.
        if any(flight.replica == replica and flight.opens for flight in self.flights):
            return
        self._fly(replica, None, _requested(self.replicas[replica].pdp), opens=True)

    @precondition(lambda self: not any(phase(stored) == "Active" for stored in self.server.stored.values()))
    @rule(
        replica=which_replica,
        approvals=st.sampled_from([1, 2, 2]),
        denied=st.sampled_from([False, False, True]),
        late=LATE,
    )
    def begin_anew(self, replica: int, approvals: int, denied: bool, late: float) -> None:
        """Open a grant and have it reviewed, in time or so many seconds after its deadline."""
        self.somebody_hears(None)
        while self.flights:
            self.land(0)
        self.open(replica)
        self.land(0)
        if late and (deadlines := self._deadlines()):
            self.server.now = max(self.server.now, max(deadlines) + late)
        for name in list(self.server.stored):
            if denied:
                self._review(name, REVIEWERS[2], "Deny")
            self._approve(name, approvals)

    def _approve_another(self) -> None:
        """Of the very same call: two people who ask while retention removes the grant before may open two."""
        for stored in list(self.server.stored.values()):
            spec = {**stored["spec"], "reviews": []}
            self.server.create({**stored, "metadata": {**stored["metadata"], "name": "agr-another"}, "spec": spec})
        self._approve("agr-another", 2)

    def _approve(self, name: str, approvals: int) -> None:
        for by in REVIEWERS[:approvals]:
            self._review(name, by, "Approve")
        self.the_operator("keeps up", 0)
        self.somebody_hears(None)

    def _fly(
        self, replica: int, request_id: str | None, work: Coroutine[Any, Any, Any], *, opens: bool = False
    ) -> None:
        flight = Flight(replica, request_id, work, opens)
        flight.go_on(lambda: cast("Op", work.send(None)))
        self.flights.append(flight)
        self._look(flight)

    # ------------------------------------------------------------------ steps of what is on its way

    @precondition(lambda self: self.flights)
    @rule(which=some, how=st.sampled_from(["done", "answered", "answered", "answered", "lost", "answer lost"]))
    def go_on(self, which: int, how: str) -> None:
        """Lost on the way there or back, 429, 500, too late, garbage: the one is like the other."""
        flight = self.flights[which % len(self.flights)]
        if how != "lost":
            self._do(flight)
        if how == "answered":
            answer = flight.answer
            flight.go_on(lambda: cast("Op", flight.work.send(answer)))
        if how in {"lost", "answer lost"}:
            record = flight.op is not None and flight.op.kind == "RECORD"
            error = RecordFailedError("full") if record else ClusterUnavailableError("")
            flight.go_on(lambda: cast("Op", flight.work.throw(error)))
        self._look(flight)

    @precondition(lambda self: self.flights)
    @rule(which=some, losing=st.sampled_from([-1, -1, 0, 1, 1, 2]))
    def land(self, which: int, losing: int = -1) -> None:
        """Go on to the end, but that one answer is lost, if any."""
        for flight in self.flights[which : which + 1]:
            step = 0
            while flight in self.flights:
                self.go_on(self.flights.index(flight), "answer lost" if step == losing else "answered")
                step += 1

    @precondition(lambda self: self.flights)
    @rule()
    def land_all_in_step(self) -> None:
        while self.flights:
            for flight in list(self.flights):
                self.go_on(self.flights.index(flight), "answered")

    def _do(self, flight: Flight) -> None:
        op = flight.op
        if flight.done or op is None:
            return
        flight.done = True
        match op.kind:
            case "GET":
                flight.answer = self.server.read(op.name)
                flight.read, flight.read_at = flight.answer.body, flight.answer.date
            case "LIST":
                flight.answer = list(self.server.stored.values())
            case "POST":
                flight.answer = self.server.create(op.body)
            case "PUT":
                evaluation_id = op.body["status"]["useRecords"][-1]["evaluationID"]
                use = Use(op.body["metadata"]["uid"], evaluation_id, flight.request_id, flight.read_at)
                flight.answer = self.server.put_status(op.body, use)
            case "RECORD":
                flight.recorded = True

    def _look(self, flight: Flight) -> None:
        """Look at the decision, if that is the end."""
        if flight.op is not None:
            return
        self.flights.remove(flight)
        decision = flight.result
        if isinstance(decision, Decision) and decision.allowed:
            assert decision.grant is not None
            assert flight.recorded, "answered before it was recorded"
            paid = [use for use in self.server.uses if _pays(use, flight, decision)]
            assert len(paid) == 1, paid
            assert flight.read is not None
            assert phase(flight.read) in {"Active", "Consumed"}
            assert "revocation" not in flight.read["spec"]

    # ------------------------------------------------------------------ everybody else

    @rule(replica=st.none() | which_replica)
    def somebody_hears(self, replica: int | None) -> None:
        """One store hears of the next change, or all of everything."""
        for one in self.replicas if replica is None else [self.replicas[replica]]:
            one.hear(len(self.server.log) if replica is None else 1)

    @rule(seconds=st.sampled_from([0.4, 1.0, 5.0, 10.0, 20.0, 31.0] * 4 + [580.0, 3500.0]))
    def time_passes(self, seconds: float) -> None:
        self.server.now += seconds

    @precondition(lambda self: self._ends())
    @rule(which=some, by=st.sampled_from([-20.0, -1.0, 0.0, 1.0]))
    def a_window_ends(self, which: int, by: float) -> None:
        """Or nearly so."""
        ends = self._ends()
        self.server.now = max(self.server.now, ends[which % len(ends)] + by)

    def _ends(self) -> list[float]:
        ends = [grant.status.not_after_time for grant in map(read, self.server.stored.values()) if not grant.revoked]
        return [end.timestamp() for end in ends if end is not None and end.timestamp() > self.server.now]

    def _deadlines(self) -> list[float]:
        waiting = [grant for grant in map(read, self.server.stored.values()) if grant.phase == "Pending"]
        return [grant.request.pending_until_time.timestamp() for grant in waiting]

    @precondition(lambda self: self.server.stored)
    @rule(which=some, by=st.sampled_from(REVIEWERS), what=st.sampled_from([*SMALL * 3, *GREAT]))
    def somebody(self, which: int, by: str, what: str) -> None:
        """Write to a grant. It cannot be shown that nobody ever deletes one in any phase, so somebody does."""
        name = list(self.server.stored)[which % len(self.server.stored)]
        match what:
            case "Approve" | "Deny":
                self._review(name, by, what)
            case "label":
                self.server.touch(name)
            case "revoke":
                self.server.revoke(name, by)
            case "delete":
                self.server.delete(name)

    def _review(self, name: str, by: str, decision: str) -> None:
        request = self.server.stored[name]["spec"]["request"]
        step = request["steps"][0]["name"]
        said = {"decision": decision, "binding": request["binding"]["digest"], "group": "crm-owners"}
        self.server.review(name, {"reviewer": by, "step": step, **said})

    @rule(replica=which_replica, odds=st.integers(0, 3))
    def a_replica_may_die_and_start_again(self, replica: int, odds: int) -> None:
        if odds > 0:
            return
        for flight in [flight for flight in self.flights if flight.replica == replica]:
            flight.work.close()
            self.flights.remove(flight)
        self.replicas[replica].start()

    @precondition(lambda self: self.server.log)
    @rule(what=st.sampled_from(["judges", "judges unproven", "writes", "writes", "keeps up", "retires"]), which=some)
    def the_operator(self, what: str, which: int) -> None:
        """Judge some version, old or new; write what was judged, soon or late; or do all at once."""
        match what:
            case "judges" | "judges unproven":
                _, seen = self.server.log[-1 - which % len(self.server.log)]
                self._judge(seen, proven=what == "judges")
            case "writes" if self.judged:
                self.server.apply_status(*self.judged.pop(which % len(self.judged)))
            case "keeps up":
                for stored in list(self.server.stored.values()):
                    self._judge(stored, proven=True)
                    while self.judged:
                        self.server.apply_status(*self.judged.pop())
            case "retires":
                for name, stored in list(self.server.stored.items()):
                    if phase(stored) in TERMINAL_PHASES:
                        self.server.delete(name)

    def _judge(self, seen: Object, *, proven: bool) -> None:
        # As its clock beside the API server's tells it (`bailiwick_operator.loop.clock`).
        timed = abs(self.operator_skew) <= MAX_SKEW
        now = datetime.fromtimestamp(self.server.now + (max(self.operator_skew, 0.0) if timed else 0.0), UTC)
        status = reconcile(seen, GrantObservation(proven, INSTALLATION.is_person, timed=timed), now).status
        if status is not None:
            self.judged.append((seen, status))

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


def _pays(use: Use, flight: Flight, decision: Decision) -> bool:
    """Tell whether this use is what the answer was let through by: its own, or that of the same request before."""
    repeated = flight.request_id is not None and use.request_id == flight.request_id
    return (
        decision.grant is not None
        and use.grant_uid == decision.grant.uid
        and (
            use.evaluation_id == decision.evaluation_id
            or (repeated and 0 <= flight.read_at - use.read_at <= IDEMPOTENT_FOR)
        )
    )


async def _requested(pdp: Pdp) -> None:
    with contextlib.suppress(ClusterUnavailableError):
        await pdp.request(EvaluationRequest(CALL, None, live_identity=True, reason="because"))


# Steps: enough for a grant to be opened, approved, used by several at once, and to end. Lives: rare orders count.
GrantLife.TestCase.settings = settings(max_examples=6 * settings().max_examples, stateful_step_count=60)


@pytest.mark.invariant(10, 11, 12, 13)
@pytest.mark.timeout(3600)
class TestGrantLife(GrantLife.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    """AB-13, AB-15, AB-16, AB-17."""
