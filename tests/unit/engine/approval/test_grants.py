"""What a grant is to a call: each state that it can be in, and what was forged or has changed meanwhile."""

import dataclasses
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_api.voidgrants import VoidGrant, VoidGrants
from bailiwick_engine.approval.grants import Fitness, fitness
from bailiwick_engine.call import Party, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from support.objects import Object, changed, gated_rule
from unit.engine.cases import (
    AROUND,
    CALL,
    ENFORCER,
    NOW,
    active,
    asked,
    at,
    gate_of,
    governed,
    read,
    review,
    reviewed,
)

TWO_STEPS: Final = {
    "steps": [
        {"name": "owner", "kind": "Human", "groups": ["crm-owners"], "count": 2},
        {"name": "robot", "kind": "System", "count": 1},
    ],
    "windowSeconds": 600,
    "maxUses": 3,
}
ROBOT: Final = "system:serviceaccount:ci:robot"
GATED: Final = governed(gated_rule(approval=TWO_STEPS))
OPENED: Final = asked(GATED)
REVIEWS: Final = (review(OPENED, "carol"), review(OPENED, "dave"), review(OPENED, ROBOT, 1))
PENDING: Final = {**OPENED, "status": {"phase": "Pending"}}
ACTIVE: Final = active(reviewed(OPENED, *REVIEWS))


def fit(raw: Object, around: Circumstances = AROUND, **gate: Any) -> Fitness:  # noqa: ANN401 - fields of a gate or its rule
    now = gate_of(GATED)
    of_rule = {field: gate.pop(field) for field in ("policy", "policy_uid", "rule_digest") if field in gate}
    changed_gate = dataclasses.replace(
        now, rules=tuple(dataclasses.replace(one, **of_rule) for one in now.rules), **gate
    )
    return fitness(read(raw), changed_gate, CALL, _subject(), around)


def _subject() -> Party:
    assert isinstance(CALL.subject, Party)
    return CALL.subject


def with_status(raw: Object, **status: object) -> Object:
    return {**raw, "status": {**raw["status"], **status}}


def with_reviews(*reviews: Object, **status: object) -> Object:
    return active(reviewed(OPENED, *reviews), **status)


def with_request(raw: Object, **request: object) -> Object:
    return {**raw, "spec": {**raw["spec"], "request": {**raw["spec"]["request"], **request}}}


def rules_of(raw: Object, **fields: object) -> list[Object]:
    return [{**raw["spec"]["request"]["rules"][0], **fields}]


def steps_of(raw: Object, place: int, **fields: object) -> list[Object]:
    steps: list[Object] = [dict(step) for step in raw["spec"]["request"]["steps"]]
    steps[place] |= fields
    return steps


def born(raw: Object, created: str) -> Object:
    return changed(raw, "metadata", {**raw["metadata"], "creationTimestamp": created})


def use(when: str) -> Object:
    return {"key": "key", "time": when, "evaluationID": "eval"}


CAROL, DAVE, BOT = REVIEWS
REVOKED: Final = {**ACTIVE, "spec": {**ACTIVE["spec"], "revocation": {"by": "carol"}}}
DELETING: Final = changed(ACTIVE, "metadata", {**ACTIVE["metadata"], "deletionTimestamp": at(-1)})
SWAPPED: Final = with_request(
    ACTIVE, steps=[{**OPENED["spec"]["request"]["steps"][1], "name": "crm-agent.export.owner"}]
)

