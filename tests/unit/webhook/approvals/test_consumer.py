"""Uses of a grant over time: what only a clock that a test moves can show. Races and faults are in tests/cluster."""

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_api.voidgrants import NONE, VoidGrant, VoidGrants
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import ServiceAccount, ShownApproval, Token
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals import consumer
from bailiwick_webhook.approvals.consumer import IDEMPOTENT_FOR, Consumer
from bailiwick_webhook.evaluation import EvaluationRequest
from support.objects import Object, gated_rule, rule
from unit.engine.cases import AGENT_UID, CALL, ENFORCER, NOW, approved, at, governed, read, verdict_of

STEPS: Final = [{"name": "owner", "kind": "Human", "groups": ["crm-owners"]}]
GRANT: Final = approved(governed(gated_rule("export", approval={"steps": STEPS, "maxUses": 2})))


@dataclass
class StoredGrant:
    """One grant in an API server that does nothing but compare versions."""

    grant: Object
    now: float = NOW
    writes: list[Object] = field(default_factory=list)
    read: ApiResponse | None = None
    """What it answers instead of the grant."""
    refusals: list[ApiResponse] = field(default_factory=list)
    """What it answers instead of writing, one after the other."""

    meanwhile: Callable[[], None] = lambda: None
    """What happens while a grant is read."""
    admission: Callable[[Object], None] = lambda _grant: None
    """What is changed in a grant on its way into the store."""

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        self.meanwhile()
        return self.read or ApiResponse(200, copy.deepcopy(self.grant), self.now)

    async def write_grant_status(self, grant: Object) -> ApiResponse:
        if self.refusals:
            return self.refusals.pop(0)
        if grant["metadata"]["resourceVersion"] != self.grant["metadata"]["resourceVersion"]:
            return ApiResponse(409, {"message": "the object has been modified"}, self.now)
        self.writes.append(grant)
        self.grant = copy.deepcopy(grant)
        self.admission(self.grant)
        self.grant["metadata"]["resourceVersion"] = f"{8 + len(self.writes)}"
        return ApiResponse(200, copy.deepcopy(self.grant), self.now)


@dataclass
class Bench:
    """A grant of some uses, and a decision point whose clock a test moves."""

    max_uses: int = 2
    presentation: str = "Lookup"
    now: float = NOW
    theirs: float | None = None
    """The API server's clock, where it is another."""
    decided: float | None = None
    """When the call was decided, where that was before its use was taken."""
    lagging: tuple[Snapshot, Object] | None = None
    """By which policies it was decided and what the store knew of the grant, where that was of before."""
    void: VoidGrants = NONE
    reason: Reason | None = None
    """Why the last answer was what it was."""
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        approval = {"steps": STEPS, "maxUses": self.max_uses, "presentation": self.presentation}
        self.snapshot: Snapshot = governed(gated_rule("export", approval=approval))
        self.server = StoredGrant(approved(self.snapshot))
        self.route = 1
        self.consumer = Consumer(
            self.server,  # type: ignore[arg-type]  # stands for the cluster
            lambda: self.now,
            watch_route=self._watch_route,
        )

    def _watch_route(self) -> Callable[[], Awaitable[bool]]:
        begun = self.route

        async def served_here() -> bool:
            return self.route == begun

        return served_here

    @property
    def uses(self) -> int:
        found: int = self.server.grant["status"].get("uses", 0)
        return found

    async def ask(
        self,
        request_id: str | None = None,
        asked_by: ServiceAccount = ENFORCER,
        *,
        shown: ShownApproval | None = None,
        item: int | None = None,
    ) -> bool:
        self.server.now = self.now if self.theirs is None else self.theirs
        call = replace(CALL, caller=asked_by, shown=shown)
        asked = EvaluationRequest(call, request_id, live_identity=True, item=item)
        policies, stored = self.lagging or (self.snapshot, self.server.grant)
        known = read(stored)
        decided = self.now if self.decided is None else self.decided
        verdict = verdict_of(policies, call, [known], Circumstances(decided))

        def judge(grant: Grant, now: float) -> Verdict:
            return verdict_of(self.snapshot, call, [grant], Circumstances(now, void=self.void))

        verdict = await self.consumer.caught_up(asked, verdict, judge)
        self.reason, self.outcome = verdict.reason, verdict.outcome
        candidates = (*self.consumer.taken_before(asked, verdict, [known]), *verdict.grants)

        if not candidates:
            # As the pipeline does: nothing is left to be read.
            return False
        told, used = await self.consumer.consume(
            asked, replace(verdict, grants=candidates), f"eval_{len(self.server.writes)}", judge
        )
        self.reason, self.outcome = told.reason, told.outcome
        return used is not None


