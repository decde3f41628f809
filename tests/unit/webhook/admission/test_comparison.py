"""What is told of the calls that a change of a policy lets further: of the policy alone, in few words, and in time."""

import itertools
from typing import Any, Final

import pytest

from bailiwick_webhook.admission import comparison as comparing
from bailiwick_webhook.admission.comparison import DENIED, LENGTH, MOST, UNCOMPARED, PolicyEdit, widening
from bailiwick_webhook.admission.review import examine
from support.admission.reviews import sent
from support.objects import Object, changed, gated_rule, policy, rule, settings, subject
from unit.engine.cases import NOW, at

ELSEWHERE: Final = "may permit more calls, where another policy allows them"
STEPS: Final = [{"name": "owner", "kind": "Human", "count": 1}]
AGENT: Final = "sa:agents/crm-agent"
MIXED: Final = "(weaker maxUses, stronger windowSeconds)"
EXPORTS: Final = f"{AGENT} | customers.export | customer/*"
LISTS: Final = f"{AGENT} | customers.list | customer/*"
AMOUNT: Final = "when context.amount = 4"
OPAQUE: Final = "when (context.b.size() < 5) false, (context.a.size() < 5) true"
HOLD: Final = rule("hold", effect="Deny")
BROKEN: Final = rule(conditions=[{"name": "c", "expression": "nothing <"}])
BOT: Final = {"name": "agent", "entity": {"type": "bot", "ids": ["x"]}}


def told(new: Object | None, old: Object | None = None) -> tuple[str, ...]:
    return widening(PolicyEdit("crm", "crm-agent", old, new), NOW, lambda: False)


def of(*rules: Object, **spec: Any) -> Object:  # noqa: ANN401 - of `policy`
    return policy("crm", **{"rules": list(rules) or [rule()], **spec})


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (of(), None, f"permits more calls (rule read, new): Deny to Allow: {LISTS}"),
        (
            of(gated_rule()),
            None,
            f"permits more calls (rule export, new): Deny to Approval: {AGENT} | customers.export | customer/*",
        ),
        (
            of(),
            of(gated_rule("read", actions=["customers.list"])),
            f"permits more calls (rule read, changed): Approval to Allow: {LISTS}",
        ),
        (
            of(),
            of(rule(), HOLD),
            f"permits more calls (rule hold, removed): Deny to Allow: {LISTS}",
        ),
        (
            of(gated_rule()),
            of(gated_rule(), HOLD),
            f"{ELSEWHERE} (rule hold, removed): Deny to Allow: {LISTS}",
        ),
        (None, of(HOLD), f"{ELSEWHERE} (rule hold, removed): Deny to Allow: {LISTS}"),
        (
            of(HOLD, mode="Audit"),
            of(HOLD),
            f"{ELSEWHERE} (rule hold, removed): Deny to Allow: {LISTS}",
        ),
        (
            of(),
            of(rule(), gated_rule()),
            f"{ELSEWHERE} (rule export, removed): Approval to Allow: {AGENT} | customers.export | customer/*",
        ),
        (
            of(rule(conditions=[{"name": "c", "expression": "context.amount < 5"}])),
            None,
            f"permits more calls (rule read, new): Deny to Allow: {LISTS} | {AMOUNT}",
        ),
        (
            of(rule(conditions=[{"name": "c", "expression": "context.a.size() < 5"}])),
            of(rule(conditions=[{"name": "c", "expression": "context.b.size() < 5"}])),
            f"may permit more calls (rule read, changed): Deny to Allow: {LISTS} | {OPAQUE}",
        ),
        (
            of(gated_rule(approval={"steps": STEPS, "maxUses": 2, "windowSeconds": 60})),
            of(gated_rule(approval={"steps": STEPS, "maxUses": 1, "windowSeconds": 600})),
            f"permits more calls (rule export, changed): Approval to Approval {MIXED}: {EXPORTS}",
        ),
        (
            of(subjects=[BOT]),
            None,
            "permits more calls (rule read, new): Deny to Allow: entity:bot/x | customers.list | customer/*",
        ),
        (
            of(endpointSettings={**settings(), "identity": {"issuers": ["corp"]}}),
            of(endpointSettings=settings()),
            "permits more calls: endpointSettings: issuer corp added",
        ),
        (
            of(endpointSettings=settings()),
            of(),
            "permits more calls: endpointSettings added, without which an endpoint denies every call",
        ),
        (
            of(HOLD, endpoint="other"),
            of(HOLD),
            f"{ELSEWHERE} (rule hold, removed): Deny to Allow: {LISTS}",
        ),
    ],
    ids=itertools.count(),
)
def test_a_change_that_lets_calls_further_says_which(new: Object | None, old: Object | None, expected: str) -> None:
    assert told(new, old) == (expected,)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (of(), of()),
        (of(rule(), HOLD), of()),
        (of(HOLD), None),
        (None, of()),
        (of(suspend=True), of()),
        (of(mode="Audit"), None),
        (of(rule(), gated_rule(), mode="Audit"), of(mode="Audit")),
        (of(mode="Audit", replaces="live"), None),
        (of(mode="Audit", replaces="live", endpointSettings=settings()), None),
        (of(mode="Audit", replaces="live"), of(mode="Audit", replaces="other")),
        (of(rule(), rule(expireTime=at(-1))), of()),
        (of(rule("renamed")), of()),
        (of(), of(endpointSettings=settings())),
        (
            of(endpointSettings=settings()),
            of(endpointSettings={**settings(), "identity": {"issuers": ["a", "cluster"]}}),
        ),
        (of(BROKEN), None),
    ],
    ids=itertools.count(),
)
def test_a_change_that_lets_no_call_further_says_nothing(new: Object | None, old: Object | None) -> None:
    assert told(new, old) == ()


