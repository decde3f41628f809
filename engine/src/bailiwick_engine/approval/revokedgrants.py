"""Grants of before: which grants end because a party of theirs, or a reviewer who approved, is taken back.

Standing: under `grants`, and used by the operator, so that both end the same grants. Holds: a grant names its parties
without their tokens, so that their names decide, and a name that two issuers may use is refused for both.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bailiwick_api.kinds.approvalgrant import Request
from bailiwick_engine import keys
from bailiwick_engine.keys import ASSERTED
from bailiwick_engine.revocations import PartyRevocation, Revocations


class GrantParty(NamedTuple):
    """A party as a grant names it. `issuer` None: it is not known, or the enforcer asserted the party."""

    issuer: str | None
    name: str


def grant_parties(request: Request, subject_uid: str | None) -> tuple[GrantParty, ...]:
    """Return the subject and the actors of a grant. `subject_uid`: the uid that the grant is bound to, if known."""
    subject = request.subject
    issuer = None if subject_uid is None else keys.issuer_of(subject_uid, subject.id)
    parties = [GrantParty(None if issuer == ASSERTED else issuer, subject.id)]
    parties += [GrantParty(actor.issuer, actor.id) for actor in request.actors or ()]
    return tuple(parties)


def ending_revocation(
    revocations: Revocations,
    request: Request,
    subject_uid: str | None,
    created: float,
    approvers: Iterable[str],
) -> PartyRevocation | None:
    """Return the revocation that ends a grant; None where none does.

    `created`: seconds since the epoch. `approvers`: the reviewers whose Approve counts.
    """
    for party in grant_parties(request, subject_uid):
        found = revocations.of_name(party.issuer, party.name)
        if found is not None and found.ends(created):
            return found
    return next((found for who in approvers if (found := revocations.of_reviewer(who)) is not None), None)
