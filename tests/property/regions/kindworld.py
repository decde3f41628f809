"""A folder of policies and data that uses every field of the kinds, other values of each, and calls aimed at them.

Standing: under `test_widening`. Holds: `OTHERS` names every field of `EndpointPolicy` and `EndpointData`, so that a new
field is compared here, too, or turns a test red; what a call comes to says the engine, and who can be proven, whose
review counts and what an approval lets through is written down here, apart from the comparison.
"""

import copy
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement, permutations, product
from typing import Any, Final, get_args

from msgspec.structs import replace
from pydantic import BaseModel

from bailiwick_api.kinds.endpointdata import EndpointDataSpec
from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.approval.gates import Gate
from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.routes import MappedCall, RouteMatch
from bailiwick_engine.policy.snapshot import Snapshot
from support.objects import Object, policy
from unit.engine.cases import NAMESPACE, NOW, at

DROPPED: Final = object()


@dataclass(frozen=True, slots=True)
class OtherName:
    """Another name for something, wherever its object names it."""

    name: str


FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
BOTS: Final = "system:serviceaccounts:ci"
EVERY: Final = [{"type": "order", "ids": ["*"]}]
PROD: Final = [{"type": "order", "ids": ["eu/*", "7"], "properties": {"env": ["prod"]}}]
NUMBER: Final = [{"name": "number", "expression": "context.n < 5", "message": "too many"}]

SUBJECTS: Final = [
    {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "one"}},
    {
        "name": "pod",
        "serviceAccount": {"namespace": "agents", "name": "two"},
        "workload": {"podSelector": {"matchLabels": {"app": "web"}}, "imageDigests": [FIRST]},
    },
    {"name": "alice", "user": {"issuer": "corp", "name": "alice"}},
    {"name": "staff", "group": {"issuer": "corp", "name": "staff"}},
]
ENTITIES: Final = [
    {"name": "agent", "entity": {"type": "serviceAccount", "ids": ["system:serviceaccount:agents:one"]}},
    {"name": "pod", "serviceAccount": {"namespace": "agents", "name": "two"}},
    {"name": "alice", "entity": {"type": "person", "ids": ["alice"]}},
    {"name": "staff", "entity": {"type": "person", "ids": ["bob", "carol"]}},
]
APPROVAL: Final = {
    "binding": "Exact",
    "requiredContext": ["ticket"],
    "show": ["/context/ticket", "/context/args"],
    "allowUnseen": False,
    "presentation": "Token",
    "open": "OnRequest",
    "steps": [
        {"name": "owner", "kind": "Human", "groups": ["owners", "leads"], "count": 2, "signature": "Key"},
        {"name": "check", "kind": "System", "count": 1},
    ],
    "pendingSeconds": 600,
    "windowSeconds": 300,
    "maxUses": 2,
    "reason": {"required": True, "pattern": "T-[0-9]+"},
    "limits": {"pendingPerSubject": 3, "requestsPerHour": 9, "denyCooldownSeconds": 60},
}
ROUTES: Final = [
    {"methods": ["GET"], "path": "/orders/{id}", "action": "orders.read", "resource": {"type": "order", "id": "{id}"}},
    {
        "methods": ["POST"],
        "path": "/orders/{id}/refund",
        "action": "orders.refund",
        "actionProperties": {"kind": "{query.kind}"},
        "resource": {"type": "order", "id": "{id}", "properties": {"env": "{header.x-env}"}},
        "args": {"amount": "{query.amount}"},
    },
]
SETTINGS: Final[Object] = {
    "enforcers": [
        {"namespace": "crm", "name": "crm-api"},
        {"certificate": {"spiffe": "spiffe://cluster.local/ns/gw/sa/envoy"}},
        {"certificate": {"dns": "gw.crm.svc"}},
    ],
    "identity": {"verification": "Token", "audiences": ["api"], "issuers": ["cluster", "corp"]},
    "http": {"hosts": ["api.crm.svc"], "routes": ROUTES, "mcp": False},
    "delegation": {
        "maxDepth": 1,
        "principals": ["alice"],
        "ceiling": [{"actions": ["orders.*"], "resources": PROD, "conditions": NUMBER}],
        "principalMustBeEntitled": True,
    },
    "record": {"keep": ["context.tenant"]},
    "session": {"claim": "sid"},
    "history": [
        {
            "name": "wipes",
            "key": ["agent"],
            "window": "1h",
            "counts": {"actions": ["orders.wipe"], "resources": PROD, "when": "context.n < 9"},
            "amount": {"of": "context.n", "digits": 0},
        },
        {
            "name": "marks",
            "key": ["session"],
            "calendar": {"unit": "Day", "timeZone": "Europe/Berlin"},
            "counts": {"actions": ["other"]},
        },
        {
            "name": "done",
            "key": ["agent"],
            "window": "1h",
            "counts": {"actions": ["orders.list"], "what": "Succeeded"},
            "outcomeWithin": "5m",
        },
    ],
}


