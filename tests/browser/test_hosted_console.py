"""A person logs in to the console in the cluster in a real browser, at an issuer of another site, and approves.

Holds: the browser decides which cookies go along what, as no client of ours could show.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bailiwick_console.hosted.entrance import SESSION_COOKIE
from issuer.codes import END_SESSION
from support.console.axe import violations
from support.console.browser import arrived, launched, read_through
from support.console.issuertrust import TrustingServer
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustingServer]:
    with TrustingServer.running(tmp_path_factory.mktemp("trusting")) as server:
        yield server


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def context(playwright: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["BrowserContext"]:  # noqa: ANN401 - of a library that may be missing
    """A browser that takes the certificates of the test."""
    made = launched(playwright, tmp_path / "profile", scripts=request.param, strict_tls=False)
    yield made
    made.close()


def test_a_link_from_elsewhere_leads_through_the_login_to_a_review(
    trusting: TrustingServer, page: "Page", context: "BrowserContext", request: pytest.FixtureRequest
) -> None:
    name = f"browsed-{'scripts' if request.node.callspec.params['context'] else 'plain'}"
    path = trusting.wanted(name)
    with trusting.console() as console:
        until(lambda: console.health() == 200, "the console has its certificate")
        chat = f'<a href="{console.site.url}{path}">Somebody waits for you</a>'
        trusting.issuer.replies["/chat"] = (200, chat.encode(), {"Content-Type": "text/html"})
        page.goto(f"{trusting.issuer.signer.url}/chat")
        page.get_by_role("link", name="Somebody waits for you").click()
        page.get_by_role("button", name="Log in at").click()
        page.get_by_role("link", name="carol").click()
        arrived(page, "You act as oidc:carol")
        assert "code=" not in page.url
        page.get_by_role("link", name="Go on").click()
        arrived(page, "You act as")
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill("seen")
        page.get_by_role("button", name="Approve", exact=True).click()
        page.get_by_text("You approved it.").wait_for()
        # Once more from elsewhere, now that there is a session.
        page.goto(f"{trusting.issuer.signer.url}/chat")
        page.get_by_role("link", name="Somebody waits for you").click()
        arrived(page, "You act as")
        cookies = {cookie["name"]: cookie for cookie in context.cookies()}
        kept = cookies[SESSION_COOKIE]
        assert (kept["secure"], kept["httpOnly"], kept["sameSite"]) == (True, True, "Strict")
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You are logged out here.").wait_for()
        assert SESSION_COOKIE not in {cookie["name"] for cookie in context.cookies()}
        page.goto(f"{console.site.url}{path}")
        page.get_by_role("button", name="Log in at").wait_for()
        console.console.await_said("oidc:carol logged in")
    (review,) = trusting.reviews(name)
    assert (review["reviewer"], review["reason"]) == ("oidc:carol", "seen")


def test_whoever_logs_out_comes_back_from_the_issuer_logged_out_at_both(
    trusting: TrustingServer, page: "Page", context: "BrowserContext"
) -> None:
    with trusting.console() as console:
        until(lambda: console.health() == 200, "the console has its certificate")
        trusting.issuer.logins.ends = True
        try:
            page.goto(console.site.url)
            page.get_by_role("button", name="Log in at").click()
            page.get_by_role("link", name="carol").click()
            arrived(page, "You act as oidc:carol")
            page.get_by_role("button", name="Log out").click()
            page.get_by_role("button", name="Log in at").wait_for()
        finally:
            trusting.issuer.logins.ends = False
        assert page.url == f"{console.site.url}/"
        assert SESSION_COOKIE not in {cookie["name"] for cookie in context.cookies()}
    ended = [path for path in trusting.issuer.asked if path.startswith(END_SESSION)][-1]
    assert f"%3A{console.site.port}%2F" in ended
    assert "id_token_hint" not in ended


@pytest.mark.parametrize("context", [True], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_no_page_of_the_login_has_a_violation(
    trusting: TrustingServer,
    page: "Page",
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    with trusting.console() as console, trusting.console(client="unheard") as other:
        until(lambda: console.health() == other.health() == 200, "the consoles have their certificates")
        page.goto(console.site.url)
        seen = {"login": violations(page)}
        page.get_by_role("button", name="Log in at").click()
        page.get_by_role("link", name="carol").click()
        arrived(page, "You act as oidc:carol")
        seen["signed in"] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="Go on").click()
        arrived(page, "For you to review")
        seen["inbox"] = violations(page)
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You are logged out here.").wait_for()
        seen["logged out"] = violations(page)
        page.goto(other.site.url)
        page.get_by_role("button", name="Log in at").click()
        page.get_by_role("link", name="carol").click()
        arrived(page, "The cluster does not know you")
        seen["unknown"] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {name: found for name, found in seen.items() if found} == {}
    assert len(seen) == 5
