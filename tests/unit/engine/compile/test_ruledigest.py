"""What changes the meaning of a gate, so that the grants of before die with it, and what does not."""

import hashlib
import json
from typing import Any, Final

import pytest

from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.compile.ruledigest import rule_digest
from support.objects import Object, changed, gated_rule, rule, settings, subject
from unit.engine.cases import carrier, sound, stored

BASE: Final = stored(
    "p",
    gated_rule(
        "export",
        subjects=["agent", "other"],
        actions=["a", "b"],
        resources=[
            {"type": "customer", "ids": ["1", "2"], "properties": {"env": ["prod", "test"], "zone": ["a"]}},
            {"type": "order", "ids": ["*"]},
        ],
        intents=["audit", "support"],
        conditions=[
            {"name": "one", "expression": "variables.big", "message": "too big"},
            {"name": "two", "expression": "context.a == 1"},
        ],
        approval={
            "steps": [
                {"name": "first", "kind": "Human", "groups": ["x", "y"], "count": 2},
                {"name": "second", "kind": "System"},
            ],
            "reason": {"pattern": "INC-.*"},
        },
    ),
    rule("read"),
    subjects=[subject(), subject("other", account="other")],
    variables=[
        {"name": "limit", "expression": "100"},
        {"name": "big", "expression": "context.count > variables.limit"},
        {"name": "unused", "expression": "1"},
    ],
)
RULE: Final = "spec.rules.0"
IMAGE: Final = "sha256:" + "a" * 64


def digest(raw: Object) -> str:
    """Return the digest that a grant of the first rule has, with settings of another policy where it has none."""
    compiled = sound(raw)
    found = compiled.settings or sound(carrier(endpoint=raw["spec"]["endpoint"])).settings
    (rule, *_) = compiled.rules
    assert found is not None
    assert rule.gate is not None
    return found.gate(rule.gate, rule.actions).rules[0].rule_digest


def put(path: str, value: Any, raw: Object = BASE) -> Object:  # noqa: ANN401 - any value
    """Set what may not be there yet."""
    *way, last = path.split(".")
    parent: Any = raw
    for key in way:
        parent = parent[int(key) if key.isdecimal() else key]
    return changed(raw, ".".join(way), {**parent, last: value})


def backwards(path: str, raw: Object = BASE) -> Object:
    value: Any = raw
    for key in path.split("."):
        value = value[int(key) if key.isdecimal() else key]
    return changed(raw, path, value[::-1])


def renamed_subject() -> Object:
    raw = changed(BASE, "spec.subjects.0.name", "robot")
    raw = changed(raw, f"{RULE}.subjects", ["robot", "other"])
    return changed(raw, "spec.rules.1.subjects", ["robot"])