def rule(name: str, effect: str, subjects: list[str], actions: list[str], **more: object) -> Object:
    """Return a rule on every order."""
    return {"name": name, "effect": effect, "subjects": subjects, "actions": actions, "resources": EVERY, **more}


def folder(*, asserted: bool) -> dict[str, list[Object]]:
    """Return files by name, each with its objects. `asserted`: subjects are known by the enforcer's word."""
    subjects, settings = (ENTITIES if asserted else SUBJECTS), copy.deepcopy(SETTINGS)
    if asserted:
        settings["identity"] = {"verification": "Asserted"}
        settings["session"] = {"property": "context.session"}
    common = {"endpoint": "api", "subjects": subjects}
    carrier = policy(
        NAMESPACE,
        "carrier",
        **common,
        endpointSettings=settings,
        rules=[rule("read", "Allow", ["agent", "staff"], ["orders.read"], intents=["support"])],
    )
    access = policy(
        NAMESPACE,
        "access",
        **common,
        expireTime=at(300),
        sensitive=["context.iban"],
        data=[{"name": "incident", "from": "incidents"}],
        variables=[{"name": "few", "expression": "context.n < 5"}],
        rules=[
            rule("few", "Allow", ["pod", "alice"], ["orders.read"], resources=PROD, expireTime=at(200)),
            rule(
                "incident",
                "Allow",
                ["agent"],
                ["orders.list"],
                conditions=[{"name": "open", "expression": "data.incident.open == true && variables.few"}],
            ),
            rule(
                "wipe",
                "Allow",
                ["agent"],
                ["orders.wipe"],
                conditions=[{"name": "seldom", "expression": "history.wipes.count <= 6 && history.marks.count < 9"}],
            ),
            rule("refund", "RequireApproval", ["agent", "alice"], ["orders.refund"], approval=APPROVAL),
        ],
    )
    denies = policy(
        NAMESPACE,
        "denies",
        **common,
        rules=[
            rule("never", "Deny", ["staff"], ["orders.*"], resources=PROD),
            rule(
                "not-many",
                "Deny",
                ["agent"],
                ["orders.list"],
                conditions=[{"name": "n", "expression": "context.n > 7"}],
            ),
        ],
    )
    candidate = policy(
        NAMESPACE, "next", **common, mode="Audit", replaces="denies", rules=[rule("all", "Allow", ["agent"], ["*"])]
    )
    off = policy(NAMESPACE, "off", **common, suspend=True, rules=[rule("all", "Allow", ["agent"], ["orders.wipe"])])
    data = {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointData",
        "metadata": {"namespace": NAMESPACE, "name": "incidents"},
        "spec": {"data": {"open": False, "level": 1}},
    }
    elsewhere = policy(
        "hr",
        "else",
        endpoint="other",
        subjects=[SUBJECTS[0]],
        endpointSettings={"enforcers": [{"namespace": "hr", "name": "api"}]},
        rules=[rule("read", "Allow", ["agent"], ["orders.read"])],
    )
    found = {"carrier": [carrier], "access": [access], "denies": [denies, off], "next": [candidate], "data": [data]}
    return copy.deepcopy({**found, "elsewhere": [elsewhere]})


