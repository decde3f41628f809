"""What histories have counted, on the pages of endpoints and requests: read as the person, or said to be unread."""

import copy
import re
from collections.abc import Iterator

import pytest

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.needs import HistoryNeeds, history_needs
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_governance.errors import ApiError
from support.console.inprocess import ServedConsole, served
from support.console.markup import assert_harmless, plain
from support.objects import AGENT, Object, gated_rule
from unit.console.cases import waiting
from unit.console.historyobjects import KEY, OBJECT, definitions, slot, stored_object
from unit.console.policies import PAYLOADS, counting, crm

ENDPOINT = "/endpoints/crm/crm-api"
GRANT = "/grants/crm/agr-wanted"
LIMIT = {"name": "few", "expression": "history.exports.count <= 5"}
FORBIDDEN = ApiError('endpointhistories.bailiwick.dev is forbidden: User "carol" cannot list', 403, "Forbidden")


def hourly(policy: Object, key: str = KEY) -> Object:
    """Return an object with three exports a quarter of an hour ago and one a minute ago, of 12.50 in all."""
    found = definitions(policy)
    return stored_object(
        {
            found["exports"]: [slot(found["exports"], 900, 3), slot(found["exports"], 60, 1)],
            found["spent"]: [slot(found["spent"], 60, 1, 1250)],
            found["daily"]: [slot(found["daily"], 0, 9)],
        },
        key=key,
    )


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    policy = counting()
    with served(policies=[policy]) as console:
        console.cluster.histories.append(hourly(policy))
        yield console


def body_rows(text: str) -> list[str]:
    return [plain(one) for one in re.findall(r"<tr><td>.*?</tr>", text, re.DOTALL)]


def asked_of_histories(console: ServedConsole) -> list[tuple[str, str]]:
    return [one for one in console.cluster.asked if "endpointhistories" in one[1]]


def test_an_endpoint_shows_its_definitions_and_what_they_hold(console: ServedConsole) -> None:
    page = console.site.visit().get(ENDPOINT)
    told = plain(page.text)
    assert "exports Key agent Window 1h Counts Allowed calls of customers.export when context.intent != 'drill'" in told
    assert "Sums context.args.amount, 2 decimals" in told
    assert "Window the present day in UTC Counts Allowed calls of * not those that an approval lets through" in told
    rows = body_rows(page.text)
    # "5s", or one more where a second ended in between.
    assert re.match(rf"daily 9 - [5-7]s 7 2026-11-30T08:00:00Z {OBJECT}", rows[0]), rows[0]
    assert re.match(rf"exports 4 - [5-7]s 7 2026-11-30T08:00:00Z {OBJECT}", rows[1]), rows[1]
    assert re.match(rf"spent 1 12\.50 [5-7]s 7 2026-11-30T08:00:00Z {OBJECT}", rows[2]), rows[2]


def test_the_plot_has_a_bar_for_each_part_of_the_window_and_a_table_of_the_same_numbers(
    console: ServedConsole,
) -> None:
    page = console.site.visit().get(ENDPOINT)
    plots = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)
    # A period of the calendar is one number.
    assert len(plots) == 2
    exports, spent = plots
    bars = [
        tuple(map(int, one))
        for one in re.findall(r'<rect class="bar" x="(\d+)" y="(\d+)" width="8" height="(\d+)"/>', exports)
    ]
    assert [(y, height) for _, y, height in bars] == [(0, 100), (67, 33)]
    # 14 minutes of 60 are 14.9 of 64 bars apart.
    assert (bars[1][0] - bars[0][0]) // 10 in {14, 15}
    width = int(re.findall(r'viewBox="0 0 (\d+) 102"', exports)[0])
    assert all(x + 8 <= width for x, _, _ in bars)
    assert "2 bars from" in exports
    assert "The highest has 3 calls." in exports
    assert len(re.findall('class="bar"', spent)) == 1
    assert [row.split(" ")[1:] for row in body_rows(page.text)[3:]] == [["3", "-"], ["1", "-"], ["1", "12.50"]]


def test_an_endpoint_without_histories_reads_none() -> None:
    with served(policies=[crm()]) as console:
        page = console.site.visit().get(ENDPOINT)
        assert ("Histories" in page.text, asked_of_histories(console)) == (False, [])


@pytest.mark.parametrize(("query", "verb"), [("", "list"), (f"?history={OBJECT}", "get")])
def test_without_the_right_the_definitions_stand_and_the_right_is_named(
    console: ServedConsole, query: str, verb: str
) -> None:
    console.cluster.fails = lambda _, path: FORBIDDEN if "endpointhistories" in path else None
    page = console.site.visit().get(ENDPOINT + query)
    told = plain(page.text)
    assert page.status == 200
    right = f"you lack the verb {verb} on endpointhistories in namespace crm, and no role of Bailiwick has it"
    assert f"What was counted cannot be shown: {right}" in told
    assert "exports Key agent Window 1h" in told
    assert (body_rows(page.text), "<svg" in page.text) == ([], False)
    # The policies are read with another right.
    assert "What a cell says" in told


