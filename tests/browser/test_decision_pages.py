"""Decisions on record in a real browser: found, explained and proven, for everybody, and with texts that attack."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.test_access_pages import await_read
from contract.console.test_console_access import EXAMPLE
from support.console.axe import PageLooks
from support.console.browser import arrived, follow
from support.console.inprocess import served
from support.decisions import MARCH, crm_calls, decided, ledger_of, written
from unit.console.policies import PAYLOADS

if TYPE_CHECKING:
    from playwright.sync_api import Page


def hostile(file: Path) -> Path:
    """Write records with texts that attack in every string, and a damaged line."""
    log = decided([EXAMPLE], crm_calls(["customers.list", "customers.delete"]))
    for text in (payload[:2_000] for payload in PAYLOADS):
        texts = dict.fromkeys(("evaluation_id", "reason", "endpoint", "action"), text)
        named = {"type": text, "id": text}
        log.add(now=MARCH, decision=False, subject=named, resource=named, attributes={text: text}, **texts)
    log.add(now=MARCH, decision=False, reason="long", action=PAYLOADS[-1])
    log.lines.append(b'{"log":{"id":"<script>alert(1)</script>\n')
    return written(file, log)


@pytest.mark.parametrize(
    ("context", "scheme", "width"),
    [(True, "light", 1100), (True, "dark", 320), (False, "light", 1100)],
    ids=["with scripts", "narrow and dark", "without scripts"],
    indirect=["context"],
)
def test_somebody_finds_a_decision_and_reads_why_and_what_proves_it(
    page: "Page",
    tmp_path: Path,
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
    request: pytest.FixtureRequest,
) -> None:
    looks = PageLooks(page, scheme, width, scripted=request.node.callspec.params["context"])
    with served(records=[hostile(tmp_path / "d.log"), written(tmp_path / "l.log", ledger_of([EXAMPLE]))]) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.get_by_role("link", name="Decisions").click()
        arrived(page, "Decisions on record")
        await_read(page)
        looks.take("decisions")
        page.get_by_label("Action contains").fill("customers.delete")
        page.get_by_label("Verdict").select_option("deny")
        follow(page, page.get_by_role("button", name="Show"))
        await_read(page)
        page.get_by_text("1 of 12 lines of decisions match").wait_for()
        follow(page, page.locator("tbody a"))
        await_read(page)
        arrived(page, "Its evidence")
        assert page.get_by_text("Rules that came near, and what each lacks first:").is_visible()
        assert page.get_by_text("line 2 of the chain").is_visible()
        looks.take("decision")
    looks.were_good(2)


def test_texts_in_records_are_read_and_never_run(page: "Page", tmp_path: Path) -> None:
    file = hostile(tmp_path / "d.log")
    with served(records=[file]) as console:
        page.goto(console.site.url)
        arrived(page, "For you to review")
        page.goto(f"http://{console.site.host}/decisions")
        await_read(page)
        text = page.inner_text("main")
        for payload in PAYLOADS:
            shown = payload.replace("\u202e", "\\u202e").replace("\u200b", "\\u200b").replace("\u2066", "\\u2066")
            assert text.count(shown) >= 1, payload
        assert f"{file}:14: a line of a chain that is cut off, too long or damaged" in text
        paths = [link.get_attribute("href") for link in page.locator("tbody a").all()]
        assert len(paths) == len(PAYLOADS) + 3
        for path in paths[:4]:
            page.goto(f"http://{console.site.host}{path}")
            await_read(page)
            assert page.locator("main img, main svg, main script, main iframe").count() == 0