async def test_a_repeated_request_is_the_same_call_for_thirty_seconds_and_then_another() -> None:
    bench = Bench()
    assert await bench.ask("id")
    bench.now += IDEMPOTENT_FOR
    assert await bench.ask("id")
    assert bench.uses == 1
    bench.now += 0.1
    assert await bench.ask("id")
    assert bench.uses == 2
    keys = [record["key"] for record in bench.server.grant["status"]["useRecords"]]
    assert len(set(keys)) == 2


@pytest.mark.invariant(26)
async def test_a_use_that_was_written_at_another_server_denies_the_call_and_those_that_repeat_it() -> None:
    bench = Bench()

    def changed() -> None:
        bench.route += 1

    bench.server.meanwhile = changed
    for _ in range(2):
        assert not await bench.ask("id")
        assert (bench.outcome, bench.reason) == (Outcome.DENY, Reason.APPROVAL_UNVERIFIABLE)
    assert bench.uses == 1


async def test_a_repeated_request_of_a_used_up_grant_is_denied_after_thirty_seconds() -> None:
    bench = Bench(max_uses=1)
    for _ in range(2):
        assert await bench.ask("id")
        assert (bench.outcome, bench.reason) == (Outcome.USE_GRANT, Reason.ALLOWED)
    bench.now += IDEMPOTENT_FOR + 0.1
    assert not await bench.ask("id")
    assert bench.uses == 1


def _status(bench: Bench, **status: object) -> None:
    bench.server.grant["status"] |= status


def _other_rule(bench: Bench) -> None:
    bench.snapshot = governed(gated_rule("export", approval={"steps": STEPS, "maxUses": 1, "windowSeconds": 599}))


def _used_up_and_another_rule(bench: Bench) -> None:
    _status(bench, phase="Consumed")
    _other_rule(bench)


def _denied(bench: Bench) -> None:
    bench.snapshot = governed(
        gated_rule("export", approval={"steps": STEPS, "maxUses": 1}), rule("no", effect="Deny", actions=["*"])
    )


CHANGES: Final[dict[str, tuple[Callable[[Bench], None], Reason]]] = {
    "revoked": (lambda bench: bench.server.grant["spec"].update(revocation={"by": "carol"}), Reason.APPROVAL_REVOKED),
    "deleted": (
        lambda bench: bench.server.grant["metadata"].update(deletionTimestamp=at(0)),
        Reason.APPROVAL_REVOKED,
    ),
    "denied by a reviewer": (lambda bench: _status(bench, phase="Denied"), Reason.APPROVAL_DENIED),
    "at its end": (lambda bench: _status(bench, notAfterTime=at(0)), Reason.APPROVAL_EXPIRED),
    "used up, at its end": (
        lambda bench: _status(bench, phase="Consumed", notAfterTime=at(0)),
        Reason.APPROVAL_CONSUMED,
    ),
    "of a rule that changed": (_other_rule, Reason.APPROVAL_REQUIRED),
    "used up, of a rule that changed": (_used_up_and_another_rule, Reason.APPROVAL_CONSUMED),
    "denied by a rule": (_denied, Reason.POLICY_DENIED),
}


@pytest.mark.invariant(11)
@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
async def test_a_repeated_request_is_let_through_by_nothing_but_what_let_it_through(
    change: Callable[[Bench], None], reason: Reason
) -> None:
    bench = Bench(max_uses=1)
    assert await bench.ask("id")
    bench.lagging = (bench.snapshot, copy.deepcopy(bench.server.grant))
    change(bench)
    assert not await bench.ask("id")
    assert (bench.outcome, bench.reason, bench.uses) == (Outcome.DENY, reason, 1)


