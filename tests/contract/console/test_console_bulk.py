"""Several grants are denied or taken back at once, each exactly as it was shown, and what came of each is told."""

import contextlib
import html
import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

import pytest

from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import ServedConsole, TableCluster, served
from support.console.plainhttp import Page, Visit
from support.objects import Object
from support.waits import until
from unit.console.cases import from_now, named, waiting
from unit.governance.cases import OWNERS, review

AWAY: Final = UserError("the API server https://cluster.example does not answer: Connection refused")
NAMES: Final = ("agr-a", "agr-b", "agr-c")


def active(name: str) -> Object:
    status = {"phase": "Active", "notAfterTime": from_now(600), "uses": 0}
    return named(name, waiting(review("dave"), status=status))


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    """A console with three requests that carol can review."""
    with served(*(named(name, waiting()) for name in NAMES)) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def values(page: Page, name: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(rf'name="{name}" value="([^"]*)"', page.text)]


def sent(visit: Visit, path: str, *fields: tuple[str, str], **headers: str) -> Page:
    return visit.site.send("POST", path, urlencode(fields), {**visit.headers, "Origin": "null", **headers})


def chosen(visit: Visit, *names: str, of: str = "review") -> Page:
    """Mark these in the list, and press its button."""
    page = visit.get(f"/?list={of}")
    marks = [("grant", one) for one in values(page, "grant") if one.split(" ")[0].partition("/")[2] in names]
    assert len(marks) == len(names)
    return sent(visit, "/bulk/choose", ("token", page.field("token")), ("list", of), *marks)


def pressed(visit: Visit, page: Page, act: str = "deny", reason: str = "") -> Page:
    """Press the button of the page that names what was chosen."""
    keys = [("shown", one) for one in values(page, "shown")]
    return sent(visit, f"/bulk/{act}", ("token", page.field("token")), ("reason", reason), *keys)


def outcomes(page: Page) -> dict[str, list[str]]:
    """Return the names under each heading of the last page."""
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>(.*?)</section>", page.text, re.DOTALL)
    return {title: re.findall(r'/grants/crm/([a-z-]+)"', body) for title, body in sections}


class TestANamespaceThatIsChosenInAnotherTab:
    """Each tab of a visit shows the same namespace, and one can change it while another one is looked at."""

    @pytest.mark.parametrize(("path", "whose"), [("/", "Grants of"), ("/overview", "Of")])
    def test_while_a_list_is_read_does_not_rename_the_list(
        self, console: ServedConsole, visit: Visit, path: str, whose: str
    ) -> None:
        def elsewhere(method: str, _: str) -> None:
            if method == "LIST":
                console.visitor.look_at("hr")

        console.cluster.fails = elsewhere
        assert f'{whose} the namespace <bdi class="text">crm</bdi>' in visit.get(path).text
        assert {
            asked for asked in console.cluster.asked if asked[0] == "LIST" and "/namespaces/crm/" not in asked[1]
        } == set()

    @pytest.mark.parametrize("act", ["deny", "revoke"])
    def test_lets_no_grant_be_taken_for_one_of_that_namespace(
        self, console: ServedConsole, visit: Visit, act: str
    ) -> None:
        console.cluster.grants += [active("agr-d")]
        name, of = ("agr-a", "review") if act == "deny" else ("agr-d", "active")

        def elsewhere(method: str, _: str) -> None:
            if method == "LIST" and lists.pop() == "the second":
                console.visitor.look_at("hr")

        lists = ["the second", "the first"]
        console.cluster.fails = elsewhere
        page = chosen(visit, name, of=of)
        assert f'<bdi class="text">{name}</bdi> in <bdi class="text">crm</bdi>' in page.text


