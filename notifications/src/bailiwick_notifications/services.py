"""Which services Apprise may call, and with which options of their URLs. Pure.

Holds: closed. A scheme that is not named reads files, runs programs, talks to the desktop, or was not looked at; an
option that is not named may name a file, follow redirects, switch TLS off or choose headers.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

MOST_URL: Final = 2048
_SEPARATORS: Final = re.compile(r"[;?#]")
SCHEMES: Final = frozenset(
    (
        *("slack", "workflows", "workflow", "gchat", "discord", "mmost", "mmosts", "rocket", "rockets", "zulip"),
        *("wxteams", "webex", "matrix", "matrixs", "tgram", "ntfy", "ntfys", "gotify", "gotifys", "pover"),
        *("mailto", "mailtos", "sendgrid", "mailgun"),
        *("pagerduty", "opsgenie", "splunk", "victorops", "squadcast", "signl4", "ilert", "incidentio"),
        *("goalert", "goalerts", "betterstack"),
        *("json", "jsons"),
    )
)
"""Chat, mail, on-call and plain JSON. The second of a pair is the one with TLS."""
OPTIONS: Final = frozenset(
    (
        *("to", "from", "name", "cc", "bcc", "reply", "smtp", "user", "pass", "mode", "format", "overflow"),
        *("channel", "channels", "topic", "thread", "team", "botname", "footer", "image", "tags"),
        *("priority", "severity", "region", "source", "component", "class", "group", "alias", "entity", "action"),
        *("token", "key", "apikey", "integrationkey", "id", "sig", "signature", "workflow", "ver", "workspace"),
    )
)
"""None of them is read as a file, a URL or a header by a service of the list."""


def problems(url: str) -> Iterator[str]:
    """Yield what is wrong with the URL of a service. Nothing of it is repeated, as it may be a piece of a password."""
    if len(url) > MOST_URL or not url.isprintable() or " " in url:
        yield f"must be one line of at most {MOST_URL} characters without spaces"
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        yield "is no URL"
        return
    if parts.scheme not in SCHEMES:
        yield "the scheme is none of those that are allowed: see docs/how-to/notifications.md"
        return
    # As Apprise reads it, and wherever else an option could begin: none must hide behind one of these.
    options = parse_qsl(_SEPARATORS.sub("&", url.partition("?")[2]), keep_blank_values=True)
    for number, (name, _) in enumerate(options, 1):
        if name.lower() not in OPTIONS:
            yield f"option number {number} after the question mark is none of those that are allowed"
