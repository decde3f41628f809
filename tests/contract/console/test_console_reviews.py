"""What a person does on the console, before an API server that is away, refuses, or has moved on."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bailiwick_console.grants.inbox import PAGE
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants.grantview import GrantView
from support.console.inprocess import ServedConsole, TableCluster, served
from support.console.plainhttp import Page, Visit, form_of
from support.objects import Object
from support.waits import until
from unit.console.cases import from_now, waiting
from unit.governance.cases import OWNERS, SECURITY, review, step

GRANT: Final = "/grants/crm/agr-wanted"
WHY: Final = "seen with <the> customer\nand twice"
AWAY: Final = UserError("the API server https://cluster.example does not answer: Connection refused")


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with served(waiting()) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def reviewed(visit: Visit, shown: Page | None = None, /, **fields: Any) -> Page:  # noqa: ANN401 - texts of a form
    return visit.post(f"{GRANT}/review", form_of(shown or visit.get(GRANT), **fields))


def entry(console: ServedConsole) -> Object:
    ((_, patch),) = console.cluster.written
    found: Object = patch[-1]["value"]
    return found


def active(**fields: Any) -> Object:  # noqa: ANN401 - as `stored`
    status = {"phase": "Active", "notAfterTime": from_now(600), "uses": 0, **fields}
    return waiting(review("dave"), status=status)


def test_what_is_sent_is_the_patch_of_the_command_line_tied_to_what_was_shown(
    console: ServedConsole, visit: Visit
) -> None:
    assert reviewed(visit, reason=WHY.replace("\n", "\r\n")).status == 303
    stored = waiting()
    ((path, patch),) = console.cluster.written
    assert path == "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants/agr-wanted"
    assert patch == [
        {"op": "test", "path": "/metadata/uid", "value": stored["metadata"]["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "test", "path": "/spec/request/binding", "value": stored["spec"]["request"]["binding"]},
        {
            "op": "add",
            "path": "/spec/reviews/-",
            "value": {
                "reviewer": "carol",
                "step": OWNERS["name"],
                "decision": "Approve",
                "binding": stored["spec"]["request"]["binding"]["digest"],
                "reason": WHY,
                "group": "crm-owners",
            },
        },
    ]
    assert "agr-wanted: You approved it." in visit.get(GRANT).text
    assert "You approved it." not in visit.get(GRANT).text


def test_what_was_done_is_told_on_the_page_of_that_grant_and_on_no_other(console: ServedConsole, visit: Visit) -> None:
    other = waiting()
    other["metadata"] |= {"name": "agr-other", "uid": "other"}
    console.cluster.grants.append(other)
    assert reviewed(visit).status == 303
    for path in ("/", "/grants/crm/agr-other", "/grants/crm/agr-none"):
        assert "You approved it." not in visit.get(path).text
    assert "agr-wanted: You approved it." in visit.get(GRANT).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reason": " \n"}, "Give a reason"),
        ({"approve": ""}, "Press one button."),
        ({"approve": OWNERS["name"], "deny": OWNERS["name"]}, "Press one button."),
        ({"approve": "unheard"}, "matches none of the steps"),
    ],
)
def test_a_yes_needs_a_reason_and_one_button(
    console: ServedConsole, visit: Visit, fields: dict[str, str], said: str
) -> None:
    answer = reviewed(visit, **{"reason": WHY, **fields})
    assert (answer.status, said in answer.text, console.cluster.written) == (422, True, [])
    if "reason" not in fields:
        assert "seen with &lt;the&gt; customer\nand twice</textarea>" in answer.text


def test_a_no_needs_no_reason(console: ServedConsole, visit: Visit) -> None:
    assert reviewed(visit, deny=OWNERS["name"], reason="").status == 303
    assert (entry(console)["decision"], "reason" in entry(console)) == ("Deny", False)


def test_each_of_several_steps_has_buttons_of_its_own() -> None:
    both = {**SECURITY, "groups": ["crm-owners"]}
    with served(waiting(steps=[step(), step(both)])) as console:
        visit = console.site.visit()
        shown = visit.get(GRANT)
        assert [shown.text.count(f'name="{button}" value=') for button in ("approve", "deny")] == [2, 2]
        assert reviewed(visit, shown, approve=both["name"]).status == 303
        assert entry(console)["step"] == both["name"]


def test_a_grant_that_changed_after_it_was_shown_is_a_conflict_and_nothing_is_written(
    console: ServedConsole, visit: Visit
) -> None:
    shown = visit.get(GRANT)
    console.cluster.grants[0]["metadata"]["resourceVersion"] = "8"
    console.cluster.grants[0]["spec"]["revocation"] = {"by": "dave"}
    answer = reviewed(visit, shown, reason=WHY)
    assert (answer.status, console.cluster.written) == (409, [])
    assert "it is Withdrawn" in answer.text
    assert "Nothing was written." in answer.text
    assert "seen with &lt;the&gt; customer" in answer.text


def test_another_request_of_the_same_name_is_a_conflict(console: ServedConsole, visit: Visit) -> None:
    shown = visit.get(GRANT)
    console.cluster.grants[0]["metadata"] |= {"uid": "another", "resourceVersion": "9"}
    answer = reviewed(visit, shown)
    assert (answer.status, "another request now" in answer.text, console.cluster.written) == (409, True, [])


@pytest.mark.parametrize("path", ["review", "revoke"])
def test_an_api_server_that_is_away_loses_no_words_and_nothing_is_claimed(
    console: ServedConsole, visit: Visit, path: str
) -> None:
    shown = visit.get(GRANT)
    console.cluster.fails = lambda *_: AWAY
    answer = visit.post(f"{GRANT}/{path}", form_of(shown, reason=WHY))
    assert (answer.status, console.cluster.written) == (502, [])
    assert "does not answer" in answer.text
    assert "It is not known" in answer.text
    assert "seen with &lt;the&gt; customer\nand twice</textarea>" in answer.text
    # As soon as it is back, the same page can be sent.
    console.cluster.fails = lambda *_: None
    assert visit.post(f"{GRANT}/{path}", form_of(answer, reason=WHY)).status == 303


@pytest.mark.parametrize(
    ("path", "said"), [("review", "Your review stands in it: Approve"), ("revoke", "Your revocation")]
)
def test_what_was_written_without_an_answer_is_found_where_it_is_sent_again(
    console: ServedConsole, visit: Visit, path: str, said: str
) -> None:
    shown = visit.get(GRANT)
    console.cluster.loses = True
    unsure = visit.post(f"{GRANT}/{path}", form_of(shown, reason=WHY))
    assert (unsure.status, len(console.cluster.written)) == (502, 1)
    console.cluster.loses = False
    answer = visit.post(f"{GRANT}/{path}", form_of(unsure, reason="again"))
    assert (answer.status, len(console.cluster.written)) == (409, 1)
    assert said in answer.text
    assert "Nothing was written." not in answer.text


def test_what_somebody_else_wrote_in_the_meantime_is_not_taken_for_ones_own(
    console: ServedConsole, visit: Visit
) -> None:
    shown = visit.get(GRANT)
    console.cluster.grants[0]["metadata"]["resourceVersion"] = "8"
    console.cluster.grants[0]["spec"] |= {"reviews": [review("dave")], "revocation": {"by": "dave"}}
    answer = reviewed(visit, shown)
    assert ("stands in it" in answer.text, "Nothing was written." in answer.text) == (False, True)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("path", ["review", "revoke"])
def test_a_fault_on_the_way_back_leaves_open_what_was_written(
    console: ServedConsole, visit: Visit, path: str, status: int
) -> None:
    shown = visit.get(GRANT)
    console.cluster.fails = lambda method, _: ApiError("gateway", status) if method == "PATCH" else None
    answer = visit.post(f"{GRANT}/{path}", form_of(shown, reason=WHY))
    assert (answer.status, "Nothing was written." in answer.text) == (502, False)
    assert "It is not known" in answer.text
    assert "seen with &lt;the&gt; customer\nand twice</textarea>" in answer.text


@pytest.mark.parametrize("path", ["/", GRANT])
def test_a_page_says_that_the_api_server_is_away(console: ServedConsole, visit: Visit, path: str) -> None:
    console.cluster.fails = lambda *_: AWAY
    answer = visit.get(path)
    assert (answer.status, "Connection refused" in answer.text, "Try again" in answer.text) == (502, True, True)


def test_what_the_guards_refuse_is_told_in_their_words(console: ServedConsole, visit: Visit) -> None:
    shown = visit.get(GRANT)
    said = "set group to <one> of this step"
    console.cluster.fails = lambda method, _: ApiError(said, 403, "Forbidden") if method == "PATCH" else None
    answer = reviewed(visit, shown, reason=WHY)
    assert (answer.status, console.cluster.written) == (403, [])
    assert "set group to &lt;one&gt; of this step" in answer.text
    assert "seen with &lt;the&gt; customer" in answer.text


def test_a_defect_tells_the_browser_nothing_and_the_terminal_something(
    console: ServedConsole, visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    console.cluster.fails = lambda *_: ZeroDivisionError("secret detail")
    answer = visit.get("/")
    assert (answer.status, "secret detail" in answer.text) == (500, False)
    assert "this is a bug in the console (ZeroDivisionError: secret detail)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("namespace", "where"), [("crm", "in namespace crm"), (None, "in all namespaces")], ids=["one", "all"]
)
def test_who_may_not_list_is_told_which_right_is_missing(namespace: str | None, where: str) -> None:
    def forbids(method: str, path: str) -> Exception | None:
        return ApiError('User "carol" cannot list', 403, "Forbidden") if method == "LIST" else None

    table = TableCluster([waiting()], fails=forbids, lacks={("list", "approvalgrants")})
    with served(cluster=table, namespace=namespace) as console:
        answer = console.site.visit().get("/")
        assert answer.status == 403
        assert f"the verb list on approvalgrants {where}" in answer.text
        assert "customers.export" not in answer.text


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        (("approve", "endpointpolicies"), "the verb approve on endpointpolicies/crm-agent in namespace crm is missing"),
        (("patch", "approvalgrants"), "the verb patch on approvalgrants/agr-wanted in namespace crm is missing"),
    ],
)
def test_who_lacks_a_right_to_review_has_no_button_and_is_told_which(lacks: tuple[str, str], said: str) -> None:
    with served(cluster=TableCluster([waiting()], lacks={lacks})) as console:
        shown = console.site.visit().get(GRANT)
        assert (shown.status, said in shown.text, "/review" in shown.text) == (200, True, False)


def test_a_grant_in_use_can_be_revoked_and_what_was_done_is_told() -> None:
    with served(active(uses=1)) as console:
        console.cluster.grants[0]["spec"]["request"]["maxUses"] = 3
        visit = console.site.visit()
        shown = visit.get(GRANT)
        assert "/review" not in shown.text
        answer = visit.post(f"{GRANT}/revoke", form_of(shown, reason=""))
        assert (answer.status, console.cluster.written) == (422, [])
        assert visit.post(f"{GRANT}/revoke", form_of(answer, reason="incident closed")).status == 303
        ((_, change),) = console.cluster.written
        assert change == {
            "metadata": {"uid": shown_uid(console)},
            "spec": {"revocation": {"by": "carol", "reason": "incident closed"}},
        }
        assert "You revoked it. 1 of 3 uses were made." in visit.get(GRANT).text


def shown_uid(console: ServedConsole) -> str:
    found: str = console.cluster.grants[0]["metadata"]["uid"]
    return found


def test_a_grant_that_is_used_while_its_page_is_open_can_be_revoked() -> None:
    with served(active()) as console:
        visit = console.site.visit()
        shown = visit.get(GRANT)
        for version in ("8", "9"):
            console.cluster.grants[0]["metadata"]["resourceVersion"] = version
            console.cluster.grants[0]["status"]["uses"] += 1
        assert visit.post(f"{GRANT}/revoke", form_of(shown)).status == 303
        assert console.cluster.grants[0]["spec"]["revocation"] == {"by": "carol", "reason": "seen"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metadata": {"uid": "another"}}, "it is another request now"),
        ({"spec": {"revocation": {"by": "dave"}}}, "it is Revoked"),
    ],
    ids=["another request", "revoked already"],
)
def test_a_revocation_of_what_is_not_there_to_revoke_is_a_conflict(change: Object, said: str) -> None:
    with served(active()) as console:
        visit = console.site.visit()
        shown = visit.get(GRANT)
        stored = console.cluster.grants[0]
        for part, members in change.items():
            stored[part] |= members
        stored["metadata"]["resourceVersion"] = "8"
        console.cluster.fails = lambda method, _: ApiError("no", 422) if method == "PATCH" else None
        answer = visit.post(f"{GRANT}/revoke", form_of(shown))
        assert (answer.status, said in answer.text, console.cluster.written) == (409, True, [])


def test_why_a_revocation_is_refused_is_told_although_the_grant_was_used_meanwhile() -> None:
    with served(active()) as console:
        visit = console.site.visit()
        shown = visit.get(GRANT)
        console.cluster.grants[0]["metadata"]["resourceVersion"] = "8"
        said = "you need the verb revoke"
        console.cluster.fails = lambda method, _: ApiError(said, 422) if method == "PATCH" else None
        answer = visit.post(f"{GRANT}/revoke", form_of(shown))
        assert (answer.status, said in answer.text) == (422, True)


def test_policies_that_may_not_be_read_are_said_not_to_be_known() -> None:
    def forbids(method: str, path: str) -> Exception | None:
        return ApiError("no", 403) if path.endswith("endpointpolicies") else None

    with served(cluster=TableCluster([waiting()], fails=forbids)) as console:
        shown = console.site.visit().get(GRANT)
        assert shown.status == 200
        assert shown.text.count("not known: you lack the verb list on endpointpolicies in this namespace") == 2


@pytest.mark.parametrize("path", ["approvalgrants", "endpointpolicies"])
def test_a_list_that_does_not_come_keeps_nobody_from_the_page_of_one_grant(path: str) -> None:
    def away(method: str, asked: str) -> Exception | None:
        return AWAY if method == "LIST" and asked.endswith(path) else None

    with served(cluster=TableCluster([waiting()], fails=away)) as console:
        visit = console.site.visit()
        shown = visit.get(GRANT)
        assert (shown.status, "not known: the API server https://cluster.example does not" in shown.text) == (200, True)
        assert reviewed(visit, shown).status == 303


def many(count: int) -> list[Object]:
    def one(number: int) -> Object:
        raw = waiting(resource={"type": "customer", "id": f"c{number:04}"}, pendingUntilTime=from_now(3600 + number))
        raw["metadata"] |= {"name": f"agr-{number:04}", "uid": f"uid-{number}"}
        return raw

    return [one(number) for number in range(count)]


def test_a_thousand_waiting_grants_are_shown_in_pages() -> None:
    with served(*reversed(many(1000))) as console:
        visit = console.site.visit()
        visit.get("/")
        # How long the first page takes, `make bench` measures.
        first, last = visit.get("/"), visit.get("/?list=review&page=20")
        assert first.text.count('class="card"') == last.text.count('class="card"') == PAGE
        assert "Page 1 of 20" in first.text
        assert (first.text.index("customer/c0000") < first.text.index("customer/c0049"), "c0050" in first.text) == (
            True,
            False,
        )
        assert "customer/c0999" in last.text
        # The right to approve is asked about once a policy, not once a grant.
        assert sum(method == "POST" for method, _ in console.cluster.asked) == 1


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=-1", "?page=x", "?page=9999", f"?page={'1' * 5000}", "?list=unheard", "?page=²"]
)
def test_a_page_that_is_not_there_is_another_one(visit: Visit, query: str) -> None:
    assert visit.get(f"/{query.replace('²', '%C2%B2')}").status == 200


def test_a_grant_that_cannot_be_read_is_counted_on_the_page(console: ServedConsole, visit: Visit) -> None:
    assert "cannot be read" not in visit.get("/").text
    broken = waiting()
    del broken["spec"]["request"]["subject"]
    console.cluster.grants.append(broken)
    assert "1 of the grants cannot be read, and is in none of these lists." in visit.get("/?list=ended").text


def test_a_grant_that_is_gone_is_said_to_be(console: ServedConsole, visit: Visit) -> None:
    console.cluster.grants.clear()
    answer = visit.get(GRANT)
    assert (answer.status, "or not any more" in answer.text) == (404, True)


@pytest.mark.parametrize("name", ["agr%2Fwanted", "..%2f..%2fsecrets", "agr wanted".replace(" ", "%20"), "%00"])
def test_a_name_that_is_none_is_asked_of_nobody(console: ServedConsole, visit: Visit, name: str) -> None:
    answer = visit.get(f"/grants/crm/{name}")
    assert answer.status in {400, 404, 502}
    assert console.cluster.asked == []


def test_a_console_that_ends_before_an_answer_tells_its_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hung, released = threading.Event(), threading.Event()

    def hangs(method: str, path: str) -> Exception | None:
        if method == "PATCH":
            hung.set()
            released.wait(20)
        return None

    def send(visit: Visit) -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            reviewed(visit)

    with served(cluster=TableCluster([waiting()], fails=hangs)) as console:
        sender = threading.Thread(target=send, args=(console.site.visit(),))
        sender.start()
        assert hung.wait(20)
    released.set()
    sender.join(20)
    assert "The API server has not answered yet about agr-wanted in crm" in capsys.readouterr().err


@contextlib.contextmanager
def choked(console: ServedConsole, visit: Visit) -> Iterator[None]:
    """Have the API server hang, and the console wait for as much as it ever does."""
    released = threading.Event()

    def hangs(method: str, path: str) -> Exception | None:
        released.wait(20)
        return None

    console.cluster.fails = hangs
    answers: list[Page] = []
    askers = [threading.Thread(target=lambda: answers.append(visit.get(GRANT))) for _ in range(40)]
    for asker in askers:
        asker.start()
    until(lambda: len(answers) >= 8, "those beyond the bound were answered")
    try:
        yield
    finally:
        console.cluster.fails = lambda *_: None
        released.set()
        for asker in askers:
            asker.join(30)


def test_a_console_that_is_busy_says_that_nothing_was_sent_and_keeps_the_words(
    console: ServedConsole, visit: Visit
) -> None:
    shown = visit.get(GRANT)
    with choked(console, visit):
        answer = reviewed(visit, shown, reason=WHY)
        revoking = visit.post(f"{GRANT}/revoke", form_of(shown, reason=WHY))
        wrong = reviewed(visit, shown, reason=WHY, approve="")
    assert [one.status for one in (answer, revoking, wrong)] == [503, 503, 422]
    for one in (answer, revoking, wrong):
        assert "Nothing was written." in one.text
        assert "seen with &lt;the&gt; customer\nand twice</textarea>" in one.text
    assert "It was not sent" in answer.text
    assert console.cluster.written == []


def test_an_api_server_that_is_silent_is_not_asked_once_more_for_the_page(console: ServedConsole, visit: Visit) -> None:
    shown = visit.get(GRANT)
    console.cluster.fails = lambda *_: AWAY
    console.cluster.asked.clear()
    assert reviewed(visit, shown).status == 502
    assert [method for method, _ in console.cluster.asked] == ["PATCH"]


def test_a_list_that_refreshes_itself_waits_for_nobodys_turn(console: ServedConsole, visit: Visit) -> None:
    refresh = {"X-Bailiwick-Refresh": "1"}
    assert visit.get("/", refresh).status == 200
    with choked(console, visit):
        asked = len(console.cluster.asked)
        assert visit.get("/", refresh).status == 502
        assert len(console.cluster.asked) == asked


def test_a_page_that_comes_back_after_the_grant_ended_says_that_it_has(console: ServedConsole, visit: Visit) -> None:
    ended = waiting(pendingUntilTime=from_now(-30))
    before = console.visitor.memory.show(GrantView(ended, time.time() - 60))
    answer = reviewed(visit, shown=before.key, reason="")
    assert (answer.status, "It is Expired: it can no longer be reviewed" in answer.text) == (422, True)


def test_an_api_server_that_hangs_is_asked_a_few_things_at_once_and_more_are_told_to_come_again() -> None:
    lock, released = threading.Lock(), threading.Event()
    now = most = 0

    def hangs(method: str, path: str) -> Exception | None:
        nonlocal now, most
        if "configmaps" in path:
            # The strip's: one at a time, and nobody waits for it.
            return None
        with lock:
            now += 1
            most = max(most, now)
        released.wait(20)
        with lock:
            now -= 1
        return None

    with served(cluster=TableCluster([waiting()], fails=hangs)) as console:
        visit = console.site.visit()
        answers: list[Page] = []
        askers = [threading.Thread(target=lambda: answers.append(visit.get(GRANT))) for _ in range(40)]
        for asker in askers:
            asker.start()
        until(lambda: len(answers) >= 8, "those beyond the bound were answered")
        assert {(page.status, "try again in a moment" in page.text) for page in answers} == {(502, True)}
        released.set()
        for asker in askers:
            asker.join(30)
        assert {page.status for page in answers[8:]} == {200}
    assert most == 4