def test_gates_that_become_one_are_told_where_another_party_or_policy_may_have_more() -> None:
    two: list[Object] = [{"name": name, "kind": "Human", "count": 1} for name in ("one", "two")]
    old = of(*(gated_rule(step["name"], approval={"steps": [step]}) for step in two))
    (line,) = told(of(gated_rule("one", approval={"steps": two})), old)
    assert line == f"may permit more calls (rule one, changed): Approval to Approval (fewer rules): {EXPORTS}"
    people = [subject("agent"), subject("other", account="other")]
    each = of(*(gated_rule(one["name"], subjects=[one["name"]]) for one in people), subjects=people)
    lines = told(of(gated_rule("both", subjects=["agent", "other"]), subjects=people), each)
    assert all("Approval to Approval (a rule before several parties)" in one for one in lines)
    assert lines


def step_of(*names: str) -> Object:
    return {"steps": [{"name": name, "kind": "Human", "count": 1} for name in names]}


def test_gates_that_are_fewer_only_together_or_stand_in_for_a_scope_are_told() -> None:
    people = [subject("agent"), subject("other", account="other")]
    both = ["agent", "other"]
    # As many before each of them as there were, and one of them before both.
    apart = [gated_rule(f"{one}{at}", subjects=[one], approval=step_of("s")) for one in both for at in (0, 1)]
    shared = [
        *(gated_rule(f"{one}0", subjects=[one], approval=step_of("s", "t")) for one in both),
        gated_rule("both", subjects=both, approval=step_of("s")),
    ]
    lines = told(of(*shared, subjects=people), of(*apart, subjects=people))
    assert lines
    assert all("Approval to Approval (fewer rules)" in one for one in lines)
    acts = "'id' in actor"

    def asking(name: str, text: str) -> Object:
        return gated_rule(name, subjects=both, conditions=[{"name": "c", "expression": text}], approval=step_of("s"))

    each = of(asking("one", acts), asking("two", f"!({acts})"), subjects=people)
    lines = told(of(asking("both", f"{acts} || !({acts})"), subjects=people), each)
    assert lines
    assert all("Approval to Approval (a rule before several parties)" in one for one in lines)
    entries = [{"type": "customer", "ids": ["*"]}, {"type": "customer", "ids": ["x"], "properties": {"env": ["prod"]}}]
    scope = of(gated_rule(resources=entries, approval={**step_of("s"), "binding": "Scope"}))
    lines = told(of(gated_rule(resources=entries, approval=step_of("s"))), scope)
    assert lines
    assert all("Approval to Approval (a call without its whole scope)" in one for one in lines)


