"""What a cluster is called stands in the bar and in the title of each page, escaped, and nowhere if it has no name."""

from typing import Final

import pytest

from support.console.inprocess import served
from unit.console.cases import waiting

PAGES: Final = ("/", "/overview", "/endpoints", "/access", "/keys", "/grants/crm/agr-wanted")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_names_the_cluster(path: str) -> None:
    with served(waiting(), cluster_name="production-east") as console:
        text = console.site.visit().get(path).text
    assert " · production-east · Bailiwick</title>" in text
    assert text.count('<span class="cluster">') == 1
    assert "production-east" in text.partition('<span class="cluster">')[2].partition("</p>")[0]


def test_a_cluster_without_a_name_has_none() -> None:
    with served(waiting()) as console:
        text = console.site.visit().get("/").text
    assert " · Bailiwick</title>" in text
    assert 'class="cluster"' not in text
    assert "None" not in text.partition("<main")[0]


def test_a_name_is_never_markup() -> None:
    with served(waiting(), cluster_name="<script>alert(1)</script>\u202e") as console:
        text = console.site.visit().get("/").text
    assert "<script>alert" not in text
    assert "\u202e" not in text
