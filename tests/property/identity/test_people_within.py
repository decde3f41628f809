"""What is taken from a person for whom a call is made is taken from them as any actor in a chain, however issuers name.

Holds: the same claims stand in a token of the person's own, and in an `act` within another person's token; nothing
here is said of an `act` that says less. Both tokens are signed and verified.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_api.issuers import ClaimMapping
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.approval.grants import chain, excluded_reviewers
from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import Revocations
from bailiwick_webhook.identity.subject import Parties
from issuer.keys import acting
from support.objects import AGENT, Object, rule, settings, subject
from support.revocations import in_force, revocation
from unit.engine.cases import CALL, NOW, snapshot, stored, verdict_of
from unit.webhook.identity.world import CLUSTER_URL, CORP, World, account_token, person_token

CLAIMS: Final = ("sub", "email", "preferred_username")
WORDS: Final = ("ann", "Ann", "ann@corp.example", "Ann@corp.example", "bob")
GROUPS: Final = ("sales", "support")
HOP: Final = {"sub": AGENT, "iss": CLUSTER_URL}
EVERYBODY: Final = [*WORDS, "dave"]
ALL: Final[Object] = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}

entries = st.builds(
    lambda name, groups, template: {"name": name, "groups": groups, "kubernetesUsername": template},
    st.sampled_from(CLAIMS),
    st.sampled_from(["groups", "roles"]),
    st.sampled_from([None, "oidc:{sub}", "oidc:{email}", "{preferred_username}-p", "{sub}/{email}"]),
)
said = st.fixed_dictionaries(
    {"sub": st.sampled_from(WORDS)},
    optional={
        "email": st.sampled_from([*WORDS, 3]),
        "email_verified": st.booleans(),
        "preferred_username": st.sampled_from(WORDS),
        "sid": st.sampled_from(WORDS),
        "groups": st.lists(st.sampled_from(GROUPS), max_size=2),
        "roles": st.sampled_from([*GROUPS, 3]),
    },
)


class Met:
    """A person by their own token, and the same person within a chain that acts for dave. None: refused."""

    def __init__(self, entry: dict[str, Any], claims: dict[str, Any], depth: int) -> None:
        self.claims: Final = claims
        within = [HOP] * depth + [{**claims, "iss": CORP}]
        name: dict[str, Any] = dict.fromkeys(CLAIMS, "dave")
        mapping = ClaimMapping.model_validate(entry)
        self.templates = {"corp": UsernameTemplate(mapping.name, mapping.kubernetes_username)}
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), claims=entry)
            own = world.verify(person_token(**claims, iat=...), name=str(claims.get(mapping.name)))
            acted = world.verify(person_token(**name, **acting(within)), actor_token=account_token())
            self.own: Final = self._subject(asyncio.run(own))
            self.acted: Final = asyncio.run(acted)
        self.within: Final = self.acted.actors[-1] if self.acted.actors else None

    @staticmethod
    def _subject(parties: Parties) -> Party | None:
        return parties.subject if isinstance(parties.subject, Party) else None

    @property
    def call(self) -> Call:
        """The call for dave."""
        return replace(CALL, subject=self.acted.subject, actors=self.acted.actors)

    def both(self) -> tuple[Party, Party] | None:
        """Return the person in both places; None where they are refused in both."""
        if self.own is None or self.within is None:
            assert (self.own, self.within) == (None, None)
            return None
        return self.own, self.within


met = st.builds(Met, entries, said, st.integers(1, 3))


def reason_denied(call: Call, *denied: Object) -> Reason:
    """Return what becomes of a call where everybody is allowed by whatever name, but for these."""
    names = [{"name": f"p{number}", "user": {"issuer": "corp", "name": one}} for number, one in enumerate(EVERYBODY)]
    groups = [{"name": one, "group": {"issuer": "corp", "name": one}} for one in GROUPS]
    listed = [subject(), *names, *groups]
    delegation = {"maxDepth": 4, "principals": [one["name"] for one in names], "ceiling": [ALL]}
    carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    rules = [
        rule("all", subjects=[one["name"] for one in listed], actions=["*"]),
        rule("none", effect="Deny", subjects=[one["name"] for one in listed if one in denied], actions=["*"]),
    ]
    kept = rules if denied else rules[:1]
    return verdict_of(snapshot(stored("p", *kept, subjects=listed, endpointSettings=carried)), call).reason


@given(met)
def test_a_person_is_one_party_in_both_places(found: Met) -> None:
    both = found.both()
    if both is not None:
        own, within = both
        assert (within.id, within.uid, within.keys) == (own.id, own.uid, own.keys)
        assert chain(found.call)[-1] == ("corp", own.id, own.uid)


@given(met)
def test_who_is_denied_by_name_or_group_is_denied_within_a_chain(found: Met) -> None:
    both = found.both()
    if both is None:
        return
    own, _ = both
    assert reason_denied(found.call) is Reason.ALLOWED
    named = {"name": f"p{EVERYBODY.index(own.id)}", "user": {"issuer": "corp", "name": own.id}}
    for denied in (named, *({"name": one, "group": {"issuer": "corp", "name": one}} for one in own.groups)):
        for call in (replace(CALL, subject=own), found.call):
            assert reason_denied(call, denied) is Reason.POLICY_DENIED


@st.composite
def taken_back(draw: st.DrawFn, found: Met) -> Revocations:
    """Draw a revocation of somebody of whom at least one thing is true of this person, in any case."""
    claims, own = found.claims, found.own
    true = {name: value for name in ("sub", "sid", "email") if isinstance(value := claims.get(name), str)}
    if own is not None and own.username is not None:
        true["username"] = own.username
    # Policies name the person by another claim, and so may those who take the person back.
    matches = [("corp", {name: true[name]}) for name in true]
    matches += [("corp", {"sub": own.id})] if own is not None else []
    matches += [("cluster", {"username": true["username"]})] if "username" in true else []
    issuer, match = draw(st.sampled_from(matches))
    match |= {name: true[name] for name in draw(st.sets(st.sampled_from(sorted(true)))) if issuer == "corp"}
    spelled: dict[str, Any] = {
        name: value.upper() if draw(st.booleans()) and "@" in value else value for name, value in match.items()
    }
    return in_force(revocation(issuer=issuer, hold=draw(st.booleans()), **spelled), templates=found.templates)


@given(met, st.data())
def test_who_is_taken_back_is_refused_within_a_chain(found: Met, data: st.DataObject) -> None:
    both = found.both()
    if both is None:
        return
    index, (own, within) = data.draw(taken_back(found)), both
    if index.refusal(own, shown=True) is None:
        return
    assert index.refusal(within, shown=False) is not None
    on = snapshot(stored("p", rule(actions=["*"]), endpointSettings=settings()))
    around = Circumstances(now=NOW, revocations=index)
    assert verdict_of(on, found.call, around=around).reason is Reason.IDENTITY_REVOKED


@given(met)
def test_who_may_not_review_for_themselves_may_not_for_a_chain_that_they_stand_in(found: Met) -> None:
    both = found.both()
    if both is not None:
        own, within = both
        assert within.reviewer == own.reviewer
        dave = found.acted.subject
        assert isinstance(dave, Party)
        assert excluded_reviewers(found.call, dave) >= excluded_reviewers(replace(CALL, subject=own), own)
