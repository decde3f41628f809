"""Verified claims become a person: name, groups, and the API server's name for them.

Holds: a person has one name, whether a token is theirs or they stand within another's chain (`chain`). What decides
about somebody is read whole or the token is refused: a group that cannot be read might be one that a Deny rule names.
No person's name begins with `system:`: revocations and grants tell a service account by its name.
The API server's name is only used to keep people from approving for themselves; where it is not certain there is none.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from bailiwick_api import usernames
from bailiwick_api.issuers import ClaimMapping
from bailiwick_engine.call import Json, Party, UnprovenParty
from bailiwick_engine.keys import USER, uid_of
from bailiwick_engine.reasons import Reason

MAX_NAME: Final = 253
MAX_GROUPS: Final = 256
_EMAIL: Final = "email"


def person_of(
    issuer: str,
    mapping: ClaimMapping,
    claims: Mapping[str, Any],
    properties: Mapping[str, Json] | None = None,
    *,
    unnamed: Reason,
) -> Party | UnprovenParty:
    """Return the person whom verified claims speak of: a token's, or those of one `act` in it.

    `mapping`: which claims say what, by the issuer's entry in the issuers file. `unnamed`: the reason where the name or
    the groups cannot be read.
    """
    name, groups = claims.get(mapping.name), _groups(claims, mapping.groups)
    if usernames.is_reserved(name):
        return UnprovenParty(Reason.IDENTITY_RESERVED)
    if not readable(name) or groups is None or (mapping.name == _EMAIL and not _email_verified(claims)):
        return UnprovenParty(unnamed)
    template = mapping.kubernetes_username
    return Party(
        USER,
        name,
        uid_of(issuer, name),
        claims,
        properties,
        issuer=issuer,
        groups=groups,
        username=None if template is None else _username(template, claims),
    )


def readable(name: object) -> TypeGuard[str]:
    """Tell whether a name can be one: short, and without invisible characters.

    It is compared byte for byte; names that only look the same stay different.
    """
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


def _username(template: str, claims: Mapping[str, Any]) -> str | None:
    used = {name: value for name in usernames.claims_of(template) if readable(value := claims.get(name))}
    if _EMAIL in used and not _email_verified(claims):
        return None
    return usernames.fill_template(template, used)


def _email_verified(claims: Mapping[str, Any]) -> bool:
    """As the API server judges it: an email that is said not to be verified names no one."""
    return claims.get("email_verified", True) is True


def _groups(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, Mapping) and name in elsewhere:
        # OpenID Connect Core 1.0, 5.6.2: too many groups for the token, to be fetched from somewhere.
        return None
    if name not in claims and claims.get("hasgroups", False) is not False:
        # Entra says no more than that there are some, where the token is short (implicit grant).
        return None
    found = claims.get(name, [])
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS or not all(readable(group) for group in listed):
        return None
    return tuple(dict.fromkeys(listed))
