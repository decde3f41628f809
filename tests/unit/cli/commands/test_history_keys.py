"""The values of a key that somebody types lead to the object that the decision point counts such a call in."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli.commands.history.keyvalues import CountedKey, counted_key
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.needs import HistoryNeeds, history_needs
from bailiwick_engine.history.state import KeyState, Slot, StateLine, state_spec
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_governance.errors import UserError
from bailiwick_governance.views.historyview import ShownHistory, histories_document, history_rows
from support.objects import Object, rule, settings
from unit.engine.cases import CALL, snapshot, stored

UIDS: Final = {"agents/crm-agent": "uid-1", "agents/other": "uid-2"}
ACCOUNTS: Final = {name: f"system:serviceaccount:{name.replace('/', ':')}" for name in UIDS}
AGENT: Final = Party(SERVICE_ACCOUNT, ACCOUNTS["agents/crm-agent"], "uid-1", issuer=CLUSTER)
CAROL: Final = Party("user", "carol", "people#carol", {"sid": "s-1"}, issuer="people")


def endpoint(*keys: list[str], session: Object | None = None, **more: object) -> CompiledEndpoint:
    """Return an endpoint with a history for each key."""
    counts = {"actions": ["*"]}
    histories = [{"name": f"h{at}", "key": key, "window": "1h", "counts": counts} for at, key in enumerate(keys)]
    carrying: dict[str, Any] = {
        **settings(),
        "identity": {"issuers": ["people", "cluster"]},
        "history": histories,
        **more,
    }
    if session is not None:
        carrying["session"] = session
    (found,) = snapshot(stored("p", rule(), endpointSettings=carrying)).endpoints.values()
    return found


def uid_of(account: ServiceAccountName) -> str:
    return next(UIDS[name] for name, username in ACCOUNTS.items() if username == account.username)


def typed(of: CompiledEndpoint, *texts: str) -> CountedKey:
    return counted_key((CALL.namespace, CALL.endpoint), of, texts, uid_of)


def counted(of: CompiledEndpoint, call: Call) -> str:
    """Return the name of the object that the decision point counts a call in."""
    assert isinstance(call.subject, Party)
    needs = history_needs(of.histories, call, call.subject, seen(of, call, call.subject, 1.0), ())
    assert isinstance(needs, HistoryNeeds), needs
    (need,) = needs.objects
    return need.name


CALLED: Final = replace(
    CALL,
    subject=AGENT,
    action=Action("customers.export"),
    resource=Resource("customer", "42/7", {"db": "main"}),
    context={"args": {"currency": "EUR", "amount": 3}, "intent": "audit", "session": "s-2"},
)


@pytest.mark.parametrize(
    ("key", "texts", "call"),
    [
        ([], [], CALLED),
        (["agent"], ["agent=sa:agents/crm-agent"], CALLED),
        (
            ["agent"],
            ["agent=sa:agents/other"],
            replace(CALLED, actors=(replace(AGENT, id=ACCOUNTS["agents/other"], uid="uid-2"),)),
        ),
        (["subject"], ["subject=people/carol"], replace(CALLED, subject=CAROL, actors=(AGENT,))),
        (
            ["subject", "agent"],
            ["agent=sa:agents/crm-agent", "subject=people/carol"],
            replace(CALLED, subject=CAROL, actors=(AGENT,)),
        ),
        (["resource"], ["resource=customer/42/7"], CALLED),
        (["action"], ["action=customers.export"], CALLED),
        (["intent"], ["intent=audit"], CALLED),
        (["context.args.currency"], ["context.args.currency=EUR"], CALLED),
        (["context.args.amount"], ["context.args.amount=3"], CALLED),
        (["resource.properties.db"], ["resource.properties.db=main"], CALLED),
        (["subject.claims.sid"], ["subject.claims.sid=s-1"], replace(CALLED, subject=CAROL)),
        (["agent", "context.args.currency"], ["context.args.currency=EUR", "agent=sa:agents/crm-agent"], CALLED),
    ],
)
def test_typed_values_name_the_object_of_such_a_call(key: list[str], texts: list[str], call: Call) -> None:
    of = endpoint(key)
    assert typed(of, *texts).object.name == counted(of, call)


def test_a_session_of_a_claim_is_named_with_its_issuer() -> None:
    of = endpoint(["session"], session={"claim": "sid"})
    assert typed(of, "session=people/s-1").object.name == counted(of, replace(CALLED, subject=CAROL))
    with pytest.raises(UserError, match="ISSUER/VALUE, with an issuer that the endpoint accepts"):
        typed(of, "session=s-1")


def test_a_stated_session_is_named_with_its_agent() -> None:
    of = endpoint(["session"], session={"property": "context.session"})
    found = typed(of, "session=s-2", "agent=sa:agents/crm-agent")
    assert found.object.name == counted(of, CALLED)
    assert found.object.name != typed(of, "session=s-2", "agent=sa:agents/other").object.name


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["agnt=sa:agents/crm-agent"], "no history of crm-api has the key agnt: agent=VALUE or resource=VALUE"),
        ([], "has the key of no part"),
        (["agent"], "'agent' has no value"),
        (["agent=sa:agents"], "must be NAMESPACE/NAME"),
        (["agent=strangers/x"], "does not accept the issuer strangers"),
        (["resource=customer"], "is not a resource"),
    ],
)
def test_what_names_no_key_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        typed(endpoint(["agent"], ["resource"]), *texts)


def test_an_endpoint_without_histories_has_no_key() -> None:
    (of,) = snapshot(stored("p", rule(), endpointSettings=settings())).endpoints.values()
    with pytest.raises(UserError, match="declares no history"):
        typed(of, "agent=sa:agents/crm-agent")


class TestWhatIsShown:
    NOW: Final = 1_764_439_200.0

    def raw(self, key: CountedKey, count: int, age: int) -> dict[str, Any]:
        last = int(self.NOW * 1000) - age * 1000
        line = StateLine((Slot(last // 56_250, count, 0),), last)
        lines = {key.histories[0].digest: line, "0" * 12: line}
        state = KeyState("crm-api", key.object.key, 118, last, lines)
        return {
            "metadata": {"name": key.object.name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": state_spec(state),
        }

    def test_is_what_the_object_holds_now(self) -> None:
        key = typed(endpoint(["agent"]), "agent=sa:agents/crm-agent")
        for shown in (
            ShownHistory.of_key(key.object, key.histories, self.raw(key, 4, 90)),
            ShownHistory.from_object(self.raw(key, 4, 90), key.histories),
        ):
            (row,) = history_rows([shown], self.NOW)
            assert [text for text, _ in row][:6] == ["h0", "4", "-", "90s", "118", "2026-01-01T00:00:00Z"]
            document: Object = histories_document(("crm", "crm-api"), [shown], self.NOW)
            (made,) = document["objects"]
            assert made["formerDefinitions"] == 1
            assert made["histories"] == [{"name": "h0", "known": True, "count": 4, "sum": None, "age": 90}]

    def test_is_nothing_when_all_calls_are_out_of_the_window(self) -> None:
        key = typed(endpoint(["agent"]), "agent=sa:agents/crm-agent")
        shown = ShownHistory.of_key(key.object, key.histories, self.raw(key, 4, 90))
        assert shown.numbers(self.NOW + 2 * 3600)["h0"].count == 0

    def test_is_nothing_where_there_is_no_object(self) -> None:
        key = typed(endpoint(["agent"]), "agent=sa:agents/crm-agent")
        (row,) = history_rows([ShownHistory.of_key(key.object, key.histories, None)], self.NOW)
        assert [text for text, _ in row][:6] == ["h0", "0", "-", "-", "0", "-"]

    @pytest.mark.parametrize("change", [{"seq": -1}, {"key": "sha256:" + "1" * 64}])
    def test_of_an_object_that_is_no_state_of_this_key_is_unknown(self, change: dict[str, object]) -> None:
        key = typed(endpoint(["agent"]), "agent=sa:agents/crm-agent")
        raw = self.raw(key, 4, 90)
        raw["spec"].update(change)
        (row,) = history_rows([ShownHistory.of_key(key.object, key.histories, raw)], self.NOW)
        assert [text for text, _ in row][:5] == ["h0", "unknown", "unknown", "unknown", "unknown"]