STATES: Final[dict[str, tuple[Object, Fitness]]] = {
    "approved": (ACTIVE, Fitness.USABLE),
    "approved, the steps and groups in another order": (
        with_request(ACTIVE, steps=ACTIVE["spec"]["request"]["steps"][::-1]),
        Fitness.USABLE,
    ),
    "used, but not up": (with_status(ACTIVE, uses=2), Fitness.USABLE),
    "used up": (with_status(ACTIVE, uses=3), Fitness.CONSUMED),
    "used more than allowed": (with_status(ACTIVE, uses=4), Fitness.CONSUMED),
    "used as often as was asked for": (with_status(with_request(ACTIVE, maxUses=2), uses=2), Fitness.CONSUMED),
    "asked for more uses than the rule gives": (with_status(with_request(ACTIVE, maxUses=9), uses=3), Fitness.CONSUMED),
    "in its last second": (with_status(ACTIVE, notAfterTime=at(1)), Fitness.USABLE),
    "over": (with_status(ACTIVE, notAfterTime=at(0)), Fitness.EXPIRED),
    "over before it began": (with_status(ACTIVE, notAfterTime=at(-61)), Fitness.EXPIRED),
    "to be over before it begins": (
        with_status(ACTIVE, approvedTime=at(20), notAfterTime=at(19)),
        Fitness.UNVERIFIABLE,
    ),
    "to be over when it begins": (with_status(ACTIVE, approvedTime=at(20), notAfterTime=at(20)), Fitness.UNVERIFIABLE),
    "over and used up": (with_status(ACTIVE, notAfterTime=at(0), uses=3), Fitness.EXPIRED),
    "open as long as the rule gives": (
        with_status(ACTIVE, approvedTime=at(-60), notAfterTime=at(540)),
        Fitness.USABLE,
    ),
    "open longer than the rule gives": (
        with_status(ACTIVE, approvedTime=at(-60), notAfterTime=at(541)),
        Fitness.UNVERIFIABLE,
    ),
    "open longer than was asked for": (with_request(ACTIVE, windowSeconds=599), Fitness.UNVERIFIABLE),
    "asked for a longer window than the rule gives": (
        with_status(with_request(ACTIVE, windowSeconds=3600), notAfterTime=at(541)),
        Fitness.UNVERIFIABLE,
    ),
    "approved at the last moment": (with_request(ACTIVE, pendingUntilTime=at(-60)), Fitness.USABLE),
    "approved when it was too late": (with_request(ACTIVE, pendingUntilTime=at(-61)), Fitness.UNVERIFIABLE),
    "approved in times to come": (
        with_status(ACTIVE, approvedTime=at(3601), notAfterTime=at(4201)),
        Fitness.UNVERIFIABLE,
    ),
    "approved in times to come, by a little": (
        with_status(ACTIVE, approvedTime=at(30), notAfterTime=at(60)),
        Fitness.USABLE,
    ),
    "approved in times to come, by more than is borne": (
        with_status(ACTIVE, approvedTime=at(31), notAfterTime=at(60)),
        Fitness.EARLY,
    ),
    "approved when it was made": (born(ACTIVE, at(-60)), Fitness.USABLE),
    "approved before it was made": (born(ACTIVE, at(-59)), Fitness.UNVERIFIABLE),
    "approved ten minutes before it was made": (
        with_status(born(ACTIVE, at(-60)), approvedTime=at(-660), notAfterTime=at(-60 + 540)),
        Fitness.UNVERIFIABLE,
    ),
    "made in times to come, by a little": (born(PENDING, at(30)), Fitness.PENDING),
    "made in times to come, by more than is borne": (born(PENDING, at(31)), Fitness.EARLY),
    "waiting as long as the rule gives, and a clock may be off": (born(PENDING, at(-1830)), Fitness.PENDING),
    "waiting longer than the rule gives": (born(PENDING, at(-1831)), Fitness.UNVERIFIABLE),
    "approved, and had waited longer than the rule gives": (born(ACTIVE, at(-1831)), Fitness.UNVERIFIABLE),
    "waiting for a time before it was made": (
        with_request(born(PENDING, at(10)), pendingUntilTime=at(9)),
        Fitness.UNVERIFIABLE,
    ),
    "used before it was approved, by clocks that are off": (
        with_status(ACTIVE, uses=1, useRecords=[use(at(-120))]),
        Fitness.USABLE,
    ),
    "used long before it was approved": (
        with_status(ACTIVE, uses=1, useRecords=[use(at(-121))]),
        Fitness.UNVERIFIABLE,
    ),
    "used as it ended, by a clock that is off": (
        with_status(ACTIVE, uses=1, useRecords=[use(at(570))]),
        Fitness.USABLE,
    ),
    "used when it was over": (with_status(ACTIVE, uses=1, useRecords=[use(at(571))]), Fitness.UNVERIFIABLE),
    "active since an unknown time": (with_status(ACTIVE, approvedTime=None), Fitness.UNVERIFIABLE),
    "active since an unknown time, and over": (
        with_status(ACTIVE, approvedTime=None, notAfterTime=at(0)),
        Fitness.UNVERIFIABLE,
    ),
    "active until an unknown time": (with_status(ACTIVE, notAfterTime=None), Fitness.UNVERIFIABLE),
    "pending": (PENDING, Fitness.PENDING),
    "not seen by the operator yet": (OPENED, Fitness.PENDING),
    "pending in its last second": (with_request(PENDING, pendingUntilTime=at(1)), Fitness.PENDING),
    "pending too long": (with_request(PENDING, pendingUntilTime=at(0)), Fitness.EXPIRED),
    "pending with every review": (
        with_status(reviewed(OPENED, *REVIEWS), phase="Pending"),
        Fitness.PENDING,
    ),
    "pending with a counted denial": (
        with_status(reviewed(OPENED, {**CAROL, "decision": "Deny"}), phase="Pending"),
        Fitness.DENIED,
    ),
    "said to be active without reviews": (active(OPENED), Fitness.UNVERIFIABLE),
    "said to be active, nothing counted": (with_status(ACTIVE, counted=[]), Fitness.UNVERIFIABLE),
    "said to be active, counting reviews that are not there": (
        {**ACTIVE, "spec": {**ACTIVE["spec"], "reviews": []}},
        Fitness.UNVERIFIABLE,
    ),
    "one review not counted": (
        with_status(ACTIVE, counted=[{"reviewer": "carol"}, {"reviewer": ROBOT}]),
        Fitness.UNVERIFIABLE,
    ),
    "one review void": (with_status(ACTIVE, voided=[{"reviewer": "dave"}]), Fitness.UNVERIFIABLE),
    "one step not met": (with_reviews(CAROL, DAVE), Fitness.UNVERIFIABLE),
    "one review too few": (with_reviews(CAROL, BOT), Fitness.UNVERIFIABLE),
    "one review more than needed": (with_reviews(*REVIEWS, review(OPENED, "erin")), Fitness.USABLE),
    "a review of another digest": (
        with_reviews(CAROL, {**DAVE, "binding": "sha256:" + "0" * 64}, BOT),
        Fitness.UNVERIFIABLE,
    ),
    "a review of the grant's uid instead of the digest": (
        with_reviews(CAROL, {**DAVE, "binding": "grant-uid"}, BOT),
        Fitness.UNVERIFIABLE,
    ),
    "a counted denial": (with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny")), Fitness.DENIED),
    # The status is what the operator wrote only if no policy on admission changed it.
    "a denial that is void": (
        with_status(
            with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny")),
            counted=[{"reviewer": name} for name in ("carol", "dave", ROBOT)],
            voided=[{"reviewer": "erin"}],
        ),
        Fitness.UNVERIFIABLE,
    ),
    "a denial that is neither counted nor void": (
        with_status(
            with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny")),
            counted=[{"reviewer": name} for name in ("carol", "dave", ROBOT)],
        ),
        Fitness.UNVERIFIABLE,
    ),
    "a denial that is not counted, by somebody who may not review it": (
        with_status(
            with_request(
                with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny")), excludedReviewers=["erin"]
            ),
            counted=[{"reviewer": name} for name in ("carol", "dave", ROBOT)],
        ),
        Fitness.USABLE,
    ),
    "pending with a denial that is not counted yet": (
        with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny"), phase="Pending", counted=[]),
        Fitness.PENDING,
    ),
    "used up over a denial that is not counted": (
        with_status(
            with_reviews(*REVIEWS, review(OPENED, "erin", decision="Deny"), phase="Consumed"),
            counted=[{"reviewer": name} for name in ("carol", "dave", ROBOT)],
        ),
        Fitness.OUTDATED,
    ),
    "used up, though it was approved when it was too late": (
        with_status(with_request(ACTIVE, pendingUntilTime=at(-61)), phase="Consumed"),
        Fitness.OUTDATED,
    ),
    "used up, though it was approved at an unknown time": (
        with_status(ACTIVE, phase="Consumed", approvedTime=None),
        Fitness.OUTDATED,
    ),
    "used up, though it was active until an unknown time": (
        with_status(ACTIVE, phase="Consumed", notAfterTime=None),
        Fitness.OUTDATED,
    ),
    "approved by an account where people are asked": (
        with_reviews(CAROL, {**DAVE, "reviewer": "system:serviceaccount:ci:b"}, BOT),
        Fitness.UNVERIFIABLE,
    ),
    "approved by the requester": (
        with_request(with_reviews(CAROL, DAVE, BOT), requester={"username": "dave"}),
        Fitness.UNVERIFIABLE,
    ),
    "approved by somebody whom the request excludes": (
        with_request(ACTIVE, excludedReviewers=["dave"]),
        Fitness.UNVERIFIABLE,
    ),
    "approved by the enforcer that asks now": (
        with_reviews(CAROL, DAVE, review(OPENED, ENFORCER.username, 1)),
        Fitness.UNVERIFIABLE,
    ),
    "approved by the subject": (
        with_reviews(CAROL, DAVE, review(OPENED, "system:serviceaccount:agents:crm-agent", 1)),
        Fitness.UNVERIFIABLE,
    ),
    "revoked": (REVOKED, Fitness.REVOKED),
    "revoked while pending": ({**REVOKED, "status": {"phase": "Pending"}}, Fitness.REVOKED),
    "revoked and said to be something else": (with_status(REVOKED, phase="Consumed"), Fitness.REVOKED),
    "being deleted": (DELETING, Fitness.REVOKED),
    "denied": (with_status(ACTIVE, phase="Denied"), Fitness.DENIED),
    "expired": (with_status(ACTIVE, phase="Expired"), Fitness.EXPIRED),
    "withdrawn": (with_status(ACTIVE, phase="Withdrawn"), Fitness.OUTDATED),
    "consumed": (with_status(ACTIVE, phase="Consumed"), Fitness.CONSUMED),
    "lapsed": (with_status(ACTIVE, phase="Lapsed"), Fitness.EXPIRED),
    "revoked, as the operator wrote": (with_status(ACTIVE, phase="Revoked"), Fitness.REVOKED),
    "of a policy that was created again": (with_request(ACTIVE, rules=rules_of(ACTIVE, uid="new")), Fitness.OUTDATED),
    "of a rule that meant something else": (
        with_request(ACTIVE, rules=rules_of(ACTIVE, ruleDigest="v1:" + "0" * 64)),
        Fitness.OUTDATED,
    ),
    "of two rules": (
        with_request(ACTIVE, rules=[*rules_of(ACTIVE), *rules_of(ACTIVE, rule="other")]),
        Fitness.OUTDATED,
    ),
    "of a rule that meant something else, pending": (
        with_request(PENDING, rules=rules_of(PENDING, ruleDigest="v1:" + "0" * 64)),
        Fitness.OUTDATED,
    ),
    "with one step less": (
        with_request(ACTIVE, steps=ACTIVE["spec"]["request"]["steps"][:1]),
        Fitness.OUTDATED,
    ),
    "with a step more": (
        with_request(ACTIVE, steps=[*steps_of(ACTIVE, 0), {**steps_of(ACTIVE, 1)[1], "name": "another"}]),
        Fitness.OUTDATED,
    ),
    "with a step of another count": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, count=1)), Fitness.OUTDATED),
    "with a step of another kind": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, kind="System")), Fitness.OUTDATED),
    "with a step of another group": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, groups=["x"])), Fitness.OUTDATED),
    "with a step for whoever": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, groups=None)), Fitness.OUTDATED),
    "with a step of another policy": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, policy="x")), Fitness.OUTDATED),
    "with a step of another name": (with_request(ACTIVE, steps=steps_of(ACTIVE, 0, name="x")), Fitness.OUTDATED),
    "with one step in the place of another": (SWAPPED, Fitness.OUTDATED),
}  # fmt: skip


