"""Who is logged in, for how long, and that nobody is ever taken for another."""

import html
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from bailiwick_console.hosted.entrance import SESSION_COOKIE
from bailiwick_console.hosted.people import MOST_OF_ONE, SESSION_SECONDS, PersonToken
from bailiwick_console.visits import forms
from bailiwick_console.visits.session import IDLE_SECONDS
from bailiwick_governance.errors import ApiError, UserError
from support.certificates import self_signed
from support.console.clusterconsole import NAME, CookieBrowser, answered, led
from support.console.manyfold import ManyfoldConsole, manyfold
from support.console.plainhttp import Page, form_of
from support.pdp.badtokens import parts_of
from unit.console.cases import named, waiting

GRANT: Final = "/grants/crm/agr-wanted"


@pytest.fixture
def carol(console: ManyfoldConsole) -> CookieBrowser:
    console.issuer.logins.seconds = 24 * 3600
    return console.logged_in("carol")


def values(page: Page, name: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(rf'name="{name}" value="([^"]*)"', page.text)]


def marked(page: Page) -> list[tuple[str, str]]:
    return [("grant", one) for one in values(page, "grant")]


def sees(browser: CookieBrowser) -> bool:
    return "customers.export" in browser.load("/").text


def test_everybody_asks_with_their_own_token_and_nothing_is_shared(console: ManyfoldConsole) -> None:
    browsers = {person: console.logged_in(person) for person in ("carol", "dave")}
    for person, browser in browsers.items():
        assert f"oidc:{person}" in browser.load(GRANT).text
        assert browser.post(f"{GRANT}/review", form_of(browser.load(GRANT))).status == 303
    for person, table in zip(browsers, console.tables, strict=True):
        assert {parts_of(bearer)[1]["sub"] for bearer in table.bearers} == {person}
        ((_, patch),) = table.written
        assert patch[-1]["value"]["reviewer"] == f"oidc:{person}"


def test_a_form_of_one_person_is_nothing_to_another(console: ManyfoldConsole) -> None:
    carol, dave = console.logged_in("carol"), console.logged_in("dave")
    assert dave.post(f"{GRANT}/review", form_of(carol.load(GRANT))).status == 403
    mixed = {**form_of(carol.load(GRANT)), "token": dave.load(GRANT).field("token")}
    assert dave.post(f"{GRANT}/review", mixed).status == 409
    assert console.written == 0


@pytest.mark.parametrize("cookie", ["g" * 43, "guessed", "", "\u00e9"])
def test_a_session_that_is_none_sees_nothing(console: ManyfoldConsole, cookie: str) -> None:
    browser = console.browser()
    browser.cookies[SESSION_COOKIE] = (cookie, "Strict")
    for path in ("/", GRANT, "/signed-in"):
        page = browser.load(path)
        assert "customers.export" not in page.text
        assert "Log in at" in page.text
    assert browser.post(f"{GRANT}/review", {}).status == 403
    assert console.tables == []


def test_a_session_ends_when_nobody_looks_and_a_script_that_refreshes_does_not_look(
    console: ManyfoldConsole, carol: CookieBrowser
) -> None:
    console.clocks.later(IDLE_SECONDS - 1)
    assert carol.load("/", **{"X-Bailiwick-Refresh": "1"}).status == 200
    console.clocks.later(2)
    assert carol.load("/", "same-origin", **{"X-Bailiwick-Refresh": "1"}).status == 403
    assert "Your session has ended" in carol.load("/").text


def test_a_session_ends_after_eight_hours_however_much_somebody_looks(
    console: ManyfoldConsole, carol: CookieBrowser
) -> None:
    for _ in range(int(SESSION_SECONDS / (IDLE_SECONDS - 60))):
        console.clocks.later(IDLE_SECONDS - 60)
        assert sees(carol)
    console.clocks.later(IDLE_SECONDS - 60)
    assert not sees(carol)