def test_what_is_being_deleted_gives_nothing() -> None:
    gone = changed(of(rule(), gated_rule()), "metadata.deletionTimestamp", at(0))
    assert told(gone, changed(of(), "metadata.deletionTimestamp", at(0))) == ()


def test_data_is_opaque_and_the_same_on_both_sides() -> None:
    data = [{"name": "people", "from": "directory"}]
    reading = rule(conditions=[{"name": "c", "expression": "data.people.open == true"}])
    assert told(of(reading, data=data), of(reading, data=data, suspend=False)) == ()
    other = [{"name": "people", "from": "another"}]
    (line,) = told(of(reading, data=other), of(reading, data=data))
    assert line.startswith("may permit more calls (rule read, changed): Deny to Allow")


def test_what_does_not_compile_denied_its_subjects_and_that_is_told() -> None:
    first, second = told(of(), of(BROKEN))
    assert first == DENIED
    assert second.startswith("permits more calls (rule read, new)")
    assert told(of(HOLD), of(BROKEN, mode="Audit")) == ()


def test_who_reads_it_sees_what_is_there_and_little_of_it() -> None:
    hidden = rule(
        "a", actions=["a"], resources=[{"type": "a\u202eb\x1b", "ids": [f"{'y' * 200}{end}" for end in "abc"]}]
    )
    rules = [rule(f"r{number}", actions=[f"a{number}.{'x' * 40}"]) for number in range(9)]
    lines = told(of(hidden, *rules))
    assert len(lines) == MOST + 1
    assert lines[-1] == "and 7 more like these; see bailiwick diff"
    assert all(len(line) <= LENGTH for line in lines)
    assert all(line.isprintable() for line in lines)
    assert any("\\u202e" in line for line in lines)


def test_subjects_of_both_kinds_are_told_by_how_they_may_be_proven() -> None:
    person = {"name": "pat", "user": {"issuer": "corp", "name": "pat"}}
    lines = told(of(rule(subjects=["agent", "pat", "sa"]), subjects=[BOT, person, subject("sa")]))
    assert any("entity:bot/x" in line for line in lines)
    assert any("user:corp/pat" in line for line in lines)


class TestTime:
    def test_that_is_over_is_told_and_so_is_what_was_found(self) -> None:
        calls = itertools.count()
        many = of(*(rule(f"r{number}") for number in range(60)))
        lines = widening(PolicyEdit("crm", "crm-agent", None, many), NOW, lambda: next(calls) > 30)
        assert lines == (UNCOMPARED,)

    @pytest.mark.parametrize("after", range(0, 60, 3))
    def test_is_asked_at_every_step(self, after: int) -> None:
        calls = itertools.count()
        rules = [rule(f"r{number}", actions=[f"a{number}"]) for number in range(20)]
        edit = PolicyEdit("crm", "crm-agent", None, of(*rules))
        lines = widening(edit, NOW, lambda: next(calls) >= after)
        assert lines[0] == UNCOMPARED
        # Once it is over, little more is done.
        assert next(calls) <= after + 3

    def test_and_regions_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(comparing, "REGIONS", 3)
        assert UNCOMPARED in told(of(*(rule(f"r{number}", actions=[f"a{number}"]) for number in range(9))))


def test_a_defect_is_no_all_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "merge_changes", lambda _: 1 / 0)
    assert told(of()) == (UNCOMPARED,)


class TestAReview:
    def test_of_a_change_has_it_compared(self) -> None:
        found = examine(sent(of(), of(HOLD)))
        assert found.edit is not None
        assert (found.edit.namespace, found.edit.name) == ("crm", "crm-agent")
        assert [found.edit.old, found.edit.new] == [of(HOLD), of()]

    @pytest.mark.parametrize(
        ("new", "old", "most"),
        [
            (of(), of(), 0),
            (changed(of(), "metadata.labels", {"a": "b"}), of(), 0),
            (None, of(HOLD), 0),
            (of(BROKEN), None, 0),
            (of(), None, 1),
        ],
        ids=["the same", "labels alone", "deleted", "refused", "too large"],
    )
    def test_of_nothing_that_comes_into_force_costs_nothing(
        self, new: Object | None, old: Object | None, most: int
    ) -> None:
        assert examine(sent(new, old), most).edit is None