def test_more_objects_than_a_page_reads_are_said_to_be_there_and_are_looked_up_by_name() -> None:
    policy = counting()
    keys = [f"sha256:{number:064x}" for number in range(230)]
    named = [f"sha256:{number:03x}" + "0" * 61 for number in range(230)]
    assert len({key[7:47] for key in named}) == len(keys)
    with served(policies=[policy]) as console:
        console.cluster.histories += [hourly(policy, key) for key in named]
        visit = console.site.visit()
        page = visit.get(f"{ENDPOINT}?objects=20")
        told = plain(page.text)
        assert "What the histories hold, for 10 of more than 200 objects" in told
        assert "There are more than these 200 objects" in told
        assert len([row for row in body_rows(page.text) if "h-0c7" in row]) == 3
        last = "h-" + named[-1][7:47]
        assert last not in visit.get(ENDPOINT).text
        assert len([row for row in body_rows(visit.get(f"{ENDPOINT}?history={last}").text) if last in row]) == 3


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("h-" + "c" * 40, "There is no such object."),
        ("..%2F..%2Fsecrets%2Fx", "a name of an EndpointHistory is h- and 40 hexadecimal digits"),
        ("agr-wanted", "a name of an EndpointHistory is h- and 40 hexadecimal digits"),
    ],
)
def test_a_name_that_no_object_has_finds_nothing(console: ServedConsole, wanted: str, said: str) -> None:
    page = console.site.visit().get(f"{ENDPOINT}?history={wanted}")
    assert (page.status, said in plain(page.text), body_rows(page.text)) == (200, True, [])
    assert not [path for _, path in console.cluster.asked if "secrets" in path]


def test_of_an_object_that_is_no_state_or_of_another_endpoint_nothing_is_shown_as_counted(
    console: ServedConsole,
) -> None:
    whole = console.cluster.histories[0]
    broken, other = copy.deepcopy(whole), copy.deepcopy(whole)
    broken["spec"]["seq"] = "many"
    other["spec"]["endpoint"] = "mail"
    console.cluster.histories[:] = [broken, other]
    page = console.site.visit().get(ENDPOINT)
    expected = f"(unreadable) unknown unknown unknown unknown 2026-11-30T08:00:00Z {OBJECT}"
    assert body_rows(page.text) == [expected, expected]
    assert "<svg" not in page.text


@pytest.mark.parametrize("payload", PAYLOADS[:8])
def test_texts_of_definitions_and_objects_stay_text(payload: str) -> None:
    text = payload.replace("\\", "").replace('"', "'")
    policy = counting(
        {
            "name": "h",
            "key": ["agent"],
            "window": "1h",
            "counts": {
                "actions": ["x.export"],
                "when": f'context.intent != "{text}"' if text.isprintable() else "true",
                "resources": [{"type": "customer", "ids": [text[:60].replace("*", "x")]}],
            },
        }
    )
    made = stored_object({definitions(policy)["h"]: [slot(definitions(policy)["h"], 60, 2)]})
    made["metadata"] |= {"name": payload, "creationTimestamp": payload}
    with served(policies=[policy]) as console:
        console.cluster.histories.append(made)
        page = console.site.visit().get(ENDPOINT)
    assert page.status == 200
    assert len(re.findall('class="bar"', page.text)) == 1
    # Our own drawing is the only one.
    assert_harmless(re.sub(r"<svg class=\"plot\".*?</svg>", "", page.text, flags=re.DOTALL))
    assert page.text.count("<svg") == 1


def served_request(*histories: Object, **request: object) -> tuple[Object, Object]:
    """Return a request, and the policy by which it was opened; a rule of it reads `exports`."""
    policy = counting(*histories, rules=[gated_rule("export", conditions=[LIMIT])])
    policy["metadata"]["uid"] = "policy-uid"
    return waiting(**request), policy


def engine_key(policy: Object) -> str:
    """Return the key of the object in which the decision point counts the call of the request."""
    (endpoint,) = Snapshot.of([compile_object(policy)]).endpoints.values()
    subject = Party(SERVICE_ACCOUNT, AGENT, "agent-uid", issuer=CLUSTER)
    call = Call(
        "crm",
        "crm-api",
        ServiceAccount("x", "y"),
        subject,
        Action("customers.export"),
        Resource("customer", "42", {"env": "prod"}),
        {"args": {"amount": 3}, "intent": "support"},
    )
    needs = history_needs(endpoint.histories, call, subject, seen(endpoint, call, subject, 1.0), ("exports",))
    assert isinstance(needs, HistoryNeeds), needs
    (need,) = needs.objects
    return need.key


