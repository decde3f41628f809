"""One rule held against one call, clause by clause: what each asks, whether it holds, and what is shown of it."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party, PodWorkload, Resource
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.decision.clauses import fixed_clauses, of_ceiling
from bailiwick_engine.policy.dimensions.action import ACTION_CLAUSE
from bailiwick_engine.policy.dimensions.clause import Clause
from bailiwick_engine.policy.dimensions.condition import CONDITION_CLAUSE
from bailiwick_engine.policy.dimensions.resource import ID_CLAUSE, PROPERTY_CLAUSE, TYPE_CLAUSE
from bailiwick_engine.policy.dimensions.subject import SUBJECT_CLAUSE
from bailiwick_engine.policy.dimensions.validity import EXPIRY_CLAUSE
from bailiwick_engine.policy.dimensions.workload import WORKLOAD_CLAUSE
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.truth import UNKNOWN
from support.objects import Object, rule, settings, subject
from unit.engine.cases import CALL, NOW, at, sound, stored

IMAGE: Final = "sha256:" + "a" * 64
OTHER: Final = "sha256:" + "b" * 64
NINE: Final = [f"customers.a{number}" for number in range(9)]
EIGHT: Final = NINE[:8]


def compiled(subjects: list[Object] | None = None, **fields: Any) -> CompiledRule:  # noqa: ANN401 - fields of a rule
    spec = {} if subjects is None else {"subjects": subjects}
    (found,) = sound(stored("p", rule(**fields), **spec)).rules
    return found


def clauses(of: CompiledRule, call: Call = CALL, party: Party | None = None) -> dict[tuple[str, str | None], Clause]:
    """Return the clauses of the call's subject, by kind and name."""
    subject_ = call.subject
    assert isinstance(subject_, Party)
    return {(one.kind, one.name): one for one in fixed_clauses(of, call, party or subject_, NOW)}


def one(of: CompiledRule, kind: str, name: str | None = None, call: Call = CALL) -> Clause:
    return clauses(of, call)[kind, name]


@pytest.mark.parametrize(
    ("actions", "wanted"),
    [
        (["customers.export"], ("customers.export",)),
        (["b", "a"], ("a", "b")),
        (["*"], ("*",)),
        (["customers.*"], ("customers.*",)),
        (["z", "customers.*", "*"], ("*", "customers.*", "z")),
        (EIGHT, tuple(EIGHT)),
        (NINE, (*EIGHT, "…")),
    ],
)
def test_the_first_eight_names_are_shown_the_widest_first(actions: list[str], wanted: tuple[str, ...]) -> None:
    assert one(compiled(actions=actions), ACTION_CLAUSE).wanted == wanted


@pytest.mark.parametrize(("effect", "met"), [("Allow", False), ("Deny", True)])
def test_what_is_unknown_meets_a_deny_and_no_allow(effect: str, *, met: bool) -> None:
    entries = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}]
    found = one(compiled(effect=effect, resources=entries), PROPERTY_CLAUSE, "env")
    assert (found.held, found.met, found.wanted) == (UNKNOWN, met, ("prod", "test"))


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize(("value", "held"), [("prod", True), ("dev", False)])
def test_what_is_known_is_met_where_it_holds(effect: str, value: str, *, held: bool) -> None:
    entries = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
    call = replace(CALL, resource=Resource("customer", "42", {"env": value}))
    found = one(compiled(effect=effect, resources=entries), PROPERTY_CLAUSE, "env", call)
    assert (found.held, found.met) == (held, held)


@pytest.mark.parametrize(("ends", "held"), [(-1, False), (1, True)])
def test_an_expiry_is_a_clause_where_there_is_one(ends: float, *, held: bool) -> None:
    assert one(compiled(expireTime=at(ends)), EXPIRY_CLAUSE).met is held
    assert (EXPIRY_CLAUSE, None) not in clauses(compiled())


class TestAWorkload:
    ASKED: Final = {"imageDigests": [IMAGE, OTHER], "podSelector": {"matchLabels": {"app": "agent", "tier": "back"}}}
    NAMED: Final = [{**subject(), "workload": ASKED}]

    def test_is_shown_with_its_images_and_labels(self) -> None:
        found = one(compiled(self.NAMED), WORKLOAD_CLAUSE)
        assert found.wanted == (IMAGE, OTHER, "app=agent", "tier=back")
        assert (found.held, found.met) == (UNKNOWN, False)

    def test_of_labels_alone_is_shown_with_those(self) -> None:
        named = [{**subject(), "workload": {"podSelector": {"matchLabels": {"app": "agent"}}}}]
        assert one(compiled(named), WORKLOAD_CLAUSE).wanted == ("app=agent",)

    def test_is_held_where_the_pod_runs_it(self) -> None:
        runs = PodWorkload(images=frozenset({IMAGE}), labels={"app": "agent", "tier": "back"})
        assert isinstance(CALL.subject, Party)
        call = replace(CALL, subject=replace(CALL.subject, workload=runs))
        assert one(compiled(self.NAMED), WORKLOAD_CLAUSE, call=call).met

    def test_is_no_clause_for_whoever_the_rule_does_not_name(self) -> None:
        stranger = Party("serviceAccount", "system:serviceaccount:agents:other", "other-uid")
        found = clauses(compiled(self.NAMED), party=stranger)
        assert not found[SUBJECT_CLAUSE, None].met
        assert (WORKLOAD_CLAUSE, None) not in found

    def test_is_no_clause_for_whoever_is_named_from_anywhere(self) -> None:
        assert (WORKLOAD_CLAUSE, None) not in clauses(compiled())


class TestACeiling:
    def entry(self, **ceiling: Any) -> list[Clause]:  # noqa: ANN401 - fields of an entry
        written = {"actions": ["customers.*"], "resources": [{"type": "customer", "ids": ["*"]}], **ceiling}
        delegation = {"maxDepth": 1, "principals": ["agent"], "ceiling": [written]}
        raw = stored("p", rule(), endpointSettings={**settings(), "delegation": delegation})
        settings_ = sound(raw).settings
        assert settings_ is not None
        assert settings_.delegation is not None
        (found,) = settings_.delegation.ceiling
        assert isinstance(CALL.subject, Party)
        return list(of_ceiling(found, CALL, CALL.subject, NOW, inputs(CALL, CALL.subject, NOW, None)))

    def test_is_taken_as_an_allow_is(self) -> None:
        unknown = [{"name": "c", "expression": "context.nothing == 1"}]
        properties = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
        for found in (self.entry(conditions=unknown)[-1], self.entry(resources=properties)[-1]):
            assert (found.held, found.met) == (UNKNOWN, False)

    def test_has_a_clause_for_each_part(self) -> None:
        held = self.entry(conditions=[{"name": "c", "expression": "action.name == 'customers.export'"}])
        assert [(found.kind, found.met) for found in held] == [
            (ACTION_CLAUSE, True),
            (TYPE_CLAUSE, True),
            (ID_CLAUSE, True),
            (CONDITION_CLAUSE, True),
        ]
