"""What claims of a token mean wherever they stand (RFC 7519, 2 and 4.1). Pure.

Holds: a claim of another type than it should have is no claim.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

# In seconds. An integer of JSON may be larger than any float, and such a float than any time.
_FAR: Final = 2**53


def audience_matches(claims: Mapping[str, Any], accepted: frozenset[str]) -> bool:
    """Tell whether a token is for one of these audiences (RFC 7519, 4.1.3: a string or a list of strings)."""
    said = claims.get("aud")
    listed = said if isinstance(said, list) else [said]
    return all(isinstance(entry, str) for entry in listed) and not accepted.isdisjoint(listed)


def moment(value: object) -> TypeGuard[float]:
    """A NumericDate (RFC 7519, 2) that a float holds: a number, and in JSON true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_FAR < value < _FAR