def test_a_request_shows_the_numbers_of_its_key_now_and_with_this_call() -> None:
    grant, policy = served_request(intent="support")
    key = engine_key(policy)
    with served(grant, policies=[policy]) as console:
        console.cluster.histories.append(hourly(policy, key))
        told = plain(console.site.visit().get(GRANT).text)
        name = "h-" + key[7:47]
        assert asked_of_histories(console) == [
            ("GET", f"/apis/bailiwick.dev/v1alpha1/namespaces/crm/endpointhistories/{name}")
        ]
    ago = r"the latest call \ds ago"
    assert re.search(
        rf"History exports A rule of this request reads it. It counts this call. Object {name}"
        rf" Now count 4, {ago} With this call count 5, {ago}",
        told,
    ), told
    assert re.search(
        rf"History spent It counts this call. Object {name} Now count 1, sum 12.50, {ago} With this call"
        rf" count 2, {ago}, the sum is not known: it takes context.args.amount, which the request does not hold",
        told.replace(" ,", ","),
    ), told
    assert "It counts this call, but adds nothing for a call that an approval lets through." in told


def test_a_key_that_nothing_was_counted_for_has_no_object_and_counts_this_call_first() -> None:
    grant, policy = served_request(intent="support")
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
    assert "Now count 0, no call before With this call count 1, no call before" in told


def test_a_request_of_which_the_object_may_not_be_read_says_which_right_is_missing() -> None:
    grant, policy = served_request(intent="support")
    with served(grant, policies=[policy]) as console:
        console.cluster.fails = lambda _, path: FORBIDDEN if "endpointhistories" in path else None
        page = console.site.visit().get(GRANT)
    told = plain(page.text)
    assert page.status == 200
    assert (
        "not known: you lack the verb get on endpointhistories in namespace crm, and no role of Bailiwick has it"
        in (told)
    )
    assert not re.search(r"Now|count \d", told)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (["context.args.currency"], "the key of the call has context.args.currency, which the request does not hold"),
        (["subject.claims.sid"], "the key of the call has subject.claims.sid, which the request does not hold"),
        (["resource.properties.db"], "the key of the call has resource.properties.db, which the request does not hold"),
        (["intent"], "the call has no value for a part of the key"),
    ],
)
def test_a_key_that_takes_what_the_request_does_not_hold_is_not_guessed(key: list[str], said: str) -> None:
    counts = {"actions": ["customers.export"]}
    grant, policy = served_request({"name": "exports", "key": key, "window": "1h", "counts": counts})
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
        assert asked_of_histories(console) == []
    assert f"Numbers not known: {said}" in told


def test_a_subject_whose_uid_the_request_does_not_hold_has_no_key() -> None:
    grant, policy = served_request(subject={"type": "serviceAccount", "id": AGENT})
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
        assert asked_of_histories(console) == []
    assert "not known: the key of the call has the agent's issuer and uid, which the request does not hold" in told


def test_whether_a_call_counts_that_hangs_on_its_arguments_is_not_guessed() -> None:
    counts = {"actions": ["customers.export"], "when": "context.args.amount > 2"}
    grant, policy = served_request({"name": "exports", "key": ["agent"], "window": "1h", "counts": counts})
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
    assert "A rule of this request reads it. It may count this call." in told
    assert "With this call not known: it takes context.args.amount, which the request does not hold" in told


def test_a_call_that_no_history_could_count_has_no_numbers() -> None:
    # It declares no intent, which `when` of the history reads.
    grant, policy = served_request()
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
    assert "not known: the call has no value for a part of the key, or its `when` is not known" in told


def test_a_call_that_the_history_leaves_out_is_said_not_to_count() -> None:
    grant, policy = served_request(intent="drill")
    with served(grant, policies=[policy]) as console:
        told = plain(console.site.visit().get(GRANT).text)
    exports = told.partition("History exports")[2].partition("History")[0]
    assert "A rule of this request reads it. It does not count this call." in exports
    assert ("Now count 0, no call before" in exports, "With this call" in exports) == (True, False)


def test_an_object_that_is_no_state_shows_no_number_on_a_request() -> None:
    grant, policy = served_request(intent="support")
    made = hourly(policy, engine_key(policy))
    made["spec"]["key"] = KEY
    with served(grant, policies=[policy]) as console:
        console.cluster.histories.append(made)
        told = plain(console.site.visit().get(GRANT).text)
    assert "the object holds no valid state, so that calls that depend on it are denied" in told
    assert not re.search(r"Now|count \d", told.partition("History exports")[2].partition("History")[0])


def test_a_grant_that_has_ended_reads_no_history() -> None:
    grant, policy = served_request()
    grant["status"] = {"phase": "Denied"}
    with served(grant, policies=[policy]) as console:
        page = console.site.visit().get(GRANT)
        assert (page.status, asked_of_histories(console)) == (200, [])