# ------------------------------------------------------------------ every field, and what else it can hold


def field_paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield every field below a model, by the names that manifests have."""
    for name, field in model.model_fields.items():
        path = f"{before}{field.alias or name}"
        yield path
        for inner in _models(field.annotation):
            yield from field_paths(inner, f"{path}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - of any field
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


FIELDS: Final = frozenset((*field_paths(EndpointPolicySpec), *field_paths(EndpointDataSpec)))
_OTHER_ROUTE: Final = {**ROUTES[0], "methods": ["DELETE"]}
_RULE: Final = rule("more", "Allow", ["agent"], ["orders.refund"])
OTHERS: Final[Mapping[str, tuple[object, ...]]] = {
    "endpoint": ("other",),
    "endpointSettings": (DROPPED,),
    "endpointSettings.enforcers": ([{"namespace": "crm", "name": "other"}],),
    "endpointSettings.enforcers.namespace": ("other",),
    "endpointSettings.enforcers.name": ("other",),
    "endpointSettings.enforcers.certificate": ({"dns": "other.crm.svc"},),
    "endpointSettings.enforcers.certificate.spiffe": ("spiffe://cluster.local/ns/gw/sa/other",),
    "endpointSettings.enforcers.certificate.dns": ("other.crm.svc",),
    "endpointSettings.identity": (DROPPED, {"verification": "Asserted"}),
    "endpointSettings.identity.verification": ("Token", "Asserted"),
    "endpointSettings.identity.audiences": (DROPPED, ["other"], ["api", "other"]),
    "endpointSettings.identity.issuers": (DROPPED, ["corp"], ["cluster", "corp", "other"]),
    "endpointSettings.http": (DROPPED,),
    "endpointSettings.http.hosts": (["other.crm.svc"], ["api.crm.svc", "other.crm.svc"]),
    "endpointSettings.http.routes": ([_OTHER_ROUTE], [*ROUTES, _OTHER_ROUTE]),
    "endpointSettings.http.routes.methods": (["DELETE"], ["GET", "DELETE"]),
    "endpointSettings.http.routes.path": ("/orders/{id}/more", "/other/{id}"),
    "endpointSettings.http.routes.action": ("orders.read", "orders.refund", "orders.list"),
    "endpointSettings.http.routes.actionProperties": (DROPPED, {"kind": "x"}),
    "endpointSettings.http.routes.resource": ({"type": "order", "id": "7"},),
    "endpointSettings.http.routes.resource.type": ("other",),
    "endpointSettings.http.routes.resource.id": ("eu/{id}", "7"),
    "endpointSettings.http.routes.resource.properties": (DROPPED, {"env": "prod"}),
    "endpointSettings.http.routes.args": (DROPPED, {"amount": "{query.other}"}),
    "endpointSettings.http.routes.forms": (True,),
    "endpointSettings.http.mcp": (True,),
    "endpointSettings.http.mcpPath": ("/tools",),
    "endpointSettings.delegation": (DROPPED,),
    "endpointSettings.delegation.maxDepth": (2,),
    "endpointSettings.delegation.principals": (["staff"], ["alice", "staff"]),
    "endpointSettings.delegation.ceiling": ([{"actions": ["*"], "resources": EVERY}],),
    "endpointSettings.delegation.ceiling.actions": (["orders.read"], ["*"]),
    "endpointSettings.delegation.ceiling.resources": (EVERY,),
    "endpointSettings.delegation.ceiling.resources.type": ("other",),
    "endpointSettings.delegation.ceiling.resources.ids": (["*"], ["7"]),
    "endpointSettings.delegation.ceiling.resources.properties": (DROPPED, {"env": ["prod", "test"]}),
    "endpointSettings.delegation.ceiling.conditions": (DROPPED,),
    "endpointSettings.delegation.ceiling.conditions.name": ("renamed",),
    "endpointSettings.delegation.ceiling.conditions.expression": ("context.n < 9", "context.n < 2"),
    "endpointSettings.delegation.ceiling.conditions.message": (DROPPED, "another"),
    "endpointSettings.delegation.principalMustBeEntitled": (False,),
    "endpointSettings.history": (DROPPED, SETTINGS["history"][:1]),
    "endpointSettings.history.name": ("renamed",),
    "endpointSettings.history.key": ([], ["subject"], ["context.tenant"]),
    "endpointSettings.history.window": ("2h", "30m"),
    "endpointSettings.history.calendar": ({"unit": "Month", "timeZone": "UTC"},),
    "endpointSettings.history.calendar.unit": ("Hour", "Week"),
    "endpointSettings.history.calendar.timeZone": ("UTC",),
    "endpointSettings.history.counts": ({"actions": ["*"]},),
    "endpointSettings.history.counts.actions": (["*"], ["orders.*"], ["orders.list"]),
    "endpointSettings.history.counts.resources": (DROPPED, EVERY),
    "endpointSettings.history.counts.resources.type": ("other",),
    "endpointSettings.history.counts.resources.ids": (["*"], ["7"]),
    "endpointSettings.history.counts.resources.properties": (DROPPED, {"env": ["test"]}),
    "endpointSettings.history.counts.when": (DROPPED, "context.n < 4"),
    "endpointSettings.history.counts.what": ("Denied", "Failed", "Succeeded"),
    "endpointSettings.history.outcomeWithin": (DROPPED, "1h"),
    "endpointSettings.history.counts.approved": ("Ignore",),
    "endpointSettings.history.amount": (DROPPED,),
    "endpointSettings.history.amount.of": ("context.amount",),
    "endpointSettings.history.amount.digits": (2,),
    "endpointSettings.session": ({"property": "context.other"},),
    "endpointSettings.session.claim": ("other",),
    "endpointSettings.session.property": ("context.other",),
    "endpointSettings.record": (DROPPED,),
    "endpointSettings.record.keep": (["context.other"],),
    "mode": ("Enforce", "Audit"),
    "replaces": (DROPPED, "access"),
    "suspend": (True, False),
    "expireTime": (DROPPED, at(100), at(400)),
    "subjects": (SUBJECTS, ENTITIES),
    "subjects.name": (OtherName("renamed"), "agent", "alice"),
    "subjects.serviceAccount": ({"namespace": "agents", "name": "three"},),
    "subjects.serviceAccount.namespace": ("other",),
    "subjects.serviceAccount.name": ("one", "two", "three"),
    "subjects.user": ({"issuer": "corp", "name": "bob"},),
    "subjects.user.issuer": ("other",),
    "subjects.user.name": ("bob",),
    "subjects.group": ({"issuer": "corp", "name": "leads"},),
    "subjects.group.issuer": ("other",),
    "subjects.group.name": ("leads",),
    "subjects.entity": ({"type": "person", "ids": ["dave"]},),
    "subjects.entity.type": ("other",),
    "subjects.entity.ids": (["dave"], ["alice", "bob"]),
    "subjects.workload": (DROPPED,),
    "subjects.workload.podSelector": (DROPPED,),
    "subjects.workload.podSelector.matchLabels": ({"app": "x"},),
    "subjects.workload.imageDigests": (DROPPED, [SECOND], [FIRST, SECOND]),
    "sensitive": (DROPPED, ["context.n"]),
    "data": ([{"name": "incident", "from": "missing"}],),
    "data.name": (OtherName("renamed"),),
    "data.from": (DROPPED, "missing"),
    "variables": ([{"name": "few", "expression": "true"}],),
    "variables.name": (OtherName("renamed"),),
    "variables.expression": ("context.n < 9", "{1: true}[1]", "context.n < 5 && true"),
    "rules": ([_RULE],),
    "rules.name": ("renamed",),
    "rules.effect": ("Allow", "Deny"),
    "rules.subjects": (["agent"], ["staff"], ["pod", "alice"]),
    "rules.actions": (["*"], ["orders.*"], ["orders.list"], ["other"]),
    "rules.resources": (EVERY, PROD),
    "rules.resources.type": ("other",),
    "rules.resources.ids": (["*"], ["7"], ["eu/*"]),
    "rules.resources.properties": (DROPPED, {"env": ["prod", "test"]}),
    "rules.intents": (DROPPED, ["sales"], ["support", "sales"]),
    "rules.conditions": (DROPPED, NUMBER),
    "rules.conditions.name": ("renamed",),
    "rules.conditions.expression": (
        "context.n < 9",
        "true",
        "data.incident.open == true || variables.few",
        "size(context.s) > 1",
        "history.wipes.count <= 8 && history.marks.count < 9",
        "!(history.wipes.count > 6) || true",
        "history.wipes.sum < 20.0 || history.marks.count == 3",
    ),
    "rules.conditions.message": (DROPPED, "another"),
    "rules.expireTime": (DROPPED, at(100), at(400)),
    "rules.approval": ({"steps": [{"name": "any", "kind": "Human"}]},),
    "rules.approval.binding": ("Scope",),
    "rules.approval.requiredContext": (DROPPED, ["n"]),
    "rules.approval.show": (DROPPED, ["/context/args"]),
    "rules.approval.allowUnseen": (True,),
    "rules.approval.presentation": ("Lookup",),
    "rules.approval.open": ("OnDeny",),
    "rules.approval.steps": ([{"name": "owner", "kind": "Human", "groups": ["owners"]}],),
    "rules.approval.steps.name": ("renamed",),
    "rules.approval.steps.kind": ("Human", "System"),
    "rules.approval.steps.groups": (DROPPED, ["owners"], [BOTS]),
    "rules.approval.steps.count": (1, 3),
    "rules.approval.steps.signature": (DROPPED, "Required"),
    "rules.approval.pendingSeconds": (60, 3600),
    "rules.approval.windowSeconds": (60, 3600),
    "rules.approval.maxUses": (1, 9),
    "rules.approval.reason": (DROPPED,),
    "rules.approval.reason.required": (False,),
    "rules.approval.reason.pattern": (DROPPED, ".*"),
    "rules.approval.limits": (DROPPED,),
    "rules.approval.limits.pendingPerSubject": (1, 9),
    "rules.approval.limits.requestsPerHour": (1, 50),
    "rules.approval.limits.denyCooldownSeconds": (0, 900),
}
"""Other values by field. `EndpointData` has one field, `data`, whose other values are in `OTHER_DATA`."""
OTHER_DATA: Final = ({"open": True, "level": 1}, {"level": 1}, {"open": "yes"}, DROPPED)
Spot = tuple[str, int, tuple[str | int, ...]]
"""File, number of the object in it, and the way to a member."""


def spots(files: Mapping[str, list[Object]], path: str) -> list[Spot]:
    """Return where a field stands, or could stand, in policies."""
    found: list[Spot] = []
    for file, objects in files.items():
        for number, one in enumerate(objects):
            if one["kind"] == "EndpointPolicy":
                found += [(file, number, ("spec", *way)) for way in _ways(one["spec"], path.split("."))]
    return found


def _ways(value: Any, names: list[str]) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        for place, inner in enumerate(value):
            for way in _ways(inner, names):
                yield (place, *way)
    elif isinstance(value, dict):
        first, *others = names
        if not others:
            yield (first,)
        elif first in value:
            for way in _ways(value[first], others):
                yield (first, *way)


def changed(files: Mapping[str, list[Object]], spot: Spot, value: object) -> dict[str, list[Object]]:
    """Return the files with another value there; `DROPPED` leaves it out."""
    made = copy.deepcopy(dict(files))
    file, number, way = spot
    inner: Any = made[file][number]
    for step in way[:-1]:
        inner = inner[step]
    if isinstance(value, OtherName):
        renamed = re.sub(rf"\b{inner[way[-1]]}\b", value.name, json.dumps(made[file][number]["spec"]))
        made[file][number]["spec"] = json.loads(renamed)
    elif value is DROPPED:
        inner.pop(way[-1], None)
    else:
        inner[way[-1]] = copy.deepcopy(value)
    return made


# ------------------------------------------------------------------ calls


@dataclass(frozen=True, slots=True)
class AimedCall:
    """A call, with what proves its subject: the issuer and the audience of a token, or None for the enforcer's word."""

    call: Call
    time: float
    proof: tuple[str, str] | None
    http: tuple[str, str, str] | None = None


