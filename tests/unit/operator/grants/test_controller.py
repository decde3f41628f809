"""What is looked up for grants by hand, which wait for what, and how grants are deleted: with answers made to order."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, cast

import pytest
import structlog

from bailiwick_api.accounts import CANARY_GRANT
from bailiwick_api.times import stamp
from bailiwick_api.voidgrants import NONE, VoidGrant, VoidGrants
from bailiwick_engine.budget.ledger import Excess, Limit
from bailiwick_engine.compile.acceptance import CompilationSummary, judge
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS
from bailiwick_engine.signatures.sshsig import write_signature
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.grants.askedgrants import AskedGrants
from bailiwick_operator.grants.controller import GrantBarriers, GrantController
from bailiwick_operator.grants.lookup import Resolver
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.loop.clock import SkewMonitor
from bailiwick_operator.loop.events import Events
from bailiwick_operator.loop.expiry import Expiries
from bailiwick_operator.loop.inventory import Inventory, Key, Tick, Ticks, key_of
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.waitlist import WaitList
from bailiwick_operator.loop.workqueue import RetryError, WorkItem
from bailiwick_operator.reconcile.retention import RetentionPeriods
from support.objects import AGENT, ENDPOINT, Object, changed, gated_rule, later, policy, settings, step
from support.signatures.keys import RP_ID, SecurityKey, entry_line, statement_of, trust_in
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, RESOLVED, active, by_hand, condition, grant, right_clock, stored

ACCOUNT: Final = "/api/v1/namespaces/agents/serviceaccounts/crm-agent"
GRANT: Final = "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants/agr-wanted"
SCOPED: Final = gated_rule(approval={"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}]})
WORK: Final = WorkItem("ApprovalGrant", "crm", "agr-wanted")


class Api:
    """Answers as it is told to, takes every status, and remembers what it was asked."""

    def __init__(self) -> None:
        self.leading = True
        self.client = OperatorClient(FakeTransport(self._answer), lambda: self.leading)
        self.answers: dict[tuple[str, str], ApiResponse] = {
            ("GET", ACCOUNT): ApiResponse(200, {"metadata": {"uid": "agent-uid"}})
        }
        self.asked: list[tuple[str, str, Any]] = []

    def _answer(self, request: ApiRequest) -> ApiResponse:
        method, path, body = request.method, request.path, request.body
        self.asked.append((method, path, body))
        if path.endswith("/status"):
            assert isinstance(body, dict)
            return ApiResponse(HTTPStatus.OK, self.taken(body))
        return self.answers.get((method, path), ApiResponse(HTTPStatus.NOT_FOUND, {}))

    def taken(self, body: Object) -> Object:
        version = str(int(body["metadata"]["resourceVersion"]) + 1)
        before: Object = next(one for one in self.stored() if one["metadata"]["name"] == body["metadata"]["name"])
        return before | {"status": body["status"], "metadata": {**before["metadata"], "resourceVersion": version}}

    stored: Callable[[], list[Object]] = staticmethod(list)


class Reviewers:
    """The file of reviewers' keys: no key counts, unless a test says otherwise."""

    def __init__(self) -> None:
        self.trust = NO_REVIEWER_KEYS
        self.expected = False


class Proven:
    """A guard that is proven, or not yet for what was seen so far; counts who asks for a proof."""

    def __init__(self) -> None:
        self.covering = True
        self.asked = 0
        self.void = NONE
        self.reviewers = Reviewers()

    def covers(self, _seen: Tick) -> bool:
        return self.covering

    def ask(self) -> None:
        self.asked += 1


