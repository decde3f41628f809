"""Replay says of every record what the engine says of its call, or that it may be so, or that it cannot tell."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hypothesis import event, given, settings, strategies as st

from bailiwick_engine.approval.strength import compare_gates
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.linekinds import DECISIONS
from bailiwick_evidence.replay.candidate import Candidate, CandidatePolicy
from bailiwick_evidence.replay.outcomes import CHANGES, FLIPS, PolicyVerdict, ReplayClass, ReplayOutcome, policy_verdict
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from bailiwick_regions.change import ChangeClass, approval_change
from property.evidence.test_derivations import CALLS, recorded, specs, stored
from property.worlds.reference import World
from property.worlds.strategies import call_of, compiled_of, grants_of, seldom, worlds
from support.derivations import add_spec
from unit.engine.cases import NOW

Object = dict[str, Any]
CERTAIN: Final = CHANGES | {ReplayClass.UNCHANGED}


def book_of(texts: PolicyTexts, candidate: Iterable[Mapping[str, Any]]) -> ReplayBook:
    """Return a book of these policies as the candidate. One that does not compile is left out, as on record."""
    found = []
    for raw in candidate:
        add_spec(texts, raw["spec"])
        made = compile_object(raw)
        if isinstance(made, CompiledPolicy):
            found.append(CandidatePolicy(made.ref.namespace, made.ref.name, made.endpoint, made.digest))
    return ReplayBook(EndpointStates(texts, Candidate(found)))


def outcomes(book: ReplayBook, lines: Iterable[bytes]) -> list[ReplayOutcome | None]:
    """Replay each record of these lines, twice: what is remembered says the same."""
    found = []
    for record in map(json.loads, lines):
        if record["kind"] == "policies":
            book.learn(record)
        elif record["kind"] in DECISIONS:
            found.append(book.outcome(record, engine_versions()))
            assert book.outcome(record, engine_versions()) == found[-1]
    return found


def truth(old: Verdict, new: Verdict) -> ReplayClass:
    """Return the class by what the engine says of the very call, and of two approvals by what `diff` says of them."""
    before, after = policy_verdict(old), policy_verdict(new)
    if before is not PolicyVerdict.APPROVAL or after is not before or old.gate is None or new.gate is None:
        return FLIPS.get((before, after), ReplayClass.UNCHANGED)
    change = approval_change(compare_gates(old.gate, new.gate))
    if change is ChangeClass.SAME:
        return ReplayClass.UNCHANGED
    shut = old.reason is not Reason.APPROVAL_REQUIRED and new.reason is Reason.APPROVAL_REQUIRED
    weaker = shut or change in {ChangeClass.WIDER, ChangeClass.MAY_WIDEN}
    return ReplayClass.APPROVAL_WEAKER if weaker else ReplayClass.APPROVAL_APPROVAL


def agrees(found: ReplayOutcome | None, said: ReplayClass) -> None:
    """Fail unless an outcome says this, or leaves it open."""
    if found is None:
        return
    event(found.code if found.kind not in CHANGES else "flip")
    if found.kind in CERTAIN:
        assert found.kind is said, found
    elif found.kind is ReplayClass.MAYBE:
        assert said in found.may, found


@settings(max_examples=2 * settings().max_examples)
@given(
    st.tuples(specs(carries=True), specs(carries=False)),
    st.tuples(specs(carries=True), specs(carries=False)),
    st.sampled_from(["all", "first", "second", "rule", "none"]),
    st.tuples(seldom(), seldom()),
    st.lists(CALLS, min_size=1, max_size=3),
    st.sampled_from([NOW, NOW + 0.25]),
    st.booleans(),
)
def test_each_certain_class_is_what_the_engine_says_of_the_very_call(
    made: tuple[Object, Object],
    other: tuple[Object, Object],
    changed: str,
    off: tuple[bool, bool],
    calls: list[Call],
    now: float,
    known: bool,
) -> None:
    candidate = list(made)
    if changed in {"all", "first"}:
        candidate[0] = other[0]
    if changed in {"all", "second"}:
        candidate[1] = other[1]
    if changed == "rule":
        added = [{**rule, "name": f"x{number}"} for number, rule in enumerate(other[1]["rules"][:1])]
        candidate[1] = {**made[1], "rules": [*made[1]["rules"], *added]}
    before = stored(made, off)
    # What does not change stays as it is, also where it is being deleted.
    after = stored(candidate, (gone and one == new for gone, one, new in zip(off, made, candidate, strict=True)))
    old, new = (Snapshot.of(compile_object(raw) for raw in side) for side in (before, after))
    texts = PolicyTexts()
    for spec in made:
        add_spec(texts, spec)
    book = book_of(texts, after)
    for call in calls:
        around = Circumstances(now)
        (found,) = outcomes(book, recorded(old, call, (), around, b"k", known=known))
        agrees(found, truth(decide(old, call, (), around), decide(new, call, (), around)))


@settings(max_examples=2 * settings().max_examples)
@given(worlds(), st.booleans(), st.booleans(), st.booleans())
def test_an_unchanged_candidate_never_shows_a_flip(world: World, known: bool, outdated: bool, sealed: bool) -> None:
    snapshot = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    around = Circumstances(
        world.now, Freshness[world.freshness.upper()], world.guard_proven, outdated=outdated and world.now > 0
    )
    lines = recorded(snapshot, call_of(world.call), grants_of(world), around, b"k" if sealed else None, known=known)
    texts = PolicyTexts()
    for facts in world.policies:
        add_spec(texts, facts.raw["spec"])
    for found in outcomes(book_of(texts, [facts.raw for facts in world.policies]), lines):
        assert found is None or found.kind in {ReplayClass.UNCHANGED, ReplayClass.NOT_REPLAYABLE}, found


@given(worlds(), worlds(), st.booleans())
def test_a_candidate_of_another_world_is_asked_as_its_engine_would_be(one: World, other: World, known: bool) -> None:
    old, new = (Snapshot.of(compiled_of(facts.raw) for facts in world.policies) for world in (one, other))
    call, around = call_of(one.call), Circumstances(one.now)
    texts = PolicyTexts()
    for facts in one.policies:
        add_spec(texts, facts.raw["spec"])
    book = book_of(texts, [facts.raw for facts in other.policies])
    for found in outcomes(book, recorded(old, call, grants_of(one), around, b"k", known=known)):
        # A candidate with a policy that cannot be read is refused before.
        if all(isinstance(compiled_of(facts.raw), CompiledPolicy) for facts in other.policies):
            agrees(found, truth(decide(old, call, (), around), decide(new, call, (), around)))
