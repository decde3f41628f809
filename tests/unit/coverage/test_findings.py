"""Findings of coverage: what counts, what an annotation takes out, and what is unknown."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from bailiwick_api.times import parse_time
from bailiwick_coverage.facts import (
    ApiOperation,
    BindingFacts,
    BoundSubject,
    ClusterFacts,
    ContainerPort,
    ObjectRef,
    PodFacts,
    RoleRule,
    RouteFacts,
    ServiceFacts,
    ServicePort,
    UnreadList,
)
from bailiwick_coverage.findings import EXEMPTION, CoverageCode, CoverageFinding, exemption
from bailiwick_coverage.inventory import objects
from bailiwick_coverage.protection import ENDPOINT
from bailiwick_coverage.report import RULES_ALONE, CoverageQuestion, CoverageReport, examine, examine_rules
from bailiwick_coverage.ungatedactions import looks_irreversible, parse_words
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot

NOW: Final = 1_700_000_000.0
DAY: Final = 86_400.0
QUESTION: Final = CoverageQuestion(NOW, ("delete", "export"), 14 * DAY, 30 * DAY)
Json = dict[str, Any]


def policy(endpoint: str = "api", account: str = "crm/api", namespace: str = "crm", **spec: Any) -> Json:  # noqa: ANN401 - of facts and objects
    of, _, name = account.partition("/")
    body = {
        "endpoint": endpoint,
        "endpointSettings": {"enforcers": [{"namespace": of, "name": name}]},
        "subjects": [{"name": "agent", "serviceAccount": {"namespace": "crm", "name": "agent"}}],
        "rules": [rule()],
        **spec,
    }
    metadata = {"namespace": namespace, "name": endpoint, "uid": "u", "generation": 1}
    return {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "EndpointPolicy", "metadata": metadata, "spec": body}


def rule(*actions: str, effect: str = "Allow", **more: Any) -> Json:  # noqa: ANN401 - of facts and objects
    return {
        "name": "read",
        "effect": effect,
        "subjects": ["agent"],
        "actions": list(actions or ("read",)),
        "resources": [{"type": "thing", "ids": ["*"]}],
        **more,
    }


def pod(name: str, namespace: str = "crm", **more: Any) -> PodFacts:  # noqa: ANN401 - of facts and objects
    held = {"account": name, "addresses": ("10.0.0.1",), "ports": (ContainerPort("main", "http", 8080),)}
    return PodFacts(namespace, name, {"app": name}, **{"containers": ("main",), **held, **more})


def stored(manifest: Mapping[str, Any]) -> Json:
    """A manifest, as the API server stores it."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": "u", "generation": 1}}


def service(name: str = "api", namespace: str = "crm", **more: Any) -> ServiceFacts:  # noqa: ANN401 - of facts and objects
    return ServiceFacts(namespace, name, selector={"app": name}, ports=(ServicePort("http", 80, 8080),), **more)


def facts(*policies: Json, **more: Any) -> ClusterFacts:  # noqa: ANN401 - of facts and objects
    endpoints = Snapshot.of([compile_object(one) for one in policies]).endpoints
    accounts: dict[tuple[str, str], dict[str, str]] = {("crm", "api"): {}, ("crm", "agent"): {}, ("gw", "proxy"): {}}
    held: Json = {
        "asked": ("crm",),
        "namespaces": {"crm": {}, "gw": {}},
        "policies": tuple(objects.policy(one) for one in policies),
        "endpoints": endpoints,
        "accounts": accounts,
        "account_namespaces": frozenset(("crm", "gw")),
        "reader": "carol",
    }
    return ClusterFacts(**(held | more))


def codes(report: CoverageReport) -> list[tuple[str, str]]:
    return [(one.code.value, one.ref.name) for one in report.findings]