class Leader:
    """Everything that looks at grants, without the loops."""

    def __init__(self, keeping: RetentionPeriods) -> None:
        self.api = Api()
        self.shift = 0.0
        self.clock = right_clock(lambda: time.time() + self.shift)
        ticks = Ticks()
        self.policies = Inventory(ticks, lambda _body: None)
        self.asked_grants = AskedGrants()
        self.grants = Inventory(ticks, self._grant_changed)
        self.compiled = True
        self.excess: Excess | None = None
        self.api.stored = lambda: [seen.body for seen in self.grants.all()]
        self.again: list[WorkItem] = []
        self.due: list[WorkItem] = []
        self.expiries: Expiries[WorkItem] = Expiries(self.due.append, self.clock.now)
        self.resolver = Resolver(self.api.client, self.policies, self._judged, self.asked_grants)
        writer = Writer(self.api.client, Events(self.api.client, "me", now=self.clock.now))
        self.guard = Proven()
        self.unproven = WaitList(self.again.append)
        self.untimed = WaitList(self.again.append)
        self.skew = SkewMonitor(self.clock, tell=lambda _told: None, resume=self.untimed.release)
        self.granting = GrantController(
            INSTALLATION,
            self.grants,
            self.resolver,
            writer,
            self.expiries,
            keeping,
            self.again.append,
            barriers=GrantBarriers(cast("GuardKeeper", self.guard), self.unproven, self.clock, self.untimed),
        )

    def _grant_changed(self, body: Object) -> None:
        self.asked_grants.changed(body, gone=self.grants.get(key_of(body)) is None)

    def _judged(self, body: Object) -> tuple[CompilationSummary, Excess | None] | None:
        return (judge(policy_ref(body), body["spec"]), self.excess) if self.compiled else None

    async def look(self, body: Object | None = None) -> Object:
        """Take in a grant and look at it; return its status."""
        if body is not None:
            self.grants.record(body)
        await self.granting.look(WORK, lambda _namespace, _endpoint: (Key("crm", "crm-agent"),))
        seen = self.grants.get(Key("crm", "agr-wanted"))
        found: Object = (seen.body.get("status") or {}) if seen is not None else {}
        return found

    def add_policy(self, **spec: object) -> None:
        written = policy("crm", rules=[SCOPED], endpointSettings=settings())
        body = stored({**written, "spec": {**written["spec"], **spec}})
        version = 100 + len(self.api.asked) + len(list(self.policies.all()))
        self.policies.record(changed(body, "metadata.resourceVersion", str(version)))


@pytest.fixture
def leader(request: pytest.FixtureRequest) -> Leader:
    return Leader(getattr(request, "param", RetentionPeriods()))


def pending(**fields: object) -> Object:
    return by_hand(pendingUntilTime=later(hours=1), **fields)


