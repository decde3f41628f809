"""How the console asks an issuer: as which client, and by which of its keys it believes a token."""

import json
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from bailiwick_console.hosted.entrance import SESSION_COOKIE
from issuer.codes import END_SESSION, TOKEN
from issuer.server import DISCOVERY, KEYS
from support.console.clusterconsole import CLIENT, CookieBrowser, led
from support.console.manyfold import ManyfoldConsole, manyfold
from support.console.plainhttp import Page


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]], ids=str)
def test_a_client_with_a_secret_shows_it_as_the_issuer_takes_it(tmp_path: Path, methods: list[str] | None) -> None:
    # Both ways, a secret has to come through with whatever is in it.
    with manyfold(tmp_path, secret="s3cret:+ %&é") as console:
        _, text, _ = console.issuer.document(DISCOVERY)
        document = json.loads(text) | ({} if methods is None else {"token_endpoint_auth_methods_supported": methods})
        console.issuer.replies[DISCOVERY] = (200, json.dumps(document).encode(), {})
        assert console.logged_in("carol").cookies


def test_an_issuer_that_knows_another_secret_logs_nobody_in(tmp_path: Path) -> None:
    with manyfold(tmp_path, secret="s3cret") as console:
        console.issuer.logins.clients[CLIENT] = ("another", console.issuer.logins.clients[CLIENT][1])
        browser = console.browser()
        page = browser.come_back(console.issuer, "carol", browser.begin())
        assert (page.status, "401 (invalid_client)" in page.text) == (403, True)


def test_the_keys_are_asked_for_anew_where_a_token_names_another_and_not_for_each(console: ManyfoldConsole) -> None:
    assert console.logged_in("carol").cookies
    console.issuer.signer.forget()
    browser = console.browser()
    page = browser.come_back(console.issuer, "dave", browser.begin())
    assert (page.status, "publishes no such key" in page.text) == (403, True)
    assert console.issuer.asked.count(KEYS) == 1
    console.clocks.later(11)
    assert console.logged_in("dave").cookies
    assert console.issuer.asked.count(KEYS) == 2


def test_the_keys_are_asked_for_anew_every_hour_so_that_one_that_was_taken_back_ends(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds = 24 * 3600
    assert console.logged_in("carol").cookies
    console.clocks.later(3599)
    assert console.logged_in("carol").cookies
    assert console.issuer.asked.count(KEYS) == 1
    console.clocks.later(2)
    assert console.logged_in("carol").cookies
    assert console.issuer.asked.count(KEYS) == 2


def test_an_issuer_that_gives_no_id_token_logs_nobody_in(console: ManyfoldConsole) -> None:
    console.issuer.replies[TOKEN] = (200, b'{"access_token": "x", "token_type": "Bearer"}', {})
    browser = console.browser()
    page = browser.come_back(console.issuer, "carol", browser.begin())
    assert (page.status, "gave no id token" in page.text) == (403, True)


def log_out(browser: CookieBrowser) -> Page:
    return browser.post("/logout", {"token": browser.load("/").field("token")})


def test_whoever_logs_out_is_logged_out_at_the_issuer_too(console: ManyfoldConsole) -> None:
    console.issuer.logins.ends = True
    browser = console.logged_in("carol")
    kept = dict(browser.cookies)
    page = log_out(browser)
    url = urlsplit(led(page))
    assert (f"{url.scheme}://{url.netloc}", url.path) == (console.issuer.signer.url, END_SESSION)
    # No token goes to the browser, not even to log out.
    assert dict(parse_qsl(url.query)) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{console.site.url}/"}
    assert console.issuer.logins.ended(dict(parse_qsl(url.query))) == f"{console.site.url}/"
    assert "You are logged out here." in page.text
    browser.cookies = kept
    assert "Log in at" in browser.load("/").text


def test_an_address_to_log_out_at_may_have_a_query_of_its_own(console: ManyfoldConsole) -> None:
    told(console, end_session_endpoint="https://login.example.com/out?realm=staff")
    query = urlsplit(led(log_out(console.logged_in("carol")))).query
    assert dict(parse_qsl(query))["realm"] == "staff"
    assert dict(parse_qsl(query))["client_id"] == CLIENT


@pytest.mark.parametrize(
    "url",
    [
        None,
        *("", "http://login.example.com/out", "javascript:alert(1)", "data:text/html,x", "//evil.example/out", "/out"),
        *(
            "https://me:pw@login.example.com/out",
            "https://login.example.com/out#x",
            "https://login.example.com/out#",
            ["https://login.example.com"],
            7,
        ),
    ],
    ids=repr,
)
def test_nobody_is_sent_elsewhere_to_log_out_and_all_are_logged_out_here(console: ManyfoldConsole, url: object) -> None:
    told(console, end_session_endpoint=url)
    browser = console.logged_in("carol")
    page = log_out(browser)
    assert "You are logged out here. Your identity provider may still know you." in page.text
    assert (page.status, 'http-equiv="refresh"' in page.text) == (200, False)
    assert "Log in at" in browser.load("/").text


def test_an_issuer_that_is_away_keeps_nobody_logged_in(console: ManyfoldConsole) -> None:
    console.issuer.logins.seconds = 24 * 3600
    browser = console.logged_in("carol")
    kept = dict(browser.cookies)
    console.issuer.replies[DISCOVERY] = (503, b"{}", {})
    token = browser.load("/").field("token")
    console.clocks.later(1799)
    browser.load("/")
    console.clocks.later(1799)
    browser.load("/")
    console.clocks.later(10)
    page = browser.post("/logout", {"token": token})
    assert "Your identity provider may still know you." in page.text
    browser.cookies = kept
    assert "Log in at" in browser.load("/").text


def test_the_issuer_is_asked_how_long_ago_a_login_may_be_and_has_to_say_it(tmp_path: Path) -> None:
    with manyfold(tmp_path, max_age=600) as console:
        ages = {"fresh": 5.0, "old": 3600.0, "future": -3600.0}
        for age, seconds in ages.items():
            console.issuer.logins.twist = lambda claims, ago=seconds: {**claims, "auth_time": int(time.time() - ago)}  # type: ignore[misc]
            browser = console.browser()
            asked = browser.begin()
            assert asked["max_age"] == "600"
            page = browser.come_back(console.issuer, "carol", asked)
            assert (page.status, SESSION_COOKIE in browser.cookies) == ((200, True) if age == "fresh" else (403, False))
        console.issuer.logins.twist = lambda claims: claims
        browser = console.browser()
        page = browser.come_back(console.issuer, "carol", browser.begin())
        assert (page.status, "auth_time is missing" in page.text) == (403, True)


def test_a_session_that_goes_on_by_a_refresh_token_is_not_asked_how_old_its_login_is(tmp_path: Path) -> None:
    with manyfold(tmp_path, max_age=60) as console:
        logins, began = console.issuer.logins, int(time.time())
        logins.refreshes, logins.seconds = True, 300
        logins.twist = lambda claims: {**claims, "auth_time": began}
        browser = console.logged_in("carol")
        console.clocks.later(280)
        assert "Log in at" not in browser.load("/").text
        assert console.issuer.asked.count(TOKEN) == 2


def test_without_such_a_bound_none_is_asked_for(console: ManyfoldConsole) -> None:
    assert "max_age" not in console.browser().begin()


def told(console: ManyfoldConsole, **members: object) -> None:
    """Have the issuer's document say something else."""
    _, text, _ = console.issuer.document(DISCOVERY)
    console.issuer.replies[DISCOVERY] = (200, json.dumps({**json.loads(text), **members}).encode(), {})
