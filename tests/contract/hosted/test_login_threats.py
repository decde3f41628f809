"""Somebody who wants to be logged in as another, or to have another logged in as themselves: each way is refused."""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from bailiwick_console.hosted.entrance import LOGIN_COOKIE, SESSION_COOKIE
from bailiwick_console.hosted.logins import LOGIN_SECONDS
from bailiwick_console.hosted.strangers import LINES
from bailiwick_console.visits import forms
from bailiwick_console.visits.security import HEADERS
from issuer.codes import TOKEN
from issuer.server import DISCOVERY
from support.console.clusterconsole import NAME, answered, led
from support.console.manyfold import ManyfoldConsole
from support.console.plainhttp import Page

# As an id looks.
FIXED: Final = "f" * 43


def refused(page: Page, why: str = "") -> None:
    assert page.status == 403, page
    assert why in page.text
    assert SESSION_COOKIE not in page.headers.get("set-cookie", "")


def test_a_person_logs_in_and_is_told_as_whom_they_act(console: ManyfoldConsole) -> None:
    browser = console.browser()
    assert "Log in at" in browser.load("/").text
    page = browser.log_in(console.issuer, "carol")
    assert 'You act as <bdi class="text">oidc:carol' in page.text
    assert "crm-owners" in page.text
    assert {name: same_site for name, (_, same_site) in browser.cookies.items()} == {SESSION_COOKIE: "Strict"}
    assert "customers.export" in browser.load("/").text


def test_the_login_is_kept_in_a_cookie_that_comes_back_from_the_issuer(console: ManyfoldConsole) -> None:
    browser = console.browser()
    asked = browser.begin()
    assert browser.cookies[LOGIN_COOKIE][1] == "Lax"
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid")
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43


def test_an_answer_to_anothers_login_logs_nobody_in(console: ManyfoldConsole) -> None:
    attacker, victim = console.browser(), console.browser()
    answer = answered(console.issuer, "mallory", attacker.begin())
    refused(victim.load(answer, "cross-site"), "no login that this browser began")
    victim.begin()
    refused(victim.load(answer, "cross-site"), "no login that this browser began")


def test_a_code_of_another_login_is_not_redeemed_for_this_one(console: ManyfoldConsole) -> None:
    attacker, victim = console.browser(), console.browser()
    code = answered(console.issuer, "mallory", attacker.begin()).partition("code=")[2].partition("&")[0]
    asked = victim.begin()
    own = answered(console.issuer, "carol", asked)
    swapped = own.replace(own.partition("code=")[2].partition("&")[0], code)
    refused(victim.load(swapped, "cross-site"), "400 (invalid_grant)")


def test_an_answer_counts_once(console: ManyfoldConsole) -> None:
    browser = console.browser()
    answer = answered(console.issuer, "carol", browser.begin())
    cookie = browser.cookies[LOGIN_COOKIE]
    assert browser.load(answer, "cross-site").status == 200
    browser.cookies[LOGIN_COOKIE] = cookie
    refused(browser.load(answer, "cross-site"), "no login that this browser began")


def test_an_answer_that_comes_too_late_does_not_count(console: ManyfoldConsole) -> None:
    browser = console.browser()
    answer = answered(console.issuer, "carol", browser.begin())
    console.clocks.later(LOGIN_SECONDS + 1)
    refused(browser.load(answer, "cross-site"), "in the last ten minutes")


def test_a_session_has_an_id_that_was_made_at_its_login(console: ManyfoldConsole) -> None:
    browser = console.browser()
    browser.cookies[SESSION_COOKIE] = (FIXED, "Strict")
    browser.log_in(console.issuer, "carol")
    first = browser.cookies[SESSION_COOKIE][0]
    browser.log_in(console.issuer, "carol")
    assert len({FIXED, first, browser.cookies[SESSION_COOKIE][0]}) == 3
    other = console.browser()
    other.cookies[SESSION_COOKIE] = (FIXED, "Strict")
    assert "customers.export" not in other.load("/").text


# A sibling of the host may set `a` for it too; what it writes behind that is no cookie of ours.
WITHIN: Final = {"a space": "a=b ", "a tab": "a=b\t", "its own name": ""}


@pytest.mark.parametrize("before", WITHIN.values(), ids=WITHIN)
def test_a_sibling_of_the_host_cannot_swap_a_session_or_a_login_by_a_cookie_of_its_own(
    console: ManyfoldConsole, before: str
) -> None:
    mallory, victim = console.logged_in("mallory"), console.browser()
    evil = f"{before}{SESSION_COOKIE}={mallory.cookies[SESSION_COOKIE][0]}"
    for own in ("", f"; {SESSION_COOKIE}={FIXED}"):
        if own or before:
            page = console.site.send("GET", "/", headers={"Sec-Fetch-Site": "none", "Cookie": evil + own})
            assert "Log in at" in page.text
    attacker = console.browser()
    answer = answered(console.issuer, "mallory", attacker.begin())
    victim.begin()
    evil = f"{victim.cookies[LOGIN_COOKIE][0]}; {before}{LOGIN_COOKIE}={attacker.cookies[LOGIN_COOKIE][0]}"
    headers = {"Sec-Fetch-Site": "cross-site", "Cookie": f"{LOGIN_COOKIE}={evil}"}
    refused(console.site.send("GET", answer, headers=headers), "no login that this browser began")


