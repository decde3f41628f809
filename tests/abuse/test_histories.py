"""What callers can try to get more from a limit than it gives, or to take from others, on a real API server.

Each test is one attempt. How soon is bounded by what was sent to the API server, as its own metrics count it.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from bailiwick_engine.history.state import KeyState, parse_state
from bailiwick_webhook.history.rations import WRITE_BURST, WRITES
from demo.stack import DecisionPoint
from localcluster import process
from support.callers import Callers
from support.floods import NUMBER, Floods
from support.installation import accepted
from support.longwork import counted_calls
from support.namespaces import Roles
from support.objects import Object, rule, subject
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until

LIMIT: Final = 3
READS_A_SECOND: Final = 4
QUOTA: Final = 2
ODD: Final[tuple[object, ...]] = (
    *(-1, 1e-3, 10**15, 1e300, True, None, [1], {"value": 1}),
    *("-1", "1e2", "0.001", "01", "+1", " 1", "1,5", "\u0661", "", "NaN", f"1.{15 * '0'}"),
)
SESSION: Final = {"property": "context.session"}


def history(name: str, key: Sequence[str], **more: object) -> Object:
    return {"name": name, "key": list(key), "window": "1h", "counts": {"actions": [f"customers.{name}"]}, **more}


def limited(name: str, expression: str) -> Object:
    conditions = [{"name": "limit", "expression": expression}]
    return rule(name, actions=[f"customers.{name}"], conditions=conditions, subjects=["agent", "other"])


HISTORIES: Final = (
    history("own", ["agent"]),
    history("stated", ["session"]),
    history("renamed", ["agent"]),
    history("flood", ["agent"]),
    history("fought", ["agent"]),
    history("many", ["resource"]),
    history("refund", ["agent", "context.args.currency"], amount={"of": "context.args.amount", "digits": 2}),
)
LIMITS: Final = (
    *(limited(name, f"history.{name}.count <= {LIMIT}") for name in ("own", "stated", "renamed", "flood", "fought")),
    limited("many", "history.many.count >= 0"),
    limited("refund", "history.refund.sum <= 1000"),
)


@pytest.fixture(scope="module")
def point(pdp: Bailiwick) -> Iterator[DecisionPoint]:
    """One decision point, whose requests are counted."""
    point = pdp.start_point()
    yield point
    process.stop([point.process.id])


@pytest.fixture(scope="module")
def tenants(pdp: Bailiwick, point: DecisionPoint) -> Iterator[Tenants]:
    tenants = pdp.tenants(point)
    yield tenants
    tenants.namespaces.clean()


def make_tenant(tenants: Tenants, name: str) -> Tenant:
    """Return a tenant with two agents: `agent`, and the account `stranger`, which its policy calls `other`."""
    tenant = tenants.make(name)
    namespace = tenant.namespace
    settings = {"enforcers": [{"namespace": namespace, "name": "api"}], "session": SESSION, "history": list(HISTORIES)}
    agents = [subject(namespace=namespace, account="agent"), subject("other", namespace, "stranger")]
    tenant.change_policy({"subjects": agents, "rules": [RULES[0], *LIMITS], "endpointSettings": settings})
    tenant.await_known(lambda said: said.decision is True, "customers.own")
    return tenant


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    return make_tenant(tenants, "limits")


def ask_for(
    tenant: Tenant, account: str, action: str, *, asker: str = "api", resource: str = "42", **context: object
) -> Said:
    """Let an account ask for another one, by a token of that one."""
    token = tenant.token(account, tenant.audience)
    body = questions.evaluation(tenant.account(account), f"customers.{action}", resource, token=token, **context)
    return questions.post(tenant.url(), body, tenant.token(asker, ENFORCER_AUDIENCE))


def states(tenant: Tenant) -> dict[str, KeyState]:
    """Return the state of every key of the tenant, as the API server holds it."""
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    stored = accepted(tenant.callers.admin.get(path))["items"]
    parsed = {item["metadata"]["name"]: parse_state(item["spec"]) for item in stored}
    assert None not in parsed.values()
    return {name: state for name, state in parsed.items() if state is not None}


def path_of_latest(tenant: Tenant) -> str:
    """Return the path of the object in which a call was counted last."""
    name = max(states(tenant).items(), key=lambda item: item[1].clock)[0]
    return f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}/{name}"


class ApiServerRequests:
    """How often the API server was asked for histories, by verb, since this was made. It counts each by itself."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._before = self._counted()

    def since(self) -> Counter[str]:
        return self._counted() - self._before

    def _counted(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for line in self._callers.admin.get("/metrics").text.splitlines():
            if line.startswith("apiserver_request_total{") and f'resource="{ENDPOINT_HISTORIES}"' in line:
                verb = re.search(r'verb="([A-Z]+)"', line)
                assert verb is not None
                counted[verb[1]] += int(float(line.rpartition(" ")[2]))
        return counted


class TestAnothersAllowance:
    def test_is_not_spent_by_an_account_that_does_not_enforce_the_endpoint(self, tenant: Tenant) -> None:
        before = states(tenant)
        assert ask_for(tenant, "agent", "own", asker="stranger").decision is not True
        assert tenant.ask_itself("customers.many", resource="itself").decision is True
        assert states(tenant) == before

    def test_is_not_spent_in_the_name_of_an_agent_that_is_not_proven(self, tenant: Tenant) -> None:
        before = states(tenant)
        body = questions.evaluation(tenant.agent, "customers.own")
        assert questions.post(tenant.url(), body, tenant.pep).decision is False
        body = questions.evaluation(tenant.agent, "customers.own", token=tenant.token("stranger", tenant.audience))
        assert questions.post(tenant.url(), body, tenant.pep).decision is not True
        assert states(tenant) == before

    def test_is_not_spent_by_another_agent(self, tenant: Tenant) -> None:
        spent = [ask_for(tenant, "stranger", "own").decision for _ in range(LIMIT + 1)]
        assert spent == [True] * LIMIT + [False]
        assert [ask_for(tenant, "agent", "own").decision for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]

    def test_is_not_spent_by_another_agent_in_a_session_of_the_same_name(self, tenant: Tenant) -> None:
        spent = [ask_for(tenant, "stranger", "stated", session="s-1").decision for _ in range(LIMIT + 1)]
        assert spent == [True] * LIMIT + [False]
        assert ask_for(tenant, "agent", "stated", session="s-1").decision is True


def test_new_session_ids_give_no_more_than_the_agent_has(tenant: Tenant) -> None:
    answers = [ask_for(tenant, "agent", "renamed", session=f"s-{number}").decision for number in range(LIMIT + 1)]
    assert answers == [True] * LIMIT + [False]


def test_a_call_without_a_session_is_not_let_through_uncounted(tenant: Tenant) -> None:
    assert ask_for(tenant, "agent", "stated").reason == "history_uncountable"


def set_quota(tenant: Tenant, objects: int) -> None:
    """Allow a namespace so many histories in all."""
    client, path = tenant.callers.admin, f"/api/v1/namespaces/{tenant.namespace}/resourcequotas/histories"
    metadata = {"namespace": tenant.namespace, "name": "histories"}
    name = f"count/{ENDPOINT_HISTORIES}.{API_VERSION.partition('/')[0]}"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {name: f"{objects}"}}}

    def counted() -> bool:
        # The controller looks for new kinds twice a minute, and at a quota that it has seen every five minutes.
        client.delete(path)
        accepted(client.create(quota))
        time.sleep(1)
        return name in client.get(path).body.get("status", {}).get("used", {})

    until(counted, "the quota is counted", 60)


