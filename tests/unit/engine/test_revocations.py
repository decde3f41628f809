"""Revocations: who is found by which name or claim, and what a change of one does to a lookup."""

from collections.abc import Mapping
from typing import Any

import pytest

from bailiwick_api.kinds.subjectrevocation import RevokedIdentity
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.revocations import PartyRevocation, Revocations, parse, revocation_name

AGENT = "system:serviceaccount:agents:crm-agent"
MOMENT = 1_000.0


def revocation(
    match: Mapping[str, str],
    issuer: str = "corp",
    name: str = "r-one",
    *,
    before: float = MOMENT,
    hold: bool = False,
) -> PartyRevocation:
    pairs = tuple((one, match[one]) for one in ("sub", "sid", "email", "username") if one in match)
    return PartyRevocation(name, issuer, pairs, before, hold, before, before + 3600)


def revocations(*held: PartyRevocation, template: str | None = None) -> Revocations:
    found = Revocations({"corp": UsernameTemplate("sub", template)})
    for one in held:
        found.put(one)
    return found


def person(claims: Mapping[str, Any], username: str | None = None, issuer: str = "corp") -> Party:
    name = str(claims.get("sub", "carol"))
    return Party(USER, name, f"{issuer}#{name}", claims, issuer=issuer, username=username)


def account(name: str = AGENT, **claims: Any) -> Party:  # noqa: ANN401 - any JSON
    return Party(SERVICE_ACCOUNT, name, "uid", {"sub": name, **claims})


def refused(held: Revocations, party: Party, *, shown: bool = True) -> bool:
    return held.refusal(party, shown=shown) is not None


def test_a_token_from_before_is_refused_and_one_from_then_on_is_not() -> None:
    held = revocations(revocation({"sub": "c1"}))
    assert refused(held, person({"sub": "c1", "iat": MOMENT - 1}))
    assert not refused(held, person({"sub": "c1", "iat": MOMENT}))
    assert not refused(held, person({"sub": "c2", "iat": MOMENT - 1}))
    assert not refused(held, person({"sub": "c1", "iat": MOMENT - 1}, issuer="partner"))


@pytest.mark.parametrize("iat", [None, "1001", True, float("nan"), [MOMENT]])
def test_a_token_that_does_not_say_when_it_was_issued_is_refused(iat: object) -> None:
    assert refused(revocations(revocation({"sub": "c1"}, before=0.0)), person({"sub": "c1", "iat": iat}))


def test_a_hold_refuses_every_token_and_ends_every_grant() -> None:
    one = revocation({"sub": "c1"}, hold=True)
    assert refused(revocations(one), person({"sub": "c1", "iat": MOMENT + 10_000}))
    assert one.ends(MOMENT + 10_000)
    assert not revocation({"sub": "c1"}).ends(MOMENT)


def test_all_members_are_equal_and_one_that_the_token_lacks_counts_if_another_is_equal() -> None:
    held = revocations(revocation({"sub": "c1", "sid": "s1"}))
    assert refused(held, person({"sub": "c1", "sid": "s1"}))
    assert refused(held, person({"sub": "c1"}))
    assert refused(held, Party(USER, "other", "u", {"sid": "s1"}, issuer="corp"))
    assert not refused(held, person({"sub": "c1", "sid": "s2"}))
    assert not refused(held, person({"sub": "c2", "sid": "s1"}))
    assert not refused(held, Party(USER, "other", "u", {"email": "c@example.com"}, issuer="corp"))


def test_an_email_is_compared_in_any_case() -> None:
    held = revocations(revocation({"email": "Carol@Example.com"}))
    assert refused(held, person({"sub": "c1", "email": "carol@example.COM"}))