def _without_reviews(bench: Bench) -> None:
    bench.server.grant["spec"].pop("reviews")


def _without_counted_reviews(bench: Bench) -> None:
    bench.server.grant["status"].pop("counted")


def _by_the_enforcer(bench: Bench) -> None:
    bench.server.grant["spec"]["reviews"][0]["reviewer"] = ENFORCER.username
    _status(bench, counted=[{"reviewer": ENFORCER.username}])


def _approved_after_its_use(bench: Bench) -> None:
    _status(bench, approvedTime=at(300))


FORGED: Final[dict[str, Callable[[Bench], None]]] = {
    "without a review": _without_reviews,
    "without a review that the operator counted": _without_counted_reviews,
    "reviewed by the enforcer of the call": _by_the_enforcer,
    "approved after its use": _approved_after_its_use,
}


@pytest.mark.invariant(11, 27)
@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
async def test_a_grant_that_says_that_this_call_used_it_up_is_no_approval(change: Callable[[Bench], None]) -> None:
    """Two accounts can write that: the operator's writes the phase and the times, the decision point's the use."""
    bench = Bench(max_uses=1)
    assert await bench.ask("id")
    _status(bench, phase="Consumed")
    assert await bench.ask("id")
    change(bench)
    assert not await bench.ask("id")
    # The caller can ask for an approval: nothing else would help, as this grant stays as it is.
    assert (bench.outcome, bench.reason, bench.uses) == (Outcome.DENY, Reason.APPROVAL_REQUIRED, 1)


async def test_a_repeated_request_is_repeated_by_the_same_enforcer_only() -> None:
    bench = Bench()
    assert await bench.ask("id")
    assert await bench.ask("id", replace(ENFORCER, uid="made-anew"))
    assert bench.uses == 2


async def test_a_repeated_request_that_shows_no_token_is_none_that_was_let_through_before() -> None:
    bench = Bench(max_uses=1, presentation="Token")
    grant = read(bench.server.grant)
    token = Token(grant.id, None, AGENT_UID)
    for shown, served in ((ShownApproval(grant.id, token), True), (None, False), (ShownApproval(grant.id), False)):
        assert await bench.ask("id", shown=shown) is served
    assert await bench.ask("id", shown=ShownApproval(grant.id, token))
    assert bench.uses == 1


@pytest.mark.invariant(11, 26)
async def test_a_repeated_request_of_a_grant_that_was_made_void_is_denied() -> None:
    bench = Bench(max_uses=1)
    assert await bench.ask("id")
    status = bench.server.grant["status"]
    ready = {"type": "Ready", "status": "False", "reason": "GuardUnproven", "lastTransitionTime": at(0)}
    bench.server.grant["status"] = {**status, "phase": "Consumed", "conditions": [ready]}
    assert not await bench.ask("id")


PENDING: Final = {**GRANT, "status": {"phase": "Pending"}}


async def test_a_grant_that_memory_has_as_pending_serves_once_it_is_read_live() -> None:
    bench = Bench()
    bench.lagging = (bench.snapshot, PENDING)
    assert await bench.ask()
    assert (bench.reason, bench.uses) == (Reason.ALLOWED, 1)


LIVE: Final[dict[str, tuple[Object, Reason]]] = {
    "pending still": (PENDING, Reason.APPROVAL_PENDING),
    "denied": ({**GRANT, "status": {**GRANT["status"], "phase": "Denied"}}, Reason.APPROVAL_DENIED),
    "revoked": ({**GRANT, "spec": {**GRANT["spec"], "revocation": {"by": "carol"}}}, Reason.APPROVAL_REVOKED),
    "over": ({**GRANT, "status": {**GRANT["status"], "notAfterTime": at(0)}}, Reason.APPROVAL_EXPIRED),
    "made anew": ({**GRANT, "metadata": {**GRANT["metadata"], "uid": "made-anew"}}, Reason.APPROVAL_PENDING),
    "not to be read": ({**GRANT, "spec": {}}, Reason.APPROVAL_PENDING),
}


