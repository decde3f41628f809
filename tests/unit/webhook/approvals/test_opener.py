"""What is asked for, and what is not, where the store or the API server stands as only a fake can make it stand."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_api.serverclock import ServerClock
from bailiwick_api.voidgrants import NONE
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party, Resource
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals import throttle
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.opener import LOOKS, OpenedGrant, Opener, RefusedOpening, UnreadTask
from bailiwick_webhook.store.grants import Grants
from support.objects import Object, changed, gated_rule
from unit.engine.cases import CALL, NOW, approving, asked, at, governed, read, review, reviewed, verdict_of

ON: Final = governed(gated_rule())


def denied(since: float = -60, uid: str = "grant-uid") -> Object:
    """Return the grant of the call that carol denied so many seconds ago."""
    of = asked(ON)
    of["metadata"]["uid"] = uid
    made = reviewed(of, review(of, "carol", decision="Deny"))
    conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(since), "reason": "Denied"}]
    return {**made, "status": {**made["status"], "phase": "Denied", "conditions": conditions}}


def apart(ahead: float) -> ServerClock:
    """Return both clocks where ours is so many seconds ahead of the API server's, which shows `NOW`."""
    clock = ServerClock(lambda: NOW + ahead, lambda: 1000.0)
    clock.record_answer(NOW, 1000.0)
    return clock


def ended(on: Snapshot, number: int, since: int, *, by_hand: bool) -> Object:
    """Return the grant of another call of the subject's that was asked for so many seconds ago and taken back."""
    of = asked(on, replace(CALL, resource=Resource("customer", f"other-{number}")))
    of["metadata"] |= {"name": f"agr-{number}", "uid": f"uid-{number}", "creationTimestamp": at(since)}
    status: Object = {"phase": "Withdrawn"}
    if by_hand:
        of["spec"]["request"]["origin"] = "PreApproved"
        status["resolved"] = {
            "subjectUID": of["spec"]["request"]["subject"]["uid"],
            "rules": of["spec"]["request"]["rules"],
        }
    return {**of, "status": status}


