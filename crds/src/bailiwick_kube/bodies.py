"""How a body is written for the API server: as JSON that is YAML of the same meaning. Every client of ours uses this.

Holds: a server-side apply is read as YAML. That knows no pair of surrogates, takes no control characters, not even
U+007F, and reads U+0085 as a space, which makes another name of a name. So a character beyond the Basic Multilingual
Plane is sent as it is, in UTF-8, and every other one that is not ASCII as one escape, which both read alike.
"""

import json
import re
from typing import Final

_ESCAPED: Final = re.compile("[\x7f-\uffff]")


def encoded(body: object) -> bytes:
    """Return the JSON of a body in UTF-8. Raises `ValueError` for what no JSON can hold (NaN)."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Outside of strings JSON is ASCII, and within them an escape may stand for any character. A lone surrogate, which
    # nothing that the API server stores can have, stays an escape: it is for the API server to refuse.
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