@pytest.mark.parametrize(("live", "reason"), LIVE.values(), ids=LIVE)
async def test_what_is_read_live_of_a_pending_grant_is_what_is_told(live: Object, reason: Reason) -> None:
    bench = Bench()
    bench.lagging = (bench.snapshot, PENDING)
    bench.server.grant = live
    assert not await bench.ask()
    assert (bench.reason, bench.server.writes) == (reason, [])


@pytest.mark.invariant(11, 27)
async def test_a_repeated_request_of_a_grant_that_is_void_by_name_is_denied() -> None:
    bench = Bench(max_uses=1)
    assert await bench.ask("id")
    bench.void = VoidGrants({bench.server.grant["metadata"]["uid"]: VoidGrant("crm", "agr-opened")})
    assert not await bench.ask("id")
    assert bench.reason is Reason.APPROVAL_UNVERIFIABLE


@pytest.mark.invariant(11)
async def test_a_use_that_is_yet_to_come_was_taken_by_nobody() -> None:
    bench = Bench(max_uses=1)
    assert await bench.ask("id")
    (record,) = bench.server.grant["status"]["useRecords"]
    record["time"] = at(86_400)
    assert not await bench.ask("id")


@pytest.mark.invariant(11)
async def test_an_item_of_a_batch_is_the_same_call_at_the_same_place_only() -> None:
    bench = Bench(max_uses=4)
    calls = [("id", None), ("id", 0), ("id", 1), ("id [0]", None)]
    for request_id, item in (*calls, *calls):
        assert await bench.ask(request_id, item=item)
    assert bench.uses == len(calls)


@pytest.mark.parametrize("request_id", ["two words", "caf\u00e9", "\U0001f600"])
async def test_a_request_id_of_any_characters_makes_a_repeated_call_the_same(request_id: str) -> None:
    bench = Bench()
    assert await bench.ask(request_id)
    assert await bench.ask(request_id)
    assert bench.uses == 1


async def test_without_a_request_id_every_call_is_its_own() -> None:
    bench = Bench()
    assert [await bench.ask() for _ in range(3)] == [True, True, False]
    assert bench.uses == 2


async def test_times_are_judged_at_the_later_of_both_clocks() -> None:
    until = datetime.fromisoformat(Bench().server.grant["status"]["notAfterTime"]).timestamp()
    for ours, theirs, served in ((-1.0, -1.0, True), (-1.0, 0.0, False), (0.0, -1.0, False)):
        bench = Bench(now=until + ours, theirs=until + theirs, decided=until - 1.0)
        assert await bench.ask() is served
        assert bench.outcome is (Outcome.USE_GRANT if served else Outcome.DENY)


async def test_a_use_adds_one_record_and_changes_nothing_else() -> None:
    bench = Bench()
    before = copy.deepcopy(bench.server.grant)
    assert await bench.ask("id")
    (written,) = bench.server.writes
    status = written["status"]
    assert {name: status[name] for name in status if name not in {"uses", "useRecords"}} == before["status"]
    assert (written["spec"], written["metadata"], status["uses"]) == (before["spec"], before["metadata"], 1)
    assert [set(record) for record in status["useRecords"]] == [{"key", "time", "evaluationID"}]


# A replica whose clock is as far off as is borne asks again; the API server's clock tells how long ago the first was.
@pytest.mark.invariant(11)
@pytest.mark.parametrize("first", [-29.0, 0.0, 29.0])
@pytest.mark.parametrize("then", [-29.0, 0.0, 29.0])
async def test_ab_17_how_long_a_request_is_remembered_does_not_hang_on_the_clocks_of_replicas(
    first: float, then: float
) -> None:
    for seconds, uses in ((0.0, 1), (IDEMPOTENT_FOR, 1), (IDEMPOTENT_FOR + 1, 2)):
        bench = Bench()
        bench.theirs = NOW
        bench.now = NOW + first
        assert await bench.ask("id")
        bench.theirs = NOW + seconds
        bench.now = NOW + seconds + then
        assert await bench.ask("id")
        assert bench.uses == uses, seconds