ACCOUNTS: Final = [
    Party("serviceAccount", f"system:serviceaccount:agents:{name}", f"{name}-uid", workload=workload)
    for name, workload in (
        ("one", None),
        ("two", None),
        ("two", PodWorkload(frozenset((FIRST,)), {"app": "web"})),
        ("two", PodWorkload(frozenset((SECOND,)), {"app": "web"})),
        ("two", PodWorkload(frozenset((FIRST,)), {"app": "x"})),
        ("three", None),
    )
]
PEOPLE: Final = [
    Party("user", name, f"{issuer}#{name}", issuer=issuer, groups=groups)
    for issuer, name, groups in (
        ("corp", "alice", ()),
        ("corp", "alice", ("staff",)),
        ("corp", "bob", ("staff",)),
        ("corp", "bob", ("leads",)),
        ("other", "alice", ("staff",)),
    )
]
ASSERTED: Final = [
    *(
        Party("serviceAccount", f"system:serviceaccount:agents:{name}", "~", issuer=None)
        for name in ("one", "two", "three")
    ),
    *(Party("person", name, "~", issuer=None) for name in ("alice", "bob", "carol", "dave")),
]
ENFORCERS: Final = (
    "system:serviceaccount:crm:crm-api",
    "system:serviceaccount:crm:other",
    "system:serviceaccount:other:crm-api",
    "bailiwick:certificate:spiffe://cluster.local/ns/gw/sa/envoy",
    "bailiwick:certificate:spiffe://cluster.local/ns/gw/sa/other",
    "bailiwick:certificate:gw.crm.svc",
    "bailiwick:certificate:other.crm.svc",
)
ACTIONS: Final = ("orders.read", "orders.list", "orders.refund", "orders.wipe", "other")
RESOURCES: Final = [
    *(
        Resource("order", name, held)
        for name, held in product(("7", "eu/1", "us/1"), (None, {"env": "prod"}, {"env": "test"}))
    ),
    Resource("other", "7", {"env": "prod"}),
]
CONTEXTS: Final[tuple[Object, ...]] = (
    {},
    {"n": 1},
    {"n": 3, "intent": "support"},
    {"n": 6, "intent": "sales"},
    {"n": 8, "s": "xx", "intent": "support"},
)
TIMES: Final = (NOW, NOW + 150, NOW + 250, NOW + 350)
REQUESTS: Final = [
    (method, host, target)
    for method, host, target in product(
        ("GET", "DELETE", "POST"),
        ("api.crm.svc", "other.crm.svc"),
        ("/orders/7", "/orders/7/more", "/other/7", "/orders/7/refund?kind=x&amount=1"),
    )
]