def test_those_that_were_chosen_are_denied_each_as_it_was_shown(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit, "agr-a", "agr-c")
    assert (page.status, "Deny 2 requests?" in page.text, console.cluster.written) == (200, True, [])
    answer = pressed(visit, page, reason="a flood\r\nof them")
    assert (answer.status, outcomes(answer)) == (200, {"Denied: 2": ["agr-a", "agr-c"]})
    assert [path.rpartition("/")[2] for path, _ in console.cluster.written] == ["agr-a", "agr-c"]
    for name, (_, patch) in zip(("agr-a", "agr-c"), console.cluster.written, strict=True):
        stored = waiting()["spec"]["request"]["binding"]
        assert patch[:3] == [
            {"op": "test", "path": "/metadata/uid", "value": f"uid-{name}"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/request/binding", "value": stored},
        ]
        assert patch[-1]["value"] == {
            "reviewer": "carol",
            "step": OWNERS["name"],
            "decision": "Deny",
            "binding": stored["digest"],
            "reason": "a flood\nof them",
            "group": "crm-owners",
        }


def test_a_no_to_many_needs_no_reason(console: ServedConsole, visit: Visit) -> None:
    pressed(visit, chosen(visit, *NAMES))
    assert ["reason" in patch[-1]["value"] for _, patch in console.cluster.written] == [False] * 3


def test_what_is_in_use_is_taken_back_with_a_reason_for_each() -> None:
    with served(active("agr-a"), active("agr-b")) as console:
        visit = console.site.visit()
        page = chosen(visit, "agr-a", "agr-b", of="active")
        refused = pressed(visit, page, "revoke")
        assert (refused.status, "Give a reason" in refused.text, console.cluster.written) == (422, True, [])
        answer = pressed(visit, refused, "revoke", "incident closed")
        assert (answer.status, outcomes(answer)) == (200, {"Taken back: 2": ["agr-a", "agr-b"]})
        assert [change for _, change in console.cluster.written] == [
            {
                "metadata": {"uid": f"uid-{name}"},
                "spec": {"revocation": {"by": "carol", "reason": "incident closed"}},
            }
            for name in ("agr-a", "agr-b")
        ]


def test_what_is_used_while_it_is_looked_at_is_taken_back_all_the_same() -> None:
    with served(active("agr-a"), active("agr-b")) as console:
        visit = console.site.visit()

        def used() -> None:
            for one in console.cluster.grants:
                one["metadata"]["resourceVersion"] += "1"

        page = visit.get("/?list=active")
        used()
        marks = [("grant", one) for one in values(page, "grant")]
        page = sent(visit, "/bulk/choose", ("token", page.field("token")), ("list", "active"), *marks)
        used()
        answer = pressed(visit, page, "revoke", "incident closed")
        assert (answer.status, outcomes(answer)) == (200, {"Taken back: 2": ["agr-a", "agr-b"]})


def test_what_was_made_anew_under_an_old_name_is_not_taken_back() -> None:
    with served(active("agr-a"), active("agr-b")) as console:
        visit = console.site.visit()
        page = visit.get("/?list=active")
        console.cluster.grants[0]["metadata"]["uid"] = "made-anew"
        marks = [("grant", one) for one in values(page, "grant")]
        page = sent(visit, "/bulk/choose", ("token", page.field("token")), ("list", "active"), *marks)
        assert "no longer as you saw them" in page.text
        console.cluster.grants[1]["metadata"]["uid"] = "made-anew"
        answer = pressed(visit, page, "revoke", "incident closed")
        assert list(outcomes(answer)) == ["Not written, since it changed meanwhile: 1"]
        assert console.cluster.written == []


@pytest.mark.parametrize("how", [{"resourceVersion": "8"}, {"uid": "made-anew"}], ids=["changed", "made anew"])
def test_one_that_changed_before_it_was_chosen_is_left_out(
    console: ServedConsole, visit: Visit, how: Mapping[str, str]
) -> None:
    page = visit.get("/")
    console.cluster.grants[1]["metadata"] |= how
    marks = [("grant", one) for one in values(page, "grant")]
    answer = sent(visit, "/bulk/choose", ("token", page.field("token")), ("list", "review"), *marks)
    assert "no longer as you saw them" in answer.text
    assert len(values(answer, "shown")) == 2
    pressed(visit, answer)
    assert [path.rpartition("/")[2] for path, _ in console.cluster.written] == ["agr-a", "agr-c"]


def test_one_that_changed_after_it_was_shown_is_told_and_the_others_are_written(
    console: ServedConsole, visit: Visit
) -> None:
    page = chosen(visit, *NAMES)
    console.cluster.grants[1]["metadata"]["resourceVersion"] = "8"
    answer = pressed(visit, page, reason="kept <b>words</b>")
    assert (answer.status, outcomes(answer)) == (
        409,
        {"Denied: 2": ["agr-a", "agr-c"], "Not written, since it changed meanwhile: 1": ["agr-b"]},
    )
    assert "kept &lt;b&gt;words&lt;/b&gt;" in answer.text


def test_what_the_guards_refuse_of_one_is_told_in_their_words_and_the_others_are_written(
    console: ServedConsole, visit: Visit
) -> None:
    page = chosen(visit, *NAMES)
    refusal = ApiError("not <yours>", 403, "Forbidden")
    console.cluster.fails = lambda method, path: refusal if (method, path[-5:]) == ("PATCH", "agr-a") else None
    answer = pressed(visit, page)
    assert outcomes(answer) == {"Denied: 2": ["agr-b", "agr-c"], "Refused by the API server: 1": ["agr-a"]}
    assert "not &lt;yours&gt;" in answer.text


def test_an_api_server_that_falls_silent_is_sent_nothing_more(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit, *NAMES)
    console.cluster.fails = lambda method, path: AWAY if (method, path[-5:]) == ("PATCH", "agr-b") else None
    answer = pressed(visit, page)
    assert outcomes(answer) == {
        "Denied: 1": ["agr-a"],
        "Not known: the API server confirmed nothing: 1": ["agr-b"],
        "Not sent: 1": ["agr-c"],
    }


def test_a_page_that_is_sent_twice_writes_once(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit, *NAMES)
    pressed(visit, page)
    answer = pressed(visit, page)
    assert (answer.status, list(outcomes(answer))) == (409, ["Not written, since it changed meanwhile: 3"])
    assert len(console.cluster.written) == 3


def test_nothing_that_was_chosen_has_no_button(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit)
    assert (page.status, "Nothing is chosen" in page.text, "<button" in page.text) == (200, True, False)
    assert console.cluster.written == []


@pytest.mark.parametrize("of", ["others", "ended", "none"])
def test_a_list_without_such_an_act_takes_none(console: ServedConsole, visit: Visit, of: str) -> None:
    page = visit.get("/")
    mark = values(page, "grant")[0]
    answer = sent(visit, "/bulk/choose", ("token", page.field("token")), ("list", of), ("grant", mark))
    assert (answer.status, console.cluster.written) == (400, [])


@pytest.mark.parametrize("mark", ["", "agr-a", "a/b c d e", "a/b/c d e"])
def test_a_mark_that_is_none_is_refused(visit: Visit, mark: str) -> None:
    page = visit.get("/")
    fields = (("token", page.field("token")), ("list", "review"), ("grant", mark))
    assert sent(visit, "/bulk/choose", *fields).status == 400


@pytest.mark.parametrize("path", ["/bulk/choose", "/bulk/deny", "/bulk/revoke"])
def test_a_form_of_somebody_else_does_nothing(console: ServedConsole, visit: Visit, path: str) -> None:
    page = chosen(visit, *NAMES)
    fields = [("list", "review"), ("reason", "forged"), *(("shown", one) for one in values(page, "shown"))]
    assert sent(visit, path, *fields).status == 403
    assert sent(visit, path, ("token", "guessed"), *fields).status == 403
    token = ("token", page.field("token"))
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Cookie": "bailiwick-console=guessed"},
        {"Host": "evil.example"},
    ):
        assert sent(visit, path, token, *fields, **headers).status == 403
    assert visit.get(path).status == 405
    assert console.cluster.written == []