def test_many_keys_end_at_the_quota_of_their_namespace_and_no_other_one_notices(tenants: Tenants) -> None:
    crowded, neighbour = (make_tenant(tenants, name) for name in ("crowded", "neighbour"))
    set_quota(crowded, QUOTA)
    asked = partial(ask_for, crowded, "agent", "many")
    assert [asked(resource=f"r-{number}").decision for number in range(QUOTA)] == [True] * QUOTA
    denied = asked(resource="one-too-many")
    assert (denied.decision, denied.reason, denied.context["next_action"]) == (False, "history_unavailable", "retry")
    assert len(states(crowded)) == QUOTA
    # Keys that exist go on counting, and what no history touches needs none.
    assert asked(resource="r-0").decision is True
    assert crowded.ask("customers.list").decision is True
    assert [ask_for(neighbour, "agent", "many", resource=f"r-{number}").decision for number in range(9)] == [True] * 9
    assert len(states(neighbour)) == 9


def test_a_flood_of_new_keys_is_bounded_by_its_namespace_and_takes_no_write_from_others(
    tenants: Tenants, pdp: Bailiwick
) -> None:
    flooding, innocent = (make_tenant(tenants, name) for name in ("spreading", "steady"))
    requests, began = ApiServerRequests(pdp.callers), time.monotonic()
    with Floods([counted_calls(flooding, "customers.many", NUMBER)], 60) as floods:
        answers = [ask_for(innocent, "agent", "many", resource="steady") for _ in range(40)]
    sent, seconds = requests.since(), time.monotonic() - began
    assert [answer.decision for answer in answers] == [True] * 40
    (counts,) = floods.counts.values()
    assert counts["200"] > 0
    # Each flooding call that passed has an object of its own; one of all is that of the innocent calls.
    made = len(states(flooding))
    assert 0 < made <= WRITE_BURST + WRITES * (seconds + 1)
    # The first of the innocent calls made its object, and none of the others had to write again.
    assert sent["PUT"] == 39


