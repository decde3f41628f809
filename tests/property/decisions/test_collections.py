"""What is denied of one object of a collection is denied of the collection."""

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Party, Resource
from bailiwick_engine.decision.collections import named_objects
from bailiwick_engine.decision.verdict import Outcome
from support.objects import Object, rule
from unit.engine.cases import CALL, governed, verdict_of

IDS = ("a", "b", "a.a", "a.b", "a.b.c", "b.a")
EXPRESSIONS = (
    None,
    "resource.id == 'a.b'",
    "resource.id.startsWith('b')",
    "action.name == 'customers.export'",
    "context.args.x == 1",
)


@st.composite
def denials(draw: st.DrawFn, place: int) -> Object:
    """A Deny of some ids, by some condition."""
    ids = draw(st.lists(st.sampled_from([*IDS, "a.*", "b.*", "a.b.*", "*"]), min_size=1, max_size=3, unique=True))
    expression = draw(st.sampled_from(EXPRESSIONS))
    conditions = {} if expression is None else {"conditions": [{"name": "c", "expression": expression}]}
    resources = [{"type": draw(st.sampled_from(["customer", "order"])), "ids": ids}]
    return rule(f"deny-{place}", effect="Deny", actions=["customers.export"], resources=resources, **conditions)


@given(st.data())
def test_a_collection_is_allowed_only_where_each_object_is(data: st.DataObject) -> None:
    everything = rule("all", actions=["*"], resources=[{"type": "customer", "ids": ["*"]}])
    count = data.draw(st.integers(1, 3))
    on = governed(everything, *(data.draw(denials(place)) for place in range(count)))

    def allowed(name: str) -> bool:
        return verdict_of(on, replace(CALL, resource=Resource("customer", name))).outcome is Outcome.ALLOW

    assert isinstance(CALL.subject, Party)
    named = named_objects(on.endpoints["crm", "crm-api"], CALL.subject, "customers.export", "customer")
    collection = not named.unknown and all(allowed(name) for name in ("*", *named.ids))
    assert not collection or all(allowed(name) for name in IDS)
