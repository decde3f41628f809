"""A record derives again, is attested, lacks something that is named, or is contradicted: never anything in between."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Call, Party, PodWorkload, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import OBSTACLES, Derivation, DerivationClass, Obstacle
from bailiwick_evidence.derive.derive import derive
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_webhook.record.line import RecordLines
from support.derivations import add_spec, texts_of
from support.objects import AGENT, Object, changed, gated_rule, opened_grant, policy, rule, settings, subject
from support.records import lines_of
from support.revocations import in_force, revocation
from unit.engine.cases import CALL, NOW

DERIVED, ATTESTED = DerivationClass.DERIVED, DerivationClass.ATTESTED
CONTRADICTED: Final = DerivationClass.CONTRADICTED
UNDERIVABLE, UNREADABLE = DerivationClass.UNDERIVABLE, DerivationClass.UNREADABLE


def stored(name: str = "crm-agent", **spec: Any) -> Object:  # noqa: ANN401 - any field
    raw = policy("crm", name, **spec)
    raw["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return raw


def carrier(*rules: Object, **spec: Any) -> Object:  # noqa: ANN401 - any field
    return stored(endpointSettings=settings(), rules=list(rules), **spec)


def reading(*expressions: str, **fields: Any) -> Object:  # noqa: ANN401 - any field
    conditions = [{"name": f"c{index}", "expression": text} for index, text in enumerate(expressions)]
    given: dict[str, Any] = {"actions": ["customers.export"], "conditions": conditions, **fields}
    return rule(**given)


def record(
    *policies: Object,
    call: Call = CALL,
    around: Circumstances | None = None,
    used: Grant | None = None,
    reason: Reason | None = None,
    lines: RecordLines | None = None,
) -> Object:
    """Return the record of a decision. `reason`: what the decision point made of it afterwards."""
    around = around or Circumstances(NOW)
    snapshot = Snapshot.of(compile_object(one) for one in policies)
    verdict = decide(snapshot, call, (), around)
    if reason is not None:
        verdict = replace(verdict, reason=reason)
    if used is not None:
        verdict = replace(verdict, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED)
    made = lines_of(
        lines or RecordLines(b"k" * 32),
        snapshot,
        call,
        verdict,
        used=used,
        pending=3.0 if around.outdated else None,
        now=around.now + 0.5,
        judged=around.now,
    )
    found: Object = json.loads(made[-1])
    return found


def texts(*policies: Object) -> PolicyTexts:
    return texts_of(one["spec"] for one in policies)


ALLOWING: Final = carrier(reading("context.n > 1"), rule("list", actions=["customers.list"]))
N: Final = replace(CALL, context={"n": 2})
GATED: Final = carrier(gated_rule())


def approved(**fields: object) -> Grant:
    """Return a grant that was used, of the gate of `GATED`."""
    verdict = decide(Snapshot.of([compile_object(GATED)]), CALL, (), Circumstances(NOW))
    digest, gate = verdict.digest, verdict.gate
    assert gate is not None
    reference = {"policy": "crm-agent", "uid": "crm-agent-uid", "rule": "export"}
    raw = opened_grant(
        "crm",
        rules=[{**reference, "ruleDigest": gate.rules[0].rule_digest}],
        binding={"mode": "Exact", "digest": digest},
        steps=[GrantStep.model_dump(one, mode="json", exclude_none=True) for one in gate.steps],
    )
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    raw["spec"]["reviews"] = [
        {"reviewer": "dave", "step": gate.steps[0].name, "decision": "Approve", "binding": digest}
    ]
    raw["status"] = {"phase": "Active", "uses": 1, "counted": [{"reviewer": "dave"}], **fields}
    grant = parse(raw)
    assert grant is not None
    return grant


class TestDerived:
    @pytest.mark.parametrize(
        ("made", "call"),
        [
            (ALLOWING, N),
            (ALLOWING, replace(CALL, context={"n": 1})),
            (ALLOWING, replace(N, dry_run=True)),
            (ALLOWING, CALL),
            (ALLOWING, replace(CALL, resource=replace(CALL.resource, type="order"))),
            (ALLOWING, replace(CALL, endpoint="nowhere")),
            (ALLOWING, replace(CALL, caller=replace(CALL.caller, username="system:serviceaccount:a:b"))),
            (stored(), CALL),
            (carrier(reading("has(context.a.b)", effect="Deny")), replace(CALL, context={"a": {}})),
            (carrier(reading("has(context.a.b)", effect="Deny")), CALL),
            (carrier(reading("true"), suspend=True), CALL),
            ({**GATED, "metadata": {**GATED["metadata"], "deletionTimestamp": "now"}}, CALL),
        ],
        ids=[
            *("allowed", "a false condition", "a dry run", "an unknown one", "no rule", "an unknown endpoint"),
            *("a stranger", "no settings", "an object without a member", "no object", "suspended", "being deleted"),
        ],
    )
    def test_is_what_follows(self, made: Object, call: Call) -> None:
        assert derive(record(made, call=call), texts(made)) == Derivation(DERIVED)

    def test_is_what_follows_at_the_very_moment_and_not_when_it_was_written(self) -> None:
        edge = carrier(reading("now < timestamp('2030-03-17T17:46:40.000001Z')"))
        assert derive(record(edge), texts(edge)).kind is DERIVED
        late = record(edge, around=Circumstances(NOW + 1e-5))
        assert (late["reason"], derive(late, texts(edge)).kind) == ("condition_false", DERIVED)

    def test_hangs_on_a_property_by_which_a_deny_does_not_apply(self) -> None:
        resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
        made = carrier(reading("true"), rule("never", effect="Deny", actions=["*"], resources=resources))
        told = record(made, call=replace(CALL, resource=replace(CALL.resource, properties={"env": "test"})))
        assert (told["decision"], derive(told, texts(made)).kind) == (True, DERIVED)
        assert derive({**told, "attributes": {}}, texts(made)).kind is CONTRADICTED

    def test_hangs_on_groups_and_on_the_workload(self) -> None:
        workload = {"imageDigests": ["sha256:" + "a" * 64], "podSelector": {"matchLabels": {"app": "x"}}}
        listed = [
            {"name": "owners", "group": {"issuer": "corp", "name": "owners"}},
            {**subject("worker"), "workload": workload},
            subject(),
        ]
        made = carrier(reading("true", subjects=["owners", "worker"]), subjects=listed)
        person = Party("user", "dave", "corp#dave", issuer="corp", groups=("others", "owners"))
        told = record(made, call=replace(CALL, subject=person))
        assert (told["subject"]["matched"], derive(told, texts(made)).kind) == (["owners"], DERIVED)
        assert derive(changed(told, "subject.matched", []), texts(made)).kind is CONTRADICTED
        pod = PodWorkload(frozenset(workload["imageDigests"]), {"app": "x", "secret": "s"})
        told = record(made, call=replace(CALL, subject=replace(CALL.subject, workload=pod)))
        assert (told["subject"]["workload"]["labels"], derive(told, texts(made)).kind) == ({"app": "x"}, DERIVED)
        others: list[Any] = ["unknown", {"images": [], "labels": {}}, {"images": pod_images(pod), "labels": {}}]
        for facts in others:
            assert derive(changed(told, "subject.workload", facts), texts(made)).kind is CONTRADICTED

    def test_needs_the_list_of_many_policies(self) -> None:
        others = [stored(f"p{number:02}", rules=[rule(actions=["other"])]) for number in range(20)]
        lines = RecordLines()
        told = record(carrier(reading("true")), *others, lines=lines)
        known = texts(carrier(reading("true")), *others)
        assert derive(told, known).obstacle is Obstacle.POLICY_LIST_MISSING
        listed = Snapshot.of(compile_object(one) for one in (carrier(reading("true")), *others))
        names = {one.policy.name: one.policy_digest for one in listed.endpoints["crm", "crm-api"].rules}
        known.add_list({"policies_digest": told["policies_digest"], "policies": {**names, "p00": "sha256:0"}})
        assert derive(told, known).obstacle is Obstacle.POLICY_LIST_MISSING
        known.add_list({"policies_digest": told["policies_digest"], "policies": names})
        assert derive(told, known).kind is DERIVED


OTHER: Final = subject("other", account="other")


def pod_images(pod: PodWorkload) -> list[str]:
    return sorted(pod.images)


class TestAttested:
    @pytest.mark.parametrize("effect", ["Allow", "Deny"])
    @pytest.mark.parametrize("held", [True, False])
    def test_is_what_hangs_on_a_sealed_value(self, effect: str, held: bool) -> None:
        made = carrier(reading("context.args.n == 1", effect=effect), reading("true", name="else", actions=["*"]))
        told = record(made, call=replace(CALL, context={"args": {"n": 1 if held else 2}}))
        assert derive(told, texts(made)).kind is ATTESTED
        assert derive({**told, "reason": "no_rule", "decision": False}, texts(made)).kind is CONTRADICTED

    def test_is_what_hangs_on_a_sealed_property_of_the_resource(self) -> None:
        resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
        made = carrier(reading("true", resources=resources), sensitive=["resource.properties.env"])
        told = record(made, call=replace(CALL, resource=replace(CALL.resource, properties={"env": "prod"})))
        assert (told["decision"], derive(told, texts(made)).kind) == (True, ATTESTED)
        denied = {**told, "decision": False, "reason": "no_rule", "policy": None}
        assert derive(denied, texts(made)).kind is ATTESTED
        assert derive({**denied, "reason": "condition_false"}, texts(made)).kind is CONTRADICTED

    def test_is_a_call_with_a_nul_or_larger_than_is_not_counted(self) -> None:
        made = carrier(reading("context.n == 2"))
        for extra, limits in (("a\0b", "nul"), ("x" * 3_000, "size")):
            told = record(made, call=replace(CALL, context={"n": 2, "extra": extra}))
            assert told["limits"] == limits
            assert derive(told, texts(made)).kind in {ATTESTED, DERIVED}

    def test_is_an_allow_by_a_grant_of_this_gate_with_its_steps(self) -> None:
        told = record(GATED, used=approved())
        assert (told["decision"], told["grant"]["uses_before"]) == (True, 1)
        assert derive(told, texts(GATED)).kind is ATTESTED

    @pytest.mark.parametrize(
        "reason",
        [
            "approval_pending",
            "approval_denied",
            "approval_throttled",
            "context_insufficient",
            "clock_skew",
            "store_stale",
        ],
    )
    def test_is_what_became_of_a_call_at_a_gate(self, reason: str) -> None:
        assert derive(record(GATED, reason=Reason(reason)), texts(GATED)).kind is ATTESTED
        made = carrier(reading("true"))
        assert (
            derive({**record(made), "decision": False, "reason": "approval_pending"}, texts(made)).kind is CONTRADICTED
        )

    def test_is_a_subject_that_was_taken_back_whatever_the_rules_say(self) -> None:
        around = Circumstances(NOW, revocations=in_force(revocation(sub=AGENT)))
        for policies in ([carrier(rule())], [carrier(gated_rule())], [carrier(rule(effect="Deny"))]):
            raw = record(*policies, around=around)
            assert (raw["reason"], raw["revocation"]) == ("identity_revoked", "r-one")
            assert derive(raw, texts(*policies)) == Derivation(ATTESTED)
            # Without the object that it names, or with a rule that decided, it is no such record.
            edits: list[Object] = [{"revocation": None}, {"subject": None}, {"decision": True}]
            edits.append({"policy": {"name": "crm-agent", "rule": "export", "digest": raw["policies"]["crm-agent"]}})
            for edit in edits:
                assert derive({**raw, **edit}, texts(*policies)).kind is CONTRADICTED, edit

    def test_is_a_state_of_the_store(self) -> None:
        made = ALLOWING
        stale = record(made, call=N, around=Circumstances(NOW, Freshness.DEAD))
        outdated = record(made, call=N, around=Circumstances(NOW, outdated=True))
        assert [(one["reason"], derive(one, texts(made)).kind) for one in (stale, outdated)] == [
            ("store_stale", ATTESTED),
            ("policy_outdated", ATTESTED),
        ]
        # What is denied anyway is not denied for that.
        denied = record(made, call=replace(N, action=replace(N.action, name="other")))
        denied["snapshot"]["pending_seconds"] = 3.0
        assert derive({**denied, "reason": "policy_outdated"}, texts(made)).kind is CONTRADICTED

    @pytest.mark.parametrize(
        "reason",
        [
            *("identity_invalid", "identity_reserved", "identity_unverifiable", "audience_mismatch"),
            *("possession_unproven", "token_lifetime_exceeded"),
        ],
    )
    def test_is_a_subject_that_was_not_proven(self, reason: str) -> None:
        told = record(ALLOWING, call=replace(N, subject=UnprovenParty(Reason(reason))))
        assert derive(told, texts(ALLOWING)).kind is ATTESTED
        assert derive({**told, "reason": "no_rule"}, texts(ALLOWING)).kind is CONTRADICTED

    @pytest.mark.parametrize(
        "reason", [Reason.UNMAPPED, Reason.AMBIGUOUS_REQUEST, Reason.UNINSPECTABLE, Reason.CONTEXT_INSUFFICIENT]
    )
    def test_is_what_an_adapter_could_not_read(self, reason: Reason) -> None:
        assert derive(record(ALLOWING, call=replace(N, refused=reason)), texts(ALLOWING)).kind is ATTESTED

    def test_is_what_a_policy_denies_that_does_not_compile(self) -> None:
        broken = stored("broken", rules=[reading("1 +")])
        told = record(ALLOWING, broken, call=N)
        assert (told["reason"], derive(told, texts(ALLOWING)).kind) == ("policy_invalid", ATTESTED)

    def test_is_what_hangs_on_settings_of_a_policy_that_does_not_compile(self) -> None:
        more = stored("more", rules=[reading("true", subjects=["other"])], subjects=[OTHER])
        broken = carrier(reading("1 +"))
        theirs = Party("serviceAccount", "system:serviceaccount:agents:other", "other-uid")
        told = [record(broken, more, call=one) for one in (CALL, replace(CALL, subject=theirs))]
        assert [(one["reason"], derive(one, texts(more)).kind) for one in told] == [
            ("policy_invalid", ATTESTED),
            ("allowed", ATTESTED),
        ]


class TestUnderivable:
    @pytest.mark.parametrize("obstacle", Obstacle)
    def test_has_a_sentence(self, obstacle: Obstacle) -> None:
        assert OBSTACLES[obstacle].endswith(".")

    @pytest.mark.parametrize(
        ("edit", "obstacle"),
        [
            (lambda told: {**told, "kind": "search"}, Obstacle.NOT_A_DECISION),
            (lambda told: {**told, "caller": "somebody"}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "now": 1e12}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "now": -1}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "attributes": {"context.n": {"a": 1}}}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "attributes": {"n": 1}}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "attributes": {"context": 1}}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {**told, "attributes": {"context.n": 2, "context.n.x": 1}}, Obstacle.RECORD_UNREADABLE),
            (lambda told: {name: told[name] for name in told if name != "now"}, Obstacle.ATTRIBUTE_MISSING),
            (lambda told: {name: told[name] for name in told if name != "attributes"}, Obstacle.ATTRIBUTE_MISSING),
            (lambda told: {**told, "reason": "new"}, Obstacle.REASON_UNKNOWN),
            (lambda told: changed(told, "policy.digest", "sha256:0"), Obstacle.RECORD_UNREADABLE),
            (
                lambda told: {**told, "policy": None, "policies": {"crm-agent": "sha256:0"}},
                Obstacle.POLICY_TEXT_MISSING,
            ),
            (lambda told: {**told, "policies_digest": "sha256:0"}, Obstacle.POLICY_LIST_MISSING),
            (lambda told: {**told, "endpoint": "crm/other"}, Obstacle.POLICY_ELSEWHERE),
        ],
        ids=[
            *(
                "a search",
                "no account",
                "the year 33658",
                "before 1970",
                "an object as a value",
                "a name of nothing",
                "a value for everything",
            ),
            *("a member of a number", "no moment", "no attributes", "a new reason", "another digest of the rule"),
            *("a digest of no text", "a digest of no list", "another endpoint"),
        ],
    )
    def test_is_named(self, edit: Callable[[Object], Object], obstacle: Obstacle) -> None:
        told = edit(record(ALLOWING, call=N))
        for engine in (None, {**engine_versions(), "engine": "9"}):
            assert derive(told, texts(ALLOWING), engine) == Derivation(UNDERIVABLE, obstacle)
        # Of its own version, only what is beside a record can be missing: no member hides that it does not follow.
        missing = obstacle in {Obstacle.NOT_A_DECISION, Obstacle.POLICY_TEXT_MISSING, Obstacle.POLICY_LIST_MISSING}
        assert derive(told, texts(ALLOWING)) == Derivation(UNDERIVABLE if missing else UNREADABLE, obstacle)

    def test_is_a_policy_of_which_the_text_is_another(self) -> None:
        told = record(ALLOWING, call=N)
        known = PolicyTexts({told["policy"]["digest"]: b"{}"})
        assert derive(told, known).obstacle is Obstacle.POLICY_TEXT_WRONG

    def test_is_what_hangs_on_settings_that_did_not_compile(self) -> None:
        broken = carrier(reading("1 +"))
        told = record(broken, stored("more", rules=[reading("true")]), call=N)
        told["reason"] = "no_rule"
        assert derive(told, texts(stored("more", rules=[reading("true")]))).obstacle is Obstacle.POLICY_BROKEN

    def test_is_another_verdict_of_another_engine(self) -> None:
        told = {**record(ALLOWING, call=N), "reason": "no_rule", "decision": False, "policy": None}
        for engine in (None, {**engine_versions(), "cel": "9"}):
            assert derive(told, texts(ALLOWING), engine).obstacle is Obstacle.ENGINE_VERSION_UNKNOWN
            assert derive(record(ALLOWING, call=N), texts(ALLOWING), engine).kind is DERIVED

    def test_is_more_than_can_be_tried(self) -> None:
        rules = [reading(f"context.args.n{one} == 1", name=f"r{one}") for one in range(8)]
        made = carrier(*rules)
        told = {**record(made, call=replace(CALL, context={"args": {f"n{one}": 0 for one in range(8)}}))}
        wrong = {**told, "reason": "policy_denied"}
        assert derive(wrong, texts(made)).obstacle is Obstacle.TOO_MANY_UNKNOWN


class TestContradicted:
    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("decision", False),
            ("reason", "no_rule"),
            ("reason", "policy_denied"),
            ("disposition_id", 26),
            ("hop", "somebody"),
            ("policy.rule", "list"),
            ("policy", None),
            ("caller.id", "system:serviceaccount:a:b"),
            ("subject.id", "system:serviceaccount:a:b"),
            ("subject.type", "user"),
            ("subject", None),
            ("action", "customers.purge"),
            ("resource.type", "order"),
            ("attributes", {"context.n": 1}),
            ("attributes", {}),
            ("audit", [{"policy": "a", "rule": "b", "effect": "Allow"}]),
            ("kind", "request"),
            ("now", NOW + 1e9),
        ],
        ids=str,
    )
    def test_is_an_edited_member(self, path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        made = changed(ALLOWING, "spec.expireTime", "2031-01-01T00:00:00Z")
        told = record(made, call=N)
        assert derive(told, texts(made)).kind is DERIVED
        found = derive(changed(told, path, value), texts(made))
        assert found.kind is CONTRADICTED
        assert found.answer is not None

    def test_says_what_the_engine_says(self) -> None:
        found = derive(changed(record(ALLOWING, call=N), "attributes", {"context.n": 1}), texts(ALLOWING))
        assert found.answer is not None
        assert (found.answer.outcome, found.answer.reason) == ("deny", "condition_false")
        assert found.answer.rule == ("crm-agent", "read")

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("grant", None),
            ("digest", "sha256:0"),
            ("grant.binding.digest", "sha256:0"),
            ("grant.rules", []),
            ("grant.steps", []),
            ("grant.steps.0.count", 2),
            ("grant.reviews", []),
            ("grant.reviews.0.reviewer", CALL.caller.username),
            ("grant.reviews.0.step", "other"),
            ("grant.uses", 2),
            ("grant.uses", 0),
            ("grant.phase", "Pending"),
            ("reason", "approval_pending"),
        ],
        ids=str,
    )
    def test_is_a_grant_that_cannot_have_opened_the_gate(self, path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        assert derive(changed(record(GATED, used=approved()), path, value), texts(GATED)).kind is CONTRADICTED

    def test_is_a_policy_that_says_otherwise(self) -> None:
        other = carrier(reading("context.n > 2"))
        known = texts(ALLOWING, other)
        told = record(ALLOWING, call=N)
        digest = record(other, call=N)["policies"]["crm-agent"]
        swapped = changed(changed(told, "policy.digest", digest), "policies", {"crm-agent": digest})
        assert derive(swapped, known).kind is CONTRADICTED


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("time", "2020-01-01T00:00:00.000+00:00"),
        ("evaluation_id", "x"),
        ("subject.uid", "x"),
        ("subject.issuer", "corp"),
        ("policy.generation", 9),
    ],
)
def test_what_decides_nothing_is_for_the_chain_to_find(path: str, value: object) -> None:
    assert derive(changed(record(ALLOWING, call=N), path, value), texts(ALLOWING)).kind is DERIVED


def test_a_text_that_is_added_later_is_taken_for_new_records_of_another_endpoint_state() -> None:
    known = PolicyTexts()
    add_spec(known, ALLOWING["spec"])
    assert derive(record(ALLOWING, call=N), known).kind is DERIVED
