"""Two states of policies: each is within one budget, whatever its files are, as where they are served together."""

from collections.abc import Sequence

import pytest
import yaml

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import File
from bailiwick_engine.budget.ledger import Budget
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources import policies
from bailiwick_governance.sources.policysides import read_sides
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.compare import compare, worst
from support.objects import Object, policy, rule, settings
from unit.engine.cases import NOW

CARRIER = policy("crm", rules=[rule()], endpointSettings=settings())
SECOND = policy("crm", "second", rules=[rule("second")])
ELSEWHERE = policy("hr", "else", endpoint="else", rules=[rule()], endpointSettings=settings())


def files(*objects: Object | str) -> list[tuple[str, File]]:
    texts = [one if isinstance(one, str) else yaml.safe_dump(one) for one in objects]
    return [(f"{number}.yaml", policyfiles.policy_file(text.encode())) for number, text in enumerate(texts)]


OPEN = {"name": "incident", "from": "incident"}
GATED = policy(
    "crm",
    rules=[rule(conditions=[{"name": "open", "expression": "data.incident.open == true"}])],
    endpointSettings=settings(),
    data=[OPEN],
)


def data_object(*, is_open: bool, name: str = "incident") -> Object:
    """Return the object that the policy reads."""
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointData",
        "metadata": {"namespace": "crm", "name": name},
        "spec": {"data": {"open": is_open}},
    }


def compared(base: Sequence[Object | str], head: Sequence[Object | str]) -> ChangeClass:
    """Compare two folders of files."""
    before, after = read_sides(*(files(*side) for side in (base, head)))
    for side in (before, after):
        side.refuse_broken("side")
    return worst(compare(before.snapshot, after.snapshot, NOW))


def test_data_that_changed_alone_is_compared_by_the_files_that_read_it() -> None:
    closed, opened = data_object(is_open=False), data_object(is_open=True)
    assert compared([GATED, closed], [GATED, opened]) is ChangeClass.MAY_WIDEN
    assert compared([GATED, ELSEWHERE, closed], [GATED, ELSEWHERE, opened]) is ChangeClass.MAY_WIDEN
    assert compared([GATED], [GATED, opened]) in {ChangeClass.WIDER, ChangeClass.MAY_WIDEN}
    assert compared([GATED, closed], [GATED, closed]) is ChangeClass.SAME


def test_data_that_changed_beside_another_policy_is_compared_too() -> None:
    closed, opened = data_object(is_open=False), data_object(is_open=True)
    more = policy("hr", "more", endpoint="else", rules=[rule("more")])
    assert compared([GATED, ELSEWHERE, closed], [GATED, ELSEWHERE, more, opened]) is ChangeClass.MAY_WIDEN


def test_files_that_only_read_data_beside_a_change_are_left_out_unless_it_is_of_theirs() -> None:
    closed, opened = data_object(is_open=False, name="other"), data_object(is_open=True, name="other")
    base, head = read_sides(files(GATED, ELSEWHERE, closed), files(GATED, ELSEWHERE, opened))
    assert (base.left_out, head.left_out) == (2, 2)


def test_an_unreadable_policy_beside_data_that_changed_is_an_error() -> None:
    bad = policy(
        "crm", "bad", rules=[rule(conditions=[{"name": "c", "expression": "data.incident.open <"}])], data=[OPEN]
    )
    with pytest.raises(UserError, match="cannot be compared"):
        compared([GATED, bad, data_object(is_open=False)], [GATED, bad, data_object(is_open=True)])
    with pytest.raises(UserError, match="cannot be compared"):
        compared([GATED, "rules: [", data_object(is_open=False)], [GATED, "rules: [", data_object(is_open=True)])


ALICE = {"name": "alice", "user": {"issuer": "corp", "name": "alice"}}
BOT = {"name": "bot", "serviceAccount": {"namespace": "agents", "name": "bot"}}
ACTING = {
    "maxDepth": 1,
    "principals": ["alice"],
    "ceiling": [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}],
}