class TestResolving:
    async def test_asks_for_the_account_and_stores_what_it_found(self, leader: Leader) -> None:
        leader.add_policy()
        status = await leader.look(pending())
        assert status["resolved"]["subjectUID"] == "agent-uid"
        assert [(method, path) for method, path, _ in leader.api.asked] == [
            ("GET", ACCOUNT),
            ("PATCH", f"{GRANT}/status"),
        ]

    async def test_waits_for_the_policies_of_its_endpoint_until_it_is_resolved(self, leader: Leader) -> None:
        status = await leader.look(pending())
        assert condition(status, "Ready")["reason"] == "Unresolved"
        leader.granting.endpoint_changed("crm", "another")
        assert leader.again == []
        leader.granting.endpoint_changed("crm", ENDPOINT)
        assert leader.again == [WORK]
        leader.add_policy()
        assert "resolved" in await leader.look()
        await leader.look()
        leader.granting.endpoint_changed("crm", ENDPOINT)
        assert leader.again == [WORK]

    async def test_is_tried_again_by_time(self, leader: Leader) -> None:
        await leader.look(pending())
        leader.expiries.call_due(datetime.now(UTC) + timedelta(seconds=25))
        assert leader.due == []
        leader.expiries.call_due(datetime.now(UTC) + timedelta(seconds=35))
        assert leader.due == [WORK]

    async def test_of_an_account_that_is_not_there_waits(self, leader: Leader) -> None:
        leader.add_policy()
        del leader.api.answers["GET", ACCOUNT]
        assert AGENT in condition(await leader.look(pending()), "Ready")["message"]

    async def test_of_an_account_that_cannot_be_read_says_so_and_waits(self, leader: Leader) -> None:
        leader.add_policy()
        leader.api.answers["GET", ACCOUNT] = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "no"})
        status = await leader.look(pending())
        assert "crm-agent cannot be read: no" in condition(status, "Ready")["message"]
        assert leader.resolver.waiting(("crm", ENDPOINT)) == (WORK,)

    @pytest.mark.parametrize(
        "name",
        [
            "system:serviceaccount:crm:../../secrets/x",
            "system:serviceaccount:crm:",
            "crm-agent",
            "system:serviceaccount:a:b:c",
        ],
    )
    async def test_never_asks_for_what_is_no_name_of_an_account(self, name: str, leader: Leader) -> None:
        leader.add_policy()
        status = await leader.look(pending(subject={"type": "serviceAccount", "id": name}))
        assert f"service account {name} does not exist" in condition(status, "Ready")["message"]
        assert [method for method, _, _ in leader.api.asked] == ["PATCH"]

    async def test_asks_for_no_account_where_the_enforcers_word_is_taken(self, leader: Leader) -> None:
        identity = {"enforcers": [{"namespace": "crm", "name": "pep"}], "identity": {"verification": "Asserted"}}
        leader.add_policy(endpointSettings=identity)
        assert (await leader.look(pending()))["resolved"]["subjectUID"] == f"asserted#{AGENT}"
        assert [method for method, _, _ in leader.api.asked] == ["PATCH"]

    async def test_looks_nothing_up_before_the_guard_is_proven(self, leader: Leader) -> None:
        leader.guard.covering = False
        assert await leader.look(pending()) == {}
        assert leader.api.asked == []

    async def test_waits_until_its_policy_is_compiled_and_asks_for_nothing_meanwhile(self, leader: Leader) -> None:
        leader.add_policy()
        leader.compiled = False
        status = await leader.look(pending())
        assert "waiting until the policies of these rules are compiled" in condition(status, "Ready")["message"]
        assert [method for method, _, _ in leader.api.asked] == ["PATCH"]
        leader.compiled = True
        assert "resolved" in await leader.look()

    async def test_says_what_it_said_before_while_its_policy_is_compiled_anew(self, leader: Leader) -> None:
        first = await leader.look(pending())
        leader.add_policy()
        leader.compiled = False
        assert await leader.look() == first
        assert [method for method, _, _ in leader.api.asked] == ["PATCH"]

    async def test_of_rules_that_do_not_cover_it_asks_for_no_account(self, leader: Leader) -> None:
        leader.add_policy()
        status = await leader.look(pending(action={"name": "customers.delete"}))
        assert "action customers.delete is not one of the actions" in condition(status, "Ready")["message"]
        assert [method for method, _, _ in leader.api.asked] == ["PATCH"]

    async def test_says_so_where_its_policy_is_over_budget(self, leader: Leader) -> None:
        leader.add_policy()
        leader.excess = Excess(Limit.POLICY, 2, 0, 1)
        assert "policy crm-agent is over budget" in condition(await leader.look(pending()), "Ready")["message"]

    async def test_takes_no_decision_on_limits_while_the_clock_is_not_trusted(self, leader: Leader) -> None:
        leader.add_policy()
        leader.shift = -600.0
        assert "resolved" not in await leader.look(pending())


def ended(seconds: float, phase: str = "Withdrawn", **fields: object) -> Object:
    """Return a grant that ended so many seconds ago."""
    body = grant(revoked=True, **fields)  # type: ignore[arg-type]
    moment = stamp(datetime.now(UTC) - timedelta(seconds=seconds))
    ready = {"type": "Ready", "status": "False", "reason": phase, "message": "", "lastTransitionTime": moment}
    conditions = [ready | {"observedGeneration": 1}, ready | {"type": "Revoked", "status": "True"}]
    return body | {"status": {"phase": phase, "observedGeneration": 1, "conditions": conditions}}


def before(*, denied: float | None = None, created: float = 60.0, waits: float | None = None) -> Object:
    """Return another grant by hand for the same call: created, and denied, so many seconds ago; it waits so long."""
    now = datetime.now(UTC)
    since = None if denied is None else stamp(now - timedelta(seconds=denied))
    conditions = [
        {"type": name, "status": value, "reason": "Denied", "message": "", "lastTransitionTime": since}
        for name, value in (("Denied", "True"), ("Ready", "False"))
    ]
    ended = {"phase": "Expired"} if denied is None else {"phase": "Denied", "conditions": conditions}
    status = {"phase": "Pending"} if waits is not None else ended
    body = by_hand(
        pendingUntilTime=stamp(now + timedelta(seconds=waits or 0.0)), status={"resolved": RESOLVED, **status}
    )
    body = changed(changed(body, "metadata.name", "agr-before"), "metadata.uid", "before")
    return changed(body, "metadata.creationTimestamp", stamp(now - timedelta(seconds=created)))