@pytest.mark.parametrize(("written", "other"), [("λδς.δ@x.org", "ΛΔΣ.Δ@X.ORG"), ("ΛΔΣ.Δ@X.ORG", "λδς.δ@x.org")])
def test_so_is_one_of_letters_that_have_two_lower_cases(written: str, other: str) -> None:
    assert refused(revocations(revocation({"email": written})), person({"sub": "c1", "email": other}))
    held = revocations(revocation({"email": written}), template="{email}")
    assert refused(held, person({"sub": "c1", "email": other}, other))
    assert held.of_reviewer(other)
    by_name = revocations(revocation({"sub": written}))
    assert refused(by_name, Party(USER, other, "asserted", issuer=None))


def test_a_name_with_an_address_is_compared_as_an_email_is() -> None:
    held = revocations(revocation({"username": "oidc:carol@x.org"}, CLUSTER), template="oidc:{email}")
    assert refused(held, person({"sub": "c1", "email": "Carol@x.org"}, "oidc:Carol@x.org"))
    assert refused(held, Party(USER, "oidc:CAROL@x.org", "asserted", issuer=None, username="oidc:CAROL@x.org"))
    assert held.of_reviewer("oidc:carol@X.org")
    assert not held.of_reviewer("OIDC:carol@x.org2")
    by_name = revocations(revocation({"sub": "carol@x.org"}))
    assert refused(by_name, Party(USER, "Carol@x.org", "corp#c", {"sub": "99beb27c"}, issuer="corp"))
    assert not refused(revocations(revocation({"sub": "carol"})), person({"sub": "Carol"}))


def test_a_name_that_is_a_service_account_s_in_another_case_alone_is_a_person_s() -> None:
    name = f"{AGENT.upper()}@x.org"
    held = revocations(revocation({"sub": name}))
    assert refused(held, Party(USER, name, "asserted", issuer=None))
    assert not refused(held, account())


def test_an_email_that_the_issuer_has_not_verified_still_names_who_is_taken_back() -> None:
    held = revocations(revocation({"username": "oidc:carol@x.org"}, CLUSTER), template="oidc:{email}")
    unverified = {"sub": "c1", "email": "carol@x.org", "email_verified": False}
    assert refused(held, person(unverified, username=None))
    assert not refused(held, person({**unverified, "email": "dave@x.org"}, username=None))


def test_a_person_is_found_by_the_name_that_policies_use_though_it_is_not_their_sub() -> None:
    held = revocations(revocation({"sub": "carol"}))
    assert refused(held, Party(USER, "carol", "corp#carol", {"sub": "99beb27c"}, issuer="corp"))


def test_an_empty_match_is_everybody_of_its_issuer_and_of_no_other() -> None:
    held = revocations(revocation({}))
    assert refused(held, person({"sub": "anybody"}))
    assert not refused(held, person({"sub": "anybody"}, issuer="partner"))
    assert not refused(held, account())
    assert not refused(held, Party(USER, "anybody", "asserted#anybody", issuer=None))
    assert not refused(revocations(revocation({}, CLUSTER)), person({"sub": "anybody"}, "oidc:anybody"))
    assert refused(revocations(revocation({}, CLUSTER)), account(iat=1))


def test_a_service_account_is_found_by_sub_and_by_username() -> None:
    for match in ({"sub": AGENT}, {"username": AGENT}):
        held = revocations(revocation(match, CLUSTER))
        assert refused(held, account(iat=MOMENT - 1))
        assert not refused(held, account(iat=MOMENT))
        assert not refused(held, account(f"{AGENT}-2", iat=MOMENT - 1))


def test_a_party_without_a_token_is_refused_by_its_name_whenever_that_was() -> None:
    held = revocations(revocation({"sub": "c1"}), revocation({"sub": AGENT}, CLUSTER, "r-two"))
    asserted = Party(USER, "c1", "asserted#c1", issuer=None)
    assert refused(held, asserted)
    assert refused(held, Party(SERVICE_ACCOUNT, AGENT, "asserted", issuer=None))
    within = Party(USER, "c1", "corp#c1", {"iat": MOMENT + 1}, issuer="corp")
    assert refused(held, within, shown=False)
    assert not refused(held, within)
    # An account within a chain is vouched for by the person's issuer, and is the cluster's all the same.
    assert refused(held, Party(SERVICE_ACCOUNT, AGENT, "corp#a", issuer="corp"), shown=False)


