"""The site in a browser, opened as files: search, light and dark, versions, and nobody else is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from book.site import build

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    for version in ("0.1.0", "latest"):
        build(version, site=target)
    return target


@pytest.fixture
def asked(page: "Page") -> Iterator[list[str]]:
    """What the page asks for that is no file."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    yield urls
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


def test_words_are_found_from_files(page: "Page", site: Path, asked: list[str]) -> None:
    page.goto(f"{(site / 'latest' / 'search.html').as_uri()}?q=quorum")
    # The page adds one result after the other, so the first says nothing of this one.
    page.locator("#search-results li a", has_text="Tests as evidence").first.wait_for()
    assert asked


@pytest.mark.usefixtures("asked")
def test_a_page_is_light_or_dark_as_its_reader_is(page: "Page", site: Path) -> None:
    seen = set()
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        page.goto((site / "latest" / "docs" / "concepts" / "how-it-works.html").as_uri())
        seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        widths = page.evaluate("[...document.querySelectorAll('article img')].map(image => image.naturalWidth)")
        assert len(widths) == 4
        assert min(widths) > 0
    assert len(seen) == 2


@pytest.mark.usefixtures("asked")
def test_the_choice_of_a_version_leads_to_its_first_page(page: "Page", site: Path) -> None:
    page.goto((site / "latest" / "docs" / "operations" / "runbook.html").as_uri())
    assert page.eval_on_selector_all(".book-versions option", "all => all.map(one => one.value)") == ["0.1.0", "latest"]
    page.select_option(".book-versions select", "0.1.0")
    page.wait_for_url("**/0.1.0/docs/README.html")
    assert page.input_value(".book-versions select") == "0.1.0"