@dataclass
class Server:
    """Keeps grants by name and notes what was asked of it."""

    stored: dict[str, Object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hangs: bool = False
    admit: Callable[[Object], None] = lambda _manifest: None
    """What a mutating admission policy makes of a grant that is created."""

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        self.asked.append("GET")
        found = self.stored.get(name)
        return ApiResponse(404, {}, NOW) if found is None else ApiResponse(200, copy.deepcopy(found), NOW)

    async def list_grants(self, namespace: str, selector: str) -> list[Object]:
        self.asked.append("LIST")
        if self.hangs:
            await asyncio.Event().wait()
        return list(self.stored.values())

    async def create_grant(self, manifest: Object) -> ApiResponse:
        self.asked.append("POST")
        manifest = copy.deepcopy(manifest)
        self.admit(manifest)
        name = manifest["metadata"]["name"]
        if name in self.stored:
            return ApiResponse(409, {}, NOW)
        metadata = {"uid": f"{name}-uid", "resourceVersion": "1", "creationTimestamp": at(0)}
        self.stored[name] = {**manifest, "metadata": {**manifest["metadata"], **metadata}}
        return ApiResponse(201, copy.deepcopy(self.stored[name]), NOW)

    async def revoke_grant(self, namespace: str, name: str, version: str, said: object) -> ApiResponse:
        self.asked.append("PATCH")
        raise AssertionError("a grant that was denied is not withdrawn")


class Bench:
    """An opener before a server, whose store knows these grants."""

    def __init__(
        self,
        *known: Object,
        on: Snapshot = ON,
        pending: int = throttle.PENDING_GRANTS,
        clock: ServerClock | None = None,
        ticks: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.on, self.server, self.grants = on, Server(), Grants()
        for raw in known:
            self.know(raw)
        self.void = NONE
        self.revocations = NO_REVOCATIONS
        self.reviewers = NO_REVIEWER_KEYS
        server, span = cast("Any", self.server), None if clock is None else clock.span
        self.opener = Opener(server, cast("Any", self), Installation(), lambda: NOW, pending, span=span, clock=ticks)

    def know(self, raw: Object) -> None:
        self.server.stored[raw["metadata"]["name"]] = raw
        self.grants.apply("ADDED", (raw["metadata"]["namespace"], raw["metadata"]["name"]), raw)

    def grants_of(self, *place: Any) -> Any:  # noqa: ANN401 - as the store
        return self.grants.grants_of(*place)

    def wanted(self, call: Call = CALL, origin: Any = "Requested") -> GrantDraft:  # noqa: ANN401 - a literal
        verdict = verdict_of(self.on, call)
        assert verdict.gate is not None
        assert verdict.digest is not None
        assert isinstance(call.subject, Party)
        return GrantDraft(call, call.subject, verdict.gate, verdict.digest, origin=origin)


CHANGED_ON_ADMISSION: Final[dict[str, Object]] = {
    "what is shown": {"display": [{"name": "args.rows", "value": "10"}]},
    "the words": {"reason": "an audit"},
    "the steps": {"steps": [{"name": "crm.gate.owner", "policy": "crm", "kind": "Human", "count": 2}]},
    "the window": {"windowSeconds": 61},
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("change", CHANGED_ON_ADMISSION.values(), ids=CHANGED_ON_ADMISSION)
async def test_a_request_that_was_changed_on_admission_is_not_answered_as_the_one_that_was_asked_for(
    change: Object,
) -> None:
    bench = Bench()
    bench.server.admit = lambda manifest: manifest["spec"]["request"].update(change)
    outcome = await bench.opener.open(bench.wanted())
    assert isinstance(outcome, RefusedOpening)
    assert "changed it on admission" in outcome.detail


async def test_what_is_asked_for_is_answered_where_admission_adds_what_is_not_the_requests() -> None:
    bench = Bench()
    bench.server.admit = lambda manifest: manifest["metadata"].update(annotations={"team": "crm"})
    assert isinstance(await bench.opener.open(bench.wanted()), OpenedGrant)


@pytest.mark.invariant(30)
async def test_a_grant_of_the_same_name_that_shows_another_call_is_not_joined() -> None:
    bench = Bench()
    opened = await bench.opener.open(bench.wanted())
    assert isinstance(opened, OpenedGrant)
    (stored,) = bench.server.stored.values()
    stored["spec"]["request"]["display"] = [{"name": "args.rows", "value": "10"}]
    again = await bench.opener.open(bench.wanted())
    assert isinstance(again, OpenedGrant)
    assert (again.created, again.grant.name != opened.grant.name) == (True, True)


@pytest.mark.invariant(13, 19)
class TestWhatAReviewerDenied:
    async def test_is_not_asked_for_again_whatever_the_verdict_came_from(self) -> None:
        bench = Bench(denied())
        outcome = await bench.opener.open(bench.wanted())
        assert isinstance(outcome, RefusedOpening)
        assert (outcome.reason, bench.server.asked) == (Reason.APPROVAL_DENIED, [])

    async def test_is_not_asked_for_again_where_the_store_still_has_it_pending(self) -> None:
        # Opened after one that retention removed since, so that its name is not found again.
        pending = {**asked(ON), "status": {"phase": "Pending"}}
        bench = Bench(pending)
        bench.server.stored["agr-opened"] = denied()
        for outcome in (
            await bench.opener.join(read(pending), bench.wanted()),
            await bench.opener.open(bench.wanted()),
        ):
            assert isinstance(outcome, RefusedOpening)
            assert outcome.reason is Reason.APPROVAL_DENIED
        assert "POST" not in bench.server.asked

    async def test_is_asked_for_once_it_has_cooled(self) -> None:
        bench = Bench(denied(-901))
        assert isinstance(await bench.opener.open(bench.wanted()), OpenedGrant)

    async def test_is_not_withdrawn_before_the_operator_saw_it(self) -> None:
        # It would read Withdrawn for good, and the call could be asked for at once.
        of = asked(ON)
        pending = reviewed(of, review(of, "carol", decision="Deny"))
        bench = Bench(pending)
        outcome = await bench.opener.withdraw(read(pending), CALL.caller.username, None)
        assert isinstance(outcome, RefusedOpening)
        assert bench.server.asked == []


@pytest.mark.invariant(19)
class TestAFlood:
    @pytest.mark.parametrize(
        "call",
        [
            replace(CALL, resource=Resource("customer", "x" * 254)),
            replace(CALL, context={"n" * 64: 1}),
            replace(CALL, context={"intent": "i" * 64}),
        ],
        ids=["an endless id", "an endless member", "an endless purpose"],
    )
    async def test_of_what_no_grant_can_hold_never_reaches_the_api_server(self, call: Call) -> None:
        bench = Bench()
        for _ in range(3):
            assert isinstance(await bench.opener.open(bench.wanted(call)), RefusedOpening)
        assert bench.server.asked == []

    @pytest.mark.parametrize(("pending", "opened"), [(1, False), (2, True), (0, True)])
    async def test_of_a_whole_namespace_is_bounded_whosever_names_it_comes_in(self, pending: int, opened: bool) -> None:
        # Another subject's, of which this one's limits know nothing.
        other = changed(asked(ON), "spec.request.subject.uid", "another-uid")
        other["metadata"] |= {"name": "agr-another", "uid": "another"}
        bench = Bench(other, on=approving(limits={"pendingPerSubject": 50}), pending=pending)
        outcome = await bench.opener.open(bench.wanted())
        assert isinstance(outcome, OpenedGrant) is opened
        if isinstance(outcome, RefusedOpening):
            assert outcome.reason is Reason.APPROVAL_THROTTLED
            assert "this namespace has 1 pending requests; the limit is 1" in outcome.detail
            assert "POST" not in bench.server.asked

    async def test_of_denials_that_ask_never_reaches_the_api_server_once_it_is_too_much(self) -> None:
        bench = Bench(on=approving(open="OnDeny", limits={"pendingPerSubject": 1}))
        first = await bench.opener.open(bench.wanted(origin="OnDeny"))
        assert isinstance(first, OpenedGrant)
        bench.know(bench.server.stored[first.grant.name])
        bench.server.asked.clear()
        for number in range(100):
            call = replace(CALL, resource=Resource("customer", f"other-{number}"))
            outcome = await bench.opener.open(bench.wanted(call, "OnDeny"))
            assert isinstance(outcome, RefusedOpening)
            assert outcome.reason is Reason.APPROVAL_THROTTLED
        assert bench.server.asked == []

    @pytest.mark.parametrize(
        ("path", "value", "opened"),
        [
            ("status", {"phase": "Pending"}, False),
            ("status", {}, False),
            ("status", {"phase": "Active", "approvedTime": at(-1), "notAfterTime": at(9)}, True),
            ("status", {"phase": "Withdrawn"}, True),
            ("spec.revocation", {"by": "carol"}, True),
            ("metadata.deletionTimestamp", at(-1), True),
            ("spec.request.pendingUntilTime", at(0), True),
            ("spec.request.pendingUntilTime", at(1), False),
        ],
    )
    async def test_of_requests_that_wait_is_turned_away(self, path: str, value: Any, opened: bool) -> None:  # noqa: ANN401 - any value
        bench = Bench(on=approving(limits={"pendingPerSubject": 1}))
        raw = {**ended(bench.on, 0, -1, by_hand=False), "status": {"phase": "Pending"}}
        *way, last = path.split(".")
        inner = raw
        for name in way:
            inner = inner[name]
        inner[last] = value
        bench.know(raw)
        assert isinstance(await bench.opener.open(bench.wanted()), OpenedGrant) is opened

    @pytest.mark.parametrize(
        ("since", "by_hand", "opened"),
        [
            ((-1, -3599), False, False),
            ((-1, -3600), False, True),
            ((-1,), False, True),
            ((-1, -2, -3), True, True),
        ],
    )
    @pytest.mark.parametrize("told", [True, False], ids=["the store knows", "the API server alone knows"])
    async def test_of_requests_that_ended_is_turned_away_within_the_hour(
        self, since: tuple[int, ...], by_hand: bool, opened: bool, told: bool
    ) -> None:
        bench = Bench(on=approving(limits={"requestsPerHour": 2}))
        for number, moment in enumerate(since):
            raw = ended(bench.on, number, moment, by_hand=by_hand)
            bench.know(raw)
            if not told:
                bench.grants.apply("DELETED", ("crm", raw["metadata"]["name"]), raw)
        outcome = await bench.opener.open(bench.wanted())
        assert isinstance(outcome, OpenedGrant) is opened
        if isinstance(outcome, RefusedOpening):
            assert (outcome.reason, "in the last hour" in outcome.detail) == (Reason.APPROVAL_THROTTLED, True)
            assert "POST" not in bench.server.asked

    async def test_behind_an_api_server_that_hangs_is_turned_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttle, "PATIENCE", 0.01)
        bench = Bench()
        bench.server.hangs = True
        first = asyncio.create_task(bench.opener.open(bench.wanted()))
        await asyncio.sleep(0)
        outcomes = await asyncio.gather(*(bench.opener.open(bench.wanted()) for _ in range(10)))
        assert {outcome.reason for outcome in outcomes if isinstance(outcome, RefusedOpening)} == {
            Reason.APPROVAL_THROTTLED
        }
        assert bench.server.asked == ["LIST"]
        first.cancel()


@pytest.mark.parametrize(
    ("task", "endpoint", "asked_for", "found"),
    [
        ("agr-opened.grant-uid", CALL.endpoint, True, True),
        ("agr-opened.grant-uid", "another", True, False),
        ("agr-opened.another-uid", CALL.endpoint, True, False),
        ("agr-opened.", CALL.endpoint, True, False),
        ("agr-another.grant-uid", CALL.endpoint, True, False),
        ("agr-opened", CALL.endpoint, False, False),
        ("../agr-opened.grant-uid", CALL.endpoint, False, False),
        ("agr-opened/status.grant-uid", CALL.endpoint, False, False),
        ("AGR-OPENED.grant-uid", CALL.endpoint, False, False),
        ("", CALL.endpoint, False, False),
    ],
)
async def test_a_task_is_read_by_its_whole_id_and_at_its_own_endpoint(
    task: str, endpoint: str, asked_for: bool, found: bool
) -> None:
    bench = Bench(asked(ON))
    grant = await bench.opener.read(CALL.namespace, endpoint, task)
    assert (grant is not None) is found
    assert bench.server.asked == (["GET"] if asked_for else [])


async def test_looks_at_tasks_that_memory_does_not_know_have_a_ration_by_endpoint() -> None:
    bench = Bench(asked(ON))

    async def look(task: str, endpoint: str = CALL.endpoint) -> object:
        return await bench.opener.read(CALL.namespace, endpoint, task)

    # By the right name too: its uid is the secret.
    made_up = [f"agr-{number}.uid" for number in range(50)] + ["agr-opened.another-uid"] * 50
    came = [await look(one) for one in made_up]
    assert came == [None] * int(LOOKS) + [UnreadTask()] * (100 - int(LOOKS))
    assert bench.server.asked == ["GET"] * int(LOOKS)
    assert await look("agr-1.uid", "another") is None
    known = [await look("agr-opened.grant-uid") for _ in range(50)]
    assert all(isinstance(one, Grant) for one in known)


async def test_the_ration_of_looks_fills_up_again() -> None:
    now = [0.0]
    bench = Bench(asked(ON), ticks=lambda: now[0])
    for _ in range(100):
        await bench.opener.read(CALL.namespace, CALL.endpoint, "agr-1.uid")
    now[0] = 0.1
    came = [await bench.opener.read(CALL.namespace, CALL.endpoint, "agr-1.uid") for _ in range(2)]
    assert came == [None, UnreadTask()]


def waiting(on: Snapshot, seconds: float, call: Call = CALL) -> Object:
    """Return the grant of a call that was asked for just now, and waits for so many seconds."""
    of = asked(on, call)
    of["metadata"]["creationTimestamp"] = at(-2)
    of["spec"]["request"]["pendingUntilTime"] = at(seconds)
    return of


# What there is, under which limits, of what waits or cooled for two seconds less than it must.
LIMITS: Final[dict[str, Callable[[], tuple[Snapshot, Object, Reason]]]] = {
    "a cool-down": lambda: (ON, denied(-898), Reason.APPROVAL_DENIED),
    "the requests of an hour": lambda: (
        on := approving(limits={"requestsPerHour": 1}),
        ended(on, 1, -3598, by_hand=False),
        Reason.APPROVAL_THROTTLED,
    ),
    "the requests that wait": lambda: (
        on := approving(limits={"pendingPerSubject": 1}),
        waiting(on, 2, replace(CALL, resource=Resource("customer", "other"))),
        Reason.APPROVAL_THROTTLED,
    ),
}


@pytest.mark.invariant(19)
@pytest.mark.parametrize("ahead", [-28.5, 0.0, 28.5])
@pytest.mark.parametrize("what", LIMITS)
async def test_a_limit_does_not_end_early_by_a_clock_that_is_ahead(what: str, ahead: float) -> None:
    on, there, reason = LIMITS[what]()
    bench = Bench(there, on=on, clock=apart(ahead))
    outcome = await bench.opener.open(bench.wanted())
    assert isinstance(outcome, RefusedOpening)
    assert outcome.reason is reason


@pytest.mark.invariant(19)
@pytest.mark.parametrize("ahead", [-28.5, 0.0, 28.5])
async def test_equal_requests_are_one_grant_while_the_first_one_waits(ahead: float) -> None:
    on = approving(pendingSeconds=30)
    bench = Bench(waiting(on, 2), on=on, clock=apart(ahead))
    outcome = await bench.opener.open(bench.wanted())
    assert isinstance(outcome, OpenedGrant)
    assert (outcome.created, len(bench.server.stored)) == (False, 1)


@pytest.mark.invariant(12, 19)
@pytest.mark.parametrize("ahead", [-7200.0, 31.5, 7200.0])
@pytest.mark.parametrize("what", LIMITS)
async def test_where_the_clocks_do_not_agree_no_limit_is_judged(what: str, ahead: float) -> None:
    on, there, _ = LIMITS[what]()
    bench = Bench(there, on=on, clock=apart(ahead))
    outcome = await bench.opener.open(bench.wanted())
    assert isinstance(outcome, RefusedOpening)
    assert (outcome.reason, bench.server.asked) == (Reason.CLOCK_SKEW, ["GET"])


@pytest.mark.invariant(19)
async def test_a_clock_that_was_set_for_a_moment_lets_no_more_wait_in_a_namespace() -> None:
    other = changed(waiting(ON, 3600), "spec.request.subject.uid", "another-uid")
    ours = NOW
    clock = ServerClock(lambda: ours, lambda: 1000.0)
    clock.record_answer(NOW, 1000.0)
    bench = Bench(other, pending=1, clock=clock)
    reasons = []
    for step in (0.0, 7200.0, 0.0):
        ours = NOW + step
        outcome = await bench.opener.open(bench.wanted())
        reasons.append(outcome.reason if isinstance(outcome, RefusedOpening) else None)
    assert reasons == [Reason.APPROVAL_THROTTLED, Reason.CLOCK_SKEW, Reason.APPROVAL_THROTTLED]
