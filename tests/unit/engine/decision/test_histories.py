"""What a verdict is at an endpoint that counts calls, and which objects it needs for that."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.explain import explain
from bailiwick_engine.decision.search import Prospect, SearchKind, candidates, try_name
from bailiwick_engine.decision.shadow import decide_shadow
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import RULES_ALONE, UNREAD, HistoryNumbers, HistoryReadings
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.histories import Amount, CompiledHistory, KeyPart, MemberPart, PartyPart, SlidingWindow
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import UNKNOWN
from support.objects import Object, gated_rule, rule, settings, subject
from unit.engine.cases import (
    CALL,
    ENFORCER,
    NOW,
    THE_AGENT,
    approved,
    counted,
    governed,
    read,
    snapshot,
    stored,
    verdict_of,
    with_context,
)

HOUR: Final = SlidingWindow(3_600_000)
EXPORT: Final[Object] = {"actions": ["customers.export"]}


def history(
    name: str, *actions: str, key: tuple[KeyPart, ...] = (PartyPart("agent"),), amount: Amount | None = None
) -> CompiledHistory:
    """Return a history that counts these actions; without any, none that a test calls."""
    digest = name.ljust(12, "0")[:12]
    return CompiledHistory(name, digest, key, HOUR, NameSet.of(actions or ("elsewhere",)), amount=amount)


def export(**fields: object) -> Object:
    """Return an Allow rule for exports."""
    return rule("export", **{**EXPORT, **fields})


EXPORTS: Final = history("exports", "customers.export")
MARKS: Final = history("marks")
REFUNDS: Final = history("refunds", "customers.export", amount=Amount(("context", "args", "amount"), 2))


def reading(text: str, effect: str = "Allow", **fields: object) -> Object:
    """Return a rule for exports with this one condition."""
    conditions = [{"name": "by-history", "expression": text, "message": "Not so often."}]
    return rule("limited", **{**EXPORT, "effect": effect, "conditions": conditions, **fields})


def numbers(**counts: int) -> HistoryReadings:
    """Return what is known where the call is counted too."""
    return HistoryReadings({name: HistoryNumbers(count) for name, count in counts.items()}, counted=True)


def uncounted(**counts: int) -> HistoryReadings:
    return replace(numbers(**counts), counted=False)


def verdict(on: Snapshot, readings: HistoryReadings = UNREAD, call: Call = CALL, *, outdated: bool = False) -> Verdict:
    return verdict_of(on, call, around=Circumstances(NOW, outdated=outdated, history=readings))


def needed(found: Verdict) -> list[tuple[list[str], list[str]]]:
    """Return what is read, and what is added, by object."""
    if found.needs is None:
        return []
    return [([one.name for one in need.reads], [one.history.name for one in need.adds]) for need in found.needs.objects]


LIMITED: Final = counted(governed(reading("history.exports.count <= 5")), EXPORTS)


@pytest.mark.parametrize(
    ("readings", "outcome", "reason"),
    [
        (numbers(exports=5), Outcome.ALLOW, Reason.ALLOWED),
        (numbers(exports=6), Outcome.DENY, Reason.CONDITION_FALSE),
        (uncounted(exports=5), Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        (uncounted(exports=6), Outcome.DENY, Reason.CONDITION_FALSE),
        (numbers(), Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        (numbers(other=1), Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        (UNREAD, Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        (HistoryReadings(refusal=Reason.HISTORY_UNCOUNTABLE), Outcome.DENY, Reason.HISTORY_UNCOUNTABLE),
    ],
)
def test_a_limit_holds_by_the_numbers_after_this_call(
    readings: HistoryReadings, outcome: Outcome, reason: Reason
) -> None:
    found = verdict(LIMITED, readings)
    assert (found.outcome, found.reason) == (outcome, reason)
    assert needed(found) == [(["exports"], ["exports"])]


def test_a_call_over_the_limit_has_the_message_of_the_policy_and_one_that_is_not_counted_has_not() -> None:
    assert verdict(LIMITED, numbers(exports=6)).sentence == "Not so often."
    assert "could not be counted" in verdict(LIMITED).sentence


def test_a_call_that_is_counted_and_that_no_rule_limits_is_let_through_only_where_it_is_counted() -> None:
    free = counted(governed(export()), EXPORTS)
    found = verdict(free)
    assert (found.outcome, found.reason) == (Outcome.DENY, Reason.HISTORY_UNAVAILABLE)
    assert found.rule is not None
    assert needed(found) == [(["exports"], ["exports"])]
    assert verdict(free, numbers()).outcome is Outcome.ALLOW
    assert verdict(free, HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE)).outcome is Outcome.DENY


def test_a_call_that_nothing_counts_and_no_rule_reads_needs_nothing() -> None:
    found = verdict(counted(governed(export()), MARKS))
    assert (found.outcome, found.needs) == (Outcome.ALLOW, None)


def test_an_endpoint_without_histories_lets_no_condition_read_one() -> None:
    found = verdict(governed(reading("history.exports.count <= 5")), numbers(exports=1))
    assert (found.outcome, found.reason, found.needs) == (Outcome.DENY, Reason.CONDITION_ERROR, None)


def test_a_name_without_a_definition_is_unknown_whatever_is_known_of_it() -> None:
    found = verdict(counted(governed(reading("history.others.count <= 5")), EXPORTS), numbers(others=1, exports=1))
    assert (found.outcome, found.reason, found.needs) == (Outcome.DENY, Reason.CONDITION_ERROR, None)


@pytest.mark.parametrize(
    ("text", "effect", "known", "outcome", "reason"),
    [
        ("history.marks.count > 0", "Deny", 1, Outcome.DENY, Reason.POLICY_DENIED),
        ("history.marks.count > 0", "Deny", 0, Outcome.ALLOW, Reason.ALLOWED),
        ("history.marks.count > 0", "Deny", None, Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        ("history.marks.count > 0", "RequireApproval", 1, Outcome.DENY, Reason.APPROVAL_REQUIRED),
        ("history.marks.count > 0", "RequireApproval", 0, Outcome.ALLOW, Reason.ALLOWED),
        ("history.marks.count > 0", "RequireApproval", None, Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
    ],
)
def test_what_is_unknown_denies_whatever_another_rule_allows(
    text: str, effect: str, known: int | None, outcome: Outcome, reason: Reason
) -> None:
    approval = {"approval": gated_rule()["approval"]} if effect == "RequireApproval" else {}
    on = counted(governed(export(), reading(text, effect, **approval)), MARKS)
    found = verdict(on, numbers() if known is None else numbers(marks=known))
    assert (found.outcome, found.reason) == (outcome, reason)
    assert needed(verdict(on)) == [(["marks"], [])]


@pytest.mark.parametrize(
    "rules",
    [
        [rule("banned", actions=EXPORT["actions"], effect="Deny"), reading("history.exports.count <= 5")],
        [reading("history.exports.count <= 5", intents=["support"])],
        [reading("history.exports.count <= 5", expireTime="2020-01-01T00:00:00Z")],
        [reading("history.exports.count <= 5", actions=["customers.list"])],
        [gated_rule(), reading("history.marks.count <= 5")],
    ],
)
def test_a_denial_that_no_number_could_lift_is_final_and_needs_nothing(rules: list[Object]) -> None:
    first = verdict(counted(governed(*rules), EXPORTS, MARKS))
    assert (first.outcome, first.needs, first.wants_numbers) == (Outcome.DENY, None, False)
    assert first.reason not in {Reason.HISTORY_UNAVAILABLE, Reason.HISTORY_UNCOUNTABLE}


def test_another_condition_that_is_false_makes_the_denial_final() -> None:
    two = [{"name": name, "expression": text} for name, text in (("a", "history.marks.count < 5"), ("b", "false"))]
    found = verdict(counted(governed(reading("true", conditions=two)), MARKS))
    assert (found.reason, found.needs) == (Reason.CONDITION_FALSE, None)


def test_what_cannot_be_counted_is_denied_though_another_rule_allows_it() -> None:
    on = counted(governed(export()), REFUNDS)
    found = verdict(on, numbers(refunds=1))
    assert (found.outcome, found.reason, found.needs) == (Outcome.DENY, Reason.HISTORY_UNCOUNTABLE, None)
    whole = verdict(on, numbers(refunds=1), with_context(args={"amount": "12.50"}))
    assert whole.outcome is Outcome.ALLOW
    assert whole.needs is not None
    assert [one.total for need in whole.needs.objects for one in need.adds] == [1_250]


def test_no_approval_is_asked_for_where_the_call_could_not_be_counted() -> None:
    on = counted(governed(gated_rule()), REFUNDS)
    found = verdict(on)
    assert (found.reason, found.gate, found.requestable) == (Reason.HISTORY_UNCOUNTABLE, None, False)
    assert verdict(on, call=with_context(args={"amount": 1})).requestable


def test_a_denial_by_a_rule_keeps_its_reason_where_the_call_could_not_be_counted_either() -> None:
    found = verdict(counted(governed(export(effect="Deny")), REFUNDS))
    assert (found.reason, found.needs) == (Reason.POLICY_DENIED, None)


def test_a_grant_is_used_only_for_a_call_that_is_counted() -> None:
    gated = governed(gated_rule())
    on = counted(gated, EXPORTS)
    grants = [read(approved(gated))]
    uncounted = verdict_of(on, grants=grants)
    assert (uncounted.outcome, uncounted.reason, uncounted.gate) == (Outcome.DENY, Reason.HISTORY_UNAVAILABLE, None)
    assert needed(uncounted) == [(["exports"], ["exports"])]
    found = verdict_of(on, grants=grants, around=Circumstances(NOW, history=numbers(exports=1)))
    assert (found.outcome, len(found.grants)) == (Outcome.USE_GRANT, 1)


def test_histories_of_two_keys_are_two_objects() -> None:
    whole = history("whole", "customers.export", key=())
    by_tenant = history("tenant", "customers.export", key=(MemberPart(("context", "tenant")),))
    on = counted(governed(export(), reading("history.marks.count > 1", "Deny")), EXPORTS, MARKS, whole, by_tenant)
    found = verdict(on, call=with_context(tenant="a"))
    assert sorted(needed(found)) == [
        (["exports", "marks"], ["exports"]),
        (["tenant"], ["tenant"]),
        (["whole"], ["whole"]),
    ]
    assert verdict(on).reason is Reason.HISTORY_UNCOUNTABLE


def test_a_history_that_is_only_read_and_whose_key_the_call_lacks_is_unknown_for_good() -> None:
    by_tenant = history("tenant", key=(MemberPart(("context", "tenant")),))
    on = counted(governed(reading("history.tenant.count < 5")), by_tenant)
    found = verdict(on)
    assert (found.reason, found.needs) == (Reason.CONDITION_ERROR, None)
    assert verdict(on, call=with_context(tenant="a")).reason is Reason.HISTORY_UNAVAILABLE
    # Nor is anything read for it that only counts the call.
    beside = verdict(counted(governed(reading("history.tenant.count < 5")), by_tenant, EXPORTS))
    assert (beside.reason, beside.needs) == (Reason.CONDITION_ERROR, None)


def test_a_rule_for_another_workload_reads_nothing() -> None:
    approved_image = {**subject(), "workload": {"imageDigests": ["sha256:" + "a" * 64]}}
    on = counted(governed(reading("history.marks.count < 5"), subjects=[approved_image]), MARKS)
    found = verdict(on)
    assert (found.reason, found.needs) == (Reason.WORKLOAD_UNAPPROVED, None)


def test_an_outdated_endpoint_counts_nothing() -> None:
    # What the numbers deny, other numbers could let through; so could they what is denied for want of any.
    for readings in (UNREAD, numbers(exports=1), numbers(exports=6), RULES_ALONE):
        found = verdict(LIMITED, readings, outdated=True)
        assert (found.outcome, found.reason) == (Outcome.DENY, Reason.POLICY_OUTDATED)
        assert (found.needs, found.wants_numbers) == (None, False)


def test_an_endpoint_that_is_dead_reads_nothing() -> None:
    found = verdict_of(LIMITED, around=Circumstances(NOW, Freshness.DEAD))
    assert (found.reason, found.needs) == (Reason.STORE_STALE, None)


def test_a_rule_in_audit_mode_reads_as_others_do_and_decides_nothing() -> None:
    audited = stored("audit", reading("history.marks.count > 0", "Deny"), mode="Audit")
    live = stored("live", export(), endpointSettings=settings())
    on = counted(snapshot(live, audited), MARKS)
    assert needed(verdict(on)) == [(["marks"], [])]
    told = {known: verdict(on, numbers(marks=known)) for known in (0, 1)}
    assert [one.outcome for one in told.values()] == [Outcome.ALLOW, Outcome.ALLOW]
    assert [bool(one.audit) for one in told.values()] == [False, True]


def test_what_a_rule_in_audit_mode_would_allow_makes_no_denial_final() -> None:
    audited = stored("audit", export(), mode="Audit")
    live = stored("live", reading("history.exports.count <= 5"), endpointSettings=settings())
    found = verdict(counted(snapshot(live, audited), EXPORTS))
    assert (found.reason, needed(found)) == (Reason.HISTORY_UNAVAILABLE, [(["exports"], ["exports"])])


@pytest.mark.parametrize(("count", "held"), [(5, True), (6, False)])
def test_an_explanation_reads_a_history_that_no_rule_of_the_call_read(count: int, held: bool) -> None:
    near = reading("history.exports.count <= 5", actions=["customers.list"])
    on = counted(governed(export(), near), EXPORTS)
    found = explain(on, CALL, Circumstances(NOW, history=numbers(exports=count)))
    assert found is not None
    (limited,) = (one for one in found.near if one.rule.name == "limited")
    assert [clause.held for clause in limited.clauses if clause.kind == "condition"] == [held]
    assert found.histories == (("exports", HistoryNumbers(count)),)


def test_an_explanation_shows_no_history_of_an_endpoint_that_has_none() -> None:
    on = governed(reading("history.exports.count <= 5"))
    found = explain(on, CALL, Circumstances(NOW, history=numbers(exports=1)))
    assert found is not None
    assert found.histories == ()


def test_the_rules_alone_let_through_what_nothing_counts() -> None:
    alone = HistoryReadings({"exports": HistoryNumbers(5)}, rules_alone=True)
    found = verdict(LIMITED, alone)
    assert (found.outcome, found.needs) == (Outcome.ALLOW, None)
    unread = verdict(LIMITED, HistoryReadings(rules_alone=True))
    assert (unread.reason, unread.wants_numbers) == (Reason.CONDITION_ERROR, True)


class TestOnBehalfOfOthers:
    """The ceiling reads histories too, and each hop is judged by the same numbers."""

    @staticmethod
    def on(text: str) -> Snapshot:
        ceiling = {**EXPORT, "resources": [{"type": "customer", "ids": ["*"]}]}
        ceiling |= {"conditions": [{"name": "c", "expression": text}]}
        delegation = {"principals": ["agent"], "maxDepth": 1, "ceiling": [ceiling]}
        carrying = {**settings(), "delegation": delegation}
        return counted(governed(export(), endpointSettings=carrying), MARKS)

    CALL: Final = replace(CALL, actors=(CALL.subject,)) if isinstance(CALL.subject, Party) else CALL

    @pytest.mark.parametrize(
        ("known", "outcome", "reason"),
        [
            (0, Outcome.ALLOW, Reason.ALLOWED),
            (9, Outcome.DENY, Reason.SCOPE_EXCEEDED),
            (None, Outcome.DENY, Reason.HISTORY_UNAVAILABLE),
        ],
    )
    def test_the_ceiling_holds_by_the_numbers(self, known: int | None, outcome: Outcome, reason: Reason) -> None:
        on = self.on("history.marks.count < 5")
        found = verdict(on, numbers() if known is None else numbers(marks=known), self.CALL)
        assert (found.outcome, found.reason) == (outcome, reason)
        assert needed(verdict(on, call=self.CALL)) == [(["marks"], [])]

    def test_a_ceiling_that_reads_none_is_final(self) -> None:
        found = verdict(self.on("false"), call=self.CALL)
        assert (found.reason, found.needs) == (Reason.SCOPE_EXCEEDED, None)


def test_an_explanation_shows_the_numbers_that_rules_read() -> None:
    shown = [explain(LIMITED, CALL, Circumstances(NOW, history=one)) for one in (numbers(exports=6), UNREAD)]
    known, unread = (one for one in shown if one is not None)
    assert (known.histories, unread.histories) == ((("exports", HistoryNumbers(6)),), (("exports", None),))
    assert [one.changes[0].clauses[0].held for one in (known, unread)] == [False, UNKNOWN]
    bare = explain(governed(export()), CALL, Circumstances(NOW))
    assert bare is not None
    assert bare.histories == ()


class TestASearch:
    """A search counts nothing, so that what depends on a history may be allowed, and is not listed."""

    @staticmethod
    def prospects(on: Snapshot, call: Call = CALL) -> dict[str, Prospect]:
        endpoint = on.endpoints[call.namespace, call.endpoint]
        found = candidates(endpoint, SearchKind.ACTION, call, NOW)
        assert found.kinds is None
        return {name: try_name(on, endpoint, SearchKind.ACTION, call, name, Circumstances(NOW)) for name in found.names}

    def test_lists_no_name_that_is_counted_or_limited(self) -> None:
        names = [f"a{number}" for number in range(20)]
        on = counted(
            governed(rule(actions=["customers.export", *names]), rule("second", actions=["customers.list"])), EXPORTS
        )
        found = self.prospects(on)
        assert found.pop("customers.export") is Prospect.HIDDEN
        assert set(found.values()) == {Prospect.ALLOWED}

    def test_hides_what_a_rule_reads_of_a_history(self) -> None:
        assert self.prospects(LIMITED) == {"customers.export": Prospect.HIDDEN}


def test_a_dry_run_is_judged_as_if_it_were_counted_by_who_gives_its_numbers() -> None:
    itself = replace(CALL, caller=THE_AGENT)
    assert verdict(LIMITED, numbers(exports=5), itself).dry_run
    assert verdict(LIMITED, numbers(exports=5), itself).outcome is Outcome.ALLOW
    assert verdict(LIMITED, UNREAD, itself).outcome is Outcome.DENY
    assert not verdict(LIMITED, numbers(exports=5), replace(CALL, caller=ENFORCER)).dry_run


class TestACandidate:
    """A candidate reads the live numbers of a history that counts the same, and else says nothing."""

    @staticmethod
    def shadow(text: str, live: HistoryReadings, **history: object) -> Verdict | None:
        definition = {"name": "exports", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.export"]}}
        limit = reading("history.exports.count <= 5")
        served = stored("live", limit, endpointSettings={**settings(), "history": [definition]})
        carrying = {**settings(), "history": [{**definition, **history}]}
        tried = stored("next", reading(text), endpointSettings=carrying, mode="Audit", replaces="live")
        on = snapshot(served, tried)
        endpoint = on.endpoints[CALL.namespace, CALL.endpoint]
        (found,) = decide_shadow(on, endpoint, CALL, (), Circumstances(NOW, history=live))
        return found.verdict

    @pytest.mark.parametrize(("count", "outcome"), [(3, Outcome.ALLOW), (4, Outcome.DENY)])
    def test_reads_the_live_numbers(self, count: int, outcome: Outcome) -> None:
        found = self.shadow("history.exports.count <= 3", numbers(exports=count))
        assert found is not None
        assert found.outcome is outcome

    def test_lets_through_as_if_it_counted_the_call_itself(self) -> None:
        found = self.shadow("true", HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE), window="2h")
        assert found is not None
        assert found.outcome is Outcome.ALLOW

    @pytest.mark.parametrize("readings", [UNREAD, HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE)])
    def test_is_undecided_where_the_numbers_were_not_read(self, readings: HistoryReadings) -> None:
        assert self.shadow("history.exports.count <= 3", readings) is None

    def test_is_undecided_where_the_live_numbers_count_other_calls(self) -> None:
        assert self.shadow("history.exports.count <= 3", numbers(exports=1), window="2h") is None

    def test_denies_what_no_number_lets_through(self) -> None:
        found = self.shadow("history.exports.count <= 3 && context.absent == 1", numbers(exports=1), key=["subject"])
        assert found is None
        never = self.shadow("false", numbers(exports=1), key=["subject"])
        assert never is not None
        assert never.reason is Reason.CONDITION_FALSE
