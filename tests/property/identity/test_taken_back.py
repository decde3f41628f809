"""Who is taken back is who the sentence of the design says, for drawn revocations, tokens and changes of them.

The oracle looks at each revocation in turn and knows no index: all members of `match` are equal, an address in any
case; one that the token lacks counts if another is equal; an empty match is everybody of the issuer. Tokens from before
`issuedBefore` are refused, and those that do not say when, and all under a hold. A party without a token is refused by
its name, and a person by what the token of another says of them.
"""

from typing import Any, Final

from hypothesis import given, settings as hypothesis, strategies as st

from bailiwick_api.kinds.subjectrevocation import MEMBERS
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.revocations import PartyRevocation, Revocations

ACCOUNTS: Final = [f"{SERVICE_ACCOUNT_PREFIX}a:one"]
NAMES: Final = ["x", "X", "oidc:x", "x@y", "X@y", "oidc:X@y", "x@y-p", *ACCOUNTS]
ISSUERS: Final = ["corp", "partner", CLUSTER]
TEMPLATES: Final = {"corp": UsernameTemplate("sub", "oidc:{sub}"), "partner": UsernameTemplate("email", "{email}-p")}
MOMENTS: Final = st.integers(0, 3).map(float)

revocations = st.builds(
    PartyRevocation,
    name=st.sampled_from(["r-1", "r-2", "r-3"]),
    issuer=st.sampled_from(ISSUERS),
    match=st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from(NAMES)).map(
        lambda match: tuple((member, match[member]) for member in MEMBERS if member in match)
    ),
    issued_before=MOMENTS,
    hold=st.booleans(),
    as_of=st.just(0.0),
    until=st.just(0.0),
)
claims = st.fixed_dictionaries(
    {},
    optional={
        **{member: st.sampled_from([*NAMES, 3, None]) for member in ("sub", "sid", "email")},
        "iat": st.one_of(MOMENTS, st.sampled_from([None, "1", True])),
    },
)


@st.composite
def parties(draw: st.DrawFn) -> Party:
    """Draw a party as `identity` makes one: an account, a person of an issuer, or one on the enforcer's word."""
    issuer = draw(st.sampled_from([*ISSUERS, None]))
    said: dict[str, Any] = draw(claims)
    if issuer == CLUSTER:
        name = draw(st.sampled_from(ACCOUNTS))
        return Party(SERVICE_ACCOUNT, name, "uid", {**said, "sub": name})
    name = draw(st.sampled_from(NAMES))
    username = draw(st.sampled_from([None, "oidc:x", "oidc:X", "oidc:x@y", "x@Y-p"]))
    hypothetical = issuer is not None and draw(st.booleans())
    kind = SERVICE_ACCOUNT if name in ACCOUNTS and issuer is None else USER
    return Party(kind, name, "uid", said if issuer else {}, issuer=issuer, username=username, hypothetical=hypothetical)


def equal(member: str, one: str, other: str) -> bool:
    return one.lower() == other.lower() if member == "email" else is_same(one, other)


def is_same(one: str | None, other: str) -> bool:
    """Tell whether two names are one person's: a name that holds an address has no case."""
    return one is not None and (one == other or ("@" in one and one.lower() == other.lower()))


def names_token(one: PartyRevocation, party: Party) -> bool:
    """Tell whether a revocation names the bearer of a token, as the sentence says.

    Its sub is the claim, or else the name by which policies know the bearer.
    """
    known = {member: value for member in ("sub", "sid", "email") if isinstance(value := party.claims.get(member), str)}
    username = party.id if party.type == SERVICE_ACCOUNT else party.username
    if username is None and party.issuer in TEMPLATES:
        # What the issuer has not verified names nobody to the API server, but still whom to refuse.
        username = TEMPLATES[party.issuer].fill(known)
    if username is not None:
        known["username"] = username
    if one.issuer == CLUSTER and party.issuer != CLUSTER:
        # The API server's name is all that the cluster knows of another issuer's person.
        return bool(one.match) and username is not None and all_equal(one, {"username": username})
    return one.issuer == party.issuer and (all_equal(one, known) or all_equal(one, {**known, "sub": party.id}))