def calls() -> Iterator[AimedCall]:
    """Yield calls at which some change of a field is aimed."""

    def call(party: Party, action: str, resource: Resource, context: Object, **more: Any) -> Call:  # noqa: ANN401 - of `Call`
        usual = {"caller": ServiceAccount(ENFORCERS[0], "~"), "actors": ()}
        return Call(
            namespace=NAMESPACE,
            endpoint="api",
            subject=party,
            action=Action(action),
            resource=resource,
            context=context,
            **{**usual, **more},
        )

    proven = [*((one, ("cluster", "api")) for one in ACCOUNTS), *((one, (one.issuer or "", "api")) for one in PEOPLE)]
    parties: list[tuple[Party, tuple[str, str] | None]] = [*proven, *((one, None) for one in ASSERTED)]
    for (party, proof), action, resource, context in product(parties, ACTIONS, RESOURCES, CONTEXTS):
        yield AimedCall(call(party, action, resource, context), NOW, proof)
    some = [RESOURCES[0], RESOURCES[1], RESOURCES[4]]
    for (party, proof), action, resource, time in product(parties, ACTIONS, some, TIMES[1:]):
        yield AimedCall(call(party, action, resource, CONTEXTS[2]), time, proof)
    # By other enforcers and tokens, and for somebody else.
    for enforcer, action in product(ENFORCERS[1:], ACTIONS[:3]):
        other = call(ACCOUNTS[0], action, RESOURCES[0], CONTEXTS[2], caller=ServiceAccount(enforcer, "~"))
        yield AimedCall(other, NOW, ("cluster", "api"))
    for audience, (party, proof), action in product(("other", f"api.{NAMESPACE}"), proven, ACTIONS[:3]):
        yield AimedCall(call(party, action, RESOURCES[1], CONTEXTS[2]), NOW, (proof[0], audience))
    chains = [(ACCOUNTS[0],), (ACCOUNTS[0], ACCOUNTS[5]), (ACCOUNTS[2],)]
    for party, chain, action, resource, context in product(PEOPLE[:5], chains, ACTIONS[:3], some, CONTEXTS):
        yield AimedCall(call(party, action, resource, context, actors=chain), NOW, ("corp", "api"))
    for (party, proof), request in product((*proven[:1], *proven[6:8], (ASSERTED[0], None)), REQUESTS):
        yield AimedCall(call(party, "", RESOURCES[0], CONTEXTS[2]), NOW, proof, request)