class TestLimits:
    """What holds a grant by hand back ends by the earliest time that it can be at the API server."""

    @pytest.mark.invariant(19)
    @pytest.mark.parametrize("ours", [-28.0, 0.0, 28.0])
    @pytest.mark.parametrize(
        ("other", "why"),
        [
            ({"denied": 880, "created": 900}, "was denied"),
            ({"denied": 930, "created": 3700}, None),
            ({"created": 3580}, "written in the last hour"),
            ({"created": 3630}, None),
            ({"created": 3700, "waits": 20}, "already waits"),
            ({"created": 3700, "waits": -30}, None),
        ],
        ids=["cool-down", "after the cool-down", "within the hour", "after the hour", "waits", "waited"],
    )
    async def test_hold_until_their_time_is_over_at_the_api_server_whatever_our_clock_says(
        self, leader: Leader, other: dict[str, float], why: str | None, ours: float
    ) -> None:
        approval = {**SCOPED["approval"], "limits": {"requestsPerHour": 1, "denyCooldownSeconds": 900}}
        leader.add_policy(rules=[SCOPED | {"approval": approval}])
        leader.shift = ours
        leader.grants.record(before(**other))
        status = await leader.look(pending())
        if why is None:
            assert status["phase"] == "Pending"
            assert "resolved" in status
        else:
            assert status["phase"] == "Withdrawn"
            assert why in condition(status, "Ready")["message"]


class TestProof:
    @pytest.mark.invariant(2)
    async def test_that_does_not_cover_a_review_lets_it_count_for_nothing_and_is_asked_for(
        self, leader: Leader
    ) -> None:
        guard = leader.guard
        guard.covering = False
        body = grant("dave", pendingUntilTime=later(hours=1), status={"phase": "Pending"})
        status = await leader.look(body)
        assert (status["phase"], status.get("counted"), guard.asked) == ("Pending", None, 1)
        leader.unproven.release()
        assert leader.again == [WORK]
        guard.covering = True
        status = await leader.look()
        (counted,) = status["counted"]
        assert (status["phase"], counted["reviewer"], guard.asked) == ("Active", "dave", 1)
        leader.unproven.release()
        assert leader.again == [WORK]

    @pytest.mark.invariant(2)
    async def test_of_nobody_lets_a_review_count_for_nothing(self, leader: Leader) -> None:
        leader.guard.covering = False
        status = await leader.look(grant("dave", pendingUntilTime=later(hours=1), status={"phase": "Pending"}))
        assert (status["phase"], status.get("counted")) == ("Pending", None)

    @pytest.mark.invariant(27)
    @pytest.mark.parametrize(
        "void",
        [VoidGrants({"0b1a": VoidGrant("crm", "agr-wanted")}), VoidGrants({}, frozenset({"crm"}))],
        ids=["alone", "with its namespace"],
    )
    async def test_helps_no_grant_that_is_void_by_name(self, leader: Leader, void: VoidGrants) -> None:
        guard = leader.guard
        guard.void = void
        status: Object = {"phase": "Pending"}
        assert await leader.look(grant("dave", pendingUntilTime=later(hours=1), status=status)) == status
        assert (leader.api.asked, guard.asked) == ([], 0)

    async def test_helps_no_grant_that_cannot_be_read(self, leader: Leader) -> None:
        body = changed(grant("dave", pendingUntilTime=later(hours=1)), "spec.request.steps", "none")
        assert await leader.look(body) == {}
        assert leader.api.asked == []


