"""The pages of endpoints: what the API server holds and the engine says of it, with every right asked as the person."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from bailiwick_console.endpoints import shownaccess
from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import ServedConsole, served
from support.console.markup import SHOWN, assert_harmless, plain
from support.console.plainhttp import Page, Visit
from support.objects import Object, rule
from unit.console.policies import PAYLOADS, PEOPLE, crm, hostile, stored

ENDPOINT = "/endpoints/crm/crm-api"
FORBIDDEN = ApiError('endpointpolicies.bailiwick.dev is forbidden: User "carol" cannot list', 403, "Forbidden")


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with served(policies=[crm()]) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def cells(page: Page) -> dict[str, list[str]]:
    """Return what the matrix of a page says, by the label of the row; marks stand behind the words."""
    found = {}
    for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page.text, re.DOTALL):
        label, _, rest = row.partition("</th>")
        found[plain(label)] = [plain(one) for one in re.findall(r"<td class.*?</td>", rest, re.DOTALL)]
    return found


def columns(page: Page) -> list[str]:
    (head,) = re.findall(r"<thead>(.*?)</thead>", page.text, re.DOTALL)
    return [plain(one) for one in re.findall(r"<th scope=\"col\">(.*?)</th>", head, re.DOTALL)]


def link(page: Page, subject: str, at: int) -> str:
    """Return where a cell leads."""
    for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page.text, re.DOTALL):
        if plain(row.partition("</th>")[0]) == subject:
            return unescape(re.findall(r'<td class="[a-z]+"><a href="([^"]+)"', row)[at])
    raise AssertionError(subject)


def test_endpoints_stand_with_what_their_policies_say_of_themselves() -> None:
    bad = {"type": "Ready", "status": "False", "reason": "Invalid", "message": "no <b>", "observedGeneration": 1}
    listed = [crm(), stored("more", {"conditions": [bad]}), stored("other", endpoint="mail", namespace="mail")]
    with served(policies=listed, namespace=None) as console:
        visit = console.site.visit()
        page = visit.get("/endpoints")
        assert ("crm-api in crm" in plain(page.text), "mail in mail" in plain(page.text)) == (True, True)
        assert "Ready 1 of 2 Problems Invalid" in plain(page.text)
        found = visit.get("/endpoints?find=mail")
        assert ("crm-api" in found.text, 'href="/endpoints/mail/mail"' in found.text) == (False, True)
        one = visit.get(ENDPOINT)
        assert "Ready False : Invalid . no <b>" in plain(one.text)


def test_a_console_of_one_namespace_lists_that_one(console: ServedConsole, visit: Visit) -> None:
    console.cluster.policies.append(stored("other", endpoint="mail", namespace="mail"))
    assert "mail" not in visit.get("/endpoints").text
    assert console.cluster.asked == [("LIST", "/apis/bailiwick.dev/v1alpha1/namespaces/crm/endpointpolicies")]


def test_the_matrix_says_in_words_what_comes_through_and_on_what_it_hangs(visit: Visit) -> None:
    page = visit.get(ENDPOINT)
    assert columns(page) == [
        "Subject",
        "customers.edit",
        "customers.export",
        "customers.list",
        "* except customers.*",
        "customers.* except customers.edit customers.export customers.list",
    ]
    nothing = "\N{EN DASH}"
    assert cells(page) == {
        "group:corp/staff": [nothing, nothing, "Allow", nothing, nothing],
        "group:corp/trainees": [nothing] * 5,
        "sa:agents/crm-agent": [
            "Allow conditions purpose properties some ids",
            "Ask (crm-agent.export.owner)",
            "Allow",
            nothing,
            nothing,
        ],
        "any other": [nothing] * 5,
    }


def test_a_cell_tells_for_which_calls_by_which_rule_given_what_and_with_whose_yes(visit: Visit) -> None:
    page = visit.get(ENDPOINT)
    edit = visit.get(link(page, "sa:agents/crm-agent", 0))
    told = plain(edit.text)
    assert "What sa:agents/crm-agent may do with customers.edit" in told
    assert "customers.edit customer/vip/* allow" in told
    for part in ("env: test", "intent: support", "context.args.amount < 10", "crm-agent/edit"):
        assert part in told, part
    # The rule stands as the policy has it, with the subjects that it names.
    assert "expression: context.args.amount < 10" in told
    assert "- name: agent serviceAccount: namespace: agents name: crm-agent" in told
    export = plain(visit.get(link(page, "sa:agents/crm-agent", 1)).text)
    assert "an approval with 1 Human review (crm-agent.export.owner)" in export
    denied = plain(visit.get(link(page, "group:corp/trainees", 2)).text)
    assert ("No call is allowed." in denied, "Effect Deny" in denied) == (True, True)


def test_whoever_is_in_two_groups_is_told_where_their_rows_do_not_say_it(visit: Visit) -> None:
    page = visit.get(f"{ENDPOINT}/together")
    nothing = "\N{EN DASH}"
    assert cells(page) == {"group:corp/staff & group:corp/trainees": [nothing] * 5}
    told = plain(visit.get(link(page, "group:corp/staff & group:corp/trainees", 2)).text)
    assert ("No call is allowed." in told, "crm-agent / never" in told, "crm-agent / read" in told) == (True,) * 3


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"lastUsedTime": "2026-08-01T00:00:00Z", "observedSince": "2026-07-01T00:00:00Z"}, "last used on 2026-08-01"),
        (
            {"unusedSince": "2026-06-01T00:00:00Z", "lastUsedTime": "2026-05-31T00:00:00Z"},
            "unused since 2026-06-01T00:00:00Z",
        ),
        ({"observedSince": "2026-07-01T00:00:00Z"}, "no use is known since 2026-07-01T00:00:00Z"),
        ({}, "not known"),
    ],
)
def test_use_is_told_as_the_status_tells_it_and_unknown_is_not_unused(usage: Object, said: str) -> None:
    made = crm()
    made["status"]["usage"] = usage
    with served(policies=[made]) as console:
        visit = console.site.visit()
        page = visit.get(ENDPOINT)
        assert f"Use {said}" in plain(page.text)
        assert f"Use {said} (of all rules of the policy)" in plain(visit.get(link(page, "sa:agents/crm-agent", 0)).text)


@pytest.mark.parametrize(
    "path", ["/endpoints", ENDPOINT, f"{ENDPOINT}/together", f"{ENDPOINT}/cell?subject=a&action=b"]
)
def test_who_may_not_list_policies_is_told_which_right_is_missing(
    console: ServedConsole, visit: Visit, path: str
) -> None:
    console.cluster.fails = lambda _, asked: FORBIDDEN if asked.endswith("/endpointpolicies") else None
    answer = visit.get(path)
    assert answer.status == 403
    assert "You lack the verb list on endpointpolicies in namespace crm" in plain(answer.text)
    assert "customers" not in answer.text


def test_data_that_may_not_be_read_counts_as_unknown_and_the_right_is_told() -> None:
    conditions = [{"name": "open", "expression": "data.desk.open == true"}]
    made = stored(endpointSettings=PEOPLE, data=[{"name": "desk"}], rules=[rule(conditions=conditions)])
    with served(policies=[made]) as console:
        console.cluster.fails = lambda _, path: FORBIDDEN if path.endswith("/endpointdata") else None
        page = console.site.visit().get(ENDPOINT)
        assert page.status == 200
        assert "data cannot be read, and counts as unknown: you lack the verb list on endpointdata" in plain(page.text)
        assert cells(page)["sa:agents/crm-agent"][0] == "Allow conditions"


def test_an_endpoint_that_denies_every_call_has_no_matrix_and_says_why() -> None:
    broken = stored("broken", rules=[rule(subjects=["nobody"])])
    for listed, said in (
        ([crm(), crm() | {"metadata": crm()["metadata"] | {"name": "second", "uid": "second"}}], "second"),
        ([stored()], "no policy"),
        ([crm(), broken | {"spec": broken["spec"] | {"subjects": "none"}}], "broken denies every call"),
    ):
        with served(policies=listed) as console:
            page = console.site.visit().get(ENDPOINT)
            assert "Every call of this endpoint is denied." in page.text
            assert said in plain(page.text)
            assert cells(page) == {}


def test_who_cannot_be_proven_there_can_do_nothing_and_it_is_said_why() -> None:
    far = {"name": "agent", "group": {"issuer": "elsewhere", "name": "staff"}}
    with served(policies=[stored(subjects=[far], endpointSettings=PEOPLE)]) as console:
        visit = console.site.visit()
        page = visit.get(ENDPOINT)
        label = "group:elsewhere/staff the endpoint accepts no subjects of this issuer"
        assert cells(page)[label] == ["\N{EN DASH}"] * 2
        assert "the endpoint accepts no subjects of this issuer." in plain(visit.get(link(page, label, 0)).text)


def test_a_policy_of_which_the_endpoint_cannot_be_read_denies_the_namespace_and_has_a_place() -> None:
    lost = stored("lost", endpoint=7)
    with served(policies=[crm(), lost]) as console:
        visit = console.site.visit()
        assert "Policies of which the endpoint cannot be read Policies 1" in plain(visit.get("/endpoints").text)
        page = visit.get(ENDPOINT)
        assert "the policy lost cannot be read, so that every call in crm is denied" in plain(page.text)
        assert cells(page) == {}
        assert "Endpoints that deny every call, so that nobody is listed for them: crm/crm-api ." in plain(
            visit.get("/access").text
        )


def test_what_is_suspended_over_budget_or_of_an_earlier_generation_is_told() -> None:
    over = {"type": "Accepted", "status": "False", "reason": "OverBudget", "message": "5 MiB", "observedGeneration": 1}
    stale = {"type": "Ready", "status": "True", "reason": "Programmed", "message": "", "observedGeneration": 0}
    listed = [
        crm(suspend=True),
        stored("big", {"conditions": [over]}),
        stored("old", {"conditions": [stale]}),
        stored("new", {"conditions": []}),
    ]
    with served(policies=listed) as console:
        visit = console.site.visit()
        page = visit.get(ENDPOINT)
        text = plain(page.text)
        for said in (
            "suspended",
            "the policy big is over budget: 5 MiB",
            "True (of an earlier generation)",
            "none yet",
        ):
            assert said in text, said
        assert cells(page)["sa:agents/crm-agent"] == ["\N{EN DASH}"] * len(columns(page)[1:])
        assert "Ready 1 of 4 Problems OverBudget , Programmed , no status yet" in plain(visit.get("/endpoints").text)


def test_an_api_server_that_is_away_is_told_and_no_cell_is_claimed(console: ServedConsole, visit: Visit) -> None:
    console.cluster.fails = lambda *_: UserError("the API server does not answer: refused")
    answer = visit.get(ENDPOINT)
    assert (answer.status, "does not answer" in answer.text, cells(answer)) == (502, True, {})


@pytest.mark.parametrize("query", ["subject=x&action=y", "", "subject=%00&action=%F0%9F"])
def test_a_cell_that_is_not_there_is_not_found(visit: Visit, query: str) -> None:
    answer = visit.get(f"{ENDPOINT}/cell?{query}")
    assert (answer.status, "no longer have this subject or action" in answer.text) == (404, True)


def test_thousands_of_subjects_and_actions_stand_on_pages_that_say_how_many_there_are() -> None:
    listed = [crm()]
    for number in range(40):
        names = [
            {"name": f"s{one}", "serviceAccount": {"namespace": "bots", "name": f"b{number}-{one}"}}
            for one in range(50)
        ]
        rules = [rule(f"r{one}", subjects=[f"s{one}"], actions=[f"act{number}.a{one}"]) for one in range(50)]
        listed.append(stored(f"many-{number}", subjects=names, rules=rules))
    with served(policies=listed) as console:
        visit = console.site.visit()
        page = visit.get(ENDPOINT)
        assert "2003 subjects, 2005 actions, of which a part is shown" in plain(page.text)
        assert (len(cells(page)), len(columns(page))) == (26, 11)
        assert "Subjects: page 1 of 81, 2003 in all" in plain(page.text)
        one = visit.get(f"{ENDPOINT}?subject=b39-49&action=act39.a49")
        assert cells(one) == {"sa:bots/b39-49": ["Allow"], "any other": ["\N{EN DASH}"]}
        last = visit.get(f"{ENDPOINT}?rows=99999999999999&columns=201&policies=9")
        assert len(columns(last)) == 6


def test_what_takes_too_much_is_said_to_be_not_compared_and_can_be_compared_alone() -> None:
    hard = [
        {"name": f"c{one}", "expression": f"context.args.a{one} == context.args.b{one} || context.args.c{one}"}
        for one in range(5)
    ]
    made = stored(endpointSettings=PEOPLE, rules=[rule(), rule("hard", actions=["x"], conditions=hard)])
    with served(policies=[made]) as console:
        visit = console.site.visit()
        page = visit.get(ENDPOINT)
        at = columns(page).index("x") - 1
        assert cells(page)["sa:agents/crm-agent"][at] == "not compared"
        assert "1 of the cells on this page are not compared" in plain(page.text)
        assert "allow" in plain(visit.get(link(page, "sa:agents/crm-agent", at)).text)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_texts_of_others_stay_text_on_every_page_and_what_hides_is_seen(number: int) -> None:
    payload = PAYLOADS[number]
    listed = hostile()
    whole = [one for one in listed if one["metadata"]["name"] == f"p{number}-0"]
    with served(policies=listed) as console, served(policies=whole) as alone:
        broken = console.site.visit().get(f"/endpoints/crm/hostile-{number}")
        assert "Every call of this endpoint is denied." in plain(broken.text) or cells(broken)
        visit = alone.site.visit()
        page = visit.get(f"/endpoints/crm/hostile-{number}")
        links = re.findall(r'href="(/endpoints/[^"]+/cell[^"]+)"', page.text)
        pages = [broken, visit.get("/endpoints"), page, visit.get(f"/endpoints/crm/hostile-{number}/together")]
        pages += [visit.get(unescape(one)) for one in links]
    texts = [assert_harmless(shown.text) for shown in pages]
    assert {shown.status for shown in pages} == {200}
    # Whole, and more than once: in the status alone, and in the name of a subject.
    assert texts[2].count(payload.translate(SHOWN)) >= 3
    if number == 7:
        assert "letters of several alphabets: Cyrillic, Latin" in plain(page.text)


def many() -> Object:
    """Return a policy by which a cell has many rows."""
    return crm(
        rules=[
            rule(
                f"only-{n}",
                subjects=["agent"],
                resources=[{"type": "customer", "ids": [f"c{n}"]}],
                conditions=[{"name": f"at-{n}", "expression": f"context.args.amount < {n}"}],
            )
            for n in range(40)
        ]
    )


@pytest.mark.parametrize("path", [None, "/access"], ids=["cell", "identity"])
def test_where_more_comes_through_than_a_page_shows_the_rest_is_counted(
    path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(policies=[many()]) as console:
        visit = console.site.visit()
        if path is None:
            at = link(visit.get(ENDPOINT), "sa:agents/crm-agent", 0)
        else:
            (at,) = re.findall(r'href="(/access/[^"]+)"', visit.get(path).text)
        whole = visit.get(at).text
        assert "more rows" not in whole
        assert whole.count("<tr>") == 41
        monkeypatch.setattr(shownaccess, "MOST_ROWS", 30)
        part = visit.get(at).text
    left = whole.count("<tr>") - part.count("<tr>")
    assert left > 0
    assert f"And {left} more rows. kubectl bailiwick what-can prints all of them." in plain(part)
