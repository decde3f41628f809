"""How the API server names people of an issuer: the template `claims.kubernetesUsername` of the issuers file.

Standing: below decision point and operator, which read that file. Pure. Holds: nobody is named `system:...` by it, as
the API server would not have it either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PLACE: Final = re.compile(r"\{([A-Za-z0-9_.:/-]{1,63})\}")
_BRACES: Final = re.compile(r"[{}]")
_SYSTEM: Final = "system:"
NAME_CLAIM: Final = "sub"
"""What names somebody in policies and grants, where an issuer's entry does not say."""
_LONGEST: Final = 512


def problem_of(template: str) -> str | None:
    """Return what is wrong with a template; None where it will do."""
    if _BRACES.search(_PLACE.sub("", template)):
        return "contains a brace that encloses no claim"
    if not _PLACE.search(template):
        return "names no claim, so all people would be the same user; name one, for example oidc:{sub}"
    return "is reserved for system: users" if template.startswith(_SYSTEM) else None


def claims_of(template: str) -> frozenset[str]:
    """Return the claims that a template names."""
    return frozenset(_PLACE.findall(template))


def filled(template: str, claims: Mapping[str, str]) -> str | None:
    """Return the username that these claims make; None where one is missing, or it would be of the system."""
    if not claims_of(template) <= claims.keys():
        return None
    found = _PLACE.sub(lambda place: claims[place[1]], template)
    return None if found.startswith(_SYSTEM) else found


@dataclass(frozen=True, slots=True)
class UsernameTemplate:
    """How an issuer's people are named: by this claim in policies and grants, by this template at the API server."""

    claim: str = NAME_CLAIM
    template: str | None = None

    def username(self, name: str) -> str | None:
        """Return the API server's name of somebody; None where that takes more than the name to know."""
        if self.template is None:
            return None
        found = filled(self.template, {self.claim: name})
        return found if found is not None and len(found) <= _LONGEST else None
