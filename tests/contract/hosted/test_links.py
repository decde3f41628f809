"""Links to the console in the cluster, from its own pages and from elsewhere: each leads to a page that is there."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Final

import pytest

from bailiwick_console.hosted.logins import is_page
from bailiwick_notifications.notification import GrantFacts, Notification, NotificationType
from bailiwick_notifications.words import view_hint
from support.console.clusterconsole import led
from support.console.manyfold import ManyfoldConsole
from support.console.markup import plain
from unit.console.policies import crm
from unit.governance.cases import stored

UID: Final = str(stored()["metadata"]["uid"])
DECISION: Final = f"/decisions/{'A' * 22}/7"
_LINK: Final = re.compile(r' (?:href|action)="(/[^"]*)"')
_WRITES: Final = re.compile(r"/(?:bulk|login|logout|namespace)\b|/(?:review|sign|revoke|proof|request)$")


@pytest.mark.parametrize("grant", [None, GrantFacts("crm", "agr-wanted", UID, "a", "b", "c", (), "d", "e")])
@pytest.mark.parametrize("kind", NotificationType)
def test_what_people_are_told_leads_to_a_page_that_is_there(
    console: ManyfoldConsole, kind: NotificationType, grant: GrantFacts | None
) -> None:
    url = view_hint(Notification("id", kind, datetime.now(UTC), grant), console.site.url).url
    assert url is not None
    path = url.removeprefix(console.site.url)
    carol = console.logged_in()
    assert led(carol.load(path, "cross-site")) == path
    assert carol.load(path).status == 200


def test_every_link_of_a_page_leads_to_a_page_that_is_there(console: ManyfoldConsole) -> None:
    carol = console.logged_in()
    console.tables[-1].policies.append(crm())
    seen: set[str] = set()
    ahead = {"/", "/decisions", DECISION}
    while ahead:
        path = ahead.pop()
        seen.add(path)
        page = carol.load(path)
        assert page.status == 200, path
        found = {unescape(link).partition("#")[0] for link in _LINK.findall(page.text)}
        ahead |= {link for link in found - seen if not _WRITES.search(link)}
    assert {"/endpoints/crm/crm-api", "/grants/crm/agr-wanted", "/access", "/passkeys"} < seen
    assert any("/cell?" in path for path in seen)


@pytest.mark.parametrize("path", ["/decisions", "/decisions?verdict=deny", DECISION])
def test_a_link_to_a_decision_says_where_decisions_are_found(console: ManyfoldConsole, path: str) -> None:
    assert is_page(path)
    newcomer = console.browser()
    assert led(newcomer.load(path, "cross-site")) == path
    assert f'name="to" value="{path}"' in newcomer.load(path).text
    page = console.logged_in().load(path)
    told = plain(page.text)
    assert (page.status, "The console in the cluster reads no records." in told) == (200, True)
    assert "kubectl bailiwick console --records PATH" in told
    assert (DECISION in told) == (path == DECISION)


@pytest.mark.parametrize(
    "path",
    ["/decisions/", "/decisions/x/1", f"{DECISION}/", f"{DECISION}x", "/decisions//evil", f"{DECISION}0" + "0" * 16],
)
def test_what_is_no_decision_is_on_no_list(path: str) -> None:
    assert not is_page(path)
