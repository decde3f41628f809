"""Steps of two approvals are compared as if every order of them had been tried, and it takes no such time."""

from itertools import permutations
from typing import Final

import pytest
from hypothesis import example, given, strategies as st

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_engine.approval import strength
from bailiwick_engine.approval.strength import SAME, STRONGER, WEAKER

GROUPS: Final = ("a", "b", "c")


def step(policy: str = "p", groups: str = "", count: int = 1, signature: str | None = None) -> GrantStep:
    members = {"name": "p.r.s", "policy": policy, "kind": "Human", "count": count, "signature": signature}
    return GrantStep.model_validate(members | {"groups": list(groups) or None})


STEPS: Final = st.builds(
    step,
    policy=st.sampled_from(["p", "q"]),
    groups=st.sets(st.sampled_from(GROUPS)).map(lambda names: "".join(sorted(names))),
    count=st.integers(1, 2),
    signature=st.sampled_from([None, "Key", "Required"]),
)


def is_met(weak: list[GrantStep], strong: list[GrantStep]) -> bool:
    """Try every order of the strong steps."""
    return any(all(map(strength._as_much, weak, chosen)) for chosen in permutations(strong, len(weak)))


@given(st.lists(STEPS, max_size=5), st.lists(STEPS, max_size=5))
@example([step(groups="ab"), step(groups="a")], [step(groups="a"), step(groups="b")])
@example([step(groups="ab"), step(groups="ac"), step(groups="a")], [step(groups=one) for one in "abc"])
def test_one_approval_has_as_many_steps_where_some_order_of_them_shows_it(
    base: list[GrantStep], head: list[GrantStep]
) -> None:
    up, down = is_met(base, head), is_met(head, base)
    wanted = SAME if up and down else STRONGER if up else WEAKER if down else None
    assert strength._steps(base, head) == wanted


@pytest.mark.parametrize("last", ["z", "a"], ids=["a step that nothing stands for", "a step that stands for another"])
def test_many_steps_are_compared_in_bounded_work(monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """As many as a grant holds, all alike but the last: each order of the others would be tried in vain."""
    many = [step(groups="a") for _ in range(19)]
    left, asked = 4 * 20 * 20, strength._as_much

    def counted(weak: GrantStep, strong: GrantStep) -> bool:
        nonlocal left
        left -= 1
        assert left >= 0
        return asked(weak, strong)

    monkeypatch.setattr(strength, "_as_much", counted)
    met = strength._steps([*many, step(groups=last)], [*many, step(groups="a")])
    assert met == (SAME if last == "a" else None)