def test_a_session_ends_with_its_token(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds = 300
    carol = console.logged_in("carol")
    console.clocks.later(150)
    assert sees(carol)
    console.clocks.later(151)
    assert not sees(carol)


def test_logging_out_ends_the_session_and_not_only_the_cookie(console: ManyfoldConsole, carol: CookieBrowser) -> None:
    cookie = carol.cookies[SESSION_COOKIE]
    assert carol.post("/logout", {}).status == 403
    assert "You are logged out" in carol.post("/logout", {"token": carol.load("/").field("token")}).text
    assert SESSION_COOKIE not in carol.cookies
    carol.cookies[SESSION_COOKIE] = cookie
    assert not sees(carol)


@pytest.mark.parametrize("act", ["deny", "revoke"])
def test_what_of_several_was_not_sent_when_somebody_logged_out_is_not_sent(tmp_path: Path, act: str) -> None:
    names = ("agr-a", "agr-b", "agr-c")
    with manyfold(tmp_path, *(named(name, waiting()) for name in names)) as console:
        carol = console.logged_in("carol")
        parting = {"token": carol.load("/").field("token")}
        page = carol.post("/bulk/choose", [("list", "review"), *parting.items(), *marked(carol.load("/"))])
        fields = [*parting.items(), ("reason", "over"), *(("shown", one) for one in values(page, "shown"))]

        def leaves(method: str, path: str) -> None:
            if (method, path[-5:]) == ("PATCH", "agr-a"):
                carol.post("/logout", parting)

        console.tables[0].fails = leaves
        answer = carol.post(f"/bulk/{act}", fields)
        assert [path.rpartition("/")[2] for path, _ in console.tables[0].written] == ["agr-a"]
        assert "Not sent: 2" in answer.text
        assert "Not known" not in answer.text


def test_a_form_that_is_still_being_sent_when_somebody_logs_out_writes_nothing(
    console: ManyfoldConsole, carol: CookieBrowser
) -> None:
    fields = form_of(carol.load(GRANT), reason="seen with the customer")
    with carol.sending(f"{GRANT}/review", fields) as rest:
        carol.post("/logout", {"token": fields["token"]})
        answer = rest()
    assert (answer.status, console.written) == (503, 0)
    assert "Nothing was written." in answer.text
    assert "your session has ended" in answer.text
    assert "seen with the customer</textarea>" in answer.text


@pytest.mark.parametrize("path", [f"{GRANT}/review", "/bulk/deny", "/passkeys/proof", "/namespace"])
def test_no_form_is_waited_for_longer_than_a_moment_so_that_none_outlasts_its_session(
    console: ManyfoldConsole, carol: CookieBrowser, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "FORM_SECONDS", 0.3)
    with carol.sending(path, form_of(carol.load(GRANT))) as rest:
        time.sleep(0.6)
        assert (rest().status, console.written) == (408, 0)


def test_a_token_that_came_after_the_end_of_its_session_is_not_sent() -> None:
    token = PersonToken("first", "refresh", "carol", 1000.0)
    token.end()
    token.put("second", "refresh", 2000.0)
    assert token.refresh is None
    with pytest.raises(UserError, match="your session has ended"):
        token.bearer()


def test_a_token_that_is_about_to_end_is_replaced_and_the_old_one_is_not_sent_again(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds, console.issuer.logins.refreshes = 300, True
    carol = console.logged_in("carol")
    before = set(console.tables[0].bearers)
    console.clocks.later(250)
    console.issuer.logins.seconds = 3600
    console.tables[0].bearers.clear()
    assert sees(carol)
    assert before.isdisjoint(console.tables[0].bearers)
    console.clocks.later(600)
    assert sees(carol)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "mallory"},
        {"sub": "mallory", "called": "carol"},
        {"groups": ["crm-owners", "admins"]},
        {"aud": "other"},
        {"exp": 1},
    ],
    ids=str,
)
def test_a_token_in_place_of_another_has_to_be_of_the_same_person_as_they_were(
    console: ManyfoldConsole, claims: Mapping[str, object]
) -> None:
    console.issuer.logins.seconds, console.issuer.logins.refreshes = 300, True
    carol = console.logged_in("carol")
    console.clocks.later(250)
    console.issuer.logins.twist = lambda given: {**given, **claims}
    assert not sees(carol)
    console.issuer.logins.twist = lambda given: given
    assert not sees(carol)