def test_a_deny_of_a_principal_is_compared_with_rules_for_who_acts_for_them() -> None:
    carrier = policy(
        "crm",
        "carrier",
        subjects=[{"name": "staff", "group": {"issuer": "corp", "name": "staff"}}, ALICE],
        rules=[rule("none", subjects=["staff"], actions=["other"])],
        endpointSettings=settings() | {"delegation": ACTING, "identity": {"issuers": ["cluster", "corp"]}},
    )
    # Nothing in the file of the one who acts names the principal.
    actor = policy("crm", "actor", subjects=[BOT], rules=[rule("act", subjects=["bot"])])
    deny = policy("crm", "deny", subjects=[ALICE], rules=[rule("never", effect="Deny", subjects=["alice"])])
    allow = policy("crm", "allow", subjects=[ALICE], rules=[rule("may", subjects=["alice"])])
    assert compared([carrier, actor, allow, deny], [carrier, actor, allow]) in {
        ChangeClass.WIDER,
        ChangeClass.MAY_WIDEN,
    }
    base, head = read_sides(files(carrier, actor, allow, deny), files(carrier, actor, allow))
    assert (base.left_out, head.left_out) == (0, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "serviceAccount: {namespace: agents, name: bot}",
            "entity: {type: serviceAccount, ids: ['system:serviceaccount:agents:bot']}",
        ),
        ('entity: {type: person, ids: ["O\'Brien"]}', "entity: {type: person, ids: ['O''Brien']}"),
        ("entity: {type: person, ids: [A B]}", "entity: {type: person, ids: [A\n          B]}"),
    ],
    ids=["an account as an entity", "quotes", "a folded line"],
)
def test_one_identity_that_two_files_spell_in_two_ways_is_one(one: str, other: str) -> None:
    def text(name: str, subject: str, effect: str) -> str:
        return (
            "apiVersion: bailiwick.dev/v1alpha1\nkind: EndpointPolicy\n"
            f"metadata: {{namespace: crm, name: {name}}}\nspec:\n  endpoint: crm-api\n"
            f"  subjects:\n  - {{name: who, {subject}}}\n  rules:\n  - name: r\n    effect: {effect}\n"
            "    subjects: [who]\n    actions: [customers.list]\n    resources: [{type: customer, ids: ['*']}]\n"
        )

    carrier = policy(
        "crm",
        "carrier",
        rules=[rule("none", actions=["other"])],
        endpointSettings=settings() | {"identity": {"verification": "Asserted"}},
    )
    for allowed, denied in ((one, other), (other, one)):
        allow, deny = text("allow", allowed, "Allow"), text("deny", denied, "Deny")
        assert compared([carrier, allow, deny], [carrier, allow]) is ChangeClass.WIDER
        assert compared([carrier, allow], [carrier, allow, deny]) is ChangeClass.NARROWER


@pytest.fixture
def one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace has room for one policy."""
    monkeypatch.setattr(policies, "Budget", lambda: Budget(policies=1))


@pytest.mark.usefixtures("one_of_each")
def test_files_are_within_one_budget() -> None:
    _, head = read_sides([], files(CARRIER, SECOND))
    with pytest.raises(UserError, match="the policies of the head cannot be compared"):
        head.refuse_broken("head")
    _, head = read_sides([], files(CARRIER, ELSEWHERE))
    head.refuse_broken("head")


@pytest.mark.usefixtures("one_of_each")
def test_a_file_that_is_the_same_is_over_the_budget_of_one_side_only() -> None:
    # By name it comes after the one that the head adds.
    base, head = read_sides(files(ELSEWHERE, SECOND), files(ELSEWHERE, SECOND, CARRIER))
    assert not any(entry.problems for entry in base.entries)
    assert [entry.ref.name for entry in head.entries if entry.problems] == ["second"]


@pytest.mark.usefixtures("one_of_each")
def test_a_file_that_does_not_matter_is_not_left_out_where_it_is_over() -> None:
    robot = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "robot"}}
    carrier = {"rules": [rule()], "endpointSettings": settings(account="other")}
    other = policy("crm", "zzz", endpoint="other", subjects=[robot], **carrier)
    base, head = read_sides(files(other), files(other, CARRIER))
    # What is over budget may speak of anything, so both sides are read whole.
    assert (base.left_out, head.left_out) == (0, 0)
    assert [entry.ref.name for entry in head.entries if entry.problems] == ["zzz"]