class TestAGrant:
    @pytest.mark.invariant(12, 13, 27)
    @pytest.mark.parametrize(("raw", "expected"), STATES.values(), ids=STATES)
    def test_is_to_a_call_what_its_state_makes_it(self, raw: Object, expected: Fitness) -> None:
        assert fit(raw) is expected

    def test_covers_every_state_in_these_tests(self) -> None:
        assert {expected for _, expected in STATES.values()} == set(Fitness)

    @pytest.mark.invariant(27)
    @pytest.mark.parametrize("raw", [ACTIVE, with_status(ACTIVE, uses=1), PENDING], ids=["active", "used", "pending"])
    def test_that_is_void_by_name_serves_nobody_whatever_it_says(self, raw: Object) -> None:
        for void, expected in (
            (VoidGrants({"grant-uid": VoidGrant("crm", "agr-opened")}), True),
            (VoidGrants({}, frozenset({"crm"})), True),
            (VoidGrants({"another": VoidGrant("crm", "agr-opened")}, frozenset({"hr"})), False),
        ):
            assert (fit(raw, Circumstances(now=NOW, void=void)) is Fitness.UNVERIFIABLE) is expected

    @pytest.mark.invariant(17)
    @pytest.mark.parametrize(
        ("gate", "expected"),
        [
            ({"policy": "renamed"}, Fitness.USABLE),
            ({"policy_uid": "new"}, Fitness.OUTDATED),
            ({"rule_digest": "v1:" + "0" * 64}, Fitness.OUTDATED),
            ({"steps": ()}, Fitness.OUTDATED),
            ({"window_seconds": 599}, Fitness.UNVERIFIABLE),
            ({"max_uses": 1}, Fitness.CONSUMED),
        ],
    )
    def test_gives_no_more_than_the_rule_gives_now(self, gate: Object, expected: Fitness) -> None:
        assert fit(with_status(ACTIVE, uses=1), **gate) is expected

    @pytest.mark.parametrize(
        ("gate", "expected"),
        [
            ({"window_seconds": 599}, Fitness.OUTDATED),
            ({"window_seconds": 599, "rule_digest": "v1:" + "0" * 64}, Fitness.CONSUMED),
            ({"show": ("/resource/id",), "rule_digest": "v1:" + "0" * 64}, Fitness.CONSUMED),
        ],
        ids=["a shorter window", "a shorter window, in a rule that changed", "another display, in a rule that changed"],
    )
    def test_that_is_used_up_is_not_held_to_what_its_rule_became_since(self, gate: Object, expected: Fitness) -> None:
        assert fit(with_status(ACTIVE, phase="Consumed"), **gate) is expected

    @pytest.mark.invariant(1)
    def test_bars_the_people_of_this_very_call(self) -> None:
        # The request names other people than the call: what admission let through does not count here.
        stranger = with_request(ACTIVE, requester={"username": "x"}, subject={"type": "t", "id": "x", "uid": "x"})
        assert fit(stranger) is Fitness.USABLE
        by_dave = replace(CALL, caller=ServiceAccount("dave", "dave-uid"))
        for_dave = Party("serviceAccount", "dave", "dave-uid")
        assert fitness(read(stranger), gate_of(GATED), by_dave, _subject(), AROUND) is Fitness.UNVERIFIABLE
        assert fitness(read(stranger), gate_of(GATED), CALL, for_dave, AROUND) is Fitness.UNVERIFIABLE

    @pytest.mark.invariant(1)
    @pytest.mark.parametrize(
        "party",
        [
            Party("serviceAccount", "dave", "dave-uid"),
            Party("user", "dave", "corp#dave", issuer="corp"),
            Party("user", "d@corp.example", "corp#d@corp.example", issuer="corp", username="dave"),
        ],
        ids=["an account", "a person", "a person of another name at the API server"],
    )
    def test_bars_whoever_the_call_is_for_and_whoever_acts_by_every_name_of_theirs(self, party: Party) -> None:
        stranger = with_request(ACTIVE, subject={"type": "t", "id": "x", "uid": "x"})
        acting = replace(CALL, actors=(party,))
        assert fitness(read(stranger), gate_of(GATED), CALL, party, AROUND) is Fitness.UNVERIFIABLE
        assert fitness(read(stranger), gate_of(GATED), acting, _subject(), AROUND) is Fitness.UNVERIFIABLE

    @pytest.mark.invariant(1)
    def test_bars_the_actors_of_the_request(self) -> None:
        assert fit(with_request(ACTIVE, actors=[{"id": "dave"}])) is Fitness.UNVERIFIABLE

    @pytest.mark.invariant(1)
    def test_bars_whom_the_operator_found_by_another_name(self) -> None:
        rules = [{"policy": "crm-agent", "rule": "export", "uid": "u", "ruleDigest": "v1:" + "0" * 64}]
        resolved = {"subjectUID": "agent-uid", "rules": rules}
        assert fit(with_status(ACTIVE, resolved=resolved)) is Fitness.USABLE
        barred = {**resolved, "excludedReviewers": ["dave", "carol"]}
        assert fit(with_status(ACTIVE, resolved=barred)) is Fitness.UNVERIFIABLE

    def test_takes_for_people_whom_the_installation_takes_for_people(self) -> None:
        for prefixes, expected in ((("dave", "car"), Fitness.USABLE), (("oidc:",), Fitness.UNVERIFIABLE)):
            around = Circumstances(now=NOW, installation=Installation(human_username_prefixes=prefixes))
            assert fit(ACTIVE, around) is expected

    def test_that_may_be_used_again_is_not_used_up(self) -> None:
        assert fit(with_status(ACTIVE, uses=None)) is Fitness.USABLE