@pytest.mark.invariant(11)
async def test_a_request_that_came_again_after_its_time_can_be_repeated_in_turn() -> None:
    bench = Bench(max_uses=3)
    assert await bench.ask("id")
    for uses in (2, 3):
        bench.now += IDEMPOTENT_FOR + 1
        assert [await bench.ask("id") for _ in range(3)] == [True] * 3
        assert bench.uses == uses


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("ahead", "served"), [(30, True), (31, False), (600, False)])
async def test_ab_11_an_operator_whose_clock_is_ahead_gives_no_longer_window_than_was_approved(
    ahead: int, served: bool
) -> None:
    bench = Bench()
    known = copy.deepcopy(bench.server.grant)
    bench.server.grant["status"] |= {"approvedTime": at(ahead), "notAfterTime": at(ahead + 600)}
    # As the store has it now, and as it had it before: what is read live is judged too.
    for lagging in (None, (bench.snapshot, known)):
        bench.lagging = lagging
        assert await bench.ask() is served
        assert bench.reason is (Reason.ALLOWED if served else Reason.CLOCK_SKEW)
    assert bench.uses == (2 if served else 0)


@pytest.mark.invariant(12)
@pytest.mark.invariant(26)
@pytest.mark.parametrize("seconds", [-600.0, -31.0, 31.0, 500.0])
async def test_ab_11_a_clock_step_of_a_replica_takes_no_use(seconds: float) -> None:
    bench = Bench(theirs=NOW)
    bench.now = NOW + seconds
    assert not await bench.ask()
    assert (bench.uses, bench.reason) == (0, Reason.CLOCK_SKEW)


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("left", "served"), [(1.0, True), (0.0, False), (-1.0, False)])
async def test_ab_11_a_grant_that_ended_a_second_ago_serves_nobody(left: float, served: bool) -> None:
    bench = Bench()
    until = datetime.fromisoformat(bench.server.grant["status"]["notAfterTime"]).timestamp()
    bench.now = until - left
    assert await bench.ask() is served


@pytest.mark.invariant(12)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ApiResponse(404, {}, NOW), Reason.APPROVAL_REQUIRED),
        (
            ApiResponse(200, {**GRANT, "metadata": {**GRANT["metadata"], "uid": "made-anew"}}, NOW),
            Reason.APPROVAL_REQUIRED,
        ),
        (ApiResponse(200, {**GRANT, "spec": {}}, NOW), Reason.APPROVAL_REQUIRED),
        (ApiResponse(403, {"message": "forbidden"}, NOW), Reason.APPROVAL_UNVERIFIABLE),
        (ApiResponse(500, GRANT, NOW), Reason.APPROVAL_UNVERIFIABLE),
        (ApiResponse(200, GRANT, None), Reason.CLOCK_SKEW),
    ],
    ids=["gone", "another of its name", "not to be read", "refused", "an error", "no date"],
)
async def test_a_grant_that_is_not_what_was_known_of_it_serves_nobody(answer: ApiResponse, reason: Reason) -> None:
    bench = Bench()
    bench.server.read = answer
    assert not await bench.ask()
    assert (bench.server.writes, bench.reason) == ([], reason)


@pytest.mark.invariant(11)
@pytest.mark.parametrize(
    ("refusals", "served", "reason"),
    [
        ([409], True, Reason.ALLOWED),
        ([409] * 4, True, Reason.ALLOWED),
        ([409] * 5, False, Reason.APPROVAL_UNVERIFIABLE),
        ([404], False, Reason.APPROVAL_REVOKED),
        ([403], False, Reason.APPROVAL_UNVERIFIABLE),
        ([422], False, Reason.APPROVAL_UNVERIFIABLE),
        ([500], False, Reason.APPROVAL_UNVERIFIABLE),
    ],
)
async def test_a_use_that_is_not_written_is_none_and_only_a_conflict_is_tried_again(
    refusals: list[int], served: bool, reason: Reason
) -> None:
    bench = Bench()
    bench.server.refusals = [ApiResponse(status, {"message": "no"}, NOW) for status in refusals]
    assert await bench.ask() is served
    assert (bench.server.refusals, bench.uses, bench.reason) == ([], int(served), reason)


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("apart", "served"), [(-30.0, True), (-30.1, False), (30.0, True), (30.1, False)])
async def test_ab_11_clocks_that_are_further_apart_than_is_borne_take_no_use(apart: float, served: bool) -> None:
    bench = Bench(theirs=NOW)
    bench.now = NOW + apart
    assert await bench.ask() is served


