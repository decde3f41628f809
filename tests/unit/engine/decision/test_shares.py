"""What the conditions of a call may take: for all of them together, for each hop of a chain and for its ceiling.

Holds: a limit is met exactly, so that neither one less nor one more goes unnoticed; bounds are moved, not waited for.
"""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.decision import hops
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import AGENT, ENDPOINT, Object, rule, settings, subject
from unit.engine.cases import CALL, NAMESPACE, NOW, carrier, snapshot, stored, verdict_of, with_context

CAROL: Final = Party("user", "carol", "corp#carol", issuer="corp", username="carol@corp.example")
ACTING: Final = Party("serviceAccount", AGENT, "agent-uid")
ALL: Final[Object] = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
# Of an expression that the library evaluates, and of one that closures do in some microseconds.
HEAVY: Final = "context.l.all(x, x == 'a')"
LIGHT: Final = "resource.id == '42'"
LISTED: Final = with_context(l=["a"])


def export(**fields: object) -> Object:
    return rule("export", actions=["customers.export"], **fields)


def conditions(*expressions: str) -> Object:
    return {"conditions": [{"name": f"c{at}", "expression": text} for at, text in enumerate(expressions)]}


def endpoint(on: Snapshot) -> CompiledEndpoint:
    return on.endpoints[NAMESPACE, ENDPOINT]


def own(*rules: Object) -> CompiledEndpoint:
    """Return the endpoint of these rules, each named by its place."""
    named = [{**one, "name": f"r{at}"} for at, one in enumerate(rules)]
    return endpoint(snapshot(carrier(), stored("p", *named)))


def allowance(of: CompiledEndpoint, call: Call = CALL) -> int | None:
    """Return what a condition of the subject's own hop may take; None where nothing was gathered for any."""
    assert isinstance(call.subject, Party)
    (hop,) = hops.hops(of, call, call.subject, NOW)
    return None if hop.seen is None else hop.seen.allowance


def test_nothing_is_gathered_for_conditions_where_there_are_none() -> None:
    assert allowance(own(export())) is None


LARGE: Final = with_context(l=["a" * 4000])


@pytest.mark.parametrize(
    ("rules", "call", "counted"),
    [
        ([export(**conditions(LIGHT))], CALL, False),
        ([export(**conditions(*[LIGHT] * 8)), export(**conditions(*[LIGHT] * 8))], CALL, False),
        ([export(**conditions(*[LIGHT] * 9)), export(**conditions(*[LIGHT] * 8))], CALL, True),
        ([export(**conditions(LIGHT))], LARGE, True),
        ([export(**conditions(HEAVY))], LISTED, True),
        ([export(**conditions(HEAVY)), export(**conditions(LIGHT)), export()], LISTED, True),
        ([export(**conditions(LIGHT)), export(**conditions(HEAVY)), export()], LISTED, True),
    ],
    ids=["one", "sixteen", "seventeen", "one of a large call", "one that takes long", "first", "between others"],
)
def test_few_that_take_little_are_not_counted_and_all_others_are(
    monkeypatch: pytest.MonkeyPatch, rules: Sequence[Object], call: Call, *, counted: bool
) -> None:
    shared: list[int] = []
    monkeypatch.setattr(hops, "share", lambda _, all_of, limit: shared.append(limit))
    allowance(own(*rules), call)
    assert bool(shared) is counted


def cost(of: CompiledEndpoint, call: Call) -> list[int]:
    """Return what each condition of an endpoint takes for a call."""
    assert isinstance(call.subject, Party)
    seen = inputs(call, call.subject, NOW, None)
    return [seen.cost(one.cost) for each in of.rules for one in each.conditions]


@pytest.mark.parametrize(("less", "fits"), [(0, True), (1, False)], ids=["as much as they take", "one less"])
def test_as_many_are_evaluated_as_the_limit_takes_and_of_equals_all_or_none(*, less: int, fits: bool) -> None:
    of = own(export(**conditions(HEAVY)), export(**conditions(f"{HEAVY} || context.l.size() == 9")))
    cheap, dear = sorted(cost(of, LISTED))
    assert isinstance(LISTED.subject, Party)
    seen = inputs(LISTED, LISTED.subject, NOW, None)
    listed = [one for each in of.rules for one in each.conditions]
    hops.share(seen, listed, cheap + dear - less)
    assert seen.allowance == (dear if fits else cheap)
    hops.share(seen, [*listed, *listed], 2 * cheap - less)
    assert seen.allowance == (cheap if fits else 0)


class TestAChain:
    """The agent acts for carol: two hops, and a ceiling."""

    def on(self, *rules: Object, ceiling: Sequence[Object] = (ALL,), data: Any = None) -> Snapshot:  # noqa: ANN401 - of a spec
        delegation = {"maxDepth": 2, "principals": ["carol"], "ceiling": list(ceiling)}
        carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
        subjects = [subject(), {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}]
        more = {} if data is None else {"data": data}
        return snapshot(stored("p", *(rules or (export(),)), subjects=subjects, endpointSettings=carried, **more))

    def call(self, call: Call = CALL, actors: int = 1) -> Call:
        return replace(call, subject=CAROL, actors=(ACTING,) * actors)

    @pytest.mark.parametrize("actors", [1, 2])
    @pytest.mark.parametrize(("less", "reason"), [(0, Reason.ALLOWED), (1, Reason.SCOPE_EXCEEDED)])
    def test_gives_its_ceiling_a_part_of_what_conditions_may_take(
        self, monkeypatch: pytest.MonkeyPatch, actors: int, less: int, reason: Reason
    ) -> None:
        on, call = self.on(ceiling=[{**ALL, **conditions(HEAVY)}]), self.call(LISTED, actors)
        delegation = endpoint(on).settings
        assert delegation is not None
        assert delegation.delegation is not None
        (entry,) = delegation.delegation.ceiling
        takes = inputs(call, CAROL, NOW, ACTING).cost(entry.conditions[0].cost)
        # A part for each actor, one for the ceiling that it is under, and one for whom the call is for.
        monkeypatch.setattr(hops, "LIMIT", (2 * actors + 1) * takes - less)
        assert verdict_of(on, call).reason is reason

    @pytest.mark.parametrize(("less", "reason"), [(0, Reason.ALLOWED), (1, Reason.TOO_COSTLY)])
    def test_gives_each_hop_the_same_part(self, monkeypatch: pytest.MonkeyPatch, less: int, reason: Reason) -> None:
        on, call = self.on(export(**conditions(HEAVY))), self.call(LISTED)
        (takes,) = cost(endpoint(on), call)
        monkeypatch.setattr(hops, "LIMIT", 3 * takes - less)
        assert verdict_of(on, call).reason is reason

    def test_is_under_its_ceiling_where_one_of_its_entries_covers_the_call(self) -> None:
        entries = [{**ALL, **conditions("subject.id == 'dave'")}, {**ALL, **conditions("subject.id == 'carol'")}]
        assert verdict_of(self.on(ceiling=entries), self.call()).reason is Reason.ALLOWED

    def test_is_over_its_ceiling_where_an_entry_has_a_condition_that_does_not_hold(self) -> None:
        entry = {**ALL, **conditions("subject.id == 'carol'", "subject.id == 'dave'")}
        assert verdict_of(self.on(ceiling=[entry]), self.call()).reason is Reason.SCOPE_EXCEEDED
