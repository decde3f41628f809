"""What stands on a page: as a reader reads it, and whether a text of others became more than text."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

_FOREIGN: Final = {"img", "svg", "iframe", "object", "embed", "style", "base", "video", "math"}
_HIDDEN: Final = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x00-\x08\x1b]")
SHOWN: Final = {code: f"\\u{code:04x}" for code in (0x202E, 0x200B, 0x2066)}
"""How characters that cannot be seen are shown, for `str.translate`."""


class Markup(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs).get("src") or "")
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def plain(text: str) -> str:
    """Return what a reader of markup reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def assert_harmless(text: str) -> str:
    """Assert that nothing on a page is foreign or hidden; returns its text."""
    found = Markup(text)
    assert _FOREIGN.isdisjoint(found.tags)
    assert found.scripts == ["/static/console.js", "/static/keys.js"]
    assert [name for name in found.attributes if name.startswith("on") or name == "style"] == []
    assert _HIDDEN.search(text) is None
    return found.text