@pytest.mark.parametrize(
    ("member", "value"),
    [("key", "sha256:" + 64 * "0"), ("time", "2026-11-30T10:00:00.001Z"), ("evaluationID", "eval_of_another")],
)
@pytest.mark.parametrize("place", [0, 1])
async def test_a_use_that_is_stored_otherwise_than_it_was_written_lets_no_call_through(
    member: str, value: str, place: int
) -> None:
    bench = Bench()
    for number in range(place):
        assert await bench.ask(f"before {number}")

    def change(stored: Object) -> None:
        stored["status"]["useRecords"][place][member] = value

    bench.server.admission = change
    assert not await bench.ask("id")
    assert bench.reason is Reason.APPROVAL_UNVERIFIABLE
    assert bench.uses == place + 1


async def test_what_else_of_a_grant_is_changed_with_its_use_lets_no_call_through() -> None:
    for field_name, value in (("notAfterTime", "2026-12-30T10:00:00Z"), ("uses", 0), ("useRecords", [])):
        bench = Bench()
        bench.server.admission = lambda stored, name=field_name, wanted=value: stored["status"].update({name: wanted})  # type: ignore[misc]  # bound
        assert not await bench.ask("id")
        assert bench.reason is Reason.APPROVAL_UNVERIFIABLE


@pytest.mark.invariant(12)
@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (0.0, 0.0, None),
        (3600.0, 3600.0, Reason.APPROVAL_EXPIRED),
        (0.0, 3600.0, Reason.APPROVAL_EXPIRED),
        (3600.0, 0.0, Reason.APPROVAL_EXPIRED),
        (0.0, None, Reason.CLOCK_SKEW),
    ],
    ids=["not stopped", "stopped", "stopped, by the API server", "stopped, by our clock", "the answer has no time"],
)
async def test_a_process_that_was_stopped_before_it_wrote_lets_no_call_through_after_the_end(
    ours: float, theirs: float | None, reason: Reason | None
) -> None:
    bench = Bench()
    write = bench.server.write_grant_status

    async def write_late(grant: Object) -> ApiResponse:
        bench.now += ours
        answer = await write(grant)
        return ApiResponse(answer.status, answer.body, None if theirs is None else NOW + theirs)

    bench.server.write_grant_status = write_late  # type: ignore[method-assign]  # what happens meanwhile
    assert await bench.ask("id") is (reason is None)
    assert reason in {None, bench.reason}
    # It stays spent.
    assert bench.uses == 1


@pytest.mark.parametrize(("seconds", "tried"), [(1.0, 4), (0.0, 53)], ids=["a slow API server", "a quick one"])
async def test_a_use_that_always_meets_a_conflict_is_tried_for_a_few_seconds(
    monkeypatch: pytest.MonkeyPatch, seconds: float, tried: int
) -> None:
    bench, passed, tries = Bench(max_uses=50), 0.0, 0

    async def conflict(grant: Object) -> ApiResponse:
        nonlocal passed, tries
        passed, tries = passed + seconds, tries + 1
        return ApiResponse(409, {"message": "the object has been modified"}, NOW)

    bench.server.write_grant_status = conflict  # type: ignore[method-assign]  # somebody writes without end
    monkeypatch.setattr(consumer, "time", SimpleNamespace(monotonic=lambda: passed))
    assert not await bench.ask("id")
    assert (bench.reason, bench.uses, tries) == (Reason.APPROVAL_UNVERIFIABLE, 0, tried)
