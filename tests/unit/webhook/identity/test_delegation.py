"""Who may say that they act for whom: the chain of actors, row by row (RFC 8693, 4.1)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from issuer.keys import acting
from unit.webhook.identity.world import (
    AGENT,
    CLUSTER_URL,
    CORP,
    ENFORCER,
    OTHER,
    PARTNER,
    PARTNER_EC,
    World,
    account_token,
    endpoint,
    person_token,
    proven,
    reason_of,
)

PLANNER: Final = {"sub": OTHER, "iss": CLUSTER_URL}
WORKER: Final = {"sub": AGENT, "iss": CLUSTER_URL}
BROKER: Final = {"sub": "broker", "iss": CORP}
WRONG: Final = "delegation_invalid"
MISMATCH: Final = "actor_mismatch"
UNNAMED: Final = "actor_unnamed"
BY_EMAIL: Final = {"name": "email", "kubernetesUsername": "oidc:{email}"}
DAVE: Final = "dave@corp.example"
ANN: Final = {"sub": "00u7", "iss": CORP, "email": "ann@corp.example"}


def _token(*actors: dict[str, Any]) -> str:
    return person_token(**acting(actors))


def _deep(depth: int) -> str:
    return _token(WORKER, *([PLANNER] * (depth - 1)))


Row = tuple[Callable[[], str | None], Callable[[], str | None], dict[str, Any] | None, str | list[str]]
TABLE: Final[dict[str, Row]] = {
    "nobody acts": (person_token, lambda: None, None, []),
    "one actor": (lambda: _token(WORKER), account_token, None, [AGENT]),
    "two actors": (lambda: _token(WORKER, PLANNER), account_token, None, [AGENT, OTHER]),
    "an actor of the person's own issuer within": (
        lambda: _token(WORKER, BROKER),
        account_token,
        None,
        [AGENT, "broker"],
    ),
    "four actors": (lambda: _deep(4), account_token, None, [AGENT, OTHER, OTHER, OTHER]),
    "the same actor twice": (lambda: _token(WORKER, WORKER), account_token, None, [AGENT, AGENT]),
    "five actors": (lambda: _deep(5), account_token, None, WRONG),
    "a hundred actors": (lambda: _deep(100), account_token, None, WRONG),
    "five actors and no proof of any": (lambda: _deep(5), lambda: None, None, WRONG),
    "five actors in a token that nobody signed": (lambda: _deep(5) + "x", account_token, None, WRONG),
    "an actor without its token": (lambda: _token(WORKER), lambda: None, None, WRONG),
    "a token that names no actor": (person_token, account_token, None, WRONG),
    "another actor than the one that presents it": (
        lambda: _token(WORKER),
        lambda: account_token(username=OTHER, uid="other-uid"),
        None,
        MISMATCH,
    ),
    "an actor whose token is bound to a key": (
        lambda: _token(WORKER),
        lambda: account_token(cnf={"jkt": "x"}),
        None,
        "possession_unproven",
    ),
    "a token that is bound to a key, and names an actor": (
        lambda: person_token(**acting([WORKER]), cnf={"jkt": "x"}),
        account_token,
        None,
        "possession_unproven",
    ),
    "the presenter only within": (lambda: _token(PLANNER, WORKER), account_token, None, MISMATCH),
    "the actor's name at another issuer": (lambda: _token({**WORKER, "iss": CORP}), account_token, None, MISMATCH),
    "an actor without an issuer": (lambda: _token({"sub": AGENT}), account_token, None, MISMATCH),
    "an actor without a name": (lambda: _token({"iss": CLUSTER_URL}), account_token, None, WRONG),
    "an act that is no object": (lambda: person_token(act=AGENT), account_token, None, WRONG),
    "an act of null": (lambda: person_token(act=None), account_token, None, WRONG),
    "an act of null within": (lambda: person_token(act={**WORKER, "act": None}), account_token, None, WRONG),
    "an actor of an issuer that did not sign": (
        lambda: _token(WORKER, {"sub": "x", "iss": PARTNER}),
        account_token,
        None,
        WRONG,
    ),
    "an actor of an issuer that nobody knows": (
        lambda: _token(WORKER, {"sub": "x", "iss": "y"}),
        account_token,
        None,
        WRONG,
    ),
    "an actor within without an issuer": (lambda: _token(WORKER, {"sub": OTHER}), account_token, None, WRONG),
    "a service account in the name of the person's issuer": (
        lambda: _token(WORKER, {"sub": OTHER, "iss": CORP}),
        account_token,
        None,
        WRONG,
    ),
    "a person in the cluster's name": (
        lambda: _token(WORKER, {"sub": "x", "iss": CLUSTER_URL}),
        account_token,
        None,
        WRONG,
    ),
    "the chain said in the body, too": (
        lambda: _token(WORKER, PLANNER),
        account_token,
        acting([WORKER, PLANNER]),
        [AGENT, OTHER],
    ),
    "a shorter chain in the body": (lambda: _token(WORKER, PLANNER), account_token, acting([WORKER]), WRONG),
    "another order in the body": (lambda: _token(WORKER, PLANNER), account_token, acting([PLANNER, WORKER]), WRONG),
    "a chain in the body alone": (person_token, lambda: None, acting([WORKER]), WRONG),
    "a chain in the body, and the actor's token": (person_token, account_token, acting([WORKER]), WRONG),
    "a chain in the body that is none": (lambda: _token(WORKER), account_token, {"act": "x"}, WRONG),
    "a service account that acts for another": (
        lambda: account_token(username=OTHER, uid="other-uid"),
        account_token,
        None,
        WRONG,
    ),
    "an actor's token and nobody that it acts for": (lambda: None, account_token, None, "identity_invalid"),
    "a person's token for an actor": (lambda: _token(WORKER), person_token, None, "identity_invalid"),
    "an actor's token that ended": (lambda: _token(WORKER), lambda: account_token(exp=1), None, "identity_invalid"),
    "an actor's token for another audience": (
        lambda: _token(WORKER),
        lambda: account_token(aud=["bailiwick"]),
        None,
        "audience_mismatch",
    ),
    "a person's token that ended": (
        lambda: person_token(exp=1, **acting([WORKER])),
        account_token,
        None,
        "identity_invalid",
    ),
}


@pytest.mark.parametrize("row", TABLE)
async def test_a_chain_is_proven_hop_by_hop_or_not_at_all(tmp_path: Path, row: str) -> None:
    person, actor, properties, expected = TABLE[row]
    parties = await World(tmp_path).verify(person(), actor_token=actor(), properties=properties)
    if isinstance(expected, str):
        assert (reason_of(parties), parties.actors) == (expected, ())
    else:
        assert proven(parties).id == "dave"
        assert [party.id for party in parties.actors] == expected


async def test_the_outermost_is_the_very_account_and_those_within_are_their_issuers_word(tmp_path: Path) -> None:
    parties = await World(tmp_path).verify(_token(WORKER, PLANNER), actor_token=account_token())
    presenter, planner = parties.actors
    assert (presenter.uid, presenter.issuer) == ("agent-uid", "cluster")
    assert (planner.uid, planner.issuer) == (f"corp#{OTHER}", "corp")
    assert planner.keys == {OTHER}


WITHIN: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a person with the claim": (ANN, "ann@corp.example"),
    "whose address is verified": ({**ANN, "email_verified": True}, "ann@corp.example"),
    "whose address is not verified": ({**ANN, "email_verified": False}, UNNAMED),
    "without the claim": ({"sub": "00u7", "iss": CORP}, UNNAMED),
    "whose sub looks like a name": ({"sub": "ann@corp.example", "iss": CORP}, UNNAMED),
    "whose name is no text": ({**ANN, "email": ["ann@corp.example"]}, UNNAMED),
    "whose name is empty": ({**ANN, "email": ""}, UNNAMED),
    "whose name hides something": ({**ANN, "email": "ann\u200b@corp.example"}, UNNAMED),
    "whose name is long": ({**ANN, "email": "a" * 254}, UNNAMED),
    "whose groups are elsewhere": ({**ANN, "_claim_names": {"groups": "src1"}}, UNNAMED),
    "without a sub": ({"iss": CORP, "email": "ann@corp.example"}, WRONG),
    "of an issuer that did not sign": ({**ANN, "iss": PARTNER}, WRONG),
    "a service account": (PLANNER, OTHER),
    "a service account with an address": ({**PLANNER, "email": "ann@corp.example"}, OTHER),
    "a service account in the issuer's name": ({**ANN, "sub": OTHER}, WRONG),
}


@pytest.mark.parametrize("row", WITHIN)
@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_person_within_is_named_as_their_own_token_names_them_or_refused(
    tmp_path: Path, row: str, before: int
) -> None:
    act, expected = WITHIN[row]
    world = World(tmp_path, claims=BY_EMAIL)
    token = person_token(email=DAVE, **acting([WORKER, *[PLANNER] * before, act]))
    parties = await world.verify(token, name=DAVE, actor_token=account_token())
    if expected in {UNNAMED, WRONG}:
        assert (reason_of(parties), parties.actors) == (expected, ())
    else:
        assert parties.actors[-1].id == expected


async def test_a_person_within_has_the_uid_the_groups_and_the_username_of_their_own_token(tmp_path: Path) -> None:
    world = World(tmp_path, claims=BY_EMAIL)
    act: dict[str, Any] = {**ANN, "groups": ["sales"]}
    token = person_token(email=DAVE, **acting([WORKER, act]))
    within = (await world.verify(token, name=DAVE, actor_token=account_token())).actors[-1]
    own = proven(await world.verify(person_token(**act), name="ann@corp.example"))
    assert (within.uid, within.username, within.groups) == (own.uid, own.username, own.groups)
    assert (within.uid, within.username, within.groups) == (
        "corp#ann@corp.example",
        "oidc:ann@corp.example",
        ("sales",),
    )
    assert (within.keys, within.issuer, within.claims) == (own.keys, "corp", act)


async def test_no_actor_is_asked_about_before_the_chain_is_short_enough(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.verify(_deep(5), actor_token=account_token())
    assert (world.cluster.reviewed, world.cluster.keys_read) == ([], 0)


async def test_an_actor_from_before_an_outage_is_not_live(tmp_path: Path) -> None:
    world = World(tmp_path)
    token, actor = _token(WORKER), account_token()
    assert (await world.verify(token, actor_token=actor)).live is True
    world.cluster.down = True
    world.pass_seconds(20)
    parties = await world.verify(token, actor_token=actor)
    assert ([party.id for party in parties.actors], parties.live) == ([AGENT], False)


class TestOnTheEnforcersWord:
    asserted = endpoint(asserted=True)

    @pytest.mark.parametrize(
        ("properties", "actor_token", "expected"),
        [
            (None, None, []),
            ({"team": "a"}, None, []),
            (acting([{"sub": AGENT}]), None, [("serviceAccount", AGENT)]),
            (acting([{"sub": AGENT}, {"sub": "broker"}]), None, [("serviceAccount", AGENT), ("user", "broker")]),
            (acting([{"sub": AGENT}]), "anything", [("serviceAccount", AGENT)]),
            (None, "anything", WRONG),
            (acting([{"sub": AGENT}] * 5), None, WRONG),
            ({"act": "x"}, None, WRONG),
            (acting([{"sub": AGENT, "iss": CORP}]), None, [("serviceAccount", AGENT)]),
            (acting([{"sub": AGENT, "iss": ""}]), None, WRONG),
            ({"act": {"sub": AGENT, "iss": 1}}, None, WRONG),
            (acting([{"sub": ""}]), None, WRONG),
            (acting([{"sub": AGENT}, {"iss": CORP}]), None, WRONG),
        ],
    )
    async def test_subject_and_chain_are_as_sent(
        self, tmp_path: Path, properties: dict[str, Any] | None, actor_token: str | None, expected: object
    ) -> None:
        parties = await World(tmp_path).verify(
            None, name="alice", properties=properties, actor_token=actor_token, settings=self.asserted
        )
        if isinstance(expected, str):
            assert reason_of(parties) == expected
        else:
            assert [(party.type, party.id) for party in parties.actors] == expected
            assert {party.issuer for party in (proven(parties), *parties.actors)} == {None}
            assert dict(proven(parties).claims) == {}

    async def test_no_token_is_looked_at(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        parties = await world.verify("garbage", kind="device", name="d-1", settings=self.asserted)
        assert (proven(parties).type, proven(parties).id) == ("device", "d-1")
        assert world.cluster.reviewed == []


@pytest.mark.parametrize(
    ("issuers", "person", "account"),
    [
        ({"cluster"}, "identity_invalid", None),
        ({"corp"}, None, "identity_invalid"),
        ({"partner"}, "identity_invalid", "identity_invalid"),
        ({"cluster", "corp"}, None, None),
    ],
)
async def test_only_the_endpoints_own_issuers_vouch_for_a_subject(
    tmp_path: Path, issuers: set[str], person: str | None, account: str | None
) -> None:
    world, settings = World(tmp_path), endpoint(issuers=frozenset(issuers))
    assert reason_of(await world.verify(person_token(), settings=settings)) == person
    found = await world.verify(account_token(), kind="serviceAccount", name=AGENT, settings=settings)
    assert reason_of(found) == account
    # The actor is the cluster's wherever acting is allowed at all.
    acted = await world.verify(_token(WORKER), actor_token=account_token(), settings=settings)
    assert reason_of(acted) == person


@pytest.mark.parametrize(
    ("kind", "token"), [("robot", person_token()), ("serviceAccount", person_token()), ("user", account_token())]
)
async def test_who_is_named_with_another_kind_than_the_token_has_is_not_proven(
    tmp_path: Path, kind: str, token: str
) -> None:
    name = AGENT if kind == "user" else "dave"
    assert reason_of(await World(tmp_path).verify(token, kind=kind, name=name)) == "identity_invalid"


@pytest.mark.parametrize(
    ("claimed", "issuers", "reason"),
    [
        ({}, {"cluster"}, None),
        ({}, {"corp"}, "identity_invalid"),
        ({"kind": "user"}, {"cluster"}, "identity_invalid"),
        ({"name": AGENT}, {"cluster"}, "identity_invalid"),
        ({"actor_token": account_token()}, {"cluster"}, WRONG),
        ({"properties": {"act": WORKER}}, {"cluster"}, WRONG),
    ],
)
async def test_who_sends_no_token_but_its_own_is_itself_and_acts_for_nobody(
    tmp_path: Path, claimed: dict[str, Any], issuers: set[str], reason: str | None
) -> None:
    said = {"kind": "serviceAccount", "name": ENFORCER.account.username, **claimed}
    found = await World(tmp_path).verify(None, **said, settings=endpoint(issuers=frozenset(issuers)))
    assert (reason_of(found), found.actors) == (reason, ())


async def test_one_name_at_two_issuers_is_two_people(tmp_path: Path) -> None:
    world = World(tmp_path)
    corp = proven(await world.verify(person_token()))
    partner = proven(await world.verify(person_token(key=PARTNER_EC, iss=PARTNER)))
    assert (corp.id, corp.uid, partner.id, partner.uid) == ("dave", "corp#dave", "dave", "partner#dave")
    assert corp.keys.isdisjoint(partner.keys)