CALLS: Final = tuple(calls())


def is_proven(settings: CompiledSettings | None, proof: tuple[str, str] | None) -> bool:
    """Tell whether an endpoint takes this for proven (docs/reference/policy.md, identity)."""
    if settings is None:
        return False
    if proof is None:
        return settings.asserted
    issuer, audience = proof
    return not settings.asserted and issuer in settings.issuers and audience in settings.audiences


def verdicts(snapshot: Snapshot) -> list[Verdict | None]:
    """Return what each call comes to; None where nobody lets the call reach a rule."""
    endpoint = snapshot.endpoints.get((NAMESPACE, "api"))
    settings = None if endpoint is None else endpoint.settings
    return [_verdict(snapshot, settings, one) for one in CALLS]


def _verdict(snapshot: Snapshot, settings: CompiledSettings | None, aimed: AimedCall) -> Verdict | None:
    if settings is None or not is_proven(settings, aimed.proof):
        return None
    call = aimed.call
    if aimed.http is not None:
        match = settings.routes.find(*aimed.http) if settings.routes is not None else None
        mapped = match.call({"x-env": ["prod"]}) if isinstance(match, RouteMatch) else None
        if not isinstance(mapped, MappedCall):
            return None
        args = {} if mapped.args is None else {"args": mapped.args}
        call = replace(call, action=mapped.action, resource=mapped.resource, context={**call.context, **args})
    around = Circumstances(now=aimed.time, history=_readings(settings, call))
    return decide(snapshot, call, (), around)


