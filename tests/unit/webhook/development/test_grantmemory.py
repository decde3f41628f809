"""Grants in memory, by the clock of the test: phases, reviews, conflicts, and how many there may be."""

import copy
import dataclasses
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_api.voidgrants import NONE
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Party, Resource
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.opener import OpenedGrant, Opener, RefusedOpening
from bailiwick_webhook.development.grantmemory import KEPT_SECONDS, GrantMemory, ProposedReview, RefusedReview
from bailiwick_webhook.store.grants import Grants
from support.objects import AGENT, Object, gated_rule
from unit.engine.cases import CALL, ENFORCER, NAMESPACE, NOW, approving, governed, verdict_of

OWNERS: Final = frozenset({"crm-owners"})
ONE_STEP: Final = governed(
    gated_rule(approval={"steps": [{"name": "owner", "kind": "Human", "groups": ["crm-owners"]}]})
)


class Bench:
    """Grants in memory with an opener in front of them, and a clock."""

    void = NONE
    revocations = NO_REVOCATIONS
    reviewers = NO_REVIEWER_KEYS

    def __init__(self, on: Snapshot = ONE_STEP, most: int = 100) -> None:
        self.on, self.now = on, NOW
        self.grants = Grants()
        self.memory = GrantMemory(self.grants, Installation().is_person, lambda: self.now, most)
        view: Any = self
        self.opener = Opener(self.memory, view, Installation(), lambda: self.now)

    def grants_of(self, *place: Any) -> Any:  # noqa: ANN401 - as the view
        return self.grants.grants_of(*place)

    def draft(self, resource: str = "42") -> GrantDraft:
        call = replace(CALL, resource=Resource("customer", resource))
        verdict = verdict_of(self.on, call)
        assert verdict.gate is not None
        assert verdict.digest is not None
        assert isinstance(call.subject, Party)
        return GrantDraft(call, call.subject, verdict.gate, verdict.digest)

    async def open(self, resource: str = "42") -> Grant:
        outcome = await self.opener.open(self.draft(resource))
        assert isinstance(outcome, OpenedGrant), outcome
        return outcome.grant

    async def stored(self, grant: Grant) -> Object:
        answer = await self.memory.read_grant(grant.namespace, grant.name)
        assert answer.ok
        return answer.body

    async def phase(self, grant: Grant) -> str:
        return str((await self.stored(grant))["status"]["phase"])


def approval(by: str = "carol", groups: frozenset[str] = OWNERS, **fields: Any) -> ProposedReview:  # noqa: ANN401 - of a review
    return ProposedReview(by, groups, **{"approves": True, **fields})


def refused(outcome: Grant | RefusedReview) -> str:
    assert isinstance(outcome, RefusedReview), outcome
    return outcome.detail


def accepted(outcome: Grant | RefusedReview) -> Grant:
    assert isinstance(outcome, Grant), outcome
    return outcome


class TestAPhase:
    async def test_is_pending_then_active_and_lapses_when_its_window_is_over(self) -> None:
        bench = Bench()
        grant = await bench.open()
        assert await bench.phase(grant) == "Pending"
        approved = accepted(bench.memory.review(grant, approval()))
        assert approved.phase == "Active"
        assert approved.status.not_after_time is not None
        bench.now = approved.status.not_after_time.timestamp() - 1
        assert await bench.phase(grant) == "Active"
        bench.now += 1
        assert await bench.phase(grant) == "Lapsed"

    async def test_is_expired_when_the_reviews_come_too_late(self) -> None:
        bench = Bench()
        grant = await bench.open()
        bench.now = grant.request.pending_until_time.timestamp()
        assert (
            refused(bench.memory.review(grant, approval())) == "this request is no longer pending: its phase is Expired"
        )
        assert await bench.phase(grant) == "Expired"

    async def test_of_a_denial_is_final_and_cools_down(self) -> None:
        bench = Bench()
        grant = await bench.open()
        denied = accepted(bench.memory.review(grant, approval(approves=False)))
        assert denied.phase == "Denied"
        assert denied.denied_at == NOW
        assert "no longer pending" in refused(bench.memory.review(grant, approval("dave")))
        cooldown = bench.draft().gate.limits.deny_cooldown_seconds
        bench.now += cooldown - 1
        again = await bench.opener.open(bench.draft())
        assert isinstance(again, RefusedOpening)
        assert again.reason is Reason.APPROVAL_DENIED
        bench.now += 1
        assert (await bench.open()).uid != grant.uid


