"""A record is replayed with certainty, may be of several classes, or lacks something that is named."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, PodWorkload, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.replay.candidate import Candidate
from bailiwick_evidence.replay.outcomes import HINDRANCES, Hindrance, ReplayClass, ReplayOutcome
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from property.evidence.test_odd_members import places_in, with_value
from property.evidence.test_replays import book_of
from support.derivations import texts_of
from support.objects import Object, gated_rule, rule, settings, subject
from unit.engine.cases import CALL, NOW
from unit.evidence.derive.test_derive import GATED, approved, carrier, reading, record, stored

OURS: Final = engine_versions()
EXPORT: Final[dict[str, Any]] = {"actions": ["customers.export"]}
ALLOW: Final = carrier(rule(**EXPORT))
DENY: Final = carrier(rule())
ASK: Final = carrier(gated_rule())
OWNER: Final[Object] = gated_rule()["approval"]["steps"][0]
CONDITION: Final = {"name": "many", "expression": "context.n > 9"}
N: Final = replace(CALL, context={"n": 2})
IN: Final = {"name": "in", "group": {"issuer": "corp", "name": "sales"}}
PERSON: Final = Party("user", "dave", "corp#dave", issuer="corp", groups=("sales",))
BOTH: Final = {"identity": {"issuers": ["cluster", "corp"]}}


def asking(**approval: object) -> Object:
    """Return policies whose rule asks for another approval than `ASK` in these parts."""
    return carrier(gated_rule(approval=gated_rule()["approval"] | approval))


def replay(
    told: Object,
    old: Iterable[Object],
    new: Iterable[Object],
    engine: Mapping[str, str] | None = OURS,
) -> ReplayOutcome:
    found = book_of(texts_of(one["spec"] for one in old), new).outcome(told, engine)
    assert found is not None
    return found


def with_settings(raw: Object, **more: object) -> Object:
    return {**raw, "spec": {**raw["spec"], "endpointSettings": {**settings(), **more}}}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (ALLOW, DENY, "allow→deny"),
        (ALLOW, ASK, "allow→approval"),
        (ASK, ALLOW, "approval→allow"),
        (ASK, DENY, "approval→deny"),
        (DENY, ALLOW, "deny→allow"),
        (DENY, carrier(reading("resource.id == '42' && subject.type != '' && action.name != ''")), "deny→allow"),
        (DENY, ASK, "deny→approval"),
        (DENY, stored(rules=[rule()]), "unchanged"),
        (ASK, carrier(gated_rule(name="renamed")), "unchanged"),
        (ASK, asking(steps=[OWNER | {"name": "other"}]), "unchanged"),
        (ASK, asking(steps=[OWNER | {"groups": ["owners"]}]), "approval→approval"),
        (asking(steps=[OWNER | {"groups": ["owners"]}]), ASK, "approval→weaker"),
        (ASK, asking(steps=[{"name": "other", "kind": "System"}]), "approval→weaker"),
        (ASK, asking(maxUses=9), "approval→weaker"),
        (ASK, asking(maxUses=9, reason={"required": True}), "approval→weaker"),
        (asking(reason={"required": True}), ASK, "approval→weaker"),
        (ASK, asking(reason={"required": True}), "approval→approval"),
        (ASK, asking(steps=[OWNER, {"name": "other", "kind": "System"}]), "approval→approval"),
        # Asked for in another way: with a reason, and for a longer time.
        (ASK, asking(reason={"required": True}, pendingSeconds=86_400), "approval→approval"),
    ],
)
def test_the_class_is_of_both_verdicts(old: Object, new: Object, kind: str) -> None:
    found = replay(record(old), [old], [new])
    assert found.kind == kind
    assert found.old is not None
    assert (found.old.verdict.value, len(found.news)) == (kind.partition("→")[0], 1) or kind == "unchanged"


def test_of_another_approval_it_says_in_what_it_differs() -> None:
    (new,) = replay(record(ASK), [ASK], [asking(maxUses=9, reason={"required": True})]).news
    assert new.differs == ("weaker maxUses", "stronger reason")
    (same,) = replay(record(ASK), [ASK], [carrier(gated_rule(), rule())]).news
    assert same.differs == ()


def test_an_approval_of_a_call_that_none_could_let_through_is_weaker() -> None:
    """A call that lacks a part of its scope is bound to nothing, and so no grant is for it."""
    where = [{"type": "customer", "ids": ["*"], "properties": {"region": ["eu"]}}]
    scoped = carrier(gated_rule(resources=where, approval={"steps": [OWNER], "binding": "Scope"}))
    exact = carrier(gated_rule(resources=where, approval={"steps": [OWNER]}))
    told = record(scoped)
    assert told["reason"] == "context_insufficient"
    assert replay(told, [scoped], [exact]).kind == "approval→weaker"
    assert replay(record(exact), [exact], [scoped]).kind == "approval→weaker"


def test_each_class_that_a_sealed_value_leaves_open_is_told() -> None:
    def when(condition: str) -> Object:
        return {"conditions": [{"name": "one", "expression": condition}]}

    never = reading("has(context.n) && context.n > 30", name="never", effect="Deny")
    old = carrier(never, gated_rule(), sensitive=["context.n"])
    told = record(old, call=N)
    more = gated_rule("more", **when("context.n > 1"))
    found = replay(told, [old], [carrier(never, gated_rule(), more, sensitive=["context.n"])])
    # What the condition cannot be evaluated on is denied.
    assert found.kind == "maybe"
    assert found.may == {"unchanged", "approval→approval", "approval→deny"}
    open_ = carrier(
        never,
        rule("all", actions=["customers.export"]),
        reading("context.n == 9", name="no", effect="Deny"),
        gated_rule(**when("context.n > 2")),
        gated_rule("weak", approval={"steps": [OWNER], "maxUses": 9}, **when("context.n > 1")),
        sensitive=["context.n"],
    )
    found = replay(told, [old], [open_])
    assert found.kind == "maybe"
    assert found.may >= {"unchanged", "approval→weaker", "approval→allow", "approval→deny"}


def test_both_sides_say_why() -> None:
    found = replay(record(DENY), [DENY], [ASK])
    assert found.old is not None
    assert (found.old.reason, found.old.rule) == ("no_rule", None)
    (new,) = found.news
    assert (new.reason, new.rule, new.steps) == (
        "approval_required",
        ("crm-agent", "export"),
        ("crm-agent.export.owner",),
    )


def test_a_denial_that_is_no_rules_says_what_came_nearest_and_what_it_lacks() -> None:
    found = replay(record(ALLOW), [ALLOW], [DENY])
    (new,) = found.news
    assert (new.reason, new.rule, found.old is not None and found.old.near) == ("no_rule", None, None)
    assert new.near is not None
    assert (new.near.place, new.near.lacks.kind, new.near.lacks.held) == (("crm-agent", "read"), "action", False)
    assert new.near.lacks.wanted == ("customers.list",)


def test_a_denial_of_a_rule_is_explained_by_that_rule() -> None:
    (new,) = replay(record(ALLOW), [ALLOW], [carrier(rule(), rule("never", effect="Deny", **EXPORT))]).news
    assert (new.rule, new.near) == (("crm-agent", "never"), None)


def test_what_is_not_on_record_is_not_what_a_call_lacks() -> None:
    new = carrier(rule(), subjects=[{**subject(), "workload": WORKLOAD}])
    (told,) = replay(record(ALLOW), [ALLOW], [new]).news
    assert told.near is not None
    assert told.near.lacks.kind == "action"


def test_a_denial_that_hangs_on_a_sealed_value_says_nothing_of_the_rules_near_it() -> None:
    many = "has(context.n) && context.n > 3"
    never = reading(many, name="never", effect="Deny")
    old = carrier(never, rule("allow", **EXPORT), sensitive=["context.n"])
    new = carrier(never, reading(many, name="many"), sensitive=["context.n"])
    found = replay(record(old, call=N), [old], [new])
    assert (found.kind, [side.near for side in found.news]) == (ReplayClass.ALLOW_DENY, [None])


def test_a_grant_that_was_used_counts_as_the_approval_of_the_policy() -> None:
    told = record(GATED, used=approved())
    assert told["decision"]
    assert replay(told, [GATED], [GATED]).kind is ReplayClass.UNCHANGED
    assert replay(told, [GATED], [ALLOW]).kind is ReplayClass.APPROVAL_ALLOW


def test_what_only_the_candidate_reads_is_never_taken_to_be_absent() -> None:
    new = carrier(reading("!has(context.n)"))
    assert replay(record(DENY, call=N), [DENY], [new]).code == "not_replayable:attribute_not_recorded"
    kept = with_settings(DENY, record={"keep": ["context.n"]})
    assert replay(record(kept, call=N), [kept], [new]).kind is ReplayClass.UNCHANGED
    assert replay(record(kept), [kept], [new]).kind is ReplayClass.DENY_ALLOW


def test_what_is_not_recorded_does_not_matter_where_it_changes_nothing() -> None:
    more = carrier(rule(**EXPORT), reading("context.n > 1", name="more"))
    assert replay(record(ALLOW), [ALLOW], [more]).kind is ReplayClass.UNCHANGED


def test_a_property_that_kept_a_rule_from_speaking_is_known_to_do_so() -> None:
    resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
    old = carrier(rule(resources=resources, **EXPORT))
    new = carrier(rule(resources=resources, **EXPORT), rule("list"))
    told = record(old, call=replace(CALL, resource=replace(CALL.resource, properties={"env": "test"})))
    assert "env" not in str(told.get("attributes"))
    assert replay(told, [old], [new]).kind is ReplayClass.UNCHANGED
    other = [{**resources[0], "properties": {"env": ["test"]}}]
    wider = carrier(rule(resources=resources, **EXPORT), rule("other", resources=other, **EXPORT))
    assert replay(told, [old], [wider]).code == "not_replayable:attribute_not_recorded"


def test_what_would_be_on_record_if_a_rule_had_spoken_tells_that_it_did_not() -> None:
    resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
    some, every = rule("some", resources=resources, **EXPORT), rule("every", **EXPORT)
    told = record(carrier(some, every), call=replace(CALL, resource=replace(CALL.resource, properties={"env": "test"})))
    assert told["policy"]["rule"] == "every"
    assert replay(told, [carrier(some, every)], [carrier(some)]).kind is ReplayClass.ALLOW_DENY


def test_a_sealed_value_that_decides_may_be_either() -> None:
    old = carrier(reading("context.n > 1"), sensitive=["context.n"])
    new = carrier(reading("context.n > 1"), rule("never", effect="Deny", **EXPORT, conditions=[CONDITION]))
    found = replay(record(old, call=N), [old], [new])
    assert (found.kind, found.may) == (
        ReplayClass.MAYBE,
        frozenset({ReplayClass.UNCHANGED, ReplayClass.ALLOW_DENY}),
    )
    # The condition that both have says the same on both sides.
    same = carrier(reading("context.n > 1"), rule("list"), sensitive=["context.n"])
    assert replay(record(old, call=N), [old], [same]).kind is ReplayClass.UNCHANGED


@pytest.mark.parametrize(("count", "code"), [(4, "allow→approval"), (5, "not_replayable:sealed")])
def test_too_many_sealed_conditions_are_not_tried(count: int, code: str) -> None:
    rules = [reading(f"context.n > {9 + number}", name=f"r{number}", effect="Deny") for number in range(count)]
    old = carrier(*rules, rule("allow", **EXPORT), sensitive=["context.n"])
    new = carrier(*rules, rule("allow", **EXPORT), gated_rule("ask"), sensitive=["context.n"])
    assert replay(record(old, call=N), [old], [new]).code == code


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ({"reason": "store_stale", "policy": None}, "state"),
        ({"reason": "no_rule"}, "baseline_differs"),
        ({"reason": "of_tomorrow"}, "baseline_differs"),
        ({"now": None}, "baseline_differs"),
        ({"action": 7}, "unreadable"),
        ({"policies": {"crm-agent": "sha256:" + "0" * 64}, "policy": None}, "policy_missing"),
        ({"policies": None, "policies_digest": "sha256:1"}, "policy_missing"),
    ],
)
def test_what_cannot_be_replayed_says_why(member: Object, code: str) -> None:
    told = record(carrier(rule("other"), reading("context.n > 3")))
    old = carrier(rule("other"), reading("context.n > 3"))
    found = replay({**told, **member}, [old], [ALLOW])
    assert found.code == f"not_replayable:{code}"


def test_a_record_of_another_version_counts_only_if_this_one_says_the_same() -> None:
    told = record(DENY)
    assert replay(told, [DENY], [ALLOW], {**engine_versions(), "engine": "0"}).kind is ReplayClass.DENY_ALLOW
    other = {**told, "reason": "policy_denied"}
    assert replay(other, [DENY], [ALLOW], {**engine_versions(), "engine": "0"}).code == "not_replayable:engine_version"
    assert replay(other, [DENY], [ALLOW], None).code == "not_replayable:engine_version"


@pytest.mark.parametrize("engine", [{**engine_versions(), "engine": "99"}, None])
@pytest.mark.parametrize(
    ("member", "code"), [({"reason": "of_tomorrow"}, "engine_version"), ({"now": None}, "attribute_not_recorded")]
)
def test_what_no_process_of_this_version_writes_may_be_of_another(
    member: Object, code: str, engine: dict[str, str] | None
) -> None:
    told = {**record(DENY), **member}
    assert replay(told, [DENY], [ALLOW], engine).code == f"not_replayable:{code}"


def test_what_would_let_through_while_a_change_is_pending_is_a_state() -> None:
    told = record(ALLOW, around=Circumstances(NOW, outdated=True))
    assert told["reason"] == "policy_outdated"
    assert replay(told, [ALLOW], [DENY]).code == "not_replayable:state"
    stale = record(GATED, around=Circumstances(NOW, Freshness.STALE))
    assert replay(stale, [GATED], [ALLOW]).code == "not_replayable:state"


def people(*rules: Object, names: Iterable[Object] = (IN,), **fields: object) -> Object:
    raw = carrier(*rules, subjects=[subject(), *names])
    return with_settings(raw, **{**BOTH, **fields})


def test_a_group_that_only_the_candidate_names_is_not_known() -> None:
    old = people(rule(), names=[{"name": "in", "user": {"issuer": "corp", "name": "dave"}}])
    new = people(rule(subjects=["in"], **EXPORT))
    told = record(old, call=replace(CALL, subject=PERSON))
    assert replay(told, [old], [new]).code == "not_replayable:attribute_not_recorded"
    named = people(rule(subjects=["in"]))
    assert replay(record(named, call=replace(CALL, subject=PERSON)), [named], [new]).kind is ReplayClass.DENY_ALLOW
    outside = replace(CALL, subject=replace(PERSON, groups=()))
    assert replay(record(named, call=outside), [named], [new]).kind is ReplayClass.UNCHANGED


def test_a_denial_in_which_a_group_is_not_known_says_nothing_of_the_rules_near_it() -> None:
    dave = {"name": "dave", "user": {"issuer": "corp", "name": "dave"}}
    old = people(rule(subjects=["dave"], **EXPORT), names=[dave])
    rules = (rule("never", effect="Deny", subjects=["in"], **EXPORT), rule(subjects=["in"]))
    found = replay(record(old, call=replace(CALL, subject=PERSON)), [old], [people(*rules, names=[dave, IN])])
    assert (found.kind, [side.near for side in found.news]) == (ReplayClass.ALLOW_DENY, [None])


WORKLOAD: Final = {"imageDigests": ["sha256:" + "a" * 64]}
LABELED: Final = {**WORKLOAD, "podSelector": {"matchLabels": {"app": "crm"}}}
RUNS: Final = PodWorkload(frozenset(WORKLOAD["imageDigests"]), {"app": "crm"})


def test_a_workload_that_only_the_candidate_asks_for_is_not_known() -> None:
    def of(workload: object, *rules: Object) -> Object:
        return carrier(*rules, subjects=[{**subject(), **({"workload": workload} if workload else {})}])

    call = replace(CALL, subject=Party("serviceAccount", CALL.subject.id, "u", workload=RUNS))  # type: ignore[union-attr]
    plain, images, labels = of(None, rule(**EXPORT)), of(WORKLOAD, rule(**EXPORT)), of(LABELED, rule(**EXPORT))
    assert replay(record(plain, call=call), [plain], [images]).code == "not_replayable:attribute_not_recorded"
    assert replay(record(images, call=call), [images], [plain]).kind is ReplayClass.UNCHANGED
    assert replay(record(images, call=call), [images], [labels]).code == "not_replayable:attribute_not_recorded"
    unknown = replace(call, subject=replace(call.subject, workload=None))
    assert replay(record(images, call=unknown), [images], [labels]).kind is ReplayClass.UNCHANGED


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ({}, {"identity": {"verification": "Asserted"}}, "state"),
        ({}, {"identity": {"audiences": ["elsewhere"]}}, "state"),
        ({}, {"identity": {"issuers": ["corp"]}}, "state"),
        ({}, {"identity": {"issuers": ["cluster", "corp"]}}, "deny→allow"),
    ],
)
def test_another_proof_of_identity_is_no_matter_of_the_rules(before: Object, after: Object, code: str) -> None:
    old, new = with_settings(DENY, **before), with_settings(ALLOW, **after)
    found = replay(record(old), [old], [new])
    assert found.code in {code, f"not_replayable:{code}"}
    # What is denied all the same is denied whoever it is.
    assert replay(record(old), [old], [with_settings(DENY, **after)]).kind is ReplayClass.UNCHANGED


def test_who_was_not_proven_stays_so_only_by_the_same_settings() -> None:
    unproven: Call = replace(CALL, subject=UnprovenParty(Reason.IDENTITY_INVALID))
    told = record(ALLOW, call=unproven)
    assert replay(told, [ALLOW], [carrier(rule("more", **EXPORT))]).kind is ReplayClass.UNCHANGED
    other = with_settings(ALLOW, identity={"issuers": ["cluster", "corp"]})
    assert replay(told, [ALLOW], [other]).code == "not_replayable:attribute_not_recorded"


def test_a_stranger_that_becomes_an_enforcer_asked_for_nobody_knows_whom() -> None:
    told = record(ALLOW, call=replace(CALL, caller=replace(CALL.caller, username="system:serviceaccount:a:b")))
    enforcers = [{"namespace": "a", "name": "b"}]
    new = with_settings(carrier(rule(subjects=["agent"], **EXPORT)), enforcers=enforcers)
    found = replay({**told, "subject": None}, [ALLOW], [new])
    assert found.code == "not_replayable:attribute_not_recorded"


class TestCandidate:
    def test_is_all_of_the_endpoint_or_lies_over_what_was(self) -> None:
        old, other = ALLOW, stored("second", rules=[rule("second", effect="Deny", actions=["customers.get"])])
        told = record(old, other)
        texts = texts_of(one["spec"] for one in (old, other))
        (held,) = book_of(texts, [other])._states.candidate.policies
        for overlay, kind in ((True, ReplayClass.UNCHANGED), (False, ReplayClass.ALLOW_DENY)):
            book = ReplayBook(EndpointStates(texts, Candidate([held], overlay=overlay)))
            found = book.outcome(told, OURS)
            assert found is not None
            assert found.kind is kind

    def test_that_says_nothing_of_the_endpoint_leaves_it_out(self) -> None:
        book = book_of(texts_of([ALLOW["spec"]]), [stored("x", endpoint="other", rules=[rule()])])
        assert book.outcome(record(ALLOW), OURS) is None

    def test_moves_a_policy_to_another_endpoint(self) -> None:
        moved = stored("second", endpoint="other", rules=[rule(effect="Deny", **EXPORT)])
        old = stored("second", rules=[rule(effect="Deny", **EXPORT)])
        texts = texts_of(one["spec"] for one in (ALLOW, old, moved))
        (held,) = book_of(texts, [moved])._states.candidate.policies
        book = ReplayBook(EndpointStates(texts, Candidate([held], overlay=True)))
        found = book.outcome(record(ALLOW, old), OURS)
        assert found is not None
        assert found.kind is ReplayClass.DENY_ALLOW

    def test_keeps_a_policy_that_was_being_deleted_so_unless_it_changes(self) -> None:
        gone = {**ALLOW, "metadata": {**ALLOW["metadata"], "deletionTimestamp": "now"}}
        told = record(gone)
        assert told["suspended"] == ["crm-agent"]
        assert replay(told, [ALLOW], [ALLOW]).kind is ReplayClass.UNCHANGED
        assert replay(told, [ALLOW], [carrier(rule("again", **EXPORT))]).kind is ReplayClass.DENY_ALLOW


class TestProjections:
    def of(self, old: Object, new: Object, *told: Object) -> int:
        """Return how many are evaluated; each must come to what it comes to alone."""
        book = book_of(texts_of([old["spec"]]), [new])
        for one in told:
            assert book.outcome(one, OURS) == replay(one, [old], [new])
        return book.evaluated

    def varied(self, raw: Object, **fields: Any) -> list[Object]:  # noqa: ANN401 - of a call
        return [record(raw, call=replace(CALL, **one)) for one in fields["calls"]]

    def test_that_are_equal_are_evaluated_once(self) -> None:
        calls = [{"resource": replace(CALL.resource, id=str(number))} for number in range(9)]
        assert self.of(DENY, ALLOW, *self.varied(DENY, calls=calls)) == 1

    @pytest.mark.parametrize(
        ("new", "calls", "count"),
        [
            (carrier(rule(resources=[{"type": "customer", "ids": ["1"]}], **EXPORT)), ("1", "2", "3", "4"), 2),
            (carrier(rule(resources=[{"type": "customer", "ids": ["a/*"]}], **EXPORT)), ("a/", "a/1", "a/2", "b"), 2),
            (carrier(reading("resource.id == '1'")), ("1", "2", "3"), 3),
        ],
        ids=["names", "a prefix", "a condition"],
    )
    def test_tell_ids_apart_as_rules_do(self, new: Object, calls: tuple[str, ...], count: int) -> None:
        told = self.varied(DENY, calls=[{"resource": replace(CALL.resource, id=name)} for name in calls])
        assert self.of(DENY, new, *told) == count

    def test_tell_moments_apart_as_rules_do(self) -> None:
        told = [record(DENY, around=Circumstances(NOW + hours * 3600)) for hours in range(4)]
        assert self.of(DENY, ALLOW, *told) == 1
        ends = carrier(rule(expireTime="2030-03-17T18:00:00Z", **EXPORT))
        assert self.of(DENY, ends, *told) == 2
        assert self.of(DENY, carrier(reading("now.getHours() > 3")), *told) == 4

    def test_of_a_list_that_comes_later_are_looked_at_again(self) -> None:
        told = {**record(DENY), "policies": None, "policies_digest": "sha256:1"}
        book = ReplayBook(
            EndpointStates(PolicyTexts(), Candidate(book_of(PolicyTexts(), [ALLOW])._states.candidate.policies))
        )
        first = book.outcome(told, None)
        assert first is not None
        assert first.hindrance is Hindrance.POLICY_MISSING
        book.learn({"policies_digest": "sha256:0", "policies": {}})
        assert book._projections == {}

    def test_of_a_record_without_shape_spoil_no_others(self) -> None:
        book = book_of(texts_of([DENY["spec"]]), [ALLOW])
        told = record(DENY)
        for one, code in (({**told, "subject": 7}, "not_replayable:unreadable"), (told, "deny→allow")):
            found = book.outcome(one, OURS)
            assert found is not None
            assert found.code == code

    @pytest.mark.parametrize("raw", [ALLOW, GATED, DENY], ids=["allowed", "by a grant", "denied"])
    @pytest.mark.parametrize("value", [None, 7, -1e300, "x", True, [], {}, [7], {"a": 7}], ids=repr)
    def test_of_a_record_with_an_odd_member_spoil_no_others(self, raw: Object, value: object) -> None:
        told = record(raw, used=approved()) if raw is GATED else record(raw)
        book = book_of(texts_of([raw["spec"]]), [ASK])
        # What is read of the endpoint's records is known before.
        book.outcome(record(raw, call=replace(CALL, action=Action("customers.get"))), OURS)
        expected = replay(told, [raw], [ASK])
        for at in places_in(told):
            book.outcome(with_value(told, at, value), OURS)
            found = book.outcome(told, OURS)
            assert found is not None
            assert (found.code, found.old, found.news) == (expected.code, expected.old, expected.news)
            book._outcomes.clear()


def test_every_hindrance_has_a_sentence() -> None:
    assert HINDRANCES.keys() == set(Hindrance)