def test_an_answer_of_another_site_to_no_login_leaves_a_login_that_has_begun_as_it_is(
    console: ManyfoldConsole,
) -> None:
    browser = console.browser()
    answer = answered(console.issuer, "carol", browser.begin())
    cookie = f"{LOGIN_COOKIE}={browser.cookies[LOGIN_COOKIE][0]}"
    for _ in range(3):
        page = console.site.send("GET", "/callback?state=x", headers={"Sec-Fetch-Site": "cross-site", "Cookie": cookie})
        refused(page, "no login that this browser began")
        assert "set-cookie" not in page.headers
    assert browser.load(answer, "cross-site").status == 200


def test_strangers_write_so_many_lines_a_minute_at_most(
    console: ManyfoldConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    console.issuer.replies[DISCOVERY] = (500, b"{}", {})
    for _ in range(LINES + 3):
        assert console.browser().post("/login", {"to": "/"}).status == 502
        assert console.browser().load("/callback").status == 403
    assert capsys.readouterr().err.count("A login ") == LINES


def test_who_begins_a_login_anew_has_left_the_session_before_it(console: ManyfoldConsole) -> None:
    browser = console.logged_in("carol")
    browser.begin()
    assert "Log in at" in browser.load("/").text


@pytest.mark.parametrize(
    ("charset", "body"),
    [("bogus", b"to=%2F"), ("hex", b"to=%2F"), ("punycode", b"to=\xff"), ("utf-8", b"to=\xff"), ("idna", b"\xff=x")],
)
def test_a_form_in_no_alphabet_is_a_bad_request_and_no_defect(
    console: ManyfoldConsole, capsys: pytest.CaptureFixture[str], charset: str, body: bytes
) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    page = console.site.send("POST", "/login", body, headers)
    assert (page.status, "bug" in capsys.readouterr().err) == (400, False)


ANSWERS: Final[dict[str, tuple[Callable[[str], str], str]]] = {
    "without a state": (lambda path: path.replace("state=", "estate="), "no login"),
    "with two states": (lambda path: f"{path}&state=x", "no login"),
    "of another issuer": (
        lambda path: f"{path.partition('&iss=')[0]}&iss=https%3A%2F%2Fevil.example",
        "another issuer",
    ),
    "of an issuer that names itself and here does not": (lambda path: path.partition("&iss=")[0], "another issuer"),
    "of two issuers": (lambda path: f"{path}&iss=https%3A%2F%2Fevil.example", "another issuer"),
    "without a code": (lambda path: path.replace("code=", "node="), "no code"),
    "with two codes": (lambda path: f"{path}&code=x", "no code"),
    "with an error": (lambda path: f"{path}&error=access_denied&error_description=%3Cb%3E", "did not log you in"),
    "with a code that is none": (lambda path: path.replace("code=", "code=x"), "400 (invalid_grant)"),
}


@pytest.mark.parametrize(("altered", "why"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_whole_logs_nobody_in(
    console: ManyfoldConsole, altered: Callable[[str], str], why: str
) -> None:
    browser = console.browser()
    refused(browser.load(altered(answered(console.issuer, "carol", browser.begin())), "cross-site"), why)
    assert console.tables == []


TOKENS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "of another issuer": ({"iss": "https://evil.example"}, "of another issuer"),
    "for another client": ({"aud": "other"}, "for another client"),
    "for several clients, given to nobody": ({"aud": ["bailiwick", "other"]}, "given to another client"),
    "given to another client": ({"azp": "other"}, "given to another client"),
    "that has expired": ({"exp": 1}, "has expired"),
    "that never ends": ({"exp": None}, "exp is missing"),
    "of the future": ({"iat": 9_000_000_000, "exp": 9_000_000_999}, "of the future"),
    "of another login": ({"nonce": "another"}, "answers another login"),
    "without a nonce": ({"nonce": None}, "answers another login"),
    "of nobody": ({"sub": ""}, "has no subject"),
}


@pytest.mark.parametrize(("claims", "why"), TOKENS.values(), ids=TOKENS)
def test_a_token_that_is_not_the_answer_logs_nobody_in(
    console: ManyfoldConsole, claims: Mapping[str, Any], why: str
) -> None:
    console.issuer.logins.twist = lambda given: {**given, **claims}
    browser = console.browser()
    refused(browser.come_back(console.issuer, "carol", browser.begin()), why)
    assert console.tables == []


def test_the_issuer_is_asked_nothing_for_who_shows_no_login(console: ManyfoldConsole) -> None:
    console.browser().load("/callback?code=a&state=b", "cross-site")
    assert console.issuer.asked == []


def test_whom_the_api_server_does_not_know_sees_nothing_and_is_told_what_it_needs(console: ManyfoldConsole) -> None:
    console.unknown = frozenset({"carol"})
    browser = console.browser()
    page = browser.come_back(console.issuer, "carol", browser.begin())
    refused(page, "the API server does not accept the token")
    for line in (
        "audienceMatchPolicy: MatchAny",
        "audiences: [bailiwick]",
        "claimMappings:",
        console.issuer.signer.url,
    ):
        assert line in page.text
    assert "kubectl bailiwick console" in page.text
    assert "Log in at" in browser.load("/").text


def test_who_is_anonymous_to_the_api_server_is_not_logged_in(console: ManyfoldConsole) -> None:
    console.issuer.logins.people["system:anonymous"] = {"groups": ["system:unauthenticated"]}
    browser = console.browser()
    refused(browser.come_back(console.issuer, "system:anonymous", browser.begin()), "does not accept the token")


@pytest.mark.parametrize(
    ("path", "reply", "why"),
    [
        (DISCOVERY, (500, b"{}", {}), "answers 500"),
        (DISCOVERY, (200, b"no", {}), "does not answer with JSON"),
        (DISCOVERY, (200, b"[]", {}), "JSON object"),
        (DISCOVERY, (200, b'{"issuer": "https://evil.example"}', {}), "document is of another issuer"),
        (DISCOVERY, (302, b"", {"Location": "https://evil.example"}), "answers 302"),
        (DISCOVERY, (200, b"x" * 300_000, {}), "more than"),
    ],
)
def test_an_issuer_that_does_not_answer_as_it_should_is_told_before_anybody_is_sent_there(
    console: ManyfoldConsole, path: str, reply: tuple[int, bytes, dict[str, str]], why: str
) -> None:
    console.issuer.replies[path] = reply
    page = console.browser().post("/login", {"to": "/"})
    assert (page.status, why in page.text, "set-cookie" in page.headers) == (502, True, False)


def test_what_the_issuer_says_of_a_code_is_told_by_its_short_name_alone(console: ManyfoldConsole) -> None:
    for said, shown in (
        (b'{"error": "invalid_grant", "error_description": "s3cret"}', "(invalid_grant)"),
        (b'{"error": "<b>"}', "400."),
    ):
        console.issuer.replies[TOKEN] = (400, said, {})
        browser = console.browser()
        page = browser.come_back(console.issuer, "carol", browser.begin())
        refused(page, shown)
        assert "s3cret" not in page.text


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/login",
        "/grants/../x/y",
        "/grants/a/b/c",
        "x",
        "/;url=x",
    ],
)
def test_nobody_is_sent_elsewhere_after_the_login(console: ManyfoldConsole, to: str) -> None:
    browser = console.browser()
    page = browser.come_back(console.issuer, "carol", browser.begin(to))
    assert led(page) == "/signed-in?to=%2F"
    assert 'href="/">Go on' in browser.load(f"/signed-in?to={to}", "same-origin").text