def test_by_policies_alone_only_rules_are_examined() -> None:
    known = ClusterFacts(asked=("crm",), namespaces={"crm": {}}, whole=False)
    stale = policy(rules=[rule("things.delete")], expireTime="2023-11-15T00:00:00Z")
    of_files = replace(known, policies=facts(stale).policies, endpoints=facts(stale).endpoints)
    report = examine_rules(of_files, QUESTION)
    assert (codes(report), report.knows_services) == ([("ungated", "api")], False)
    assert set(RULES_ALONE) == set(report.examined) == {CoverageCode.UNRULED, CoverageCode.UNGATED}


def test_a_service_whose_pods_enforce_is_protected() -> None:
    report = examine(facts(policy(), pods=(pod("api"),), services=(service(),)), QUESTION)
    assert codes(report) == []
    assert [row.held.kind.value for row in report.services] == ["own"]


def test_a_service_of_which_one_pod_does_not_enforce_is_unprotected() -> None:
    other = pod("api", account="other", addresses=("10.0.0.2",))
    report = examine(facts(policy(), pods=(pod("api"), other), services=(service(),)), QUESTION)
    assert ("unprotected", "api") in codes(report)


def test_a_policy_of_another_namespace_protects_nothing_unless_the_service_says_so() -> None:
    elsewhere = policy(namespace="gw")
    own = pod("api")
    alone = examine(facts(elsewhere, pods=(own,), services=(service(),)), QUESTION)
    assert codes(alone) == [("unprotected", "api")]
    (fix,) = alone.findings[0].fix.manifests if alone.findings[0].fix else ()
    assert fix["metadata"] == {"namespace": "crm", "name": "api", "annotations": {ENDPOINT: "gw/api"}}
    annotated = service(annotations={ENDPOINT: "gw/api"})
    assert codes(examine(facts(elsewhere, pods=(own,), services=(annotated,)), QUESTION)) == []


@pytest.mark.parametrize("named", ["missing", "gw/missing", "gw/"])
def test_an_annotation_with_an_endpoint_that_no_policy_has_protects_nothing(named: str) -> None:
    annotated = service(annotations={ENDPOINT: named})
    report = examine(facts(policy(), pods=(pod("api"),), services=(annotated,)), QUESTION)
    assert ("unprotected", "api") in codes(report)


ANNOTATED: Final = {"annotations": {ENDPOINT: "crm/api"}}


@pytest.mark.parametrize("of", [{}, ANNOTATED], ids=["by its name", "by an annotation"])
def test_an_enforcer_as_whom_no_pod_runs_stands_before_no_service(of: Json) -> None:
    nothing = network_policy("nothing", FROM_GATEWAY, 1)
    held = facts(policy(account="gw/proxy"), pods=(pod("api"),), services=(service(**of),), network_policies=(nothing,))
    report = examine(held, QUESTION)
    assert codes(report) == [("unprotected", "api"), ("stale", "api")]
    (found, _) = report.findings
    assert found.sentence == "no pod runs as an enforcer of its endpoint crm/api, so no enforcing proxy is before it"
    # It has a policy, so that a first one would close nothing.
    assert found.fix is None
    assert [row.held.kind.value for row in report.services] == ["none"]


def test_of_several_enforcers_one_pod_is_a_proxy() -> None:
    both = {"enforcers": [{"namespace": "gw", "name": "gone"}, {"namespace": "gw", "name": "proxy"}]}
    held = facts(policy(endpointSettings=both), pods=(pod("api"), GATEWAY), services=(service(),))
    assert [row.held.kind.value for row in examine(held, QUESTION).services] == ["proxy"]


@pytest.mark.parametrize(
    "more",
    [{"unread": (UnreadList("", "pods", "gw", "no"),)}, {"partial": frozenset(("pods",))}],
    ids=["refused", "not listed"],
)
def test_an_enforcer_whose_pods_were_not_read_may_stand_before_a_service(more: Json) -> None:
    held = facts(policy(account="gw/proxy"), pods=(pod("api"),), services=(service(),), **more)
    assert [row.held.kind.value for row in examine(held, QUESTION).services] == ["proxy"]


