"""Who is taken back by the name that a grant has loses the grant too, however long the name is.

A grant holds the uid of a person as the hash of issuer and name where both together are too long. So the law is drawn
around that length, on both sides of it.
"""

from typing import Any, Final

from hypothesis import example, given, settings as hypothesis, strategies as st

from bailiwick_api.issuers import ClaimMapping
from bailiwick_api.kinds.approvalgrant import Request
from bailiwick_api.usernames import ASSERTED, UsernameTemplate
from bailiwick_engine.approval.revokedgrants import ending_revocation
from bailiwick_engine.call import Party
from bailiwick_engine.keys import MAX_UID, uid_of
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.identity.people import MAX_NAME, person_of
from support.objects import opened_grant
from support.revocations import in_force, revocation

TEMPLATES: Final = {
    "corp": UsernameTemplate("sub", "oidc:{sub}"),
    "partner": UsernameTemplate("email", "{email}-p"),
    "unmapped": UsernameTemplate("sub"),
}
ISSUERS: Final = [*TEMPLATES, "unlisted"]
names = st.builds(
    lambda text, length: (text * MAX_NAME)[:length],
    st.text(st.sampled_from("aB.@:#é-"), min_size=1, max_size=8),
    st.sampled_from([1, 7, MAX_UID - 6, MAX_UID - 5, MAX_UID - 4, MAX_UID, MAX_NAME]),
)


def person(issuer: str, name: str) -> Party:
    naming = TEMPLATES.get(issuer, UsernameTemplate())
    mapping = ClaimMapping(name=naming.claim, kubernetes_username=naming.template)
    found = person_of(
        issuer, mapping, {"sub": "another", naming.claim: name, "iat": 0.0}, unnamed=Reason.IDENTITY_INVALID
    )
    assert isinstance(found, Party)
    return found


def ends(known: dict[str, UsernameTemplate] | None, party: Party, *, hold: bool, issuer: str, **match: Any) -> bool:  # noqa: ANN401 - members of a revocation
    """Tell whether a revocation ends a grant of a party from before, where it refuses its token of before."""
    index = in_force(revocation(issuer=issuer, hold=hold, **match), templates=known)
    raw = opened_grant("crm", subject={"type": party.type, "id": party.id, "uid": party.uid})
    request = Request.model_validate(raw["spec"]["request"])
    if index.refusal(party, shown=True) is None:
        return False
    assert ending_revocation(index, request, party.uid, 0.0, ()) is not None
    return True


@hypothesis(max_examples=400)
@example(issuer="corp", name="d" * 200, member="everybody", of_cluster=False, hold=False, listed=True)
@example(issuer="corp", name="d" * 200, member="username", of_cluster=True, hold=False, listed=True)
@example(issuer="corp", name="dave", member="username", of_cluster=False, hold=False, listed=True)
@given(
    issuer=st.sampled_from(ISSUERS),
    name=names,
    member=st.sampled_from(["everybody", "sub", "email", "username"]),
    of_cluster=st.booleans(),
    hold=st.booleans(),
    listed=st.booleans(),
)
def test_a_revocation_that_refuses_the_token_ends_the_grant_of_that_subject(
    issuer: str, name: str, member: str, of_cluster: bool, hold: bool, listed: bool
) -> None:
    known, party = TEMPLATES if listed else None, person(issuer, name)
    claim = TEMPLATES.get(issuer, UsernameTemplate()).claim
    value = party.username if member == "username" else name
    names_all = member == "everybody"
    if value is None or (member == "email" and claim != "email"):
        return
    match = {} if names_all else {member: value.upper() if "@" in value else value}
    of = "cluster" if of_cluster and member == "username" else issuer
    # An operator that does not have the issuers file knows no username by the name.
    if listed or member != "username":
        assert ends(known, party, hold=hold, issuer=of, **match)


@given(issuer=st.sampled_from(ISSUERS), other=st.sampled_from(ISSUERS), name=names, listed=st.booleans())
def test_everybody_of_another_issuer_loses_nothing_else(issuer: str, other: str, name: str, listed: bool) -> None:
    party, uid = person(issuer, name), uid_of(issuer, name)
    index = in_force(revocation(issuer=other), templates=TEMPLATES if listed else None)
    raw = opened_grant("crm", subject={"type": "user", "id": name, "uid": uid})
    found = ending_revocation(index, Request.model_validate(raw["spec"]["request"]), party.uid, 0.0, ())
    # Without the file nothing tells the issuers of long names apart, and who may be meant is refused.
    unknown = uid.startswith("sha256:") and not listed
    assert (found is not None) == (issuer == other or unknown)


@given(name=names)
def test_everybody_of_an_issuer_is_nobody_on_an_enforcers_word(name: str) -> None:
    uid = uid_of(ASSERTED, name)
    raw = opened_grant("crm", subject={"type": "user", "id": name, "uid": uid})
    request = Request.model_validate(raw["spec"]["request"])
    assert ending_revocation(in_force(revocation(issuer="unlisted")), request, uid, 0.0, ()) is None
