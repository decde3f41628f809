"""What is told of a policy that is applied, held against every call of a small world, beside another policy.

Holds: where any call gets further, whatever another policy of the endpoint says, something is told.
"""

import copy

from hypothesis import given, strategies as st

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.admission.comparison import PolicyEdit, widening
from property.regions.test_diffs import (
    DELEGATION,
    INTENTS,
    SUBJECTS,
    TIMES,
    Object,
    calls,
    compiled,
    pairs,
    policies,
    step,
    told,
    with_number,
    worlds,
)
from property.worlds.strategies import mostly
from unit.engine.cases import NAMESPACE, NOW


def named(raw: Object, name: str) -> Object:
    """Return a policy under another name, which carries no settings."""
    made = copy.deepcopy(raw)
    made["metadata"] |= {"name": name, "uid": f"{name}-uid"}
    del made["spec"]["endpointSettings"]
    return made


@st.composite
def edits(draw: st.DrawFn) -> tuple[Object | None, Object | None, Object]:
    """Draw a policy as it is stored and as it is to be, one of both absent now and then, and another policy."""
    old, new = draw(pairs())
    sides: tuple[Object | None, Object | None] = (named(old, "a"), named(new, "a"))
    match draw(mostly("both", "created", "deleted")):
        case "created":
            sides = (None, sides[1])
        case "deleted":
            sides = (sides[0], None)
    return (*sides, named(draw(policies()), "b"))


def carrier() -> Object:
    """Return the policy that carries the settings."""
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "delegation": DELEGATION}
    entry = {"type": "unrelated", "ids": ["*"]}
    unrelated = {"name": "u", "effect": "Allow", "subjects": ["one"], "actions": ["u"], "resources": [entry]}
    spec = {"endpoint": "api", "endpointSettings": settings, "subjects": SUBJECTS, "rules": [unrelated]}
    return {"metadata": {"namespace": NAMESPACE, "name": "z", "uid": "z-uid", "generation": 1}, "spec": spec}


def gets_further(old: Object | None, new: Object | None, other: Object) -> bool:
    """Tell whether any call does."""
    sides = [[raw for raw in (one, other) if raw is not None] for one in (old, new)]
    raws = (old or other, new or other, other)
    asked = [one for raw in raws for one in raw["spec"]["rules"]]
    listed = [one for raw in raws for one in compiled(raw).rules]
    some = calls(listed, INTENTS if any("intents" in one for one in asked) else INTENTS[:1])
    times = TIMES if any("expireTime" in one for one in asked) else TIMES[:1]
    for free, number in worlds(raws):
        base, head = (
            Snapshot.of([compiled(carrier()), *(told(compiled(raw), free) for raw in side)]) for side in sides
        )
        for call in some:
            seen = call if number is None else with_number(call, number)
            for time in times:
                around = Circumstances(now=time)
                verdicts = [decide(side, seen, (), around, "sha256:") for side in (base, head)]
                if step(verdicts[0], verdicts[1]) == 1:
                    return True
    return False


@given(edits())
def test_no_call_gets_further_untold(edit: tuple[Object | None, Object | None, Object]) -> None:
    old, new, other = edit
    if not widening(PolicyEdit(NAMESPACE, "a", old, new), NOW, lambda: False):
        assert not gets_further(old, new, other), edit
