"""axe's rules for WCAG 2.2 AA, run in the page."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES: Final = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


class PageLooks:
    """What was found wrong on pages that somebody came by, in this scheme and at this width.

    `scripted` False: axe cannot look, since it is a script.
    """

    def __init__(self, page: "Page", scheme: Any, width: int, *, scripted: bool) -> None:  # noqa: ANN401 - a literal
        self._page = page
        self._width = width
        self._scripted = scripted
        self._seen: dict[str, list[str]] = {}
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})

    def take(self, name: str) -> None:
        """Look at the page as it is now, whole. Fails where it is wider than the screen."""
        # Until its style sheet is there, it is wider, and nobody sees it.
        self._page.wait_for_load_state()
        assert self._page.evaluate("document.documentElement.scrollWidth") <= self._width, name
        self._seen[name] = violations(self._page) if self._scripted else []

    def were_good(self, count: int) -> None:
        """Fail unless so many were looked at, and nothing was wrong with any."""
        assert {name: found for name, found in self._seen.items() if found} == {}
        assert len(self._seen) == count


def violations(page: "Page") -> list[str]:
    """Return what axe finds wrong on a page."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - needs a browser to be of use

    page.wait_for_load_state()
    found: dict[str, Any] = Axe().run(page, options=RULES).response
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]