def test_who_wanted_a_page_comes_to_it_after_the_login(console: ManyfoldConsole) -> None:
    browser = console.browser()
    shown = browser.load("/grants/crm/agr-wanted?x=1")
    assert shown.field("to") == "/grants/crm/agr-wanted?x=1"
    page = browser.log_in(console.issuer, "carol", shown.field("to"))
    assert 'href="/grants/crm/agr-wanted?x=1">Go on' in page.text


@pytest.mark.parametrize("path", ["/", "/login", "/callback", "/signed-in", "/grants/crm/agr-wanted", "/nothing"])
def test_every_answer_has_every_header_before_anybody_is_known(console: ManyfoldConsole, path: str) -> None:
    page = console.browser().load(path)
    for name, value in {**HEADERS, "Strict-Transport-Security": "max-age=31536000"}.items():
        assert page.headers[name.lower()] == value, name


def test_a_form_that_is_sent_slowly_is_waited_for_no_longer_than_a_moment_and_begins_nothing(
    console: ManyfoldConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "FORM_SECONDS", 0.5)
    site, browser = console.site, console.logged_in("carol")
    head = (
        f"POST /login HTTP/1.1\r\nHost: {urlsplit(site.url).netloc}\r\nOrigin: {site.url}\r\n"
        f"Sec-Fetch-Site: same-origin\r\nCookie: {SESSION_COOKIE}={browser.cookies[SESSION_COOKIE][0]}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
    )
    trusting = ssl.create_default_context(cafile=str(site.ca_file))
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=30) as plain,
        trusting.wrap_socket(plain, server_hostname=NAME) as slow,
    ):
        slow.sendall(f"{head}to=/".encode())
        # Others are let in beside it.
        assert console.browser().load("/").status == 200
        answer = slow.recv(1 << 16).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "set-cookie" not in answer.lower()
    # A form that never came ends no session.
    assert "customers.export" in browser.load("/").text
