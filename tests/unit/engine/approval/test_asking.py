"""Who may ask about whom, and what an endpoint answers that is not in order."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party, ServiceAccount, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import AGENT, Object, changed, gated_rule, rule, settings, subject
from unit.engine.cases import (
    AROUND,
    CALL,
    ENFORCER,
    NOW,
    THE_AGENT,
    approved,
    carrier,
    governed,
    read,
    snapshot,
    stored,
    verdict_of,
)

ALLOW: Final = rule("read", actions=["customers.export"])
STRANGER: Final = ServiceAccount("system:serviceaccount:crm:stranger", "stranger-uid")
BY_A_STRANGER: Final = replace(CALL, caller=STRANGER)
BY_THE_AGENT: Final = replace(CALL, caller=THE_AGENT)
ELSEWHERE: Final = replace(CALL, endpoint="nowhere")
OTHER_NAMESPACE: Final = replace(CALL, namespace="other")
FORBIDDEN: Final = Verdict(outcome=Outcome.FORBIDDEN, reason=Reason.NO_RULE)
STALE: Final = Circumstances(now=NOW, freshness=Freshness.STALE)
DEAD: Final = Circumstances(now=NOW, freshness=Freshness.DEAD)
UNPROVEN: Final = replace(CALL, subject=UnprovenParty(Reason.IDENTITY_INVALID))
A_TYPO: Final = [{"name": "c", "expression": "tru"}]


class TestAStranger:
    @pytest.mark.parametrize(
        "call",
        [
            BY_A_STRANGER,
            ELSEWHERE,
            OTHER_NAMESPACE,
            replace(BY_A_STRANGER, endpoint="nowhere"),
            replace(BY_THE_AGENT, endpoint="nowhere"),
            replace(BY_A_STRANGER, subject=UnprovenParty(Reason.IDENTITY_INVALID)),
            replace(BY_THE_AGENT, subject=UnprovenParty(Reason.IDENTITY_INVALID)),
            replace(BY_THE_AGENT, caller=ServiceAccount(AGENT, "another-uid")),
            replace(BY_THE_AGENT, caller=ServiceAccount("system:serviceaccount:agents:other", THE_AGENT.uid)),
            replace(BY_A_STRANGER, subject=Party("serviceAccount", STRANGER.username, STRANGER.uid)),
            replace(
                BY_THE_AGENT, actors=(Party("serviceAccount", "system:serviceaccount:agents:helper", "helper-uid"),)
            ),
        ],
        ids=[
            "a stranger",
            "an unknown endpoint",
            "an endpoint of another namespace",
            "a stranger about an unknown endpoint",
            "a subject about an unknown endpoint",
            "a stranger about nobody proven",
            "a subject that is not proven",
            "a subject that was created again",
            "somebody with a subject's uid",
            "somebody of whom no rule speaks",
            "a subject that somebody acts for",
        ],
    )
    @pytest.mark.parametrize("around", [AROUND, STALE, DEAD], ids=["fresh", "stale", "dead"])
    def test_is_told_the_same_whether_the_endpoint_exists_or_not(self, call: Call, around: Circumstances) -> None:
        assert verdict_of(governed(ALLOW), call, around=around) == FORBIDDEN

    def test_is_told_the_same_where_accounts_have_no_uid(self) -> None:
        nameless = replace(CALL, caller=ServiceAccount(STRANGER.username, ""), subject=Party("user", AGENT, ""))
        assert verdict_of(governed(ALLOW), nameless) == FORBIDDEN

    @pytest.mark.parametrize(
        "policies",
        [
            [stored("shadow", ALLOW, mode="Audit")],
            [stored("shadow", ALLOW, mode="Audit"), carrier()],
            [stored("broken", rule(conditions=A_TYPO)), carrier()],
        ],
        ids=["audit alone", "audit", "broken"],
    )
    def test_is_a_subject_of_whom_no_rule_in_force_speaks(self, policies: list[Object]) -> None:
        unrelated = changed(carrier(), "spec.subjects.0", subject(account="other"))
        policies = [unrelated if raw["metadata"]["name"] == "carrier" else raw for raw in policies]
        assert verdict_of(snapshot(*policies), BY_THE_AGENT) == FORBIDDEN


class TestASubjectThatAsksAboutItself:
    def test_gets_a_dry_run(self) -> None:
        verdict = verdict_of(governed(ALLOW), BY_THE_AGENT)
        assert (verdict.outcome, verdict.dry_run) == (Outcome.ALLOW, True)

    @pytest.mark.parametrize(
        ("on", "around", "reason"),
        [
            (governed(ALLOW), DEAD, Reason.STORE_STALE),
            (governed(gated_rule(), suspend=True), AROUND, Reason.POLICY_SUSPENDED),
            (governed(rule()), AROUND, Reason.NO_RULE),
            (snapshot(stored("a", ALLOW)), AROUND, Reason.ENDPOINT_UNCONFIGURED),
            (snapshot(stored("a", ALLOW), stored("b", rule(conditions=A_TYPO))), AROUND, Reason.ENDPOINT_UNCONFIGURED),
            (
                snapshot(stored("a", ALLOW), stored("b", rule(conditions=A_TYPO)), carrier()),
                AROUND,
                Reason.POLICY_INVALID,
            ),
        ],
    )
    def test_gets_a_dry_run_when_it_is_denied_too(self, on: Snapshot, around: Circumstances, reason: Reason) -> None:
        verdict = verdict_of(on, BY_THE_AGENT, around=around)
        assert (verdict.outcome, verdict.reason, verdict.dry_run) == (Outcome.DENY, reason, True)

    def test_gets_a_dry_run_of_its_approval(self) -> None:
        on = governed(gated_rule())
        grant = read(approved(on))
        verdict = verdict_of(on, BY_THE_AGENT, [grant])
        assert (verdict.outcome, verdict.grants, verdict.dry_run) == (Outcome.USE_GRANT, (grant,), True)
        assert verdict_of(on, BY_THE_AGENT).dry_run

    def test_gets_no_dry_run_where_it_is_an_enforcer_as_well(self) -> None:
        # Then it is what it says it is, and consumes like any other.
        on = governed(ALLOW, endpointSettings=settings("agents", "crm-agent"))
        assert not verdict_of(on, BY_THE_AGENT).dry_run


class TestAnEnforcerThatAsksForADryRun:
    def test_gets_the_verdict_of_the_call(self) -> None:
        verdict = verdict_of(governed(ALLOW), replace(CALL, dry_run=True))
        assert (verdict.outcome, verdict.dry_run) == (Outcome.ALLOW, True)

    def test_gets_the_grant_that_the_call_would_use(self) -> None:
        on = governed(gated_rule())
        grant = read(approved(on))
        verdict = verdict_of(on, replace(CALL, dry_run=True), [grant])
        assert (verdict.outcome, verdict.grants, verdict.dry_run) == (Outcome.USE_GRANT, (grant,), True)

    def test_asks_about_the_call_that_its_approval_is_bound_to(self) -> None:
        on = governed(gated_rule())
        assert verdict_of(on, replace(CALL, dry_run=True)).digest == verdict_of(on, CALL).digest is not None


class TestAnEnforcer:
    def test_gets_the_decision_itself(self) -> None:
        assert not verdict_of(governed(ALLOW)).dry_run

    @pytest.mark.parametrize(
        "reason",
        [
            Reason.IDENTITY_INVALID,
            Reason.IDENTITY_RESERVED,
            Reason.IDENTITY_UNVERIFIABLE,
            Reason.AUDIENCE_MISMATCH,
            Reason.POSSESSION_UNPROVEN,
            Reason.TOKEN_LIFETIME_EXCEEDED,
            Reason.DELEGATION_INVALID,
        ],
    )
    def test_is_told_what_the_subject_lacks(self, reason: Reason) -> None:
        verdict = verdict_of(governed(ALLOW), replace(CALL, subject=UnprovenParty(reason)))
        assert (verdict.outcome, verdict.reason, verdict.dry_run) == (Outcome.DENY, reason, False)

    @pytest.mark.parametrize("extra", [{"mode": "Audit"}, {"suspend": True}, {"expireTime": "2020-01-01T00:00:00Z"}])
    def test_is_named_by_the_settings_whatever_becomes_of_their_carrier(self, extra: Object) -> None:
        assert verdict_of(snapshot(carrier(**extra), stored("a", ALLOW))).outcome is Outcome.ALLOW

    def test_of_another_endpoint_is_a_stranger(self) -> None:
        other = stored("other", rule(), endpoint="other", endpointSettings=settings("crm", "stranger"))
        assert verdict_of(snapshot(carrier(), stored("a", ALLOW), other), BY_A_STRANGER) == FORBIDDEN


def unreadable(**spec: object) -> Object:
    """Return a policy whose rules cannot be read; `...` removes a field."""
    raw = stored("broken", **{"rules": [], **spec})
    return {**raw, "spec": {name: value for name, value in raw["spec"].items() if value is not ...}}


IN_FORCE: Final = Reason.POLICY_INVALID
ALLOWED: Final = Reason.ALLOWED
SETTINGS_WITHOUT_ENFORCERS: Final[Object] = {"enforcers": []}


class TestABrokenPolicy:
    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (unreadable(), IN_FORCE),
            (unreadable(subjects=[subject(account="other")]), ALLOWED),
            (unreadable(subjects=[subject(account="other"), subject()]), IN_FORCE),
            (unreadable(subjects=...), IN_FORCE),
            (unreadable(subjects=None), IN_FORCE),
            (unreadable(subjects=[]), IN_FORCE),
            (unreadable(subjects="all"), IN_FORCE),
            (unreadable(subjects=[subject(account="other"), {"name": "x"}]), IN_FORCE),
            (unreadable(endpoint="other"), ALLOWED),
            (unreadable(endpoint=...), IN_FORCE),
            (unreadable(endpoint=1), IN_FORCE),
            (unreadable(endpoint=..., subjects=[subject(account="other")]), IN_FORCE),
            ({**unreadable(), "spec": None}, IN_FORCE),
            ({**unreadable(), "spec": []}, IN_FORCE),
            ({"metadata": unreadable()["metadata"]}, IN_FORCE),
            (unreadable(mode="Audit"), ALLOWED),
            (unreadable(mode="Audit", subjects=...), ALLOWED),
            (unreadable(mode="Audit", endpoint=...), ALLOWED),
            (unreadable(mode="audit"), IN_FORCE),
            (unreadable(mode="Audit", endpoint=..., endpointSettings=settings()), IN_FORCE),
            (unreadable(mode="Audit", endpointSettings=SETTINGS_WITHOUT_ENFORCERS), IN_FORCE),
            (unreadable(subjects=[subject(account="other")], endpointSettings=None), IN_FORCE),
            (unreadable(suspend=True, expireTime="2020-01-01T00:00:00Z"), IN_FORCE),
            (stored("broken", rule(conditions=A_TYPO)), IN_FORCE),
            (stored("broken", rule(conditions=A_TYPO), mode="Audit"), ALLOWED),
            (stored("broken", rule(conditions=A_TYPO), subjects=[subject("agent", "agents", "other")]), ALLOWED),
            (stored("broken", rule(conditions=A_TYPO), endpoint="other"), ALLOWED),
        ],
    )
    def test_denies_those_whom_it_may_speak_of_and_nobody_else(self, raw: Object, reason: Reason) -> None:
        assert verdict_of(snapshot(carrier(), stored("sound", ALLOW), raw)).reason is reason

    def test_of_another_namespace_denies_nobody_here(self) -> None:
        raw = changed(unreadable(endpoint=...), "metadata.namespace", "other")
        assert verdict_of(snapshot(carrier(), stored("sound", ALLOW), raw)).reason is ALLOWED

    @pytest.mark.parametrize(
        "raw",
        [
            unreadable(subjects=[subject(account="other")], endpointSettings=settings()),
            stored(
                "broken",
                rule(conditions=A_TYPO),
                subjects=[subject("agent", "agents", "other")],
                endpointSettings=settings(),
            ),
        ],
        ids=["unreadable", "does not compile"],
    )
    def test_carries_the_settings_all_the_same(self, raw: Object) -> None:
        assert verdict_of(snapshot(stored("sound", ALLOW), raw)).reason is ALLOWED

    @pytest.mark.parametrize("settings_of_it", [SETTINGS_WITHOUT_ENFORCERS, None, "none"])
    def test_whose_settings_cannot_be_read_leaves_no_enforcer(self, settings_of_it: object) -> None:
        raw = unreadable(subjects=[subject(account="other")], endpointSettings=settings_of_it)
        on = snapshot(stored("sound", ALLOW), raw)
        assert verdict_of(on) == FORBIDDEN
        assert verdict_of(on, BY_THE_AGENT).reason is Reason.POLICY_INVALID

    def test_is_told_before_the_subject_is_judged_where_it_denies_everybody(self) -> None:
        on = snapshot(carrier(), unreadable(subjects=...))
        assert verdict_of(on, UNPROVEN).reason is Reason.POLICY_INVALID

    def test_of_one_subject_is_no_news_about_a_subject_that_is_not_proven(self) -> None:
        assert verdict_of(snapshot(carrier(), unreadable()), UNPROVEN).reason is Reason.IDENTITY_INVALID


class TestSettings:
    @pytest.mark.parametrize(
        "second",
        [
            carrier(),
            carrier(mode="Audit"),
            carrier(suspend=True),
            unreadable(subjects=[subject(account="other")], endpointSettings=settings()),
            unreadable(subjects=[subject(account="other")], endpointSettings=SETTINGS_WITHOUT_ENFORCERS),
            stored("broken", rule(conditions=A_TYPO), mode="Audit", endpointSettings=settings("x", "y")),
        ],
        ids=["equal", "audit", "suspended", "unreadable rules", "unreadable", "does not compile"],
    )
    def test_that_two_policies_carry_deny_the_endpoint(self, second: Object) -> None:
        on = snapshot(carrier(), stored("sound", ALLOW), changed(second, "metadata.name", "second"))
        assert verdict_of(on).reason is Reason.POLICY_INVALID
        assert verdict_of(on, UNPROVEN).reason is Reason.POLICY_INVALID

    def test_that_two_policies_carry_let_both_enforcers_know(self) -> None:
        other = changed(carrier(endpointSettings=settings("crm", "stranger")), "metadata.name", "second")
        on = snapshot(carrier(), other, stored("sound", ALLOW))
        assert [verdict_of(on, call).reason for call in (CALL, BY_A_STRANGER)] == 2 * [Reason.POLICY_INVALID]

    def test_of_another_endpoint_are_not_this_endpoints(self) -> None:
        other = changed(carrier(endpoint="other"), "metadata.name", "other")
        assert verdict_of(snapshot(other, stored("sound", ALLOW))) == FORBIDDEN
        assert verdict_of(snapshot(other, carrier(), stored("sound", ALLOW))).reason is ALLOWED

    def test_name_the_audience_that_tokens_must_have(self) -> None:
        endpoint = governed(ALLOW).endpoints["crm", "crm-api"]
        assert endpoint.settings is not None
        assert endpoint.settings.audiences == {"crm-api.crm"}

    def test_name_that_audience_where_their_identity_names_none(self) -> None:
        own = {**settings(), "identity": {"verification": "Token"}}
        endpoint = governed(ALLOW, endpointSettings=own).endpoints["crm", "crm-api"]
        assert endpoint.settings is not None
        assert endpoint.settings.audiences == {"crm-api.crm"}

    @pytest.mark.parametrize("rules", [[ALLOW], []], ids=["sound", "broken"])
    def test_name_other_audiences_instead_even_in_a_broken_policy(self, rules: list[Object]) -> None:
        own = {**settings(), "identity": {"audiences": ["a", "b"]}}
        endpoint = snapshot(stored("one", *rules, endpointSettings=own)).endpoints["crm", "crm-api"]
        assert endpoint.settings is not None
        assert endpoint.settings.audiences == {"a", "b"}
        assert endpoint.enforcers == {ENFORCER.username}


class TestAStoreThatIsBehind:
    def test_still_decides_what_needs_no_grant(self) -> None:
        assert verdict_of(governed(ALLOW), around=STALE).outcome is Outcome.ALLOW
        assert verdict_of(governed(rule()), around=STALE).reason is Reason.NO_RULE

    def test_accepts_no_approval(self) -> None:
        on = governed(gated_rule())
        verdict = verdict_of(on, grants=[read(approved(on))], around=STALE)
        assert (verdict.outcome, verdict.reason, verdict.grants) == (Outcome.DENY, Reason.STORE_STALE, ())

    def test_denies_everything_once_it_is_dead(self) -> None:
        verdict = verdict_of(governed(ALLOW), around=DEAD)
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.STORE_STALE)

    def test_says_that_first(self) -> None:
        assert verdict_of(governed(ALLOW), UNPROVEN, around=DEAD).reason is Reason.STORE_STALE