SAME: Final[dict[str, Object]] = {
    "name of the policy": changed(BASE, "metadata.name", "q"),
    "uid and generation": changed(changed(BASE, "metadata.uid", "new"), "metadata.generation", 9),
    "name of the rule": changed(BASE, f"{RULE}.name", "renamed"),
    "name of a subject": renamed_subject(),
    "limits as they are without": put(
        f"{RULE}.approval.limits", {"pendingPerSubject": 5, "requestsPerHour": 20, "denyCooldownSeconds": 900}
    ),
    "no limits in particular": put(f"{RULE}.approval.limits", {}),
    "name of a condition": changed(BASE, f"{RULE}.conditions.0.name", "renamed"),
    "message": changed(BASE, f"{RULE}.conditions.0.message", "far too big"),
    "no message": changed(BASE, f"{RULE}.conditions.0.message", ...),
    "order of subjects": backwards(f"{RULE}.subjects"),
    "order of spec.subjects": backwards("spec.subjects"),
    "order of actions": backwards(f"{RULE}.actions"),
    "order of resources": backwards(f"{RULE}.resources"),
    "order of ids": backwards(f"{RULE}.resources.0.ids"),
    "order of values": backwards(f"{RULE}.resources.0.properties.env"),
    "order of properties": changed(
        BASE, f"{RULE}.resources.0.properties", {"zone": ["a"], "env": ["prod", "test"]}
    ),
    "order of intents": backwards(f"{RULE}.intents"),
    "order of conditions": backwards(f"{RULE}.conditions"),
    "order of steps": backwards(f"{RULE}.approval.steps"),
    "order of groups": backwards(f"{RULE}.approval.steps.0.groups"),
    "binding written out": put(f"{RULE}.approval.binding", "Exact"),
    "waiting time written out": put(f"{RULE}.approval.pendingSeconds", 3600),
    "window written out": put(f"{RULE}.approval.windowSeconds", 600),
    "uses written out": put(f"{RULE}.approval.maxUses", 1),
    "count written out": put(f"{RULE}.approval.steps.1.count", 1),
    "required written out": put(f"{RULE}.approval.reason.required", True),
    "mode written out": put("spec.mode", "Enforce"),
    "a variable that is not used": changed(BASE, "spec.variables.2.expression", "2"),
    "a variable more": changed(
        BASE, "spec.variables", [*BASE["spec"]["variables"], {"name": "more", "expression": "1"}]
    ),
    "another rule": changed(BASE, "spec.rules.1.actions", ["*"]),
    "another rule less": changed(BASE, "spec.rules", BASE["spec"]["rules"][:1]),
    "settings": put("spec.endpointSettings", settings()),
    "another enforcer": put("spec.endpointSettings", settings(account="gateway")),
    "an enforcer more": put(
        "spec.endpointSettings", {"enforcers": [*settings()["enforcers"], *settings("b")["enforcers"]]}
    ),
    "what records hold": put("spec.endpointSettings", {**settings(), "record": {"keep": ["context.a"]}}),
    "the audience written out": put(
        "spec.endpointSettings", {**settings(), "identity": {"audiences": ["crm-api.crm"], "issuers": ["cluster"]}}
    ),
    "no identity in particular": put("spec.endpointSettings", {**settings(), "identity": {}}),
    "end of the rule": put(f"{RULE}.expireTime", "2040-01-01T00:00:00Z"),
    "end of the policy": put("spec.expireTime", "2040-01-01T00:00:00Z"),
    "suspension": put("spec.suspend", True),
    "audit": put("spec.mode", "Audit"),
}  # fmt: skip