def test_a_service_without_pods_is_unknown_and_not_protected() -> None:
    report = examine(facts(services=(service(),)), QUESTION)
    assert codes(report) == [("unknown", "api")]


def test_what_may_not_be_read_is_unknown_and_says_what_is_not_known_without_it() -> None:
    unread = (UnreadList("", "pods", "crm", "no"), UnreadList("networking.k8s.io", "networkpolicies", "crm", "no"))
    report = examine(facts(policy(), services=(service(),), unread=unread), QUESTION)
    assert codes(report) == [("unknown", "networkpolicies"), ("unknown", "pods")]
    assert all(one.fix is not None and len(one.fix.manifests) == 2 for one in report.findings)


def test_a_list_of_which_only_some_namespaces_were_read_is_unknown() -> None:
    report = examine(facts(partial=frozenset(("rolebindings", "services"))), QUESTION)
    assert codes(report) == [("unknown", "rolebindings")]


def test_a_policy_of_the_network_that_is_not_evaluated_is_unknown() -> None:
    other = ObjectRef("AdminNetworkPolicy", "", "first")
    assert codes(examine(facts(unevaluated=(other,)), QUESTION)) == [("unknown", "first")]


def test_an_endpoint_that_is_closed_is_unknown() -> None:
    unconfigured = policy(endpointSettings=None)
    report = examine(facts(unconfigured), QUESTION)
    assert [one.code for one in report.findings] == [CoverageCode.UNKNOWN]


def test_the_fix_for_an_operation_whose_type_is_not_known_is_a_policy_for_the_types_that_rules_name() -> None:
    other = rule("list", name="other", resources=[{"type": "folder", "ids": ["*"]}])
    operation = ApiOperation("openapi", "POST /things", "create", method="POST", path="/things")
    question = replace(QUESTION, operations=(operation,), target=("crm", "api"))
    (found,) = examine(facts(policy(rules=[rule(), other]), pods=(pod("api"),)), question).findings
    assert found.sentence == "openapi POST /things: no rule names create, so every call of it is denied"
    assert found.fix is not None
    (gate,) = found.fix.manifests
    compiled = compile_object(stored(gate))
    assert isinstance(compiled, CompiledPolicy), compiled
    assert {one.type for each in compiled.rules for one in each.resources} == {"folder", "thing"}


def test_an_operation_whose_type_is_not_known_is_found_if_only_a_rule_for_every_action_allows_it() -> None:
    operation = ApiOperation("openapi", "POST /things", "create", method="POST", path="/things")
    question = replace(QUESTION, operations=(operation,), target=("crm", "api"))
    report = examine(facts(policy(rules=[rule("*")]), pods=(pod("api"),)), question)
    found = next(one for one in report.findings if one.code is CoverageCode.UNRULED)
    assert found.sentence == "openapi POST /things: the rule api/read allows create, and names it only by *"


def test_a_route_to_a_protected_service_by_a_host_of_its_endpoint_is_no_finding() -> None:
    http = {"hosts": ["api.example.com:443"], "mcp": True}
    settings = {"enforcers": [{"namespace": "gw", "name": "proxy"}], "http": http}
    way = {"pods": (pod("api"), pod("proxy", "gw")), "services": (service(),)}
    for hosts, expected in (
        (("api.example.com",), 0),
        (("api.example.com", "other.example.com"), 1),
        (("*.example.com",), 1),
        ((), 1),
    ):
        route = RouteFacts(ObjectRef("Ingress", "crm", "way"), hosts, (("crm", "api"),))
        report = examine(facts(policy(endpointSettings=settings), routes=(route,), **way), QUESTION)
        found = [one for one in report.findings if one.ref.kind == "Ingress"]
        assert len(found) == expected, (hosts, found)


