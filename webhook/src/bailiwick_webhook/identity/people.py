"""Verified claims become a person: name, groups, and the API server's name for them.

Holds: a person has one name, whether a token is theirs or they stand within another's chain (`chain`). What decides
about somebody is read whole or the token is refused: a group that cannot be read might be one that a Deny rule names.
No person's name begins with `system:`: revocations and grants tell a service account by its name.
The API server's name is only used to keep people from approving for themselves; where it is not certain there is none.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from bailiwick_api import usernames
from bailiwick_api.issuers import IssuerConfig
from bailiwick_engine.call import Json, Party
from bailiwick_engine.keys import USER, uid_of

MAX_NAME: Final = 253
MAX_GROUPS: Final = 256
_EMAIL: Final = "email"


def subject_of(
    issuer: str,
    claims: Mapping[str, Any],
    properties: Mapping[str, Json] | None,
    *,
    name_claim: str,
    groups_claim: str,
    template: str | None,
) -> Party | None:
    """Return the person whom verified claims speak of; None where their name or groups cannot be read or taken."""
    name, groups = claims.get(name_claim), _groups(claims, groups_claim)
    if not readable(name) or usernames.is_reserved(name) or groups is None:
        return None
    if name_claim == _EMAIL and not _email_verified(claims):
        return None
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


def person_of(
    issuer: IssuerConfig, claims: Mapping[str, Any], properties: Mapping[str, Json] | None = None
) -> Party | None:
    """Return the person of this issuer whom claims speak of, by its entry in the issuers file; None as `subject_of`.

    `claims`: a token's, or those of one `act` in it.
    """
    mapping = issuer.claims
    return subject_of(
        issuer.name,
        claims,
        properties,
        name_claim=mapping.name,
        groups_claim=mapping.groups,
        template=mapping.kubernetes_username,
    )


def has_reserved_name(issuer: IssuerConfig, claims: Mapping[str, Any]) -> bool:
    """Tell whether `person_of` refuses these claims because the name in them is the cluster's to give."""
    return usernames.is_reserved(claims.get(issuer.claims.name))


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
