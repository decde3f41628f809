"""Which objects a call has to read and to be counted in."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.history.needs import HistoryNeeds, denial_needs, history_needs
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.reasons import Reason
from support.objects import Object, rule, settings
from unit.engine.cases import CALL, NOW, sound, stored

UNCOUNTABLE: Final = Reason.HISTORY_UNCOUNTABLE
CAROL: Final = Party("user", "carol", "people#carol", issuer="people")
EXPORT: Final = replace(CALL, context={"amount": 10, "tenant": "acme"})


def definition(name: str = "exports", **changes: object) -> Object:
    counts = {"actions": ["customers.export"]}
    return {"name": name, "key": ["agent"], "window": "1h", "counts": counts, **changes}


def compiled(*definitions: Object) -> tuple[CompiledHistory, ...]:
    own = {**settings(), "history": list(definitions), "session": {"claim": "sid"}}
    made = sound(stored("p", rule(), endpointSettings=own)).settings
    assert made is not None
    return made.histories


def needs(*definitions: Object, of: Call = EXPORT, read: tuple[str, ...] = ()) -> HistoryNeeds | Reason | None:
    assert isinstance(of.subject, Party)
    return history_needs(compiled(*definitions), of, of.subject, inputs(of, of.subject, NOW), read)


def shown(found: object) -> list[tuple[list[str], list[tuple[str, int]]]]:
    """Return for each object which histories are read, and what is added to which."""
    assert isinstance(found, HistoryNeeds)
    return [
        ([one.name for one in need.reads], [(add.history.name, add.total) for add in need.adds])
        for need in found.objects
    ]


def counting(**counts: object) -> Object:
    return definition(counts={"actions": ["customers.export"], **counts})


class TestACall:
    def test_is_counted_by_each_history_that_speaks_of_it(self) -> None:
        found = needs(definition(), definition("sums", amount={"of": "context.amount", "digits": 2}))
        assert shown(found) == [(["exports", "sums"], [("exports", 0), ("sums", 1_000)])]
        assert isinstance(found, HistoryNeeds)
        assert found.counts

    def test_needs_nothing_where_none_speaks_of_it(self) -> None:
        assert needs(definition(), of=replace(EXPORT, action=Action("customers.list"))) is None
        assert history_needs((), EXPORT, CAROL, inputs(EXPORT, CAROL, NOW), ("exports",)) is None

    def test_reads_what_rules_read(self) -> None:
        found = needs(definition(), of=replace(EXPORT, action=Action("customers.list")), read=("exports", "nothing"))
        assert shown(found) == [(["exports"], [])]
        assert isinstance(found, HistoryNeeds)
        assert not found.counts

    def test_needs_an_object_for_each_key_in_order_of_their_names(self) -> None:
        found = needs(*(definition(f"h{n}", key=key) for n, key in enumerate(([], ["agent"], ["context.tenant"], []))))
        assert isinstance(found, HistoryNeeds)
        names = [need.name for need in found.objects]
        assert names == sorted(set(names))
        assert sorted(shown(found)) == [
            (["h0", "h3"], [("h0", 0), ("h3", 0)]),
            (["h1"], [("h1", 0)]),
            (["h2"], [("h2", 0)]),
        ]

    def test_counts_if_one_object_counts_it(self) -> None:
        listing = replace(EXPORT, action=Action("customers.list"))
        other = definition("lists", key=[], counts={"actions": ["customers.list"]})
        found = needs(definition(), other, of=listing, read=("exports",))
        assert sorted(shown(found)) == [(["exports"], []), (["lists"], [("lists", 0)])]
        assert isinstance(found, HistoryNeeds)
        assert found.counts


class TestWhatCannotBeTold:
    @pytest.mark.parametrize(
        ("one", "of"),
        [
            (definition(key=["context.missing"]), EXPORT),
            (definition(key=["session"]), EXPORT),
            (definition(key=["intent"]), EXPORT),
            (definition(amount={"of": "context.missing", "digits": 2}), EXPORT),
            (definition(amount={"of": "context.tenant", "digits": 2}), EXPORT),
            (definition(amount={"of": "context.amount", "digits": 2}), replace(EXPORT, context={"amount": -1})),
            (counting(when="context.missing == 1"), EXPORT),
            (counting(when="subject.claims.x == 1"), EXPORT),
            (counting(when="true"), replace(EXPORT, context={"a": "\0"})),
            (
                counting(
                    resources=[
                        {"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}},
                        {"type": "report", "ids": ["*"]},
                    ]
                ),
                EXPORT,
            ),
        ],
        ids=range(10),
    )
    def test_denies_a_call_that_may_count(self, one: Object, of: Call) -> None:
        assert needs(one, of=of) is UNCOUNTABLE
        assert needs(one, definition("other"), of=of) is UNCOUNTABLE

    def test_denies_no_call_that_certainly_does_not(self) -> None:
        amount = {"of": "context.missing", "digits": 2}
        one = definition(
            key=["context.missing"], amount=amount, counts={"actions": ["*"], "when": "context.amount > 50"}
        )
        assert needs(one) is None

    def test_of_a_history_that_is_only_read_is_left_out(self) -> None:
        listing = replace(EXPORT, action=Action("customers.list"))
        found = needs(definition(key=["context.missing"]), definition("b"), of=listing, read=("exports", "b"))
        assert shown(found) == [(["b"], [])]
        assert needs(definition(key=["context.missing"]), of=listing, read=("exports",)) is None

    def test_of_an_amount_that_is_only_read_does_not_matter(self) -> None:
        listing = replace(EXPORT, action=Action("customers.list"))
        one = definition(amount={"of": "context.missing", "digits": 2})
        assert shown(needs(one, of=listing, read=("exports",))) == [(["exports"], [])]


class TestResources:
    CUSTOMERS: Final[list[dict[str, Any]]] = [
        {"type": "customer", "ids": ["eu.*"], "properties": {"env": ["prod"]}},
        {"type": "report", "ids": ["*"]},
    ]

    @pytest.mark.parametrize(
        ("resource", "counts"),
        [
            (Resource("customer", "eu.1", {"env": "prod"}), True),
            (Resource("customer", "eu.1", {"env": "test"}), False),
            (Resource("customer", "us.1", {"env": "prod"}), False),
            (Resource("invoice", "eu.1", {"env": "prod"}), False),
            (Resource("customer", "us.1"), False),
            (Resource("report", "1"), True),
        ],
        ids=range(6),
    )
    def test_are_matched_as_those_of_rules(self, resource: Resource, counts: bool) -> None:
        found = needs(counting(resources=self.CUSTOMERS), of=replace(EXPORT, resource=resource))
        assert (found is not None) is counts
        assert found is not UNCOUNTABLE


def test_conditions_that_cost_too_much_together_deny() -> None:
    whens = [f"context.items.all(a, a != 'x{number}')" for number in range(16)]
    many = [definition(f"h{n}", counts={"actions": ["*"], "when": when}) for n, when in enumerate(whens)]
    few, lots = (replace(EXPORT, context={"items": ["a"] * count}) for count in (5, 1_000))
    assert isinstance(needs(*many, of=few), HistoryNeeds)
    assert isinstance(needs(many[0], of=lots), HistoryNeeds)
    assert needs(*many, of=lots) is UNCOUNTABLE


class TestADeniedCall:
    def denied(self, *definitions: Object, of: Call = EXPORT) -> HistoryNeeds | None:
        assert isinstance(of.subject, Party)
        return denial_needs(compiled(*definitions), of, of.subject, inputs(of, of.subject, NOW))

    def test_is_counted_by_histories_of_denied_calls_alone(self) -> None:
        strays = {**counting(what="Denied"), "name": "strays"}
        assert shown(self.denied(definition(), strays)) == [(["strays"], [("strays", 0)])]
        assert shown(needs(definition(), strays)) == [(["exports"], [("exports", 0)])]
        assert needs(strays) is None

    def test_is_read_by_a_rule_without_being_counted(self) -> None:
        strays = counting(what="Denied")
        assert shown(needs(strays, read=("exports",))) == [(["exports"], [])]

    @pytest.mark.parametrize("when", ["context.absent == 1", "context.tenant == 'acme'"])
    def test_counts_unless_it_certainly_does_not(self, when: str) -> None:
        assert shown(self.denied(counting(what="Denied", when=when)))
        assert self.denied(counting(what="Denied", when="context.tenant == 'other'")) is None
        assert self.denied(counting(what="Denied", actions=["customers.list"])) is None

    def test_counts_nowhere_without_its_key(self) -> None:
        unknown = {**counting(what="Denied"), "key": ["session"]}
        assert self.denied(unknown) is None
        assert shown(self.denied(unknown, {**counting(what="Denied"), "name": "strays"})) == [
            (["strays"], [("strays", 0)])
        ]
