"""Bodies for the API server: JSON that has the same meaning as YAML.

Standing: every client of the API server in this project writes its bodies here. Holds: the API server reads a
server-side apply as YAML. YAML has no surrogate pairs, allows no control characters (not even U+007F), and reads U+0085
as a space, which changes a name. So a character beyond the Basic Multilingual Plane is sent as it is, in UTF-8. Every
other character that is not ASCII is sent as one escape, which JSON and YAML read alike.
"""

import json
import re
from typing import Final

_ESCAPED: Final = re.compile("[\x7f-\uffff]")


def encode_body(body: object) -> bytes:
    """Return the JSON of a body in UTF-8. Raises `ValueError` for what no JSON can hold (NaN)."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Outside strings JSON is ASCII, and inside them any character may be an escape. No object that the API server
    # stores can contain a lone surrogate; it stays an escape, and the API server refuses it.
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()