OTHER: Final[dict[str, Object]] = {
    "another audience": put("spec.endpointSettings", {**settings(), "identity": {"audiences": ["elsewhere"]}}),
    "another issuer": put("spec.endpointSettings", {**settings(), "identity": {"issuers": ["corp"]}}),
    "the word of the enforcer": put("spec.endpointSettings", {**settings(), "identity": {"verification": "Asserted"}}),
    "endpoint": changed(BASE, "spec.endpoint", "other"),
    "a subject more": changed(
        changed(BASE, "spec.subjects", [*BASE["spec"]["subjects"], subject("third", account="third")]),
        f"{RULE}.subjects",
        ["agent", "other", "third"],
    ),
    "a subject less": changed(BASE, f"{RULE}.subjects", ["agent"]),
    "another account under the same name": changed(BASE, "spec.subjects.0.serviceAccount.name", "third"),
    "another namespace of an account": changed(BASE, "spec.subjects.0.serviceAccount.namespace", "third"),
    "a workload of a subject": put("spec.subjects.0.workload", {"imageDigests": [IMAGE]}),
    "a workload of another image": put("spec.subjects.0.workload", {"imageDigests": [IMAGE[:-1] + "b"]}),
    "a workload with labels": put(
        "spec.subjects.0.workload", {"imageDigests": [IMAGE], "podSelector": {"matchLabels": {"app": "agent"}}}
    ),
    "an action more": changed(BASE, f"{RULE}.actions", ["a", "b", "c"]),
    "a wider action": changed(BASE, f"{RULE}.actions", ["a", "b.*"]),
    "an id more": changed(BASE, f"{RULE}.resources.0.ids", ["1", "2", "3"]),
    "another type": changed(BASE, f"{RULE}.resources.1.type", "invoice"),
    "a resource less": changed(BASE, f"{RULE}.resources", BASE["spec"]["rules"][0]["resources"][:1]),
    "a value more": changed(BASE, f"{RULE}.resources.0.properties.zone", ["a", "b"]),
    "a property less": changed(BASE, f"{RULE}.resources.0.properties.zone", ...),
    "no properties": changed(BASE, f"{RULE}.resources.0.properties", ...),
    "an intent more": changed(BASE, f"{RULE}.intents", ["audit", "sales", "support"]),
    "no intents": changed(BASE, f"{RULE}.intents", ...),
    "an expression": changed(BASE, f"{RULE}.conditions.1.expression", "context.a == 2"),
    "an expression spelled otherwise": changed(BASE, f"{RULE}.conditions.1.expression", "context.a ==  1"),
    "a condition less": changed(BASE, f"{RULE}.conditions", BASE["spec"]["rules"][0]["conditions"][:1]),
    "no conditions": changed(BASE, f"{RULE}.conditions", ...),
    "a variable that is used": changed(BASE, "spec.variables.1.expression", "context.count >= variables.limit"),
    "a variable that is used by one that is used": changed(BASE, "spec.variables.0.expression", "101"),
    "name of a step": changed(BASE, f"{RULE}.approval.steps.0.name", "renamed"),
    "kind of a step": changed(BASE, f"{RULE}.approval.steps.1.kind", "Human"),
    "count of a step": changed(BASE, f"{RULE}.approval.steps.0.count", 1),
    "a group more": changed(BASE, f"{RULE}.approval.steps.0.groups", ["x", "y", "z"]),
    "no groups": changed(BASE, f"{RULE}.approval.steps.0.groups", ...),
    "a step less": changed(BASE, f"{RULE}.approval.steps", BASE["spec"]["rules"][0]["approval"]["steps"][:1]),
    "waiting time": put(f"{RULE}.approval.pendingSeconds", 3601),
    "window": put(f"{RULE}.approval.windowSeconds", 601),
    "uses": put(f"{RULE}.approval.maxUses", 2),
    "reason no longer required": put(f"{RULE}.approval.reason.required", False),
    "pattern of the reason": changed(BASE, f"{RULE}.approval.reason.pattern", ".*"),
    "no reason": changed(BASE, f"{RULE}.approval.reason", ...),
}


@pytest.mark.invariant(17)
class TestTheRuleDigest:
    @pytest.mark.parametrize("raw", SAME.values(), ids=SAME)
    def test_stays_with_what_says_nothing_of_the_meaning(self, raw: Object) -> None:
        assert digest(raw) == digest(BASE)

    @pytest.mark.parametrize("raw", OTHER.values(), ids=OTHER)
    def test_changes_with_the_meaning(self, raw: Object) -> None:
        assert digest(raw) != digest(BASE)

    def test_is_another_for_each_change(self) -> None:
        assert len({digest(raw) for raw in OTHER.values()}) == len(OTHER)

    def test_depends_on_no_order_in_which_a_set_is_read(self) -> None:
        # Two processes read one set in two orders.
        spec = parse_spec(BASE["spec"])
        assert not isinstance(spec, tuple)
        variables, data = [("y", "1"), ("x", "2")], [("b", "c"), ("a", "d")]
        made = rule_digest(spec, spec.rules[0], variables, data)
        assert rule_digest(spec, spec.rules[0], sorted(variables), sorted(data)) == made

    def test_has_a_version_and_the_length_of_sha_256(self) -> None:
        version, _, text = digest(BASE).partition(":")
        assert (version, len(text), text) == ("v2", 64, text.lower())

    def test_is_the_same_in_every_release(self) -> None:
        # A known answer: one that changes with a release ends every grant there is.
        own = (
            '{"data":[],"policy":{"endpoint":"crm-api"},"rule":{"actions":["customers.export"],"approval":{"limits":{},'
            '"steps":[{"kind":"Human","name":"owner"}]},"conditions":[{"expression":"variables.big"}],'
            '"effect":"RequireApproval","resources":[{"ids":["*"],"type":"customer"}]},'
            '"subjects":[{"service_account":{"name":"crm-agent","namespace":"agents"}}],'
            '"variables":[["big","context.count > 100"]]}'
        )
        endpoint = (
            '{"ceiling":[],"data":[],"principals":[],"settings":{"identity":{"audiences":["crm-api.crm"],"issuers":["cluster"]}},'
            '"variables":[]}'
        )
        whole = json.dumps([_sha256(own), _sha256(endpoint), []], separators=(",", ":"))
        big = [{"name": "big", "expression": "context.count > 100"}]
        raw = stored("p", gated_rule(conditions=[{"name": "c", "expression": "variables.big"}]), variables=big)
        assert digest(raw) == "v2:" + _sha256(whole)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TO_CUSTOMER: Final = {"type": "customer", "id": "{id}"}
