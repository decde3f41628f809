"""The API server's usernames of an issuer's people: the template `claims.kubernetesUsername` of the issuers file.

Standing: below decision point and operator, which read that file. Pure. Holds: it makes no username that begins with
`system:`; the API server refuses such usernames too. Two names that differ only in the case of an email address are
one person's, wherever that takes something from somebody.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_PLACE: Final = re.compile(r"\{([A-Za-z0-9_.:/-]{1,63})\}")
_BRACES: Final = re.compile(r"[{}]")
_SYSTEM: Final = "system:"
NAME_CLAIM: Final = "sub"
"""The claim that names a person in policies and grants, unless the issuer's entry has another."""
ASSERTED: Final = "asserted"
"""Stands in place of an issuer for parties that only the enforcer asserts."""
LONGEST_USERNAME: Final = 512
_AT: Final = "@"
"""What a name has that is an email address, or holds one, as usernames at the API server do."""


def has_case(name: str) -> bool:
    """Tell whether the case of a name counts. It does not in an email address, which issuers write in several."""
    return _AT not in name


def fold_case(name: str) -> str:
    """Return a name as it is compared where one person must not pass for two."""
    return name if has_case(name) else fold_address(name)


def fold_address(address: str) -> str:
    """Return an email address as it is compared.

    As Unicode folds case: in lower case some letters stay two, such as a sigma by its place in the word.
    """
    return address.casefold()


def is_among(name: str, others: Iterable[str]) -> bool:
    """Tell whether this is the name of one of those others, as `fold_case` compares them."""
    return fold_case(name) in map(fold_case, others)


def problem_of(template: str) -> str | None:
    """Return what is wrong with a template; None if it can be used."""
    if _BRACES.search(_PLACE.sub("", template)):
        return "contains a brace that encloses no claim"
    if not _PLACE.search(template):
        return "names no claim, so all people would be the same user; name one, for example oidc:{sub}"
    return "is reserved for system: users" if is_reserved(template) else None


def is_reserved(name: object) -> bool:
    """Tell whether a name is the cluster's to give: that of a service account or of a part of it, never a person's."""
    return isinstance(name, str) and name.startswith(_SYSTEM)


def claims_of(template: str) -> frozenset[str]:
    """Return the names of the claims in a template."""
    return frozenset(_PLACE.findall(template))


def fill_template(template: str, claims: Mapping[str, str]) -> str | None:
    """Return the username with these claims; None if a claim is missing or the username begins with `system:`."""
    if not claims_of(template) <= claims.keys():
        return None
    username = _PLACE.sub(lambda place: claims[place[1]], template)
    return None if is_reserved(username) else username


@dataclass(frozen=True, slots=True)
class UsernameTemplate:
    """How an issuer's people are named: by this claim in policies and grants, by this template at the API server."""

    claim: str = NAME_CLAIM
    template: str | None = None

    def username(self, name: str) -> str | None:
        """Return a person's username at the API server; None if it takes more than the name to know."""
        return self.fill({self.claim: name})

    def fill(self, claims: Mapping[str, str]) -> str | None:
        """Return the username of the person with these claims at the API server; None if it takes others to know."""
        username = None if self.template is None else fill_template(self.template, claims)
        return username if username is not None and len(username) <= LONGEST_USERNAME else None

    def reads(self, claim: str) -> bool:
        """Tell whether the username depends on this claim."""
        return self.template is not None and claim in claims_of(self.template)

    def pattern(self) -> re.Pattern[str] | None:
        """Return what every username of the issuer's people matches; None if the API server's names are not known."""
        if self.template is None:
            return None
        # Between two places stands text; a split with a group returns the names of the claims in between.
        texts = _PLACE.split(self.template)[::2]
        return re.compile("(?s:.+)".join(map(re.escape, texts)))
