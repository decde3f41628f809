"""Ids of grants as the wire knows them: `<name>.<uid>` (see `Grant.id`).

Holds: what is parsed here is a name that an object of the API server can have, so it may stand in a path.
"""

import re
from typing import Final, NamedTuple

# Of an object of the API server (RFC 1123, subdomain).
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class GrantId(NamedTuple):
    """What an id names."""

    name: str
    uid: str


def parsed(text: str) -> GrantId | None:
    """Return what an id names; None where it is none."""
    name, _, uid = text.rpartition(".")
    return GrantId(name, uid) if _NAME.fullmatch(name) else None