@pytest.mark.parametrize(
    "match",
    [
        {"sub": "99beb27c"},
        {"sub": "carol@x.org"},
        {"email": "Carol@x.org"},
        {"sid": "s-1"},
        {"sub": "99beb27c", "sid": "s-2"},
        {"username": "oidc:99beb27c/carol@x.org"},
    ],
)
def test_a_person_within_a_chain_is_refused_by_all_that_act_says_of_them(match: dict[str, str]) -> None:
    claims = {"sub": "99beb27c", "email": "carol@x.org", "iat": MOMENT + 1}
    held = revocations(revocation(match), template="oidc:{sub}/{email}")
    within = Party(USER, "carol@x.org", "corp#carol@x.org", {**claims, "sid": match.get("sid")}, issuer="corp")
    assert refused(held, within, shown=False)
    other = {"sub": "dave", "email": "dave@x.org", "sid": "s-3"}
    assert not refused(held, Party(USER, "dave@x.org", "corp#dave@x.org", other, issuer="corp"), shown=False)


def test_another_issuer_cannot_take_a_service_account_back() -> None:
    held = revocations(revocation({"sub": AGENT}))
    assert not refused(held, account(iat=1))
    assert not refused(held, Party(SERVICE_ACCOUNT, AGENT, "corp#a", {"sub": AGENT}, issuer="corp"), shown=False)
    assert not refused(held, Party(SERVICE_ACCOUNT, AGENT, "asserted", issuer=None))
    assert held.of_name(CLUSTER, AGENT) is None


def test_the_api_servers_name_finds_a_person_of_any_issuer() -> None:
    held = revocations(revocation({"username": "oidc:c1"}, CLUSTER), template="oidc:{sub}")
    assert refused(held, person({"sub": "c1", "iat": MOMENT - 1}, "oidc:c1"))
    assert not refused(held, person({"sub": "c1", "iat": MOMENT}, "oidc:c1"))
    assert refused(held, Party(USER, "c1", "corp#c1", issuer="corp"), shown=False)
    assert refused(held, Party(USER, "oidc:c1", "asserted", issuer=None, username="oidc:c1"))
    assert held.of_reviewer("oidc:c1")
    assert not held.of_reviewer("oidc:c2")


def test_a_reviewer_is_found_by_the_username_that_the_issuers_template_makes() -> None:
    held = revocations(revocation({"sub": "c1"}), template="oidc:{sub}")
    assert held.of_reviewer("oidc:c1")
    # In a review of the API server, that name stands for the person.
    assert refused(held, Party(USER, "oidc:c1", "asserted", issuer=None, username="oidc:c1"))
    assert not held.of_reviewer("oidc:c2")
    assert not revocations(revocation({"sub": "c1"})).of_reviewer("oidc:c1")
    assert revocations(revocation({"email": "C1@x.org"}), template="oidc:{email}").of_reviewer("oidc:c1@X.org")
    everybody = revocations(revocation({}), template="oidc:{sub}")
    assert everybody.of_reviewer("oidc:anybody")
    assert not everybody.of_reviewer("ldap:anybody")
    assert revocations(revocation({"sub": AGENT}, CLUSTER)).of_reviewer(AGENT)


def test_the_strictest_of_several_counts_and_the_next_one_when_it_goes() -> None:
    mild, strict = revocation({"sub": "c1"}, name="r-mild"), revocation({"sub": "c1"}, name="r-strict", hold=True)
    held = revocations(mild, strict)
    late = person({"sub": "c1", "iat": MOMENT})
    assert held.refusal(late, shown=True) == strict
    held.remove("r-strict")
    assert held.refusal(late, shown=True) is None
    held.remove("r-mild")
    held.remove("r-never-there")
    assert not held
    assert not refused(held, person({"sub": "c1"}))