def _readings(settings: CompiledSettings, call: Call) -> HistoryReadings:
    """Return numbers that depend on the definition, whatever its name is, and on the call: nobody compares those."""
    found = {}
    for one in settings.histories:
        number = (int(one.digest[:4], 16) + 3 * int(call.context.get("n") or 0)) % 10
        total = None if one.amount is None else 10 * number
        found[one.name] = HistoryNumbers(number, total, age=None if number == 1 else number)
    return HistoryReadings(found, counted=True)


# ------------------------------------------------------------------ what a verdict lets through


@dataclass(frozen=True, slots=True)
class ApprovalUse:
    """What somebody who wants a gate to open has: reviewers, and what is said of the use.

    A reviewer has a kind, groups, and a key: none, any, or one that verifies its user.
    """

    reviewers: tuple[tuple[str, frozenset[str], int], ...]
    use: int = 1
    age: int = 0
    other_args: bool = False
    unseen: bool = False
    ticket: bool = True
    counter: bool = True
    token: bool = True


_SIGNED: Final = {None: 0, "Key": 1, "Required": 2}
_REVIEWERS: Final = [
    *(("Human", frozenset(groups), 0) for groups in ((), ("owners",), ("leads",), (BOTS,))),
    *(("Human", frozenset(("owners",)), key) for key in (1, 2)),
    *(("System", frozenset(groups), 0) for groups in ((), (BOTS,), ("owners",))),
]
_REVIEWED: Final = [some for count in range(5) for some in combinations_with_replacement(_REVIEWERS, count)]
_FULL: Final = (
    *(("Human", frozenset(("owners", "leads")), 2) for _ in range(4)),
    *(("System", frozenset((BOTS,)), 0) for _ in range(2)),
)
_USES: Final = [
    *(ApprovalUse(_FULL, use=use) for use in (1, 2, 5)),
    *(ApprovalUse(_FULL, age=age) for age in (50, 200, 3000)),
    ApprovalUse(_FULL, other_args=True),
    ApprovalUse(_FULL, unseen=True),
    ApprovalUse(_FULL, ticket=False),
    ApprovalUse(_FULL, counter=False),
    ApprovalUse(_FULL, token=False),
]
APPROVAL_USES: Final = (*(ApprovalUse(some) for some in _REVIEWED), *_USES)


