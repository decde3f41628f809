"""W3C Trace Context: whose trace a call belongs to (https://www.w3.org/TR/trace-context/).

Holds: what is returned is well formed and says nothing but ids: it is copied into the decision record.
"""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(header: str | None) -> str | None:
    """Return the header `traceparent` as version 00 has it, or None where there is none that is valid."""
    found = None if header is None else _TRACEPARENT.match(header)
    if found is None or header is None:
        return None
    rest = header[found.end() :]
    # A later version may say more, after a dash; version 00 must not.
    if rest and (found[1] == "00" or not rest.startswith("-")):
        return None
    return found[0]
