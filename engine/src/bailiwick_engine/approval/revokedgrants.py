"""Grants of before: which grants end because a party of theirs, or a reviewer who approved, is taken back.

Standing: under `grants`, and used by the operator, so that both end the same grants. Holds: a grant names its parties
without their tokens, so that their names decide, and a name that two issuers may use is refused for both. A grant of
a name so long that its uid is hashed ends by the same objects as one of a short name.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bailiwick_api.kinds.approvalgrant import Request
from bailiwick_api.usernames import ASSERTED
from bailiwick_engine import keys
from bailiwick_engine.revocations import UNLISTED, PartyRevocation, Revocations


class GrantParty(NamedTuple):
    """A party as a grant names it.

    `issuer` None: it is not known, or the enforcer asserted the party. `UNLISTED`: an issuer of people that the issuers
    file does not have.
    """

    issuer: str | None
    name: str


def grant_parties(request: Request, subject_uid: str | None, issuers: Iterable[str] = ()) -> tuple[GrantParty, ...]:
    """Return the subject and the actors of a grant.

    `subject_uid`: the uid that the grant is bound to, if known. `issuers`: those of people, with which a hashed uid is
    compared.
    """
    parties = [GrantParty(_subject_issuer(subject_uid, request.subject.id, issuers), request.subject.id)]
    parties += [GrantParty(actor.issuer, actor.id) for actor in request.actors or ()]
    return tuple(parties)


def _subject_issuer(uid: str | None, name: str, issuers: Iterable[str]) -> str | None:
    if uid is None:
        return None
    issuer = keys.issuer_of(uid, name, (ASSERTED, *issuers))
    if issuer is None and keys.is_hashed(uid):
        return UNLISTED
    return None if issuer == ASSERTED else issuer


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
    for party in grant_parties(request, subject_uid, revocations.issuers):
        found = revocations.of_name(party.issuer, party.name)
        if found is not None and found.ends(created):
            return found
    return next((found for who in approvers if (found := revocations.of_reviewer(who)) is not None), None)
