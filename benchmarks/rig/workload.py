"""The workload: policies, requests, and what is to be answered to each. Everything measured is made of these.

Standing: knows nothing of processes or peers; `opa`, `cerbos` and `decern` translate the same policies into their own
words. Holds: the same arguments always give the same workload; `Request.allowed` is derived from the meaning of the
policies here and from no engine, so that all engines are held against the same answers.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

POLICIES_OF_AN_ENDPOINT: Final = 4
ENDPOINT: Final = "crm"
GATEWAY: Final = "system:serviceaccount:gateways:crm-gateway"
MAX_ROWS: Final = 500
REGIONS: Final = ("eu", "us", "apac")
READ: Final = ("customers.list", "customers.get")
EXPORT: Final = "customers.export"
DELETE: Final = "customers.delete"
# Three clauses; the peers have the same three in their own languages.
CONDITION: Final = (
    f"resource.properties.rows <= {MAX_ROWS} && resource.properties.region == subject.properties.region "
    '&& resource.properties.classification != "secret"'
)
HOLD: Final = "has(resource.properties.hold) && resource.properties.hold"


@dataclass(frozen=True, slots=True)
class Place:
    """The names of one policy. Each policy has a subject and a type of resource of its own."""

    number: int
    one_endpoint: bool = False

    @property
    def namespace(self) -> str:
        """Four policies share an endpoint, unless all do."""
        return "team-all" if self.one_endpoint else f"team-{self.number // POLICIES_OF_AN_ENDPOINT:05}"

    @property
    def name(self) -> str:
        """The policy's name."""
        return f"customers-{self.number:05}"

    @property
    def agent(self) -> str:
        """The only subject of the policy."""
        return _agent(self.number)

    @property
    def type(self) -> str:
        """The type of resource that the policy speaks of."""
        return f"customer-{self.number:05}"

    @property
    def carries_settings(self) -> bool:
        """One policy of each endpoint carries its settings."""
        return self.number % POLICIES_OF_AN_ENDPOINT == 0 if not self.one_endpoint else self.number == 0


def _agent(number: int) -> str:
    return f"system:serviceaccount:agents:agent-{number:05}"


def places(count: int, *, one_endpoint: bool = False) -> Iterator[Place]:
    """Yield the names of this many policies."""
    return (Place(number, one_endpoint) for number in range(count))


def policy(place: Place) -> dict[str, Any]:
    """Return an `EndpointPolicy` as the API server would store it.

    Reading is allowed; exporting is allowed on a condition; deleting is allowed, and denied on a condition.
    """
    covered = [{"type": place.type, "ids": ["*"]}]
    spec: dict[str, Any] = {
        "endpoint": ENDPOINT,
        "subjects": [{"name": "agent", "serviceAccount": _reference(place.agent)}],
        "rules": [
            _rule("read", "Allow", READ, covered),
            _rule("export", "Allow", (EXPORT,), covered, CONDITION),
            _rule("delete", "Allow", (DELETE,), covered),
            _rule("hold", "Deny", (DELETE,), covered, HOLD),
        ],
    }
    if place.carries_settings:
        # The gateway sends the agents' tokens along; the first agents may also ask about themselves.
        first = range(place.number, place.number + POLICIES_OF_AN_ENDPOINT)
        enforcers = (GATEWAY, *(_agent(number) for number in first))
        spec["endpointSettings"] = {"enforcers": [_reference(account) for account in enforcers]}
    return {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointPolicy",
        "metadata": {
            "namespace": place.namespace,
            "name": place.name,
            "uid": f"00000000-0000-4000-8000-{place.number:012}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": spec,
    }


def _rule(
    name: str, effect: str, actions: tuple[str, ...], resources: list[Any], condition: str = ""
) -> dict[str, Any]:
    conditions = {"conditions": [{"name": "bounds", "expression": condition}]} if condition else {}
    return {
        "name": name,
        "effect": effect,
        "subjects": ["agent"],
        "actions": list(actions),
        "resources": resources,
        **conditions,
    }


def _reference(username: str) -> dict[str, str]:
    namespace, name = username.split(":")[2:]
    return {"namespace": namespace, "name": name}


@dataclass(frozen=True, slots=True)
class Request:
    """One AuthZEN evaluation, and whether it is to be allowed."""

    place: Place
    body: dict[str, Any]
    allowed: bool

    @property
    def path(self) -> str:
        """Where Bailiwick is asked about it."""
        return f"/endpoints/{self.place.namespace}/{ENDPOINT}/access/v1/evaluation"

    @property
    def subject(self) -> str:
        """The subject's username."""
        return str(self.body["subject"]["id"])

    def encoded(self) -> bytes:
        """Return the body as it is sent."""
        return json.dumps(self.body, separators=(",", ":")).encode()


def request(
    place: Place, action: str, *, subject: str = "", type_: str = "", region: str = "eu", **properties: object
) -> Request:
    """Return a request; what is not said is such that nothing but the action decides."""
    found: dict[str, Any] = {"region": "eu", "rows": 120, "classification": "internal", **properties}
    body = {
        "subject": {
            "type": "serviceAccount",
            "id": subject or place.agent,
            "properties": {"department": "support", "region": region},
        },
        "action": {"name": action, "properties": {"format": "csv", "columns": 12}},
        "resource": {"type": type_ or place.type, "id": f"c-{40_000 + place.number}", "properties": found},
        "context": {"intent": "support", "ticket": "INC-4412", "channel": "chat", "session": "5f0c2b7e9a41"},
    }
    return Request(place, body, _allowed(place, body))


def _allowed(place: Place, body: dict[str, Any]) -> bool:
    """Say what the four rules mean, in plain Python."""
    subject, resource, action = body["subject"], body["resource"], body["action"]["name"]
    if subject["id"] != place.agent or resource["type"] != place.type:
        return False
    found = resource["properties"]
    if action == EXPORT:
        within = found["rows"] <= MAX_ROWS and found["region"] == subject["properties"]["region"]
        return bool(within and found["classification"] != "secret")
    if action == DELETE:
        return not found.get("hold", False)
    return action in READ


def load(count: int, requests: int, action: str) -> list[Request]:
    """Return requests that are all allowed, spread evenly over this many policies."""
    return [request(Place(index * count // requests), action) for index in range(requests)]


def sample(count: int, requests: int) -> list[Request]:
    """Return requests of every outcome over this many policies; by these the engines are compared before timing."""
    chance = random.Random(20_251)  # noqa: S311 - reproducible, not secret
    found = []
    for _ in range(requests):
        number = chance.randrange(count)
        # A stranger is another agent of the same endpoint, so that Bailiwick answers it with a decision.
        neighbour = number - number % POLICIES_OF_AN_ENDPOINT + (number + 1) % POLICIES_OF_AN_ENDPOINT
        properties: dict[str, Any] = {
            "rows": chance.choice((0, 120, MAX_ROWS, MAX_ROWS + 1)),
            "classification": chance.choice(("internal", "internal", "secret")),
            **chance.choice(({}, {}, {"hold": True}, {"hold": False})),
        }
        found.append(
            request(
                Place(number),
                chance.choice((*READ, EXPORT, EXPORT, EXPORT, DELETE, DELETE, "customers.rename")),
                subject=_agent(neighbour) if chance.random() < 0.1 else "",  # noqa: PLR2004 - one in ten
                type_="customer" if chance.random() < 0.1 else "",  # noqa: PLR2004 - likewise
                region=chance.choice(("eu", "eu", *REGIONS)),
                **properties,
            )
        )
    return found