def test_a_flood_at_the_limit_reads_four_times_a_second_and_takes_nothing_from_others(
    tenants: Tenants, pdp: Bailiwick
) -> None:
    flooding, innocent = (make_tenant(tenants, name) for name in ("flooding", "innocent"))
    assert [ask_for(flooding, "agent", "flood").decision for _ in range(LIMIT)] == [True] * LIMIT
    assert ask_for(innocent, "agent", "many", resource="steady").decision
    stop, denied = threading.Event(), Counter[str | None]()

    def flood() -> None:
        while not stop.is_set():
            denied[ask_for(flooding, "agent", "flood").reason] += 1

    requests, began = ApiServerRequests(pdp.callers), time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        floods = [threads.submit(flood) for _ in range(16)]
        try:
            answers = [ask_for(innocent, "agent", "many", resource="steady") for _ in range(60)]
        finally:
            stop.set()
        for one in floods:
            one.result()
    sent, seconds = requests.since(), time.monotonic() - began
    assert denied.keys() == {"condition_false"}
    assert denied["condition_false"] > 2 * READS_A_SECOND * (seconds + 1), "calls share a read"
    assert sent["GET"] <= READS_A_SECOND * (seconds + 1)
    # Each innocent call is counted by one write of its own: none waits for what the others read, or meets a conflict.
    # What makes objects meanwhile are calls that still waited for their turn when the flood of another test ended.
    assert [answer.decision for answer in answers] == [True] * 60
    assert sent["PUT"] == 60


def test_a_writer_that_never_rests_makes_calls_of_its_key_late_and_no_limit_larger(
    tenant: Tenant, pdp: Bailiwick
) -> None:
    assert ask_for(tenant, "agent", "fought").decision
    path = path_of_latest(tenant)
    stop, written = threading.Event(), Counter[int]()

    def fight() -> None:
        # Only with the decision point's own account can anybody write.
        client = pdp.callers(pdp.installation.webhook)
        while not stop.is_set():
            stored: dict[str, Any] = client.get(path).body
            stored["spec"]["seq"] += 1
            written[client.replace(stored).status] += 1

    fighter = threading.Thread(target=fight)
    fighter.start()
    try:
        until(lambda: written[200] > 3, "somebody else writes")
        fought = [ask_for(tenant, "agent", "fought") for _ in range(LIMIT + 2)]
        others = [ask_for(tenant, "agent", "many", resource="beside") for _ in range(5)]
    finally:
        stop.set()
        fighter.join()
    assert {one.reason for one in fought} <= {"allowed", "condition_false", "history_unavailable"}
    assert [one.decision for one in fought].count(True) <= LIMIT - 1
    assert [one.decision for one in others] == [True] * 5


def test_nobody_else_can_write_or_delete_what_was_counted(tenant: Tenant, pdp: Bailiwick) -> None:
    assert ask_for(tenant, "agent", "many", resource="kept").decision
    path = path_of_latest(tenant)
    Roles(pdp.callers.admin, tenant.namespace).give(
        [{"apiGroups": [API_VERSION.partition("/")[0]], "resources": [ENDPOINT_HISTORIES], "verbs": ["*"]}], "carol"
    )
    before = states(tenant)
    for client in (pdp.callers("carol"), pdp.callers.admin):
        assert "only the decision point can write histories" in client.patch(path, {"spec": {"seq": 9_000}}).message
        refused = client.delete(path)
        assert (refused.status, "bailiwick-history-delete" in refused.message) == (403, True)
    assert states(tenant) == before


class TestAnAmount:
    def test_that_is_split_is_the_sum_of_its_parts(self, tenant: Tenant) -> None:
        parts = [ask_for(tenant, "agent", "refund", args={"amount": 400, "currency": "EUR"}) for _ in range(3)]
        assert [part.decision for part in parts] == [True, True, False]
        assert ask_for(tenant, "agent", "refund", args={"amount": "200.00", "currency": "EUR"}).decision is True
        assert ask_for(tenant, "agent", "refund", args={"amount": 0.01, "currency": "EUR"}).decision is False

    def test_that_is_split_within_a_batch_is_the_sum_of_its_parts(self, tenant: Tenant) -> None:
        token = tenant.token("agent", tenant.audience)
        whole = questions.evaluation(
            tenant.agent, "customers.refund", token=token, args={"amount": 400, "currency": "CHF"}
        )
        body = {**whole, "evaluations": [{"resource": {"type": "customer", "id": f"{number}"}} for number in range(3)]}
        answer = questions.post(tenant.url("evaluations"), body, tenant.pep)
        assert [one["decision"] for one in answer.body["evaluations"]] == [True, True, False]

    def test_of_another_currency_is_no_part_of_the_sum(self, tenant: Tenant) -> None:
        asked = partial(ask_for, tenant, "agent", "refund")
        assert asked(args={"amount": 1_000, "currency": "USD"}).decision is True
        assert asked(args={"amount": 1_000, "currency": "SEK"}).decision is True
        assert asked(args={"amount": 1, "currency": "USD"}).decision is False
        assert asked(args={"amount": 1}).reason == "history_uncountable"

    @pytest.mark.parametrize("amount", ODD, ids=repr)
    def test_that_is_odd_is_not_let_through(self, tenant: Tenant, amount: object) -> None:
        before = states(tenant)
        denied = ask_for(tenant, "agent", "refund", args={"amount": amount, "currency": "NOK"})
        assert (denied.decision, denied.reason) == (False, "history_uncountable")
        assert states(tenant) == before
