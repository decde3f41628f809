"""Keys: how a rule's subjects and a verified identity meet, and the uid by which a grant is bound to one.

Holds: both sides are spelled here and nowhere else; keys of different kinds never collide (names cannot hold the
separator); a key matches only as a whole.
"""

import hashlib
from collections.abc import Iterable
from typing import Final, NewType

from bailiwick_api.serviceaccounts import ServiceAccountName

Key = NewType("Key", str)

CLUSTER: Final = "cluster"
SERVICE_ACCOUNT: Final = "serviceAccount"
USER: Final = "user"
MAX_UID: Final = 128
"""What a grant can hold, in characters."""
_HASHED: Final = "sha256:"
_SEPARATOR: Final = "\x00"


def service_account(username: str) -> Key:
    """A service account of the cluster, by its username `system:serviceaccount:<namespace>:<name>`."""
    return Key(username)


def of_account(username: str) -> frozenset[Key]:
    """Every key of a service account that the cluster vouches for."""
    # Without the call of `service_account`, on every decision.
    return frozenset((username,))  # type: ignore[arg-type]  # spelled as `service_account` spells it


def user(issuer: str, name: str) -> Key:
    """A person or client, as an issuer names them."""
    return Key(_SEPARATOR.join((USER, issuer, name)))


def group(issuer: str, name: str) -> Key:
    """A group, as an issuer names it."""
    return Key(_SEPARATOR.join(("group", issuer, name)))


def entity(kind: str, name: str) -> Key:
    """A subject as the enforcer names it (AuthZEN `type` and `id`), where its word is taken."""
    return Key(_SEPARATOR.join(("entity", kind, name)))


def key_parts(key: Key) -> tuple[str, ...]:
    """Return a key in its parts: kind and name of a service account, else kind, issuer or entity's type, and name."""
    parts = tuple(key.split(_SEPARATOR))
    return parts if len(parts) > 1 else (SERVICE_ACCOUNT, key)


def label(key: Key) -> str:
    """Return a key as people write it: `sa:NS/NAME`, `user:ISSUER/NAME`, `group:ISSUER/NAME` or `entity:TYPE/ID`.

    What is in it of others is not escaped.
    """
    kind, *parts = key_parts(key)
    if kind == SERVICE_ACCOUNT:
        account = ServiceAccountName.parse(parts[0])
        return f"sa:{parts[0]}" if account is None else account.short
    return f"{kind}:{'/'.join(parts)}"


def of_person(issuer: str, name: str, groups: Iterable[str]) -> frozenset[Key]:
    """Every key of a person that an issuer vouches for."""
    return frozenset((user(issuer, name), *(group(issuer, one) for one in groups)))


def of_asserted(kind: str, name: str) -> frozenset[Key]:
    """Every key of a subject on the enforcer's word."""
    keys = {entity(kind, name)}
    # A name is what somebody sent, and one that holds the separator could be spelled as another kind's key.
    if kind == SERVICE_ACCOUNT and _SEPARATOR not in name:
        keys.add(service_account(name))
    return frozenset(keys)


def uid_of(issuer: str, name: str) -> str:
    """Return the uid of whom no API server knows: `<issuer>#<name>`, hashed where a grant could not hold it."""
    uid = f"{issuer}#{name}"
    return uid if len(uid) <= MAX_UID else _HASHED + hashlib.sha256(uid.encode()).hexdigest()


def issuer_of(uid: str, name: str, known: Iterable[str] = ()) -> str | None:
    """Return the issuer that `uid_of` was given for this name; None where the uid is another's.

    A hashed uid is that of one of the `known` issuers, or None.
    """
    issuer = uid.removesuffix(f"#{name}")
    if issuer and issuer != uid:
        return issuer
    return next((one for one in known if uid_of(one, name) == uid), None) if is_hashed(uid) else None


def is_hashed(uid: str) -> bool:
    """Tell whether a uid does not say its issuer, as its name is too long. No API server makes such a uid."""
    return uid.startswith(_HASHED)
