"""Worlds without grants: policies and a call, for what is said of a decision and of a search."""

from hypothesis import strategies as st

from property.worlds.reference import World
from property.worlds.strategies import calls, digests_of, mostly, policies
from unit.engine.cases import NOW


@st.composite
def questions(draw: st.DrawFn) -> World:
    """Draw policies and a call."""
    names = "abcd"[: draw(st.integers(1, 4))]
    carrying = draw(mostly([0], [], [0, 1], odds=10))
    made = [draw(policies(name, carries=number in carrying)) for number, name in enumerate(names)]
    return World(
        policies=made,
        call=draw(calls()),
        grants=[],
        now=NOW,
        truths={},
        rule_digests=digests_of(made),
        freshness="fresh",
        guard_proven=True,
        people=(),
    )