class TestAReview:
    @pytest.mark.parametrize("party", [AGENT, ENFORCER.username])
    async def test_by_a_party_of_the_call_is_refused(self, party: str) -> None:
        bench = Bench(governed(gated_rule(approval={"steps": [{"name": "robot", "kind": "System"}]})))
        grant = await bench.open()
        assert "is a party of this call" in refused(bench.memory.review(grant, approval(party)))
        assert await bench.phase(grant) == "Pending"

    async def test_by_somebody_without_the_group_is_refused_and_told_who_can(self) -> None:
        bench = Bench()
        grant = await bench.open()
        said = refused(bench.memory.review(grant, approval(groups=frozenset({"sales"}))))
        assert said.endswith("step crm-agent.export.owner needs a person in the group crm-owners")

    async def test_by_a_service_account_is_none_by_a_person(self) -> None:
        bench = Bench()
        grant = await bench.open()
        refused(bench.memory.review(grant, approval("system:serviceaccount:ops:robot")))
        assert (await bench.stored(grant))["spec"]["reviews"] == []

    async def test_of_two_steps_takes_two_people(self) -> None:
        steps = [{"name": name, "kind": "Human", "groups": ["crm-owners"]} for name in ("first", "second")]
        bench = Bench(approving(steps=steps))
        grant = await bench.open()
        assert accepted(bench.memory.review(grant, approval())).phase == "Pending"
        assert refused(bench.memory.review(grant, approval())) == "carol has already reviewed this request"
        approved = accepted(bench.memory.review(grant, approval("dave")))
        assert approved.phase == "Active"
        assert [review.step.rpartition(".")[2] for review in approved.reviews] == ["first", "second"]

    async def test_of_one_email_address_in_two_cases_is_of_one_person(self) -> None:
        bench = Bench(approving(steps=[{"name": "both", "kind": "Human", "groups": ["crm-owners"], "count": 2}]))
        grant = await bench.open()
        assert accepted(bench.memory.review(grant, approval("ann@corp.example"))).phase == "Pending"
        again = refused(bench.memory.review(grant, approval("Ann@corp.example")))
        assert again == "Ann@corp.example has already reviewed this request"

    async def test_of_a_grant_that_was_opened_anew_is_refused(self) -> None:
        bench = Bench()
        old = await bench.open()
        bench.memory.review(old, approval())
        other = await bench.open("43")
        assert "no longer exists" in refused(
            bench.memory.review(dataclasses.replace(other, name=old.name), approval("dave"))
        )


class TestAWrite:
    async def test_at_another_resource_version_is_a_conflict(self) -> None:
        bench = Bench()
        grant = await bench.open()
        before = await bench.stored(grant)
        bench.memory.review(grant, approval())
        stale = await bench.memory.write_grant_status({**before, "status": {"phase": "Active"}})
        revoking = await bench.memory.revoke_grant(
            *place(grant), before["metadata"]["resourceVersion"], {"by": "carol"}
        )
        assert (stale.status, revoking.status) == (409, 409)

    async def test_of_the_status_changes_nothing_else(self) -> None:
        bench = Bench()
        grant = await bench.open()
        before = await bench.stored(grant)
        forged = copy.deepcopy(before)
        forged["spec"]["request"]["maxUses"] = 50
        forged["spec"]["reviews"] = [{"reviewer": "carol"}]
        answer = await bench.memory.write_grant_status(forged)
        assert answer.ok
        assert (await bench.stored(grant))["spec"] == before["spec"]

    async def test_of_an_answer_changes_nothing_that_is_stored(self) -> None:
        bench = Bench()
        grant = await bench.open()
        taken = await bench.stored(grant)
        taken["spec"]["request"]["maxUses"] = 50
        assert (await bench.stored(grant))["spec"]["request"]["maxUses"] == 1

    async def test_of_what_is_gone_is_told(self) -> None:
        bench = Bench()
        gone = await bench.memory.read_grant(NAMESPACE, "agr-none")
        assert gone.missing
        assert (await bench.memory.revoke_grant(NAMESPACE, "agr-none", "1", {"by": "carol"})).missing

    async def test_withdraws_a_pending_grant(self) -> None:
        bench = Bench()
        grant = await bench.open()
        withdrawn = await bench.opener.withdraw(grant, ENFORCER.username, None)
        assert isinstance(withdrawn, Grant)
        assert await bench.phase(grant) == "Withdrawn"


def place(grant: Grant) -> tuple[str, str]:
    return grant.namespace, grant.name


class TestTheNumber:
    async def test_of_grants_is_bounded_and_the_refusal_says_what_to_do(self) -> None:
        bench = Bench(PLENTY, most=3)
        for number in range(3):
            await bench.open(f"{number}")
        outcome = await bench.opener.open(bench.draft("3"))
        assert isinstance(outcome, RefusedOpening)
        assert "keeps at most 3 requests: review some, or restart it" in outcome.detail

    async def test_makes_room_of_what_ended_but_never_of_a_denial(self) -> None:
        bench = Bench(PLENTY, most=3)
        first, second, third = [await bench.open(f"{number}") for number in range(3)]
        accepted(bench.memory.review(first, approval(approves=False)))
        await bench.opener.withdraw(second, ENFORCER.username, None)
        await bench.open("3")
        assert (await bench.memory.read_grant(*place(second))).missing
        assert [await bench.phase(one) for one in (first, third)] == ["Denied", "Pending"]

    async def test_goes_down_a_day_after_they_ended(self) -> None:
        bench = Bench(PLENTY)
        grant = await bench.open()
        accepted(bench.memory.review(grant, approval(approves=False)))
        bench.now += KEPT_SECONDS - 1
        await bench.open("43")
        assert await bench.phase(grant) == "Denied"
        bench.now += 61
        await bench.open("44")
        assert (await bench.memory.read_grant(*place(grant))).missing
        assert not any(one.uid == grant.uid for one in bench.grants_of(NAMESPACE, CALL.endpoint, subject_uid()))


PLENTY: Final = approving(
    steps=[{"name": "owner", "kind": "Human", "groups": ["crm-owners"]}],
    limits={"pendingPerSubject": 50, "requestsPerHour": 1000},
)


def subject_uid() -> str:
    assert isinstance(CALL.subject, Party)
    return CALL.subject.uid
