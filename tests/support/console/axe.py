"""axe's rules for WCAG 2.2 AA, run in the page. axe-core is the one of the lock in `accessibility`."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support import npmpackages

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


@functools.cache
def axe_script() -> str:
    """Return axe-core, which defines `axe` in the page that it is run in."""
    packages = npmpackages.ensure("accessibility", Path(__file__).with_name("accessibility"))
    return (packages / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: "Page") -> list[str]:
    """Return what axe finds wrong on a page."""
    page.wait_for_load_state()
    page.evaluate(axe_script())
    # A button that has just become ready takes its colours over a tenth of a second.
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((one) => one.finished))")
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", RULES)
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]