def opens(gate: Gate, shown: ApprovalUse) -> bool:
    """Tell whether a gate opens to this (docs/how-to/approvals.md)."""
    lacking = ("ticket" in gate.required_context and not shown.ticket) or (
        "n" in gate.required_context and not shown.counter
    )
    return (
        not lacking
        and (gate.scope or not shown.other_args)
        and (gate.unseen or not shown.unseen)
        and (shown.token or not gate.by_token)
        and shown.use <= gate.max_uses
        and shown.age <= gate.window_seconds
        and _reviewed(gate, shown)
    )


def _reviewed(gate: Gate, shown: ApprovalUse) -> bool:
    """Tell whether each step has its reviewers, and nobody counts twice."""
    places = [
        (step.kind, frozenset(step.groups or ()), _SIGNED[step.signature])
        for step in gate.steps
        for _ in range(step.count)
    ]
    if len(places) > len(shown.reviewers):
        return False
    return any(
        all(
            kind == wanted and (not groups or not groups.isdisjoint(held)) and key >= signed
            for (wanted, groups, signed), (kind, held, key) in zip(places, some, strict=True)
        )
        for some in permutations(shown.reviewers, len(places))
    )


def level(verdict: Verdict | None) -> int:
    """Return 0 for deny, 1 for an approval, 2 for allow."""
    if verdict is None:
        return 0
    return 2 if verdict.outcome is Outcome.ALLOW else 0 if verdict.gate is None else 1


class GateWorld:
    """Which gates let through what another does not. Remembers."""

    def __init__(self) -> None:
        self._opened: dict[Hashable, frozenset[ApprovalUse]] = {}

    def opened(self, gate: Gate) -> frozenset[ApprovalUse]:
        """Return all that opens a gate."""
        steps = tuple(
            sorted(
                (step.kind, tuple(sorted(step.groups or ())), step.count, _SIGNED[step.signature])
                for step in gate.steps
            )
        )
        uses = (gate.scope, gate.max_uses, gate.window_seconds, gate.required_context, gate.unseen, gate.by_token)
        if (steps, uses) not in self._opened:
            self._opened[steps, uses] = frozenset(one for one in APPROVAL_USES if opens(gate, one))
        return self._opened[steps, uses]

    def further(self, base: Verdict | None, head: Verdict | None) -> bool:
        """Tell whether the head lets something through that the base does not."""
        if level(head) != level(base):
            return level(head) > level(base)
        if base is None or head is None or base.gate is None or head.gate is None:
            return False
        if head.gate.show is not None and (base.gate.show is None or not set(base.gate.show) <= set(head.gate.show)):
            return True
        return not self.opened(head.gate) <= self.opened(base.gate)