EXPORT: Final = {
    "methods": ["POST"],
    "path": "/customers/{id}/export",
    "action": "customers.export",
    "resource": TO_CUSTOMER,
}
OTHER_ROUTE: Final = {**EXPORT, "path": "/orders/{id}/export", "action": "orders.export"}
VIP: Final = {
    **EXPORT,
    "path": "/customers/vip/export",
    "action": "vip.export",
    "resource": {"type": "customer", "id": "vip"},
}


def routed(*routes: Object, **http: object) -> Object:
    own = {**settings(), "http": {"hosts": ["crm.example"], "routes": [*routes], **http}}
    return stored("p", gated_rule(), endpointSettings=own)


BESIDE: Final[dict[str, Object]] = {
    "another path": routed(OTHER_ROUTE, EXPORT),
    "another method": routed(EXPORT, {**VIP, "methods": ["GET"]}),
    "another length": routed(EXPORT, {**VIP, "path": "/customers/vip"}),
}
RE_MAPPED: Final[dict[str, Object]] = {
    "another method": routed({**EXPORT, "methods": ["DELETE"]}),
    "a method more": routed({**EXPORT, "methods": ["POST", "PUT"]}),
    "another path": routed({**EXPORT, "path": "/v2/customers/{id}/export"}),
    "another id": routed({**EXPORT, "resource": {**TO_CUSTOMER, "id": "{header.x-id}"}}),
    "an argument": routed({**EXPORT, "args": {"rows": "/rows"}}),
    "a second route": routed(EXPORT, {**EXPORT, "path": "/exports/{id}"}),
    "no route": routed(OTHER_ROUTE),
    "a more specific route": routed(EXPORT, VIP),
    "another host": routed(EXPORT, hosts=["other.example"]),
    "MCP too": routed(EXPORT, mcp=True),
}


@pytest.mark.invariant(17)
class TestTheRoutesOfAnAction:
    @pytest.mark.parametrize("raw", BESIDE.values(), ids=BESIDE)
    def test_stay_what_they_are_beside_routes_that_no_call_of_theirs_matches(self, raw: Object) -> None:
        assert digest(raw) == digest(routed(EXPORT))

    @pytest.mark.parametrize("raw", RE_MAPPED.values(), ids=RE_MAPPED)
    def test_are_others_with_any_change_of_what_comes_to_the_action(self, raw: Object) -> None:
        assert digest(raw) != digest(routed(EXPORT))

    def test_count_for_every_action_of_a_rule(self) -> None:
        def wide(*routes: Object) -> Object:
            return changed(routed(*routes), "spec.rules.0.actions", ["customers.*", "orders.export"])

        assert digest(wide(EXPORT, OTHER_ROUTE)) != digest(wide(EXPORT))
