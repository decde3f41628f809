"""What other pages, other browsers and other people's texts can do to the console in a real browser: nothing."""

import html
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from support.console.browser import Opens, arrived, launched, on_the_page, opened, read_through
from support.console.visibility import SCREENS, look, meaning
from support.pdp.tenant import Tenant

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea><svg onload=alert(1)>",
    "a\u202eb\u200bc",
    "p\u0430ypal",
    "w" * 900,
)


class Elsewhere(BaseHTTPRequestHandler):
    """Serves whatever page the test put into `body`, under any name."""

    body = ""

    def do_GET(self) -> None:
        data = self.body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
        pass


@pytest.fixture
def elsewhere() -> Iterator[tuple[type[Elsewhere], int]]:
    """A server of another page: its handler, of which a test sets the body, and its port."""
    handler = type("Handler", (Elsewhere,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield handler, server.server_address[1]
        server.shutdown()
        thread.join()


def test_texts_of_others_are_read_and_never_run(tenant: Tenant, console: Opens, page: "Page") -> None:
    opened(
        tenant,
        "customers.export",
        "hostile",
        args={str(number): text for number, text in enumerate(PAYLOADS)},
        business_justification="INC-1 " + " ".join(PAYLOADS),
    )
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "hostile")
        text = page.inner_text("main")
        for payload in PAYLOADS:
            shown = payload.replace("\u202e", "\\u202e").replace("\u200b", "\\u200b")
            assert text.count(shown) >= 2, payload
        assert page.get_by_text("letters of several alphabets: Cyrillic, Latin").first.is_visible()
        assert page.locator("main img, main svg, main script").count() == 0
        # Whole, on a narrow screen too, and nothing is beside it.
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.invariant(9)
def test_a_call_that_is_approved_was_painted_whole(tenant: Tenant, console: Opens, page: "Page") -> None:
    arguments = {"n" * 94: "9000", "n" * 200 + "\u202e": "  two spaces  ", "amount": "w" * 900, "to": "\u05e9 5 9000"}
    page.emulate_media(reduced_motion="reduce")
    opened(tenant, "customers.export", "painted", args=arguments)
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "painted")
        for width, size in SCREENS:
            view = look(page, width, size)
            assert view.problems == (), (width, size, view.problems[:5])
            for name, value in arguments.items():
                (shown,) = view.values(f"args.{name}")
                # Text that reads as a number is told from one.
                assert meaning(shown) in {value, f'"{value}"'}
        read_through(page)
        page.get_by_label("Reason (recorded; required to approve)").fill("seen")
        page.get_by_role("button", name="Approve", exact=True).click()
        page.get_by_text("You approved it.").wait_for()
    tenant.await_known(lambda said: said.decision is True, "customers.export", "painted", args=arguments)


def test_the_url_is_left_behind_and_opens_no_second_browser(
    console: Opens,
    page: "Page",
    playwright: Any,  # noqa: ANN401 - of a library that may be missing
    tmp_path: Path,
) -> None:
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        assert page.url == f"http://{running.site.host}/"
        assert "token" not in page.evaluate("document.referrer + document.cookie + JSON.stringify(history.state)")
        other = launched(playwright, tmp_path / "other")
        try:
            second = other.new_page()
            second.goto(running.url)
            assert second.get_by_text("This URL is wrong, or was used before.").is_visible()
            second.goto(f"http://{running.site.host}/")
            assert second.get_by_text("Only the browser that opened the console first").is_visible()
        finally:
            other.close()
        page.reload()
        arrived(page, "For you to review")


def test_the_browser_is_sent_there_from_a_file(console: Opens, page: "Page", tmp_path: Path) -> None:
    with console("carol") as running:
        file = tmp_path / "console.html"
        file.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(running.url)}">')
        page.goto(file.as_uri())
        arrived(page, "For you to review")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "{host}", "evil.localhost", "evil.bailiwick.localhost"],
    ids=["address", "same host", "cousin", "sibling"],
)
def test_a_form_of_another_page_reviews_nothing(
    tenant: Tenant,
    console: Opens,
    page: "Page",
    elsewhere: tuple[type[Elsewhere], int],
    host: str,
) -> None:
    resource = f"forged-{len(host)}"
    name = opened(tenant, "customers.export", resource)
    handler, port = elsewhere
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", resource)
        # The worst case: the other page knows every field.
        hidden = "".join(
            page.evaluate("[...document.querySelectorAll('#review input[type=hidden]')].map(one => one.outerHTML)")
        )
        target = f"{page.url}/review"
        typed = "<input name=reason value=forged><input name=approve value=crm-agent.export.owner>"
        send = "<script>document.forms[0].submit()</script>"
        handler.body = f"<form method=post action='{target}'>{hidden}{typed}</form>{send}"
        name_of = running.site.host.partition(":")[0]
        with page.expect_response(target) as answered:
            page.goto(f"http://{host.format(host=name_of)}:{port}/")
        assert answered.value.status == 403
        page.get_by_text("comes from another page").wait_for()
    assert tenant.grant(name)["spec"]["reviews"] == []


def test_no_page_shows_it_in_a_frame_or_reads_it(
    console: Opens, page: "Page", complaints: list[str], elsewhere: tuple[type[Elsewhere], int]
) -> None:
    handler, port = elsewhere
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        name_of, _, own = running.site.host.partition(":")
        handler.body = f"""<iframe src="http://{name_of}:{own}/"></iframe><script>
          fetch("http://{name_of}:{own}/", {{credentials: "include"}}).then(() => document.title = "read",
            () => document.title = "not read")</script>"""
        page.goto(f"http://{name_of}:{port}/")
        page.wait_for_function("document.title !== ''")
        assert page.title() == "not read"
        assert "For you to review" not in "".join(frame.content() for frame in page.frames[1:])
    # The browser complains of what the test tried.
    complaints.clear()


def test_a_name_that_leads_to_loopback_shows_nothing(console: Opens, page: "Page") -> None:
    with console("carol") as running:
        page.goto(running.url)
        # The way in leads on by itself, and would take the next page's place.
        arrived(page, "For you to review")
        own = running.site.host.partition(":")[2]
        for host in ("127.0.0.1", "localhost", "rebound.localhost", "rebound.bailiwick.localhost"):
            answer = page.goto(f"http://{host}:{own}/")
            assert answer is not None
            assert answer.status == 403


def test_nothing_of_the_person_is_in_the_browser_or_on_the_terminal(
    tenant: Tenant, console: Opens, page: "Page", context: "BrowserContext"
) -> None:
    kubeconfig = tenant.cluster.kubeconfig("carol").read_text(encoding="utf-8")
    secret = kubeconfig.partition("token: ")[2].split()[0].strip("'\"")
    with console("carol") as running:
        page.goto(running.url)
        arrived(page, "For you to review")
        (cookie,) = context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("bailiwick-console", True, "Strict")
        held = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert parse_qs(held) == {}
        assert secret not in page.content() + running.said + str(cookie)
        assert cookie["value"] not in page.content() + running.said