class TestAround:
    settings: Final = {"enforcers": [{"namespace": "gw", "name": "proxy"}]}

    def examined(self, ingress: list[Json] | None, *more: PodFacts, **changes: Any) -> CoverageReport:  # noqa: ANN401 - of facts and objects
        raws = []
        if ingress is not None:
            spec = {"podSelector": {"matchLabels": {"app": "api"}}, "ingress": ingress}
            raws = [{"metadata": {"namespace": "crm", "name": "np"}, "spec": spec}]
        held = {"pods": (pod("api"), pod("proxy", "gw", addresses=("10.0.9.9",)), *more)}
        return examine(
            facts(
                policy(endpointSettings=self.settings),
                services=(service(),),
                network_policies=tuple(raws),
                **(held | changes),
            ),
            QUESTION,
        )

    def test_only_the_enforcement_point_may_reach_its_pods(self) -> None:
        peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gw"}}}
        narrow = {**peer, "podSelector": {"matchLabels": {"app": "proxy"}}}
        names = {"gw": {"kubernetes.io/metadata.name": "gw"}, "crm": {"kubernetes.io/metadata.name": "crm"}}
        assert codes(self.examined([{"from": [narrow]}], namespaces=names)) == []
        # Every pod of that namespace is more than the enforcement point.
        assert codes(self.examined([{"from": [peer]}], namespaces=names)) == [("around", "api")]

    def test_no_policy_lets_everything_in(self) -> None:
        assert codes(self.examined(None)) == [("around", "api")]

    def test_an_address_of_the_enforcement_point_alone_is_no_way_around(self) -> None:
        assert codes(self.examined([{"from": [{"ipBlock": {"cidr": "10.0.9.9/32"}}]}])) == []
        assert codes(self.examined([{"from": [{"ipBlock": {"cidr": "10.0.9.8/31"}}]}])) == [("around", "api")]
        block = {"cidr": "10.0.9.8/31", "except": ["10.0.9.8/32"]}
        assert codes(self.examined([{"from": [{"ipBlock": block}]}])) == []

    def test_a_rule_for_another_port_is_no_way_around(self) -> None:
        assert codes(self.examined([{"ports": [{"port": 9999}]}])) == []
        assert codes(self.examined([{"ports": [{"port": "http"}]}])) == [("around", "api")]

    def test_a_pod_in_the_network_of_its_node_is_guarded_by_no_policy(self) -> None:
        held = (pod("api", host_network=True), pod("proxy", "gw"))
        assert codes(self.examined([], pods=held)) == [("around", "api")]

    def test_an_enforcement_point_known_by_a_certificate_alone_is_unknown(self) -> None:
        settings = {"enforcers": [{"certificate": {"dns": "envoy.example.com"}}]}
        report = examine(facts(policy(endpointSettings=settings), pods=(pod("api"),), services=(service(),)), QUESTION)
        assert codes(report) == [("unknown", "api")]

    def test_namespaces_that_could_not_be_read_make_their_pods_unknown(self) -> None:
        report = self.examined([{"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}], whole=False)
        assert codes(report) == [("unknown", "api")]


class TestExemptions:
    def exempted(self, text: str) -> CoverageReport:
        annotated = service(annotations={EXEMPTION: text})
        return examine(facts(pods=(pod("api"),), services=(annotated,)), QUESTION)

    @pytest.mark.parametrize("text", ["exempt: public", "exempt unprotected: public", "exempt unprotected,around: a:b"])
    def test_a_reason_takes_a_finding_out_and_is_listed(self, text: str) -> None:
        report = self.exempted(text)
        assert codes(report) == []
        assert [(one.finding.code.value, one.reason) for one in report.exempt] == [
            ("unprotected", text.partition(": ")[2] if ": " in text else text)
        ]

    @pytest.mark.parametrize(
        "text",
        ["exempt", "exempt:", "exempt:  ", "", "true", "exempt: ", "exempt nonsense: why", "exempt unknown: why"],
    )
    def test_without_a_reason_or_with_other_words_it_takes_out_nothing_and_says_so(self, text: str) -> None:
        report = self.exempted(text)
        assert (codes(report), report.exempt) == ([("unprotected", "api")], ())
        assert EXEMPTION in report.findings[0].sentence

    def test_it_takes_out_only_the_codes_that_it_names(self) -> None:
        assert codes(self.exempted("exempt around: why")) == [("unprotected", "api")]

    def test_what_is_unknown_is_never_exempt(self) -> None:
        report = examine(facts(services=(service(annotations={EXEMPTION: "exempt: why"}),)), QUESTION)
        assert codes(report) == [("unknown", "api")]
        text = exemption({EXEMPTION: "exempt: why"})
        assert text is not None
        assert CoverageCode.UNKNOWN not in text.codes


class TestUngated:
    @pytest.mark.parametrize(
        ("action", "irreversible"),
        [
            ("customers.delete", True),
            ("deleteAll", True),
            ("BULK_DELETE", True),
            ("export", True),
            ("deleted.list", False),
            ("exporter.read", False),
            ("undelete", False),
            ("read", False),
        ],
    )
    def test_a_word_is_a_whole_part_of_the_name(self, action: str, irreversible: bool) -> None:
        assert looks_irreversible(action, ("delete", "export")) is irreversible

    def test_words_are_lines_without_comments(self) -> None:
        assert parse_words("# no\n\nDelete\n delete \nwire\n") == ("delete", "wire")

    def test_an_approval_or_a_denial_is_no_finding(self) -> None:
        approval = {"steps": [{"name": "owner", "kind": "Human", "groups": ["owners"]}]}
        gate = rule("things.delete", effect="RequireApproval", approval=approval)
        assert codes(examine(facts(policy(rules=[gate]), pods=(pod("api"),)), QUESTION)) == []
        rules = [rule("things.delete"), {**rule("things.delete", effect="Deny"), "name": "never"}]
        assert codes(examine(facts(policy(rules=rules), pods=(pod("api"),)), QUESTION)) == []

    @pytest.mark.parametrize("action", ["things.delete", "things.*", "*"])
    def test_an_allowed_action_or_pattern_is_one(self, action: str) -> None:
        report = examine(facts(policy(rules=[rule(action)]), pods=(pod("api"),)), QUESTION)
        assert ("ungated", "api") in codes(report)

    def test_the_method_delete_of_a_route_is_irreversible_whatever_its_action_is_called(self) -> None:
        route = {
            "methods": ["DELETE"],
            "path": "/t/{id}",
            "action": "tidy",
            "resource": {"type": "thing", "id": "{id}"},
        }
        settings = {
            "enforcers": [{"namespace": "crm", "name": "api"}],
            "http": {"hosts": ["x.example"], "routes": [route]},
        }
        made = policy(endpointSettings=settings, rules=[rule("tidy")])
        assert codes(examine(facts(made, pods=(pod("api"),)), QUESTION)) == [("ungated", "api")]


class TestOverprivileged:
    def examined(self, *rules: RoleRule, kind: str = "RoleBinding", **more: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - of facts and objects
        subject = BoundSubject("ServiceAccount", "crm", "agent")
        binding = BindingFacts(
            ObjectRef(kind, "crm" if kind == "RoleBinding" else "", "b"), ("Role", "r"), (subject,), rules
        )
        return codes(examine(facts(bindings=(binding,), **more), QUESTION))

    @pytest.mark.parametrize(
        "one",
        [
            RoleRule(("",), ("secrets",), ("list",)),
            RoleRule(("*",), ("*",), ("*",)),
            RoleRule(("",), ("pods/exec",), ("create",)),
            RoleRule(("",), ("*/exec",), ("get",)),
            RoleRule(("rbac.authorization.k8s.io",), ("roles",), ("escalate",)),
            RoleRule(("",), ("serviceaccounts",), ("impersonate",), ("admin",)),
        ],
    )
    def test_a_dangerous_right_is_found(self, one: RoleRule) -> None:
        assert self.examined(one) == [("overprivileged", "agent")]

    @pytest.mark.parametrize(
        "one",
        [
            RoleRule(("",), ("secrets",), ("get",), ("mine",)),
            RoleRule(("",), ("configmaps",), ("get",)),
            RoleRule(("",), ("secrets",), ("create",)),
            RoleRule(("apps",), ("secrets",), ("get",)),
            RoleRule(("",), ("users",), ("impersonate",)),
        ],
    )
    def test_a_narrow_right_and_one_that_a_role_binding_cannot_give_are_not(self, one: RoleRule) -> None:
        assert self.examined(one) == []

    def test_in_the_whole_cluster_users_can_be_impersonated(self) -> None:
        one = RoleRule(("",), ("users",), ("impersonate",))
        assert self.examined(one, kind="ClusterRoleBinding") == [("overprivileged", "agent")]

    def test_a_policy_of_the_api_server_that_names_the_account_gates_it_and_no_other(self) -> None:
        settings = {"enforcers": [{"certificate": {"dns": "api.example"}}], "identity": {"verification": "Asserted"}}
        named = policy("kubernetes", endpointSettings=settings)
        one = RoleRule(("",), ("secrets",), ("get",))
        binding = BindingFacts(
            ObjectRef("RoleBinding", "crm", "b"),
            ("Role", "r"),
            (BoundSubject("ServiceAccount", "crm", "agent"),),
            (one,),
        )
        assert codes(examine(facts(named, bindings=(binding,)), QUESTION)) == []
        stranger = BindingFacts(
            ObjectRef("RoleBinding", "crm", "b"), ("Role", "r"), (BoundSubject("ServiceAccount", "crm", "api"),), (one,)
        )
        assert codes(examine(facts(named, bindings=(stranger,)), QUESTION)) == [("overprivileged", "api")]

    def test_a_role_that_cannot_be_read_is_unknown(self) -> None:
        binding = BindingFacts(
            ObjectRef("RoleBinding", "crm", "b"), ("Role", "r"), (BoundSubject("ServiceAccount", "crm", "agent"),), None
        )
        assert codes(examine(facts(bindings=(binding,)), QUESTION)) == [("unknown", "agent")]


class TestStale:
    def examined(self, **spec: Any) -> list[CoverageFinding]:  # noqa: ANN401 - of facts and objects
        return list(examine(facts(policy(**spec), pods=(pod("api"),)), QUESTION).findings)

    def test_an_expiry_that_is_near_or_over_is_found_and_a_far_one_is_not(self) -> None:
        for days, expected in ((-1, 1), (13, 1), (15, 0)):
            moment = parse_time("2023-11-14T22:13:20Z")
            assert moment is not None
            end = (moment + timedelta(days=days)).isoformat().replace("+00:00", "Z")
            assert len(self.examined(expireTime=end)) == expected, days
            assert len(self.examined(rules=[rule(expireTime=end), {**rule("list"), "name": "other"}])) == expected

    def test_an_enforcer_without_a_pod_is_found(self) -> None:
        (one,) = examine(facts(policy()), QUESTION).findings
        assert (one.code, "no pod runs as its enforcer crm/api" in one.sentence) == (CoverageCode.STALE, True)

    def test_an_account_is_missing_only_where_accounts_were_read(self) -> None:
        gone = [{"name": "agent", "serviceAccount": {"namespace": "crm", "name": "gone"}}]
        assert [one.detail for one in self.examined(subjects=gone)] == ["subject agent"]
        unread = facts(policy(subjects=gone), pods=(pod("api"),), account_namespaces=frozenset(), whole=False)
        assert codes(examine(unread, QUESTION)) == []

    def test_a_suspended_policy_is_left_alone(self) -> None:
        assert self.examined(suspend=True, expireTime="2023-11-15T00:00:00Z") == []


GATEWAY: Final = PodFacts("gw", "proxy", {"app": "proxy"}, "proxy", ("10.0.0.9",), (), ("main",))
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
FROM_GATEWAY: Final = {
    "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "gw"}},
    "podSelector": {"matchLabels": {"app": "proxy"}},
}


def network_policy(name: str, peer: Json, *ports: int) -> Json:
    ingress: Json = {"from": [peer], "ports": [{"port": port} for port in ports]}
    spec = {"podSelector": {"matchLabels": {"app": "api"}}, "policyTypes": ["Ingress"], "ingress": [ingress]}
    return {"metadata": {"namespace": "crm", "name": name}, "spec": spec}


def proxied(*policies: Mapping[str, object], of: ServiceFacts | None = None) -> CoverageReport:
    """Return the report on a Service behind the gateway, with these network policies."""
    names = ("crm", "gw", "shop")
    held = facts(
        policy(account="gw/proxy"),
        pods=(pod("api"), GATEWAY),
        services=(of or service(),),
        network_policies=policies,
        namespaces={one: {NAMESPACE_NAME: one} for one in names},
    )
    return examine(held, QUESTION)


def test_a_policy_that_lets_in_the_enforcement_point_alone_leaves_no_way_around() -> None:
    assert codes(proxied(network_policy("gateway", FROM_GATEWAY, 8080))) == []


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "proxy"}},
        {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
        {
            "matchExpressions": [
                {"key": "app", "operator": "Exists"},
                {"key": "app", "operator": "NotIn", "values": ["api", "x"]},
            ]
        },
    ],
    ids=["the labels of the gateway", "any value", "any value but some"],
)
def test_labels_that_anybody_can_choose_in_another_namespace_are_a_way_around(selector: Json) -> None:
    (found,) = proxied(network_policy("labels", {"namespaceSelector": {}, "podSelector": selector}, 8080)).findings
    assert found.code is CoverageCode.AROUND
    assert "a pod of a new namespace with the labels app=" in found.sentence
    assert "of gw" not in found.sentence
    assert found.fix is not None
    assert codes(proxied(*found.fix.manifests)) == []


def test_a_port_is_the_one_to_which_the_slices_of_a_service_without_a_selector_lead() -> None:
    endpoint = {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "api"}}
    piece: Json = {"endpoints": [endpoint], "ports": [{"name": "http", "port": 8080}]}
    raw = {"metadata": {"namespace": "crm", "name": "api"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
    closed = network_policy("gateway", FROM_GATEWAY, 80, 8080)
    of = objects.service(raw, {("crm", "api"): [piece]}, None)
    assert codes(proxied(closed, of=of)) == []
    assert codes(proxied(closed, network_policy("open", {"namespaceSelector": {}}, 8080), of=of)) == [("around", "api")]


@pytest.mark.parametrize("block", ["010.0.0.0/8", "10.1.2.003/32"])
@pytest.mark.parametrize("part", ["cidr", "except"])
def test_a_network_policy_with_an_address_that_can_be_read_in_two_ways_is_unknown(block: str, part: str) -> None:
    # The API server takes such an address, as it has always done.
    peer = {"ipBlock": {"cidr": block} if part == "cidr" else {"cidr": "10.0.0.0/8", "except": [block]}}
    guarding = network_policy("gateway", FROM_GATEWAY, 8080)
    report = proxied(guarding, network_policy("blocks", peer, 8080))
    assert codes(report) == [("unknown", "blocks")]
    assert "has an address with leading zeros" in report.findings[0].sentence
    elsewhere = {**network_policy("blocks", peer, 8080), "metadata": {"namespace": "shop", "name": "blocks"}}
    assert codes(proxied(guarding, elsewhere)) == []


def test_an_endpoint_slice_that_names_no_pod_leads_to_an_address_of_no_pod() -> None:
    # The API server does not look at what a target says.
    slices: Json = {"endpoints": [{"addresses": ["10.0.0.9"], "targetRef": {"kind": "Pod"}}], "ports": [{"port": 80}]}
    raw = {"metadata": {"namespace": "crm", "name": "api"}, "spec": {"ports": [{"port": 80}]}}
    assert objects.service(raw, {("crm", "api"): [slices]}, None).foreign == ("10.0.0.9",)


@pytest.mark.parametrize(
    ("target", "address", "listed", "foreign"),
    [
        ({"name": "api"}, "10.0.0.1", ("api",), ()),
        ({"name": "api", "namespace": "crm"}, "10.0.0.1", ("api",), ()),
        ({"name": "api"}, "203.0.113.9", (), ("203.0.113.9",)),
        ({"name": "api", "namespace": "gw"}, "10.0.0.1", (), ("10.0.0.1",)),
        ({"name": "absent"}, "10.0.0.1", (), ("10.0.0.1",)),
    ],
    ids=["a pod", "with its namespace", "another address", "of another namespace", "that is not there"],
)
def test_an_address_is_a_pods_only_if_the_pod_has_it(
    target: Json, address: str, listed: tuple[str, ...], foreign: tuple[str, ...]
) -> None:
    endpoint = {"addresses": [address], "targetRef": {"kind": "Pod", **target}}
    raw = {"metadata": {"namespace": "crm", "name": "api"}, "spec": {"ports": [{"port": 80}]}}
    piece: Json = {"endpoints": [endpoint], "ports": [{"port": 80}]}
    made = objects.service(
        raw, {("crm", "api"): [piece]}, {("crm", "api"): pod("api"), ("gw", "api"): pod("api", "gw")}
    )
    assert (made.listed, made.foreign) == (listed, foreign)


def test_where_no_pod_could_be_read_an_address_is_of_the_pod_that_a_slice_names() -> None:
    endpoint = {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "api"}}
    raw = {"metadata": {"namespace": "crm", "name": "api"}, "spec": {"ports": [{"port": 80}]}}
    made = objects.service(raw, {("crm", "api"): [{"endpoints": [endpoint]}]}, None)
    assert (made.listed, made.foreign) == (("api",), ())


@pytest.mark.parametrize("of", [{"kind": "ExternalName"}, {}], ids=["another name", "without pods"])
def test_a_service_that_nothing_serves_is_unknown_behind_a_proxy_too(of: Json) -> None:
    held = facts(policy(account="gw/proxy"), pods=(GATEWAY,), services=(service(**of),))
    assert codes(examine(held, QUESTION)) == [("unknown", "api")]


def test_where_no_container_declares_the_port_that_enforces_another_one_is_unknown() -> None:
    admin = ContainerPort("side", "admin", 9000)
    held = pod("api", containers=("main", "side"), ports=(admin,))
    (found,) = examine(facts(policy(), pods=(held,), services=(service(),)), QUESTION).findings
    assert (found.code, found.detail) == (CoverageCode.UNKNOWN, "container side, port 9000")
    assert "no container of the pod api declares the port that enforces" in found.sentence


@pytest.mark.parametrize("order", [1, -1])
def test_the_pods_of_a_service_need_not_be_alike(order: int) -> None:
    alone = pod("api", containers=("main", "log"))
    admin = ContainerPort("side", "admin", 9000)
    beside = pod("api", addresses=("10.0.0.2",), containers=("main", "side"), ports=(*alone.ports, admin))
    report = examine(facts(policy(), pods=(alone, beside)[::order], services=(service(),)), QUESTION)
    assert [(one.code.value, one.detail) for one in report.findings] == [("around", "container side, port 9000")]


def test_an_account_that_a_binding_names_as_a_user_is_that_account() -> None:
    raw: Json = {
        "metadata": {"namespace": "crm", "name": "b"},
        "subjects": [
            {"kind": "User", "name": "system:serviceaccount:crm:agent"},
            {"kind": "User", "name": "system:serviceaccount:crm"},
            {"kind": "User", "name": "carol"},
        ],
    }
    named = objects.bound_subjects(raw)
    ref, role = ObjectRef("RoleBinding", "crm", "b"), ("Role", "r")
    held = BindingFacts(ref, role, named, (RoleRule(("",), ("secrets",), ("get",)),))
    (found,) = examine(facts(bindings=(held,)), QUESTION).findings
    assert (found.code.value, str(found.ref)) == ("overprivileged", "ServiceAccount crm/agent")