def all_equal(one: PartyRevocation, known: dict[str, str]) -> bool:
    outcomes = [equal(member, value, known[member]) for member, value in one.match if member in known]
    return not one.match or (bool(outcomes) and all(outcomes))


def usernames_of(one: PartyRevocation) -> set[str]:
    """Return the API server's names of whom a revocation names."""
    match = dict(one.match)
    found = {match["username"]} if "username" in match else set()
    if one.issuer == CLUSTER and "sub" in match:
        found.add(match["sub"])
    if one.issuer == "corp" and "sub" in match:
        found.add(f"oidc:{match['sub']}")
    return found


def names_reviewer(one: PartyRevocation, username: str) -> bool:
    match = dict(one.match)
    if one.issuer == "partner" and "email" in match and username.lower() == f"{match['email']}-p".lower():
        return True
    if not match:
        prefix = {"corp": "oidc:", CLUSTER: SERVICE_ACCOUNT_PREFIX}.get(one.issuer, "")
        suffix = "-p" if one.issuer == "partner" else ""
        return username.startswith(prefix) and username.endswith(suffix) and len(username) > len(prefix + suffix)
    return any(is_same(name, username) for name in usernames_of(one))


def names_name(one: PartyRevocation, party: Party) -> bool:
    """Tell whether a revocation names a party that is only a name. A service account's name is the cluster's alone."""
    match = {member: value for member, value in one.match if member != "sid"}
    same = any(equal(member, value, party.id) for member, value in match.items())
    username, account = party.username, party.id.startswith(SERVICE_ACCOUNT_PREFIX)
    if username is None and party.issuer == "corp" and not account:
        username = f"oidc:{party.id}"
    cluster = one.issuer == CLUSTER
    by_username = (
        cluster and username is not None and any(is_same(match.get(member), username) for member in ("sub", "username"))
    )
    if account:
        return (cluster and (same or not one.match)) or by_username
    if party.issuer is None:
        return same or by_username or names_reviewer(one, party.id)
    of_issuer = one.issuer == party.issuer and (same or not one.match or is_same(username, match.get("username", "")))
    return of_issuer or by_username


def expected(held: list[PartyRevocation], party: Party, *, shown: bool) -> bool:
    by_token = shown and party.issuer is not None and not party.hypothetical
    for one in held:
        if by_token and names_token(one, party):
            iat = party.claims.get("iat")
            if one.hold or not isinstance(iat, float) or iat < one.issued_before:
                return True
        told_of = party.type == USER and party.issuer is not None and bool(party.claims)
        if not by_token and (names_name(one, party) or (told_of and names_token(one, party))):
            return True
    return False


@hypothesis(max_examples=600)
@given(
    st.lists(revocations, max_size=4), st.lists(st.sampled_from(["r-1", "r-2"]), max_size=2), parties(), st.booleans()
)
def test_the_index_refuses_exactly_whom_the_sentence_names(
    put: list[PartyRevocation], removed: list[str], party: Party, shown: bool
) -> None:
    index, held = Revocations(TEMPLATES), dict[str, PartyRevocation]()
    for one in put:
        index.put(one)
        held[one.name] = one
    for name in removed:
        index.remove(name)
        held.pop(name, None)
    listed = list(held.values())
    assert len(index) == len(listed)
    assert bool(index) == bool(listed)
    assert (index.refusal(party, shown=shown) is not None) == expected(listed, party, shown=shown)


@hypothesis(max_examples=600)
@given(st.lists(revocations, max_size=4), st.sampled_from([*NAMES, "x-p", "X-P", "-p", "oidc:"]))
def test_a_reviewer_is_exactly_whom_the_sentence_names(put: list[PartyRevocation], username: str) -> None:
    index = Revocations(TEMPLATES)
    held = {one.name: one for one in put}
    for one in put:
        index.put(one)
    found = index.of_reviewer(username)
    assert (found is not None) == any(names_reviewer(one, username) for one in held.values())


@given(st.lists(revocations, max_size=4))
def test_what_is_taken_out_leaves_nothing(put: list[PartyRevocation]) -> None:
    index = Revocations(TEMPLATES)
    for one in put:
        index.put(one)
    for one in put:
        index.remove(one.name)
    assert not index
    assert not index._buckets
    assert not any(index._shapes.values())
