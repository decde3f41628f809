"""What `never` and `always` say of a pattern of calls, held against every call of a small world.

Holds: a verdict that is said not to occur is that of no call; one that is said to occur is that of some call. The world
and the policies are those of the differences of policies.
"""

from typing import Any, Final

from hypothesis import given, strategies as st

from bailiwick_engine.call import Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.pattern import occurrences
from bailiwick_regions.walk import LEVELS
from property.regions.kindworld import level
from property.regions.test_diffs import INTENTS, TIMES, calls, compiled, policies, told, with_number, worlds
from property.worlds.strategies import mostly
from unit.engine.cases import NAMESPACE, NOW

Object = dict[str, Any]
KEY: Final = (NAMESPACE, "api")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Object, Object]:
    """Draw a policy and a pattern, as a rule of everything in it: often that of which a rule of the policy speaks."""
    raw = draw(policies())
    if draw(st.booleans()):
        one = draw(st.sampled_from(raw["spec"]["rules"]))
        entries = [{name: entry[name] for name in ("type", "ids")} for entry in one["resources"]]
        taken = {"subjects": one["subjects"][:1], "actions": one["actions"], "resources": entries}
        return raw, {"name": "pattern", "effect": "Deny", **taken}
    return raw, {
        "name": "pattern",
        "effect": "Deny",
        "subjects": draw(st.sampled_from([["one"], ["carol"], ["staff"], ["one", "two", "carol", "staff", "leads"]])),
        "actions": draw(mostly(["*"], ["a.*"], ["a.x"], ["b"])),
        "resources": [{"type": draw(mostly("t", "u")), "ids": draw(mostly(["*"], ["p/*"], ["1"]))}],
    }


def occurring(raw: Object, probe: CompiledRule) -> tuple[set[str], set[str]]:
    """Return the verdicts of all calls of the pattern in the world: of one's own, and on behalf of somebody."""
    own: set[str] = set()
    behalf: set[str] = set()
    asked, listed = raw["spec"]["rules"], compiled(raw).rules
    intents = INTENTS if any("intents" in rule for rule in asked) else INTENTS[:1]
    within = [one for one in calls([*listed, probe], intents) if _within(one, probe)]
    times = TIMES if any("expireTime" in rule for rule in asked) else TIMES[:1]
    for free, number in worlds((raw, raw)):
        side = Snapshot.of([told(compiled(raw), free)])
        for call in within:
            seen = call if number is None else with_number(call, number)
            for time in times:
                verdict = decide(side, seen, (), Circumstances(now=time), "sha256:")
                (behalf if call.actors else own).add(LEVELS[level(verdict)])
    return own, behalf


def _within(call: Any, probe: CompiledRule) -> bool:  # noqa: ANN401 - a call of the world
    assert isinstance(call.subject, Party)
    named = not call.subject.keys.isdisjoint(probe.subjects)
    return named and call.action.name in probe.actions and probe.covers(call.resource)


@given(cases())
def test_a_pattern_comes_to_what_every_call_of_a_small_world_comes_to(case: tuple[Object, Object]) -> None:
    raw, pattern = case
    (probe,) = compiled({**raw, "spec": {**raw["spec"], "suspend": False, "rules": [pattern]}}).rules
    endpoint = Snapshot.of([compiled(raw)]).endpoints[KEY]
    own, behalf = occurring(raw, probe)
    for verdict in LEVELS:
        parts = (probe.subjects, probe.actions, probe.resources)
        found = occurrences(KEY, endpoint, parts, frozenset((verdict,)), NOW)
        seen = own if verdict == "Deny" else own | behalf
        if not found:
            assert verdict not in seen, (verdict, raw, pattern)
        if any(one.kind is ChangeClass.WIDER for one in found):
            assert verdict in seen, (verdict, found, raw, pattern)
