"""The console answers the one browser that opened it, and nobody and nothing else: each threat, by plain HTTP."""

import contextlib
import http.client
import re
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from bailiwick_console.markup import pages
from bailiwick_console.server import CONNECTIONS
from bailiwick_console.visits.session import IDLE_SECONDS
from support.console.inprocess import ServedConsole, served
from support.console.plainhttp import Page, Visit, form_of
from support.objects import OTHER_DIGEST
from support.waits import until
from unit.console.cases import waiting

GRANT: Final = "/grants/crm/agr-wanted"
UID: Final = str(waiting()["metadata"]["uid"])
# What a browser may ask for, each with the status that it has.
PATHS: Final = {
    "/": 200,
    GRANT: 200,
    "/grants/crm/agr-none": 404,
    f"{GRANT}?uid={UID}": 200,
    f"{GRANT}?uid=another": 404,
    f"{GRANT}?uid=": 404,
    f"{GRANT}?uid={UID}&uid=another": 404,
    f"/grants/crm/agr-none?uid={UID}": 404,
    "/overview": 200,
    "/keys": 200,
    "/endpoints": 200,
    "/endpoints/graph": 200,
    "/endpoints/crm/crm-none": 404,
    "/endpoints/crm/crm-none/graph": 404,
    "/endpoints/crm/crm-none?history=h-none&objects=2": 404,
    "/access": 200,
    "/access/none": 404,
    "/passkeys": 200,
    "/decisions": 200,
    "/decisions/none/1": 200,
    "/static/console.css": 200,
    "/static/console.js": 200,
    "/static/passkey.js": 200,
    "/static/decide.js": 200,
    "/static/uplot.js": 200,
    "/static/open-props-colors.css": 200,
    "/static/manifest.toml": 404,
    "/static/nothing": 404,
    "/nothing": 404,
    "/open?token=wrong": 403,
}


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    """A console with one grant that carol can review."""
    with served(waiting()) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def written(console: ServedConsole) -> int:
    return len(console.cluster.written)


def sent(visit: Visit, fields: Mapping[str, str], headers: Mapping[str, str | None]) -> Page:
    """Send the review of a browser with some headers replaced, or left out where they are None."""
    given = {**visit.headers, "Origin": "null", **headers}
    kept = {name: value for name, value in given.items() if value is not None}
    return visit.site.send("POST", f"{GRANT}/review", urlencode(fields), kept)


def test_a_review_as_a_browser_sends_it_is_written_once(console: ServedConsole, visit: Visit) -> None:
    answer = visit.post(f"{GRANT}/review", form_of(visit.get(GRANT)))
    assert (answer.status, answer.headers["location"], written(console)) == (303, GRANT, 1)