def test_a_changed_object_counts_as_it_is_now() -> None:
    held = revocations(revocation({"sub": "c1"}, hold=True))
    held.put(revocation({"sub": "c1"}))
    assert not refused(held, person({"sub": "c1", "iat": MOMENT}))
    held.put(revocation({"sub": "c2"}))
    assert not refused(held, person({"sub": "c1"}))
    assert refused(held, person({"sub": "c2"}))
    assert len(held) == 1


def test_what_cannot_be_read_holds_everybody_of_its_issuer() -> None:
    odd = revocations(parse({"metadata": {"name": "r-odd"}, "spec": {"issuer": "corp", "match": {"kid": "x"}}}))
    assert refused(odd, person({"sub": "c1", "iat": MOMENT}))
    assert not refused(odd, account(iat=MOMENT))
    nothing = revocations(parse({"metadata": {"name": "r-odd"}}))
    assert refused(nothing, account(iat=MOMENT))
    assert refused(nothing, Party(USER, "x", "asserted#x", issuer=None))
    assert nothing.of_reviewer("oidc:c1")


def test_a_name_fits_the_schema_and_tells_subjects_causes_and_makings_apart() -> None:
    match = RevokedIdentity(sub="c1")
    names = {
        revocation_name("corp", match, "Signal"),
        revocation_name("partner", match, "Signal"),
        revocation_name("corp", match, "Person"),
        revocation_name("corp", match, "Person", "2026-11-30T16:00:00Z"),
        revocation_name("corp", RevokedIdentity(sid="c1"), "Signal"),
    }
    assert len(names) == 5
    assert all(len(name) == 28 for name in names)
    assert revocation_name("corp", match, "Signal") == revocation_name("corp", RevokedIdentity(sub="c1"), "Signal")


def crowd(first: int, last: int, issuer: str = "corp") -> list[PartyRevocation]:
    return [revocation({"sub": f"c{number}"}, issuer, f"r-{number}") for number in range(first, last)]


def test_one_beyond_the_most_holds_everybody_of_its_issuer_until_it_goes() -> None:
    held = Revocations(most=3)
    for one in crowd(0, 3):
        held.put(one)
    stranger, other = person({"sub": "z", "iat": MOMENT + 1}), person({"sub": "z", "iat": MOMENT + 1}, issuer="partner")
    assert not refused(held, stranger)
    (more,) = crowd(3, 4)
    held.put(more)
    assert refused(held, stranger)
    assert refused(held, person({"sub": "c3", "iat": MOMENT - 1}))
    assert not refused(held, other)
    # One that was there before is known by whom it names, also when it changes.
    held.put(revocation({"sub": "c0"}, name="r-0", before=MOMENT + 2))
    assert held.naming(person({"sub": "c0"}), shown=True) is not None
    assert len(held) == 4
    held.remove("r-3")
    assert not refused(held, stranger)
    assert refused(held, person({"sub": "c0", "iat": MOMENT + 1}))


def test_one_beyond_the_most_is_known_by_whom_it_names_once_there_is_room_and_it_comes_again() -> None:
    held = Revocations(most=2)
    for one in crowd(0, 3):
        held.put(one)
    held.remove("r-0")
    stranger = person({"sub": "z", "iat": MOMENT + 1})
    assert refused(held, stranger)
    held.put(*crowd(2, 3))
    assert not refused(held, stranger)
    assert refused(held, person({"sub": "c2", "iat": MOMENT - 1}))
    held.remove("r-1")
    held.remove("r-2")
    assert not held
    assert not refused(held, person({"sub": "c2", "iat": MOMENT - 1}))
