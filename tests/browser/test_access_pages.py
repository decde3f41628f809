"""The access review in a real browser: from a name to a patch to copy, for everybody, and with texts that attack."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract.console.test_console_access import AGENT, DAY, EXAMPLE, live
from support.console.axe import PageLooks
from support.console.browser import arrived, follow
from support.console.inprocess import served
from support.decisions import crm_calls, decided, ledger_of, written
from unit.console.policies import PAYLOADS, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Page


def await_read(page: "Page") -> None:
    """Look again until the records are read: a machine that has much else to do takes longer than a page waits.

    The page has to be there, whole: see `follow`.
    """
    again = page.get_by_role("link", name="Look again")
    while again.count():
        follow(page, again)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    written(folder / "decisions.log", decided([EXAMPLE], crm_calls(["customers.list"] * 31), every=DAY))
    written(folder / "ledger.log", ledger_of([EXAMPLE]))
    return folder


@pytest.mark.parametrize(
    ("context", "scheme", "width"),
    [(True, "light", 1100), (True, "dark", 320), (False, "light", 1100)],
    ids=["with scripts", "narrow and dark", "without scripts"],
    indirect=["context"],
)
def test_somebody_finds_who_may_do_what_and_a_patch_to_copy(
    page: "Page",
    logs: Path,
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
    request: pytest.FixtureRequest,
) -> None:
    looks = PageLooks(page, scheme, width, scripted=request.node.callspec.params["context"])
    with served(policies=[live(), *hostile()], records=[logs]) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.get_by_role("link", name="Access").click()
        arrived(page, "Whom policies name")
        looks.take("identities")
        page.get_by_label("Name contains").fill("crm-agent")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("link", name=AGENT).click()
        arrived(page, "How it could be narrowed")
        follow(page, page.get_by_role("link", name="Read the records"))
        await_read(page)
        # The hostile policies cannot be read, and of such files `suggest` suggests nothing.
        page.get_by_text("Nothing is proposed").wait_for()
        looks.take("nothing")
        console.cluster.policies[1:] = []
        page.goto(f"{page.url}&again=1&from=2026-03-06T00:00:00Z")
        await_read(page)
        page.get_by_text("kubectl patch endpointpolicies").wait_for()
        looks.take("identity")
    looks.were_good(3)


def test_texts_in_policies_are_read_and_never_run(page: "Page") -> None:
    with served(policies=hostile()) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.goto(f"http://{console.site.host}/access")
        paths = [link.get_attribute("href") for link in page.locator("a.card").all()]
        read = ""
        for path in paths:
            page.goto(f"http://{console.site.host}{path}")
            read += page.inner_text("main")
            assert page.locator("main img, main svg, main script, main iframe").count() == 0
        for payload in PAYLOADS[:2]:
            assert payload in read
        assert "a\\u202eb\\u200bc\\u2066d" in read
