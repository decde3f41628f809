"""A real browser, and the way of a person through it to a grant that waits."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from browsers.chromium import ARGUMENTS, chromium
from support.console.consoleprocess import RunningConsole
from support.pdp.tenant import Tenant
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, Route

OTHER_RP: Final = "elsewhere.test"
"""An RP id of no console. A browser asks its host, at port 443, whether it lets the page use its passkeys."""

# So no process that has the port on the test's machine answers in place of that host, or keeps the browser waiting.
_NO_OTHER_RP: Final = f"--host-resolver-rules=MAP {OTHER_RP} ^NOTFOUND"

START: Final = 60_000
"""Milliseconds that a page may take on a machine that has much else to do."""

_BELOW: Final = "document.documentElement.scrollHeight - innerHeight - scrollY"

Opens = Callable[..., AbstractContextManager[RunningConsole]]
"""Starts a console as somebody."""


def launched(
    playwright: Any,  # noqa: ANN401 - of a library that may be missing
    profile: Path,
    *,
    scripts: bool = True,
    strict_tls: bool = True,
) -> "BrowserContext":
    """Start another browser, with a profile of its own. `strict_tls` False: it takes a test's certificates."""
    made: BrowserContext = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=str(chromium()),
        args=[*ARGUMENTS, _NO_OTHER_RP],
        java_script_enabled=scripts,
        ignore_https_errors=not strict_tls,
        viewport={"width": 1100, "height": 900},
    )
    made.set_default_timeout(START)
    return made


def opened(tenant: Tenant, action: str, resource: str, **more: object) -> str:
    """Open a grant that the operator has seen, so that nothing but a review changes it."""
    name = tenant.opened(action, resource, **more)
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    return name


def arrived(page: "Page", title: str | re.Pattern[str]) -> None:
    """Wait until the page with this heading is there, whole.

    A heading is there before what stands below it, before the style sheet and before the script: what is looked at
    then and not waited for is as no reader sees it.
    """
    page.get_by_role("heading", name=title).wait_for()
    page.wait_for_load_state()


def follow(page: "Page", target: "Locator") -> None:
    """Press a link or button, and wait until the page that it leads to is there, whole."""
    with page.expect_navigation():
        target.click()


def read_through(page: "Page") -> None:
    """Scroll from the top of the page of a request to its end as a reader does, a part of a screen at a time."""
    page.mouse.move(300, 200)
    page.evaluate("scrollTo(0, 0)")
    while page.evaluate(_BELOW) > 1:
        before = page.evaluate("scrollY")
        page.mouse.wheel(0, 150)
        # The wheel is heard of later, also by a page without scripts, on which a function cannot be waited for.
        _await_scrolled(page, before)
        # What was on the screen is noted a frame after.
        page.wait_for_timeout(40)
    page.wait_for_timeout(40)


def _await_scrolled(page: "Page", before: float) -> None:
    for _ in range(600):
        # The page can get shorter while it is read, as the text of its bar does: then its end came to the reader.
        if page.evaluate("scrollY") > before or page.evaluate(_BELOW) <= 1:
            return
        page.wait_for_timeout(20)
    raise AssertionError("the page did not scroll")


def await_held(page: "Page", held: Sequence["Route"]) -> None:
    """Wait until a request is held back that a route of the page keeps in `held`."""

    def is_held() -> bool:
        # The library hands over what came while it is called. A script would wait for the page that is asked for.
        page.wait_for_timeout(20)
        return bool(held)

    until(is_held, "the page sent its request")


def on_the_page(page: "Page", url: str, action: str, resource: str, which: str = "For you to review") -> None:
    """Open the console, and from its list the page of a grant."""
    page.goto(url)
    arrived(page, "For you to review")
    if which != "For you to review":
        page.get_by_role("link", name=which).click()
    page.get_by_role("link", name=f"{action} on customer/{resource}").click()
    arrived(page, "You act as")