def test_a_session_whose_token_is_not_replaced_ends(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds, console.issuer.logins.refreshes = 300, True
    carol = console.logged_in("carol")
    console.clocks.later(250)
    console.issuer.replies["/token"] = (400, b'{"error": "invalid_grant"}', {})
    assert not sees(carol)


def test_a_session_goes_on_while_the_issuer_fails_and_its_token_has_not_ended(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds, console.issuer.logins.refreshes = 300, True
    carol = console.logged_in("carol")
    console.clocks.later(250)
    console.issuer.replies["/token"] = (503, b"{}", {})
    assert sees(carol)
    console.clocks.later(51)
    assert not sees(carol)


HOSTILE: Final[dict[str, Mapping[str, str | None]]] = {
    "no cookie": {"Cookie": None},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling of the host": {"Sec-Fetch-Site": "same-site"},
    "typed into the address bar": {"Sec-Fetch-Site": "none"},
    "no word of where it comes from": {"Sec-Fetch-Site": None, "Origin": None},
    "an old browser from elsewhere": {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
    "an origin from elsewhere": {"Origin": "https://evil.example"},
    "our origin without TLS": {"Sec-Fetch-Site": None, "Origin": "http://console.localhost"},
    "another host": {"Host": "evil.example"},
    "without the port": {"Host": "console.localhost"},
    "a proxy's word for the host": {"Host": "evil.example", "X-Forwarded-Host": "console.localhost"},
    "a frame": {"Sec-Fetch-Dest": "iframe"},
    "JSON": {"Content-Type": "application/json"},
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
def test_a_review_that_is_not_known_to_be_ours_is_refused(
    console: ManyfoldConsole, carol: CookieBrowser, headers: Mapping[str, str | None]
) -> None:
    fields = urlencode(form_of(carol.load(GRANT)))
    cookie = f"{SESSION_COOKIE}={carol.cookies[SESSION_COOKIE][0]}"
    usual = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Origin": "null"}
    given = {name: value for name, value in {**usual, **headers}.items() if value is not None}
    assert (console.site.send("POST", f"{GRANT}/review", fields, given).status, console.written) == (403, 0)
    assert console.site.send("POST", f"{GRANT}/review", fields, usual).status == 303


@pytest.mark.parametrize("path", ["/login", "/logout", "/namespace"])
def test_a_form_of_another_site_begins_and_ends_nothing(
    console: ManyfoldConsole, carol: CookieBrowser, path: str
) -> None:
    fields = {"token": carol.load("/").field("token"), "namespace": "hr"}
    page = carol.post(path, fields, "cross-site")
    assert (page.status, "set-cookie" in page.headers) == (403, False)
    assert sees(carol)


@pytest.mark.parametrize("path", ["/", "/?list=others", GRANT])
@pytest.mark.parametrize("fetch_site", ["cross-site", "same-site"])
def test_a_link_of_another_site_shows_nothing_and_loads_itself_again(
    carol: CookieBrowser, console: ManyfoldConsole, path: str, fetch_site: str
) -> None:
    asked = len(console.tables[0].asked)
    # With the cookie, as no browser would send it.
    cookie = f"{SESSION_COOKIE}={carol.cookies[SESSION_COOKIE][0]}"
    page = console.site.send("GET", path, headers={"Sec-Fetch-Site": fetch_site, "Cookie": cookie})
    assert (page.status, led(page), len(console.tables[0].asked)) == (200, path, asked)
    assert "customers.export" not in page.text


@pytest.mark.parametrize("path", ["/signed-in", "/nothing", "/static/console.css", "/grants/crm/agr-wanted/review"])
def test_no_other_page_can_be_followed_from_elsewhere(carol: CookieBrowser, path: str) -> None:
    assert carol.load(path, "cross-site").status == 403


def test_a_namespace_that_is_chosen_is_ones_own_choice(console: ManyfoldConsole, carol: CookieBrowser) -> None:
    dave = console.logged_in("dave")
    assert carol.post("/namespace", {"namespace": "hr"}).status == 403
    assert carol.post("/namespace", {"token": carol.load("/").field("token"), "namespace": " hr "}).status == 303
    assert 'the namespace <bdi class="text">hr</bdi>' in carol.load("/").text
    assert 'the namespace <bdi class="text">crm</bdi>' in dave.load("/").text
    carol.post("/namespace", {"token": carol.load("/").field("token"), "namespace": ""})
    assert "Grants of all namespaces" in carol.load("/").text


def test_a_list_that_another_tab_replaces_says_which_namespace_it_is_of(
    console: ManyfoldConsole, carol: CookieBrowser
) -> None:
    # A script puts the list of a later answer into the page that is open, when its version is another.
    def replaced() -> tuple[str, str]:
        text = carol.load("/", "same-origin", **{"X-Bailiwick-Refresh": "1"}).text
        found = re.search(r'<div id="inbox" data-version="([^"]*)">(.*)</div>', text, re.DOTALL)
        assert found
        return found[1], found[2]

    before, of_crm = replaced()
    empty = carol.load("/?list=ended", "same-origin").text
    carol.post("/namespace", {"token": carol.load("/").field("token"), "namespace": "hr"})
    after, of_hr = replaced()
    assert 'the namespace <bdi class="text">crm</bdi>' in of_crm
    assert 'the namespace <bdi class="text">hr</bdi>' in of_hr
    assert before != after
    # Two lists with nothing in them differ too.
    versions = [re.findall(r'data-version="([^"]*)"', one) for one in (empty, carol.load("/?list=ended").text)]
    assert versions[0] != versions[1]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ManyfoldConsole]:
    with manyfold(tmp_path, waiting(), most_logins=2, most_sessions=2) as console:
        yield console


def test_where_no_more_logins_fit_it_is_said_and_those_that_have_begun_go_on(small: ManyfoldConsole) -> None:
    first, second = small.browser(), small.browser()
    asked, _ = first.begin(), second.begin()
    page = small.browser().post("/login", {"to": "/"})
    assert (page.status, "Too many logins have begun" in page.text, "set-cookie" in page.headers) == (503, True, False)
    assert first.come_back(small.issuer, "carol", asked).status == 200
    assert small.logged_in("dave").cookies


def test_where_no_more_people_fit_it_is_said_and_nobody_is_pushed_out(small: ManyfoldConsole) -> None:
    carol, dave = small.logged_in("carol"), small.logged_in("dave")
    late = small.browser()
    page = late.come_back(small.issuer, "mallory", late.begin())
    assert (page.status, "Too many people are logged in" in page.text) == (403, True)
    assert sees(carol)
    assert sees(dave)
    carol.post("/logout", {"token": carol.load("/").field("token")})
    assert small.logged_in("mallory").cookies


def test_who_logs_in_often_pushes_out_their_own_oldest(console: ManyfoldConsole) -> None:
    dave, first, *more = console.logged_in("dave"), *(console.logged_in("carol") for _ in range(MOST_OF_ONE + 1))
    assert [sees(dave), sees(first), *map(sees, more)] == [True, False, *[True] * MOST_OF_ONE]


FORGED: Final = "mallory\noidc:carol approved agr-wanted in crm"


def test_a_name_with_a_line_break_forges_no_line_of_the_log(
    console: ManyfoldConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    console.issuer.logins.seconds, console.issuer.logins.refreshes = 300, True
    console.issuer.logins.twist = lambda given: {**given, "called": FORGED}
    leaves, stays = console.logged_in("mallory"), console.logged_in("mallory")
    leaves.post("/logout", {"token": leaves.load("/").field("token")})
    # At first its token is not replaced yet, and then that is refused.
    for seconds, status, answer in ((245, 503, b"{}"), (20, 400, b'{"error": "invalid_grant"}')):
        console.clocks.later(seconds)
        console.issuer.replies["/token"] = (status, answer, {})
        stays.load("/")
    lines = capsys.readouterr().err.splitlines()
    named = [line for line in lines if "carol" in line]
    assert [line for line in named if line.startswith("oidc:carol")] == []
    for what in ("logged in", "was not replaced yet", " ended: ", "logged out"):
        assert any(f"oidc:{FORGED}".replace("\n", "\\u000a") in line and what in line for line in named), what


def test_no_secret_is_ever_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with manyfold(tmp_path, waiting(), secret="s3cret-of-the-client") as console:
        console.issuer.logins.refreshes, console.issuer.logins.seconds = True, 300
        browser, pages = console.browser(), []
        asked = browser.begin()
        login = browser.cookies.copy()
        answer = answered(console.issuer, "carol", asked)
        pages += [browser.load(answer, "cross-site"), browser.load(answer, "cross-site")]
        pages += [browser.load("/"), browser.load(GRANT), browser.load("/signed-in"), browser.load("/nothing")]
        bearer = console.tables[0].bearers[0]
        console.tables[0].fails = lambda method, path: ValueError(f"Invalid header value b'Bearer {bearer}'")
        pages.append(browser.load(GRANT))
        console.clocks.later(250)
        console.tables[0].fails = lambda method, path: None
        pages.append(browser.load("/"))
        secrets = [
            "s3cret-of-the-client",
            answer.partition("code=")[2].partition("&")[0],
            *(value for value, _ in (*login.values(), *browser.cookies.values())),
            *(bearer for table in console.tables for bearer in table.bearers),
        ]
        told = capsys.readouterr()
        assert "oidc:carol logged in" in told.err
        assert "this is a bug in the console (ValueError at inprocess.py:" in told.err
        for secret in secrets:
            assert secret not in told.err + told.out
            assert not any(secret in page.text for page in pages)
        assert len({len(secret) for secret in secrets}) > 2


def test_a_certificate_that_is_renewed_is_served_and_one_that_is_unusable_is_not(
    console: ManyfoldConsole, carol: CookieBrowser, capsys: pytest.CaptureFixture[str]
) -> None:

    folder = console.site.ca_file.parent
    key = (folder / "tls.key").read_bytes()
    (folder / "tls.key").write_bytes(b"")
    console.certificate.look()
    assert sees(carol)
    assert "is not used: no certificate is issued yet" in capsys.readouterr().err
    self_signed(folder, NAME)
    (folder / "tls.key").write_bytes(key)
    console.certificate.look()
    assert "is not used" in capsys.readouterr().err
    # The client trusts the new file alone.
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        carol.load("/")
    self_signed(folder, NAME)
    console.certificate.look()
    assert sees(carol)


def test_a_session_whose_token_the_api_server_refuses_ends(console: ManyfoldConsole, carol: CookieBrowser) -> None:
    console.tables[0].fails = lambda method, path: ApiError("the API server did not authenticate you", 401)
    assert "no longer accepts your login" in carol.load("/").text
    console.tables[0].fails = lambda method, path: None
    assert not sees(carol)


@pytest.mark.parametrize("path", [f"{GRANT}/review", f"{GRANT}/revoke", "/bulk/deny", "/bulk/revoke"])
def test_a_write_that_the_api_server_refuses_for_its_token_ends_the_session(
    console: ManyfoldConsole, carol: CookieBrowser, path: str
) -> None:
    fields = form_of(carol.load(GRANT))
    console.tables[0].fails = lambda method, path: ApiError("the API server did not authenticate you", 401)
    assert "did not authenticate you" in carol.post(path, fields).text
    assert console.written == 0
    console.tables[0].fails = lambda method, path: None
    assert not sees(carol)


def test_a_write_that_the_api_server_refuses_otherwise_does_not(console: ManyfoldConsole, carol: CookieBrowser) -> None:
    fields = form_of(carol.load(GRANT))
    console.tables[0].fails = lambda method, path: ApiError("no", 403) if method == "PATCH" else None
    assert carol.post(f"{GRANT}/review", fields).status == 403
    console.tables[0].fails = lambda method, path: None
    assert sees(carol)


def test_the_strip_is_read_where_bailiwick_is_said_to_be_installed(tmp_path: Path) -> None:
    with manyfold(tmp_path, waiting(), installation="authz") as console:
        assert "there is no ConfigMap bailiwick-guard in authz" in console.logged_in().load("/").text


def test_a_defect_tells_the_person_nothing(console: ManyfoldConsole, carol: CookieBrowser) -> None:
    console.tables[0].fails = lambda method, path: ZeroDivisionError("s3cret")
    page = carol.load("/")
    assert (page.status, "s3cret" in page.text) == (500, False)