class TestSignedReviews:
    @pytest.mark.invariant(30)
    @pytest.mark.parametrize("ours", [-28.0, 0.0, 28.0])
    @pytest.mark.parametrize(("begins", "counted"), [(25, None), (-2, "dave")])
    async def test_count_no_key_before_it_begins_by_both_clocks(
        self, leader: Leader, begins: float, counted: str | None, ours: float
    ) -> None:
        key = SecurityKey.make(RP_ID)
        since = (datetime.now(UTC) + timedelta(seconds=begins + min(ours, 0.0))).strftime("%Y%m%d%H%M%SZ")
        leader.guard.reviewers.trust = trust_in(entry_line("dave", key.public, f',valid-after="{since}"'))
        leader.shift = ours
        steps = [step(signature="Required")]
        body = grant("dave", pendingUntilTime=later(hours=1), status={"phase": "Pending"}, steps=steps)
        (given,) = body["spec"]["reviews"]
        given["signature"] = write_signature(key.assertion(statement_of(body, given)))
        status = await leader.look(body)
        assert [one["reviewer"] for one in status.get("counted", ())] == ([] if counted is None else [counted])


class TestRetention:
    async def test_deletes_the_very_version_that_was_judged(self, leader: Leader) -> None:
        leader.api.answers["DELETE", GRANT] = ApiResponse(200, {})
        with structlog.testing.capture_logs() as log:
            await leader.look(ended(86401))
        ((method, path, body),) = leader.api.asked
        assert (method, path) == ("DELETE", GRANT)
        assert body["preconditions"] == {"uid": "0b1a", "resourceVersion": "100"}
        assert [entry["event"] for entry in log] == ["grant deleted"]
        assert leader.grants.get(Key("crm", "agr-wanted")) is None

    @pytest.mark.invariant(19)
    @pytest.mark.parametrize("ours", [-28.0, 0.0, 28.0])
    @pytest.mark.parametrize(("seconds", "deleted"), [(86_380, False), (86_402, True)])
    async def test_keeps_a_denial_until_its_day_is_over_by_both_clocks(
        self, leader: Leader, seconds: float, deleted: bool, ours: float
    ) -> None:
        leader.api.answers["DELETE", GRANT] = ApiResponse(200, {})
        leader.shift = ours
        await leader.look(ended(seconds - min(ours, 0.0), "Denied"))
        assert [method for method, _, _ in leader.api.asked] == ["DELETE"] * deleted
        # It comes up again, but not at once.
        leader.expiries.call_due(leader.clock.now())
        assert leader.due == []
        leader.expiries.call_due(leader.clock.now() + timedelta(seconds=60))
        assert leader.due == [WORK] * (not deleted)

    async def test_comes_back_when_its_time_has_come(self, leader: Leader) -> None:
        await leader.look(ended(86000))
        assert leader.api.asked == []
        leader.expiries.call_due(datetime.now(UTC) + timedelta(seconds=390))
        assert leader.due == []
        leader.expiries.call_due(datetime.now(UTC) + timedelta(seconds=405))
        assert leader.due == [WORK]

    async def test_looks_again_at_one_that_moved_on(self, leader: Leader) -> None:
        leader.api.answers["DELETE", GRANT] = ApiResponse(HTTPStatus.CONFLICT, {})
        await leader.look(ended(86401))
        assert leader.grants.get(Key("crm", "agr-wanted")) is not None
        leader.expiries.call_due(datetime.now(UTC) + timedelta(seconds=6))
        assert leader.due == [WORK]

    async def test_of_one_that_is_gone_already_is_done(self, leader: Leader) -> None:
        with structlog.testing.capture_logs() as log:
            await leader.look(ended(86401))
        assert log == []
        assert leader.grants.get(Key("crm", "agr-wanted")) is None

    async def test_that_is_refused_comes_again(self, leader: Leader) -> None:
        leader.api.answers["DELETE", GRANT] = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "not yet"})
        with pytest.raises(RetryError, match="was not deleted: not yet"):
            await leader.look(ended(86401))

    @pytest.mark.parametrize("leader", [RetentionPeriods(timedelta(days=1), 1)], indirect=True)
    async def test_brings_back_those_that_a_newer_one_pushes_out(self, leader: Leader) -> None:
        await leader.look(ended(7200))
        newer = changed(changed(ended(60), "metadata.name", "agr-newer"), "metadata.uid", "newer")
        leader.grants.record(newer)
        await leader.granting.look(WorkItem("ApprovalGrant", "crm", "agr-newer"), lambda *_: ())
        leader.expiries.call_due(datetime.now(UTC))
        assert leader.due == [WORK]

    async def test_waits_for_what_is_to_be_written_first(self, leader: Leader) -> None:
        body = changed(ended(86401), "metadata.generation", 2)
        await leader.look(body)
        assert [(method, path) for method, path, _ in leader.api.asked] == [("PATCH", f"{GRANT}/status")]

    async def test_never_touches_the_canary(self, leader: Leader) -> None:
        body = changed(ended(86401), "metadata.name", CANARY_GRANT)
        body = changed(body, "metadata.namespace", INSTALLATION.namespace)
        leader.grants.record(body)
        await leader.granting.look(WorkItem("ApprovalGrant", INSTALLATION.namespace, CANARY_GRANT), lambda *_: ())
        assert leader.api.asked == []

    async def test_forgets_what_is_gone(self, leader: Leader) -> None:
        await leader.look(ended(10))
        leader.grants.forget(ended(10))
        await leader.look()
        assert len(leader.granting._kept) == 0
        assert leader.expiries._live == {}