def test_a_grant_that_this_visit_was_never_shown_is_not_written(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit, "agr-a")
    fields = [("token", page.field("token")), ("shown", values(page, "shown")[0]), ("shown", "guessed")]
    answer = sent(visit, "/bulk/deny", *fields)
    assert (answer.status, "older than what the console remembers" in answer.text) == (409, True)
    assert console.cluster.written == []


def test_there_is_no_way_to_approve_several(console: ServedConsole, visit: Visit) -> None:
    page = chosen(visit, *NAMES)
    assert pressed(visit, page, "approve").status == 404
    assert "approve" not in {one.lower() for one in re.findall(r"<button[^>]*>([A-Za-z]+)", visit.get("/").text)}
    assert console.cluster.written == []


def test_a_list_that_somebody_may_only_look_at_has_no_marks() -> None:
    lacking = TableCluster([named("agr-a", waiting())], lacks={("approve", "endpointpolicies")})
    with served(cluster=lacking) as console:
        visit = console.site.visit()
        for of in ("review", "others", "ended"):
            assert values(visit.get(f"/?list={of}"), "grant") == []


def test_a_console_that_is_ended_in_the_midst_sends_no_more_and_tells_what_it_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reached, released = threading.Event(), threading.Event()

    def hangs(method: str, path: str) -> Exception | None:
        if (method, path[-5:]) == ("PATCH", "agr-b"):
            reached.set()
            released.wait(30)
        return None

    table = TableCluster([named(name, waiting()) for name in (*NAMES, "agr-d")], fails=hangs)
    with served(cluster=table) as console:
        visit = console.site.visit()
        page = chosen(visit, *NAMES, "agr-d")
        calls = {one for one in threading.enumerate() if one.name == "console-call"}
        sending = threading.Thread(target=lambda: broken(lambda: pressed(visit, page)))
        sending.start()
        assert reached.wait(30)
    # Only now the API server answers, and nobody waits for it.
    released.set()
    sending.join()
    until(lambda: not [one for one in threading.enumerate() if one.name == "console-call" and one not in calls], "over")
    assert [path.rpartition("/")[2] for path, _ in table.written] == ["agr-a", "agr-b"]
    assert [path[-5:] for method, path in table.asked if method == "PATCH"] == ["agr-a", "agr-b"]
    told = capsys.readouterr().err
    assert "carol denied agr-a in crm" in told
    assert "The API server has not answered yet about agr-b in crm: look again" in told
    assert "2 more were not sent." in told


def broken(send: Callable[[], Page]) -> None:
    """Send to a console that ends meanwhile."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        send()