HOSTILE: Final[dict[str, Mapping[str, str | None]]] = {
    "no cookie": {"Cookie": None},
    "another cookie": {"Cookie": "bailiwick-console=guessed"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling of the host": {"Sec-Fetch-Site": "same-site"},
    "typed into the address bar": {"Sec-Fetch-Site": "none"},
    "no word of where it comes from": {"Sec-Fetch-Site": None, "Origin": None},
    "an old browser without an origin": {"Sec-Fetch-Site": None, "Origin": "null"},
    "an old browser from elsewhere": {"Sec-Fetch-Site": None, "Origin": "http://evil.example"},
    "an origin from elsewhere": {"Origin": "http://evil.example"},
    "another port": {"Origin": "http://test.bailiwick.localhost:1"},
    "rebound by DNS": {"Host": "evil.example"},
    "the address of loopback": {"Host": "127.0.0.1"},
    "a frame": {"Sec-Fetch-Dest": "iframe"},
    "a form of text": {"Content-Type": "text/plain"},
    "a form in parts": {"Content-Type": "multipart/form-data; boundary=x"},
    "JSON": {"Content-Type": "application/json"},
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
def test_a_review_that_is_not_known_to_be_ours_is_refused(
    console: ServedConsole, visit: Visit, headers: Mapping[str, str | None]
) -> None:
    answer = sent(visit, form_of(visit.get(GRANT)), headers)
    assert (answer.status, written(console)) == (403, 0)


def test_an_old_browser_with_our_origin_may_write(console: ServedConsole, visit: Visit) -> None:
    headers = {"Sec-Fetch-Site": None, "Origin": f"http://{console.site.host}"}
    assert (sent(visit, form_of(visit.get(GRANT)), headers).status, written(console)) == (303, 1)


@pytest.mark.parametrize("told", ["a=b {}", "a=b\t{}", "{0}; {0}", "{}; bailiwick-console=x"], ids=repr)
def test_a_cookie_that_another_name_or_another_of_its_name_brings_is_none(visit: Visit, told: str) -> None:
    assert visit.get("/", {"Cookie": told.format(f"bailiwick-console={visit.cookie}")}).status == 403


@pytest.mark.parametrize("token", ["", "guessed", None], ids=["empty", "guessed", "missing"])
def test_a_form_without_the_token_of_the_visit_is_refused(
    console: ServedConsole, visit: Visit, token: str | None
) -> None:
    fields = form_of(visit.get(GRANT))
    fields |= {"token": token} if token is not None else {}
    if token is None:
        del fields["token"]
    assert (sent(visit, fields, {}).status, written(console)) == (403, 0)


READING: Final[dict[str, Mapping[str, str]]] = {
    "rebound by DNS": {"Host": "evil.example"},
    "without a port": {"Host": "test.bailiwick.localhost"},
    "followed from another page": {"Sec-Fetch-Site": "cross-site"},
    "followed from a sibling": {"Sec-Fetch-Site": "same-site"},
    "in a frame": {"Sec-Fetch-Dest": "iframe"},
    "in an object": {"Sec-Fetch-Dest": "object"},
    "another cookie": {"Cookie": "bailiwick-console=guessed"},
    "no cookie": {"Cookie": "other=1"},
}


@pytest.mark.parametrize("path", ["/", GRANT])
@pytest.mark.parametrize("headers", READING.values(), ids=READING)
def test_a_page_that_is_not_known_to_be_asked_for_by_ours_is_refused(
    console: ServedConsole, visit: Visit, headers: Mapping[str, str], path: str
) -> None:
    answer = visit.get(path, headers)
    assert answer.status == 403
    assert "customers.export" not in answer.text
    assert console.cluster.asked == []


def test_the_url_works_once(console: ServedConsole, visit: Visit) -> None:
    again = console.site.open()
    assert (again.status, "set-cookie" in again.headers) == (403, False)
    assert "If it was not you" in again.text
    assert visit.get("/").status == 200


def test_a_wrong_url_uses_nothing_up(console: ServedConsole) -> None:
    wrong = console.site.send("GET", "/open?token=wrong", headers={"Sec-Fetch-Site": "none"})
    assert (wrong.status, "set-cookie" in wrong.headers) == (403, False)
    assert console.site.visit().get("/").status == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE"])
def test_only_loading_the_url_uses_it_up(console: ServedConsole, method: str) -> None:
    path = console.site.url.partition(console.site.host)[2]
    answer = console.site.send(method, path, headers={"Sec-Fetch-Site": "none"})
    assert (answer.status in {403, 405}, "set-cookie" in answer.headers) == (True, False)
    assert console.site.visit().get("/").status == 200


def test_the_url_may_be_followed_from_a_file_and_its_cookie_is_for_this_host_alone(console: ServedConsole) -> None:
    opened = console.site.open({"Sec-Fetch-Site": "cross-site"})
    assert opened.status == 200
    cookie = opened.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()
    # The page loads itself anew under a URL without the token.
    assert '<meta http-equiv="refresh" content="0; url=/">' in opened.text
    assert "token=" not in opened.text


@pytest.mark.parametrize(("path", "status"), PATHS.items(), ids=PATHS)
def test_every_answer_has_every_header(visit: Visit, path: str, status: int) -> None:
    answer = visit.get(path)
    assert answer.status == status
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(("script-src", "style-src", "img-src", "connect-src", "form-action"), "'self'"),
        **dict.fromkeys(("base-uri", "frame-ancestors", "trusted-types"), "'none'"),
        "require-trusted-types-for": "'script'",
    }
    for name, value in {
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-frame-options": "DENY",
    }.items():
        assert answer.headers[name] == value, name
    assert [name for name in answer.headers if name.startswith("access-control-")] == []
    assert "aiohttp" not in str(answer.headers)


def test_a_preflight_of_another_origin_is_not_answered(visit: Visit) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = visit.site.send("OPTIONS", f"{GRANT}/review", headers={**visit.headers, **headers})
    assert (answer.status, [name for name in answer.headers if "allow-origin" in name]) == (403, [])


@pytest.mark.parametrize("path", [*PATHS, f"{GRANT}/review", f"{GRANT}/sign", f"{GRANT}/revoke"])
def test_loading_a_page_writes_nothing(console: ServedConsole, visit: Visit, path: str) -> None:
    fields = urlencode(form_of(visit.get(GRANT)))
    visit.get(f"{path}?{fields}")
    assert written(console) == 0
    assert {method for method, _ in console.cluster.asked} <= {"GET", "LIST", "POST"}


def test_a_link_to_a_grant_of_before_shows_nothing_of_the_one_that_has_its_name_now(visit: Visit) -> None:
    shown, other = visit.get(f"{GRANT}?uid={UID}"), visit.get(f"{GRANT}?uid=another")
    assert "customers.export" in shown.text
    assert "customers.export" not in other.text
    assert ("Another request has its name now" in other.text, 'action="/grants' in other.text) == (True, False)


def test_a_form_that_is_too_long_is_refused(console: ServedConsole, visit: Visit) -> None:
    answer = visit.post(f"{GRANT}/review", form_of(visit.get(GRANT), reason="x" * 70_000))
    assert (answer.status, written(console)) == (413, 0)


def test_a_visit_ends_when_nobody_looks_and_a_script_that_refreshes_does_not_look(
    console: ServedConsole, visit: Visit
) -> None:
    console.clock.now += IDLE_SECONDS - 1
    assert visit.get("/", {"X-Bailiwick-Refresh": "1"}).status == 200
    console.clock.now += 2
    assert visit.get("/").status == 403
    assert written(console) == 0


def test_a_visit_lasts_while_somebody_looks(console: ServedConsole, visit: Visit) -> None:
    for _ in range(3):
        console.clock.now += IDLE_SECONDS - 1
        assert visit.get("/").status == 200


def changed(form: dict[str, str], **fields: str) -> dict[str, str]:
    return {**form, **fields}


FORGED: Final[dict[str, Callable[[dict[str, str]], dict[str, str]]]] = {
    "of a grant that was never shown": lambda form: changed(form, shown="guessed"),
    "with another binding": lambda form: changed(form, binding=OTHER_DIGEST),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_review_of_what_was_not_shown_is_a_conflict(
    console: ServedConsole, visit: Visit, forged: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    answer = visit.post(f"{GRANT}/review", forged(form_of(visit.get(GRANT), reason="kept <b>words</b>")))
    assert (answer.status, written(console)) == (409, 0)
    assert "kept &lt;b&gt;words&lt;/b&gt;" in answer.text


def test_a_form_of_one_grant_reviews_no_other(visit: Visit, console: ServedConsole) -> None:
    other = waiting()
    other["metadata"] |= {"name": "agr-other", "uid": "other-uid"}
    console.cluster.grants.append(other)
    answer = visit.post("/grants/crm/agr-other/review", form_of(visit.get(GRANT)))
    assert (answer.status, written(console)) == (409, 0)


def test_no_template_marks_anything_as_safe_and_no_page_has_inline_code() -> None:
    folder = Path(pages.__file__).parents[1]
    templates = list(folder.rglob("*.html"))
    assert {template.name for template in templates} >= {"base.html", "cell.html", "decision.html", "identity.html"}
    for template in templates:
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), template
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), template
    script = "".join(one.read_text(encoding="utf-8") for one in (folder / "static").glob("*.js"))
    assert "credentials.get" in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", script)


def test_one_connection_is_kept_for_several_pages_and_holds_no_visit_open(console: ServedConsole, visit: Visit) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", int(console.site.host.rpartition(":")[2]), timeout=60)
    with contextlib.closing(kept):

        def asked(path: str) -> int:
            kept.request("GET", path, headers={**visit.headers, "Host": console.site.host})
            answer = kept.getresponse()
            answer.read()
            return answer.status

        assert asked("/") == 200
        socket_of = kept.sock
        assert asked(GRANT) == 200
        # Nobody looked for too long: that the connection is still there is no look.
        console.clock.now += IDLE_SECONDS + 1
        assert asked("/") == 403
        assert kept.sock is socket_of


@pytest.mark.parametrize("path", ["/grants/crm/{}", "/grants/{}/x", "/endpoints/{}/x", "/endpoints/{}/x/cell"])
@pytest.mark.parametrize("dots", ["%2e", "%2e%2e"])
def test_no_dots_in_an_address_lead_to_another_path_of_the_api_server(
    console: ServedConsole, visit: Visit, path: str, dots: str
) -> None:
    page = visit.get(path.format(dots))
    assert "is not a valid object name" in page.text
    assert not any({".", ".."} & set(str(asked).split("/")) for asked in console.cluster.asked)


def test_connections_are_bounded_and_leave_room_for_the_browser_once_they_go(
    console: ServedConsole, visit: Visit
) -> None:
    port = int(console.site.host.rpartition(":")[2])
    with contextlib.ExitStack() as held:
        many = [held.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(CONNECTIONS + 64)]

        def closed() -> int:
            readable, _, _ = select.select(many, [], [], 0)
            return len(readable)

        # The visit's own may still be held.
        until(lambda: closed() >= 64, "those beyond the bound were closed")
        assert closed() <= 65
    until(lambda: _answers(visit), "the browser is answered again")


def _answers(visit: Visit) -> bool:
    try:
        return visit.get("/").status == 200
    except (OSError, http.client.HTTPException):
        return False
