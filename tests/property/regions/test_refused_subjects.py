"""Who may do something where subjects are taken back, held against the engine that is asked with a token of now.

Holds: the policies and the calls are those of `test_rights`, and an answer is read as there. Somebody who is in an
answer as a member of a group alone is told apart by no name: of these a note says that some may be refused.
"""

from typing import Final

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine import keys
from bailiwick_engine.call import Call, Party, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.dimensions.atom import FRESH
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import PartyRevocation, Revocations, with_token_of
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.questions import what_can, who_can
from property.regions.kindworld import level
from property.regions.test_diffs import ACCOUNTS, PEOPLE, PROPERTIES
from property.regions.test_rights import KEY, Object, asked, crowds, endpoint_of, labels_of, of_people, reached, said
from unit.engine.cases import ENFORCER, NOW

EVERYBODY: Final = ""
TAKEN_BACK: Final = (
    *((CLUSTER, "sub", one.id) for one in ACCOUNTS),
    (CLUSTER, "username", ACCOUNTS[0].id),
    (CLUSTER, "sub", ENFORCER.username),
    (CLUSTER, EVERYBODY, ""),
    ("corp", "sub", "carol"),
    ("corp", "sub", "dave"),
    ("corp", "sub", FRESH),
    ("corp", EVERYBODY, ""),
    ("partner", "sub", "carol"),
)


@st.composite
def revocations(draw: st.DrawFn) -> Revocations:
    """Draw some that hold, that refuse earlier tokens, and that refuse tokens of a moment that is yet to come."""
    found = Revocations()
    for number in range(draw(st.integers(1, 3))):
        issuer, member, value = draw(st.sampled_from(TAKEN_BACK))
        match = () if member == EVERYBODY else ((member, value),)
        before = draw(st.sampled_from((NOW - 60, NOW, NOW + 60)))
        found.put(PartyRevocation(f"r-{number}", issuer, match, before, draw(st.booleans()), before, NOW + 3600))
    return found


def verdict_of(snapshot: Snapshot, call: Call, held: Revocations) -> tuple[int, bool]:
    """Return what the engine says of a call whose subject has a token of now, and if that is for a revocation."""
    assert isinstance(call.subject, Party)
    shown = replace(call, subject=with_token_of(call.subject, NOW))
    verdict = decide(snapshot, shown, (), Circumstances(now=NOW, revocations=held), "sha256:")
    return level(verdict), verdict.reason is Reason.IDENTITY_REVOKED


@given(crowds().map(of_people), revocations())
def test_who_can_says_of_each_party_what_the_engine_says_of_a_token_of_now(raw: Object, held: Revocations) -> None:
    endpoint = endpoint_of(raw)
    place = CallPlace(KEY, "a.x", "t", "p/1")
    answer = who_can(place, endpoint, NOW, revocations=held)
    named = {key for rule, _ in place.entries(endpoint.enforced) for key in rule.subjects}
    places = [("a.x", Resource("t", "p/1", properties)) for properties in PROPERTIES]
    for snapshot, world, call in asked(raw, (*ACCOUNTS, *PEOPLE), places):
        party = call.subject
        assert isinstance(party, Party)
        rows = said(answer.rows, party)
        found = reached(rows, labels_of(call, endpoint.enforced), call, world[0])
        wanted, refused = verdict_of(snapshot, call, held)
        if refused and party.issuer == "corp" and keys.user("corp", party.id) not in named:
            continue
        assert found == wanted, (raw, world, call, rows)


@given(crowds().map(of_people), st.sampled_from((*ACCOUNTS, *PEOPLE)), revocations())
def test_what_can_says_of_each_call_what_the_engine_says_of_a_token_of_now(
    raw: Object, party: Party, held: Revocations
) -> None:
    endpoint = endpoint_of(raw)
    answer = what_can(KEY, endpoint, party, "one", NOW, revocations=held)
    own = [rule for rule in endpoint.enforced if party.keys & rule.subjects]
    places = [("a.x", Resource("t", "p/1", properties)) for properties in PROPERTIES]
    for snapshot, world, call in asked(raw, (party,), places):
        found = reached(answer.rows, labels_of(call, own), call, world[0])
        assert found == verdict_of(snapshot, call, held)[0], (raw, world, call, answer.rows)
        assert not answer.rows or not verdict_of(snapshot, call, held)[1]


@given(crowds().map(of_people), st.sampled_from((*ACCOUNTS, *PEOPLE)), revocations())
def test_who_is_refused_is_named_with_what_refuses_them(raw: Object, party: Party, held: Revocations) -> None:
    answer = what_can(KEY, endpoint_of(raw), party, "one", NOW, revocations=held)
    shown = with_token_of(party, NOW)
    refusing = held.refusal(shown, shown=True)
    whole = [one.revocation for one in answer.refused if one.subject == "one" and one.whole]
    assert whole == ([] if refusing is None else [refusing])
    earlier = [one.revocation for one in answer.refused if one.subject == "one" and not one.whole]
    older = held.refusal(with_token_of(party, 0.0), shown=True)
    assert earlier == ([older] if older is not None and refusing is None else [])
