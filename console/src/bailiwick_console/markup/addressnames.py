"""Names in addresses of what has any text for a name: keys of subjects, actions with patterns.

Holds: pure; a name has one length, and nothing of the text is in it, so that no text of others stands in a log of URLs.
"""

import hashlib


def name_of(text: str) -> str:
    """Return the name that a text has in addresses."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
