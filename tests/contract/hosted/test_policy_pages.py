"""The pages of policies for many people: each reads them as themselves, and record files are for one's own machine."""

from bailiwick_governance.errors import ApiError
from support.console.clusterconsole import CookieBrowser
from support.console.manyfold import ManyfoldConsole
from support.console.markup import plain
from support.pdp.badtokens import parts_of
from unit.console.policies import crm

PATHS = ("/endpoints", "/endpoints/crm/crm-api", "/endpoints/crm/crm-api/together", "/access")


def seen(console: ManyfoldConsole, person: str) -> CookieBrowser:
    """Log somebody in who finds a policy in the cluster."""
    browser = console.logged_in(person)
    console.tables[-1].policies.append(crm())
    return browser


def test_everybody_reads_policies_with_their_own_token(console: ManyfoldConsole) -> None:
    for person in ("carol", "dave"):
        browser = seen(console, person)
        for path in PATHS:
            page = browser.load(path)
            assert (page.status, "crm-a" in page.text) == (200, True), path
        table = console.tables[-1]
        assert {parts_of(bearer)[1]["sub"] for bearer in table.bearers} == {person}
        assert ("LIST", "/apis/bailiwick.dev/v1alpha1/namespaces/crm/endpointpolicies") in table.asked


def test_what_one_person_may_read_another_is_refused(console: ManyfoldConsole) -> None:
    carol = seen(console, "carol")
    assert "Allow" in carol.load(PATHS[1]).text
    mallory = seen(console, "mallory")
    console.tables[-1].fails = lambda _, path: ApiError("forbidden", 403) if "endpointpolicies" in path else None
    for path in PATHS:
        page = mallory.load(path)
        assert (page.status, "customers.export" in page.text) == (403, False), path
        assert "You lack the verb list on endpointpolicies" in plain(page.text)


def test_record_files_are_for_a_console_on_ones_own_machine(console: ManyfoldConsole) -> None:
    browser = seen(console, "carol")
    assert 'href="/decisions"' not in browser.load("/endpoints").text
    assert "The console in the cluster reads no records." in browser.load("/decisions").text
