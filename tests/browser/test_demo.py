"""The demo's own request is approved in a real browser, by the command that the demo prints for that."""

import re
from typing import TYPE_CHECKING, Any

from demo import afterwards
from demo.narrator import Silent
from demo.s1 import S1
from demo.stack import Stack
from support.console import consoleprocess
from support.console.browser import arrived, on_the_page, read_through
from support.console.evidencerole import evidence_role

if TYPE_CHECKING:
    from playwright.sync_api import Page

WHY = "seen with the customer"


class TypedCommands(Silent):
    """Keeps the commands that somebody is told to type."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def command(self, text: str) -> None:
        self.commands.append(text)


def test_the_export_of_the_demo_is_approved_in_a_browser_and_then_allowed_once(stack: Stack, page: "Page") -> None:
    tell = TypedCommands()
    afterwards.how_to_review(stack.cluster.kubeconfig("carol"), tell)
    words = tell.commands[-1].split()
    assert words[:3] == ["kubectl", "bailiwick", "console"]
    reviews: list[dict[str, Any]] = []

    def approve(name: str) -> None:
        with consoleprocess.started(*words[3:], kubeconfig=None) as console:
            on_the_page(page, console.url, "customers.export", "42")
            assert page.get_by_text('["name","email"]').is_visible()
            read_through(page)
            page.get_by_label("Reason (recorded; required to approve)").fill(WHY)
            page.get_by_role("button", name="Approve", exact=True).click()
            page.get_by_text("You approved it.").wait_for()
        path = f"/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants/{name}"
        reviews.extend(stack.cluster.rest().get(path).body["spec"]["reviews"])

    # What follows in the case: the call is allowed once, and not once more.
    S1(stack, Silent(), approve).play()
    assert [(one["reviewer"], one["decision"], one["reason"]) for one in reviews] == [("carol", "Approve", WHY)]


def test_a_demo_that_is_kept_has_a_request_for_its_owner_to_review(stack: Stack, page: "Page") -> None:
    afterwards.leave_waiting(stack, Silent())
    with consoleprocess.started("-n", "crm", kubeconfig=stack.cluster.kubeconfig("carol")) as console:
        on_the_page(page, console.url, "customers.export", "41")
        assert page.get_by_role("button", name="Approve", exact=True).is_visible()


def test_the_strip_says_what_its_reader_may_know_as_the_page_tells_how(stack: Stack, page: "Page") -> None:
    strip = page.locator("#strip")
    with consoleprocess.started("-n", "crm", kubeconfig=stack.cluster.kubeconfig("carol")) as console:
        page.goto(console.url)
        arrived(page, "For you to review")
        strip.get_by_text("you may not read the ConfigMaps of the operator in bailiwick-system").wait_for()
    with (
        evidence_role(stack, "carol"),
        consoleprocess.started("-n", "crm", kubeconfig=stack.cluster.kubeconfig("carol")) as console,
    ):
        page.goto(console.url)
        arrived(page, "For you to review")
        strip.get_by_text(re.compile(r"^Guards proven \w+ ago$")).wait_for()
        strip.get_by_text(re.compile(r"^Logs \d+ witnessed, the last \w+ ago")).wait_for()
