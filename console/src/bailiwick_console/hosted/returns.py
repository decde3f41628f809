"""Where somebody may be sent after they logged in: pages of the console, from a list.

Holds: pure; what is not on the list becomes the first page, so that no link makes the console send anybody elsewhere.
"""

import re
from typing import Final
from urllib.parse import urlsplit

FIRST: Final = "/"
_NAME: Final = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
PAGES: Final = (
    re.compile(r"/"),
    re.compile(rf"/grants/{_NAME}/{_NAME}"),
    re.compile(rf"/endpoints(?:/{_NAME}/{_NAME}(?:/(?:cell|together))?)?"),
    re.compile(r"/access"),
    re.compile(r"/decisions(?:/[A-Za-z0-9_-]{22}/(?:0|[1-9][0-9]{0,15}))?"),
)
"""The pages that a link from elsewhere may lead to."""
_QUERY: Final = re.compile(r"[A-Za-z0-9_.~=&%-]{0,256}")


def on_the_list(target: str) -> bool:
    """Tell whether a path, with its query, is one of the pages."""
    path, _, query = target.partition("?")
    if not _QUERY.fullmatch(query) or not any(page.fullmatch(path) for page in PAGES):
        return False
    # As a browser reads it: no scheme, and no host.
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc


def returned(target: str) -> str:
    """Return a target that is on the list as it is, and every other as the first page."""
    return target if on_the_list(target) else FIRST