async def test_what_is_resolved_is_not_looked_up_again(leader: Leader) -> None:
    await leader.look(pending(status={"phase": "Pending", "resolved": RESOLVED}))
    assert [method for method, _, _ in leader.api.asked] == ["PATCH"]


class TestTheClock:
    """AB-11."""

    @pytest.mark.invariant(12)
    @pytest.mark.parametrize("seconds", [-600.0, -31.0, 31.0, 172_800.0])
    async def test_that_is_off_lets_no_review_count_until_it_is_right(self, leader: Leader, seconds: float) -> None:
        leader.shift = seconds
        status = await leader.look(grant("dave", pendingUntilTime=later(hours=1), status={"phase": "Pending"}))
        assert (status["phase"], status.get("counted")) == ("Pending", None)
        assert leader.guard.asked == 0
        leader.shift = 0.0
        await self.agree(leader)
        assert leader.again == [WORK]
        assert (await leader.look())["phase"] == "Active"

    @pytest.mark.invariant(12)
    @pytest.mark.parametrize("seconds", [-600.0, 172_800.0])
    async def test_that_is_off_opens_and_ends_nothing(self, leader: Leader, seconds: float) -> None:
        leader.shift = seconds
        for body in (
            grant(pendingUntilTime=later(hours=1)),
            grant("dave", "erin", pendingUntilTime=later(hours=1), decision="Deny"),
            grant(pendingUntilTime=later(hours=-1)),
        ):
            leader.grants._seen.clear()
            assert await leader.look(body) == {}
        assert leader.api.asked == []

    @pytest.mark.invariant(12, 22)
    @pytest.mark.parametrize("seconds", [-600.0, 172_800.0])
    async def test_that_is_off_deletes_nothing(self, leader: Leader, seconds: float) -> None:
        leader.api.answers["DELETE", GRANT] = ApiResponse(200, {})
        leader.shift = seconds
        await leader.look(ended(60 if seconds > 0 else 86_401))
        assert leader.api.asked == []
        leader.expiries.call_due(datetime.now(UTC) + timedelta(days=30))
        assert leader.due == []
        leader.shift = 0.0
        await self.agree(leader)
        assert leader.again == [WORK]

    @pytest.mark.invariant(13)
    async def test_that_is_off_still_ends_what_is_revoked_and_by_the_api_servers_time(self, leader: Leader) -> None:
        leader.shift = -600.0
        status = await leader.look(
            grant("dave", status=active(counted=[{"reviewer": "dave"}], notAfterTime=later(hours=1)), revoked=True)
        )
        assert status["phase"] == "Revoked"
        since = datetime.fromisoformat(condition(status, "Revoked")["lastTransitionTime"])
        assert since >= datetime.now(UTC) - timedelta(seconds=5)

    @staticmethod
    async def agree(leader: Leader) -> None:
        """Let the clocks agree for as long as it takes to be believed."""
        leader.clock._apart_at = float("-inf")
        leader.skew.look()
