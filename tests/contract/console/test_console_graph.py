"""The graph of who may ask whom: the same as the matrix, drawn and as a table, with every right asked as the person."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from bailiwick_console.endpoints.graphpage import MOST_EDGES
from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import ServedConsole, served
from support.console.markup import SHOWN, Markup, assert_harmless, plain
from support.console.plainhttp import Page, Visit
from support.objects import Object, gated_rule, rule
from unit.console.policies import PAYLOADS, PEOPLE, crm, hostile, stored

ENDPOINT = "/endpoints/crm/crm-api"
GRAPH = f"{ENDPOINT}/graph"
FORBIDDEN = ApiError('endpointpolicies.bailiwick.dev is forbidden: User "carol" cannot list', 403, "Forbidden")


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with served(policies=[crm()]) as console:
        yield console


def rows(page: Page) -> list[list[str]]:
    """Return the table of a page."""
    found = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page.text, re.DOTALL)
    return [[plain(one) for one in re.split(r"</th>|</td>\s*", row) if one.strip()] for row in found]


def drawing(page: Page) -> str:
    (found,) = re.findall(r'<svg class="graph".*?</svg>', page.text, re.DOTALL)
    assert isinstance(found, str)
    return found


def lines(page: Page) -> list[str]:
    """Return how the lines of the drawing look."""
    return re.findall(r'<path class="line ([a-z]+)"', drawing(page))


def test_the_graph_has_a_line_for_each_kind_of_answer_and_a_table_of_the_same(console: ServedConsole) -> None:
    visit = console.site.visit()
    page = visit.get(GRAPH)
    agent, point, at = "sa:agents/crm-agent", "sa:crm/crm-api", "crm-api in crm"
    assert rows(page) == [
        ["group:corp/staff", point, at, "allowed", "customers.list"],
        ["group:corp/trainees", point, at, "denied", "No call is allowed."],
        [agent, point, at, "allowed", "customers.list"],
        [agent, point, at, "conditional", "customers.edit"],
        [agent, point, at, "gated", "customers.export"],
        ["any other", point, at, "denied", "No call is allowed."],
    ]
    assert lines(page) == ["allowed", "allowed", "conditional", "gated", "asks"]
    assert [plain(one) for one in re.findall(r"<text.*?</text>", drawing(page))] == [
        *("Callers", "Enforcement points", "Endpoints"),
        *("group:corp/staff", "1 allowed", point, "crm-api", "in crm"),
        *(agent, "1 allowed, 1 conditional, 1 gated"),
    ]
    # Each action leads to its cell, where the rule stands.
    (link,) = re.findall(r'href="([^"]+/cell[^"]+)">[^/]*customers\.export', page.text)
    assert "What sa:agents/crm-agent may do with customers.export" in plain(visit.get(unescape(link)).text)


def test_the_pages_of_endpoints_and_the_overview_lead_to_the_graph(console: ServedConsole) -> None:
    visit = console.site.visit()
    assert f'href="{GRAPH}"' in visit.get(ENDPOINT).text
    assert 'href="/endpoints/graph"' in visit.get("/endpoints").text
    assert 'href="/endpoints/graph"' in visit.get("/overview").text


def test_one_graph_has_every_endpoint_that_can_be_read_and_names_those_without_a_line() -> None:
    point = PEOPLE | {"enforcers": [{"certificate": {"dns": "envoy.gateways.svc"}}]}
    mail = stored("mail", namespace="mail", endpoint="mail-api", endpointSettings=point, rules=[gated_rule()])
    closed = stored("closed", namespace="mail", endpoint="closed-api")
    with served(policies=[crm(), mail, closed], namespace=None) as console:
        page = console.site.visit().get("/endpoints/graph")
    at = [(row[0], row[2]) for row in rows(page)]
    assert at.count(("sa:agents/crm-agent", "crm-api in crm")) == 3
    assert at.count(("sa:agents/crm-agent", "mail-api in mail")) == 1
    assert "envoy.gateways.svc" in plain(drawing(page))
    # The same caller is one box, whatever endpoint it asks about.
    assert drawing(page).count(">sa:agents/crm-agent</text>") == 1
    assert lines(page).count("asks") == 2
    assert "Every call is denied at closed-api in mail ." in plain(page.text)


def many(subjects: int, actions: int = 1) -> list[Object]:
    """Return policies by which so many accounts may do so many things each, with and without an approval."""
    made = [crm()]
    for first in range(0, subjects, 25):
        count = min(25, subjects - first)
        names = [
            {"name": f"s{one}", "serviceAccount": {"namespace": "bots", "name": f"b{first + one:04}"}}
            for one in range(count)
        ]
        own = [f"s{one}" for one in range(count)]
        acts = [f"act.a{one:03}" for one in range(actions)]
        rules = [rule("do", subjects=own, actions=acts), gated_rule("ask", subjects=own, actions=["act.asked"])]
        made.append(stored(f"many-{first}", subjects=names, rules=rules))
    return made


def test_what_is_not_drawn_is_counted_and_stands_in_the_table() -> None:
    with served(policies=many(60)) as console:
        visit = console.site.visit()
        pages = [visit.get(f"{GRAPH}?page={number}") for number in (1, 2, 3)]
        beyond = visit.get(f"{GRAPH}?page=999999999")
    listed = [row for page in pages for row in rows(page)]
    assert len({row[0] for row in listed}) == 64
    assert {row[3] for row in listed if row[0] == "sa:bots/b0007"} == {"allowed", "gated"}
    middle = pages[1]
    assert (len(lines(middle)), len(rows(middle))) == (MOST_EDGES + 1, 50)
    assert "10 more lines are not drawn. The table has all 50." in plain(middle.text)
    assert "Callers: page 2 of 3, 64 in all" in plain(middle.text)
    assert rows(beyond) == rows(pages[2])


def test_actions_that_the_table_has_no_room_for_are_counted_and_lead_to_the_matrix() -> None:
    with served(policies=many(1, 40)) as console:
        visit = console.site.visit()
        page = visit.get(GRAPH)
        (row,) = [row for row in rows(page) if row[0] == "sa:bots/b0000" and row[3] == "allowed"]
        assert row[4].endswith("act.a024 , and 15 more in the matrix")
        (link,) = re.findall(r'href="([^"]+)">and 15 more', page.text)
        assert "1 subjects" in plain(visit.get(unescape(link)).text)
    assert "40 allowed, 1 gated" in plain(drawing(page))


def test_what_takes_too_much_is_a_line_of_its_own() -> None:
    hard = [
        {"name": f"c{one}", "expression": f"context.args.a{one} == context.args.b{one} || context.args.c{one}"}
        for one in range(5)
    ]
    made = stored(endpointSettings=PEOPLE, rules=[rule(), rule("hard", actions=["x"], conditions=hard)])
    with served(policies=[made]) as console:
        page = console.site.visit().get(GRAPH)
    assert [(row[3], row[4]) for row in rows(page)][:2] == [("allowed", "customers.list"), ("not compared", "x")]
    assert lines(page) == ["allowed", "unclear", "asks"]


def test_an_endpoint_that_denies_every_call_has_no_line_and_says_why() -> None:
    with served(policies=[stored()]) as console:
        page = console.site.visit().get(GRAPH)
    assert ("Every call is denied at crm-api" in plain(page.text), "no policy" in plain(page.text)) == (True, True)
    assert (rows(page), "<svg" in page.text) == ([], False)


@pytest.mark.parametrize("path", [GRAPH, "/endpoints/graph"])
def test_who_may_not_list_policies_is_told_which_right_is_missing(console: ServedConsole, path: str) -> None:
    console.cluster.fails = lambda _, asked: FORBIDDEN if asked.endswith("/endpointpolicies") else None
    answer = console.site.visit().get(path)
    assert answer.status == 403
    assert "You lack the verb list on endpointpolicies in namespace crm" in plain(answer.text)
    assert "customers" not in answer.text


def test_an_api_server_that_is_away_is_told_and_no_line_is_claimed(console: ServedConsole) -> None:
    console.cluster.fails = lambda *_: UserError("the API server does not answer: refused")
    answer = console.site.visit().get(GRAPH)
    assert (answer.status, "does not answer" in answer.text, "<svg" in answer.text) == (502, True, False)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_names_that_attack_stay_text_in_the_drawing_and_in_the_table(number: int) -> None:
    whole = [one for one in hostile() if one["metadata"]["name"] == f"p{number}-0"]
    with served(policies=whole) as console:
        visit: Visit = console.site.visit()
        page, every = visit.get(f"/endpoints/crm/hostile-{number}/graph"), visit.get("/endpoints/graph")
    name = PAYLOADS[number][:60].replace("*", "x").translate(SHOWN)
    shown = f"user:corp/{name}"
    for one in (page, every):
        assert one.status == 200
        # Our own drawing is the only one, and of what it has elements.
        found = Markup(drawing(one))
        assert set(found.tags) == {"svg", "title", "desc", "defs", "marker", "path", "text", "g", "rect"}
        assert [name for name in found.attributes if name.startswith("on") or name in {"style", "href"}] == []
        assert shown in found.text
        rest = assert_harmless(re.sub(r'<svg class="graph".*?</svg>', "", one.text, flags=re.DOTALL))
        assert shown in rest
        assert one.text.count("<svg") == 1
    if number == 7:
        assert "unusual letters: see the table" in plain(drawing(page))
        assert "letters of several alphabets: Cyrillic, Latin" in plain(page.text)
