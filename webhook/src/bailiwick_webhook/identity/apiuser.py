"""The subject of a review by the API server: whom it has authenticated itself, and shows no token of.

Standing: beside `subject`. Holds: its word counts only where the endpoint's policy says so, `identity.verification:
Asserted`; a service account is bound to its uid, and one without (impersonated) is somebody else than the account.
"""

from typing import Final, NamedTuple

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import ASSERTED
from bailiwick_engine.call import Party, UnprovenParty
from bailiwick_engine.keys import MAX_UID, SERVICE_ACCOUNT, USER, uid_of
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.identity.people import MAX_GROUPS, readable
from bailiwick_webhook.identity.subject import Parties

# Every user has it, so it says nothing, and would only be in the way of those who are shown a call.
_EVERYBODY: Final = "system:authenticated"


class ReviewedUser(NamedTuple):
    """Whom a review is about, as the API server calls them. `uid` is empty where it knows none."""

    username: str
    uid: str
    groups: tuple[str, ...]


def vouched(user: ReviewedUser, settings: CompiledSettings | None) -> Parties:
    """Return the parties of a call that the API server reviews. `settings` None: the caller enforces nothing."""
    unread = len(user.groups) > MAX_GROUPS or not all(readable(group) for group in user.groups)
    if settings is None or not settings.asserted or not readable(user.username) or unread:
        return Parties(UnprovenParty(Reason.IDENTITY_INVALID))
    groups = sorted(set(user.groups) - {_EVERYBODY})
    account = user.username.startswith(SERVICE_ACCOUNT_PREFIX)
    uid = user.uid if account and 0 < len(user.uid) <= MAX_UID else uid_of(ASSERTED, user.username)
    return Parties(
        Party(
            SERVICE_ACCOUNT if account else USER,
            user.username,
            uid,
            {},
            {"groups": groups} if groups else None,
            issuer=None,
            # So that no one approves for themselves.
            username=user.username,
        )
    )
