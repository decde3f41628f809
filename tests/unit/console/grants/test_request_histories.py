"""The object that a request's page looks at is the one in which the decision point counts the call, or none."""

from itertools import product
from typing import Any, Final

import pytest

from bailiwick_engine import keys
from bailiwick_engine.approval.grants import chain
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.needs import HistoryNeeds, history_needs
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_governance.views.requesthistories import RequestHistories, history_facts, request_histories
from support.objects import AGENT, Object, gated_rule, settings
from unit.console.policies import stored
from unit.governance.cases import view

OTHER: Final = "system:serviceaccount:agents:helper"
PROVEN: Final = {"identity": {"issuers": ["cluster", "corp"]}}
WORD: Final = {"identity": {"verification": "Asserted"}}
BOT: Final = Party(SERVICE_ACCOUNT, AGENT, "agent-uid", issuer=CLUSTER)
HELPER: Final = Party(SERVICE_ACCOUNT, OTHER, "helper-uid", issuer=CLUSTER)
CAROL: Final = Party(USER, "carol", keys.uid_of("corp", "carol"), issuer="corp")
LONG: Final = Party(USER, "c" * 200, keys.uid_of("corp", "c" * 200), issuer="corp")
DOCTOR: Final = Party("doctor", "7", keys.uid_of("asserted", "7"), issuer=None)
DIALS: Final[dict[str, tuple[Object, Party, tuple[Party, ...]]]] = {
    "a service account": (PROVEN, BOT, ()),
    "a person by an agent": (PROVEN, CAROL, (BOT,)),
    "a person by a chain": (PROVEN, CAROL, (HELPER, BOT)),
    "a person": (PROVEN, CAROL, ()),
    "somebody asserted": (WORD, DOCTOR, ()),
    "a person whose uid is hashed": (PROVEN, LONG, (BOT,)),
}
KEYS: Final[tuple[list[str], ...]] = (
    [],
    ["subject"],
    ["agent"],
    ["resource", "subject"],
    ["action", "agent"],
    ["intent", "resource"],
)
# An issuer that the uid does not show is not guessed.
UNKNOWN: Final = {("a person whose uid is hashed", "subject")}


def opened(call: Call, subject: Party) -> dict[str, Any]:
    """Return what the decision point writes of a call into a request."""
    return {
        "subject": {"type": subject.type, "id": subject.id, "uid": subject.uid},
        "actors": [
            {"id": name, "uid": uid} | ({"issuer": issuer} if issuer is not None else {})
            for issuer, name, uid in chain(call)
        ],
        "action": {"name": call.action.name},
        "resource": {"type": call.resource.type, "id": call.resource.id},
        "intent": call.intent,
    }


@pytest.mark.parametrize(("parties", "key"), list(product(DIALS, KEYS)))
def test_a_request_leads_to_the_object_of_its_call(parties: str, key: list[str]) -> None:
    more, subject, actors = DIALS[parties]
    history = {"name": "h", "key": key, "window": "1h", "counts": {"actions": ["*"]}}
    policy = stored(endpointSettings={**settings(), **more, "history": [history]}, rules=[gated_rule("export")])
    call = Call(
        "crm",
        "crm-api",
        ServiceAccount("system:serviceaccount:crm:crm-api", "uid"),
        subject,
        Action("customers.export"),
        Resource("customer", "42/7", {"env": "prod"}),
        {"args": {"amount": 3}, "intent": "audit"},
        actors,
    )
    (endpoint,) = Snapshot.of([compile_object(policy)]).endpoints.values()
    assert endpoint.settings is not None
    needs = history_needs(endpoint.histories, call, subject, seen(endpoint, call, subject, 1.0), ())
    assert isinstance(needs, HistoryNeeds)
    (found,) = request_histories(view(**opened(call, subject)), [policy])
    if any((parties, part) in UNKNOWN for part in key):
        assert (found.need, found.missing) == (None, ("the subject's issuer and uid",))
        return
    assert found.need is not None, found
    (need,) = needs.objects
    assert (found.need.name, found.need.key, found.counts) == (need.name, need.key, True)


def test_policies_of_other_endpoints_and_invalid_ones_lead_to_no_history() -> None:
    history = {"name": "h", "key": [], "window": "1h", "counts": {"actions": ["*"]}}
    carrying = {**settings(), "history": [history]}
    away = stored(endpoint="mail", endpointSettings=carrying)
    broken = stored(endpointSettings={**carrying, "history": [{**history, "window": "soon"}]})
    text = stored()
    text["spec"] = "no object"
    twice = [stored("one", endpointSettings=carrying), stored("two", endpointSettings=carrying)]
    for policies in ([away], [broken], [text], twice, []):
        assert request_histories(view(), policies) == ()


def test_a_request_without_histories_has_no_facts() -> None:
    assert list(history_facts(view(), RequestHistories())) == []
