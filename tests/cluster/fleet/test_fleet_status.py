"""`fleet status` of two clusters that run, of one that is down, one that hangs, and one that lies."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_kube.paths import policies_path
from cluster.fleet.fleetworld import DEPLOYMENTS, SECRET, FleetWorld, argo_secrets, deployment
from support.faultkinds import altered, hang, status
from support.installation import accepted
from support.objects import Object, rule
from support.waits import until

BOTH: Final = ("--contexts", "east,west")
POLICIES: Final = "/endpointpolicies"
CONTROL: Final = "\x1b[31mall well\u202e\n\x07"
CODES: Final = {"version", "guards", "policies", "served", "witness", "losses", "revocations"}
GUARD: Final = "/api/v1/namespaces/bailiwick-system/configmaps/bailiwick-guard"


@contextlib.contextmanager
def applied(fleet: FleetWorld, cluster: str, raw: Object) -> Iterator[None]:
    """Replace the spec of a policy in one cluster for a while."""
    admin = fleet.clusters[cluster].callers.admin
    path = policies_path(fleet.namespace, raw["metadata"]["name"])

    def replace(spec: Object) -> None:
        accepted(admin.replace(accepted(admin.get(path)) | {"spec": spec}))

    before = accepted(admin.get(path))["spec"]
    replace(raw["spec"])
    try:
        yield
    finally:
        replace(before)


def test_clusters_that_are_well_exit_with_0(fleet: FleetWorld) -> None:
    answer = fleet.await_well()
    assert answer.ran.code == 0, answer.ran
    for name in ("east", "west"):
        assert answer.states(name) == dict.fromkeys(CODES, "good"), answer.ran
        row = answer.cluster(name)
        assert row["versions"]["operator"] == "0.1.0"
        (found,) = row["policies"]
        assert (found["name"], found["accepted"], found["served"]) == ("crm-agent", True, True)
        assert found["generation"] >= 1
        assert found["digest"].startswith("sha256:")
    assert (answer.body["differences"], answer.body["partial"]) == ([], [])


def test_a_table_has_a_row_for_each_cluster(fleet: FleetWorld) -> None:
    fleet.await_well()
    ran = fleet.run(*BOTH)
    header, *rows = ran.out.splitlines()
    assert header.split() == [*("CLUSTER", "VERSION", "GUARDS", "POLICIES", "SERVED", "WITNESS", "LOST", "REVOKED")], (
        ran
    )
    assert [row.split()[:2] for row in rows] == [["east", "0.1.0"], ["west", "0.1.0"]]


def test_a_policy_of_another_digest_differs_in_both(fleet: FleetWorld) -> None:
    fleet.await_well()
    changed = fleet.policy(rules=[rule(actions=["customers.list", "customers.delete"])])
    with applied(fleet, "west", changed):
        until(lambda: fleet.status(*BOTH).body["differences"], "the operator judged it")
        answer = fleet.status(*BOTH)
        assert answer.ran.code == 1
        assert {answer.states(name)["policies"] for name in ("east", "west")} == {"doubt"}
        (found,) = answer.body["differences"]
        assert (found["name"], len({one["digest"] for one in found["clusters"].values()})) == ("crm-agent", 2)
        assert fleet.run(*BOTH, "--fail-on", "guards").code == 0
        text = fleet.run(*BOTH).out
        assert "differs: fleet/crm-agent: east sha256:" in text


def test_a_policy_that_one_cluster_does_not_have_is_a_note(fleet: FleetWorld) -> None:
    fleet.await_well()
    admin = fleet.clusters["west"].callers.admin
    accepted(admin.create(fleet.policy("reports", endpoint="reports-api")))
    try:
        answer = fleet.await_well()
        assert answer.body["partial"] == [{"namespace": "fleet", "name": "reports", "clusters": ["west"]}]
        assert "note: 1 policy is not in every cluster" in fleet.run(*BOTH).out
    finally:
        admin.delete(policies_path(fleet.namespace, "reports"))


def write(path: Path, *documents: Object) -> str:
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return str(path)


def test_drift_is_what_a_cluster_lets_through_that_git_does_not(fleet: FleetWorld, tmp_path: Path) -> None:
    fleet.await_well()
    git = write(tmp_path / "policies.yaml", fleet.policy())
    clean = fleet.status(*BOTH, "--against", git)
    assert (clean.ran.code, clean.states("east")["drift"], clean.states("west")["drift"]) == (0, "good", "good")
    wider = fleet.policy(rules=[rule(actions=["customers.list", "customers.delete"])])
    with applied(fleet, "west", wider):
        answer = fleet.status(*BOTH, "--against", git, "--fail-on", "drift")
        assert (answer.ran.code, answer.states("east")["drift"], answer.states("west")["drift"]) == (1, "good", "doubt")
        assert answer.cluster("west")["drift"] == {"wider": 1}
        own = write(tmp_path / "west.yaml", wider)
        arguments = ("--against", f"east={git}", "--against", f"west={own}", "--fail-on", "drift")
        assert fleet.run(*BOTH, *arguments).code == 0
        missing = fleet.status(*BOTH, "--against", f"east={git}", "--fail-on", "drift")
        assert (missing.ran.code, missing.states("west")["drift"]) == (1, "unknown")


def test_policies_that_git_lacks_and_that_a_cluster_lacks_are_drift(fleet: FleetWorld, tmp_path: Path) -> None:
    fleet.await_well()
    other = fleet.policy("other", endpoint="other-api")
    more = fleet.status(*BOTH, "--against", write(tmp_path / "more.yaml", fleet.policy(), other))
    assert more.states("east")["drift"] == "doubt"
    assert "fleet/other-api" in more.message("east", "drift")
    less = fleet.status(*BOTH, "--against", write(tmp_path / "less.yaml", other))
    assert "fleet/crm-api" in less.message("east", "drift")


def test_a_proof_that_is_old_is_no_proof(fleet: FleetWorld) -> None:
    fleet.await_well()
    west = fleet.clusters["west"]
    west.stop_operator()
    try:
        raw = accepted(west.callers.admin.get(GUARD))
        raw["data"]["provenTime"] = "2026-01-01T00:00:00Z"
        accepted(west.callers.admin.replace(raw))
        answer = fleet.status(*BOTH)
        assert (answer.ran.code, answer.states("east")["guards"], answer.states("west")["guards"]) == (
            *(1, "good", "doubt"),
        )
        assert "in doubt: last proven" in answer.message("west", "guards")
    finally:
        west.revive_operator()
    fleet.await_well()


@pytest.mark.long
@pytest.mark.long
def test_guards_that_were_lifted_are_in_doubt(fleet: FleetWorld) -> None:
    fleet.await_well()
    admin = fleet.clusters["west"].callers.admin
    bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    lifted = [one for one in accepted(admin.get(bindings))["items"] if "grant" in one["metadata"]["name"]]
    assert lifted
    for one in lifted:
        admin.delete(f"{bindings}/{one['metadata']['name']}")
    try:
        until(lambda: fleet.status(*BOTH).states("west")["guards"] == "doubt", "the proof is too old", 240.0)
        answer = fleet.status(*BOTH)
        assert (answer.ran.code, answer.states("east")["guards"]) == (1, "good")
        # The operator lives: it still cosigns, and its statuses count.
        assert answer.states("west")["served"] == "good"
    finally:
        for one in lifted:
            metadata = {"name": one["metadata"]["name"], "labels": one["metadata"].get("labels") or {}}
            kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding"}
            accepted(admin.create({**kind, "metadata": metadata, "spec": one["spec"]}))


def test_another_version_is_not_well(fleet: FleetWorld) -> None:
    fleet.await_well()
    admin = fleet.clusters["west"].callers.admin

    def replace(version: str) -> None:
        for part in ("operator", "webhook"):
            path = f"{DEPLOYMENTS}/bailiwick-{part}"
            raw = accepted(admin.get(path))
            raw["metadata"]["labels"] = deployment(part, version)["metadata"]["labels"]
            accepted(admin.replace(raw))

    replace("0.2.0")
    try:
        answer = fleet.status(*BOTH)
        assert answer.message("east", "version") == "0.1.0; other clusters have 0.2.0"
        assert (answer.ran.code, fleet.run(*BOTH, "--fail-on", "guards").code) == (1, 0)
    finally:
        replace("0.1.0")


def test_a_cluster_that_is_down_is_a_row_and_costs_the_others_nothing(fleet: FleetWorld) -> None:
    fleet.await_well()
    answer = fleet.status("--contexts", "east,down")
    assert (answer.ran.code, answer.states("east")) == (2, dict.fromkeys(CODES, "good"))
    assert answer.cluster("down") == {"name": "down", "asked": False, "problem": "it does not answer"}
    assert fleet.run("--contexts", "east,down", "--fail-on", "none").code == 2
    ran = fleet.run("--contexts", "down,east")
    assert ran.out.splitlines()[1].split() == ["down", *["unknown"] * 7]
    assert "down: could not be asked: it does not answer" in ran.out


def test_a_cluster_that_hangs_takes_no_longer_than_its_time(fleet: FleetWorld) -> None:
    fleet.await_well()
    fleet.faults.on("GET", "/configmaps/", hang, times=None)
    try:
        began = time.monotonic()
        answer = fleet.status("--contexts", "faulty,west", "--timeout", "4s", "--request-timeout", "1m")
        assert time.monotonic() - began < 15.0
        assert answer.cluster("faulty")["problem"] == "no answer within 4 s"
        assert (answer.ran.code, answer.states("west")) == (2, dict.fromkeys(CODES, "good"))
    finally:
        fleet.faults.clear()


def hostile_policies() -> list[Any]:
    named = {"name": CONTROL, "namespace": CONTROL, "generation": 1}
    return [
        {"metadata": named},
        {"metadata": named, "status": CONTROL},
        {"metadata": {**named, "generation": CONTROL}, "status": {"digest": CONTROL, "observedGeneration": CONTROL}},
        {"metadata": named, "status": {"digest": CONTROL, "observedGeneration": 1, "conditions": [CONTROL, None, 3]}},
        {"metadata": named, "spec": CONTROL, "status": {"observedGeneration": 1, "conditions": {CONTROL: 1}}},
    ]


def test_a_cluster_that_lies_is_never_well_and_writes_nothing_on_the_terminal(
    fleet: FleetWorld, tmp_path: Path
) -> None:
    fleet.await_well()
    labels = {**deployment("operator")["metadata"]["labels"], "app.kubernetes.io/version": CONTROL}
    fleet.faults.on("GET", POLICIES, altered({"items": hostile_policies()}), times=None)
    fleet.faults.on("GET", "/configmaps/", altered({"data": {"provenTime": CONTROL, CONTROL: CONTROL}}), times=None)
    fleet.faults.on("GET", "/deployments", altered({"items": [{"metadata": {"name": "x", "labels": labels}}]}), None)
    git = write(tmp_path / "policies.yaml", fleet.policy())
    try:
        ran = fleet.run("--contexts", "faulty,west", "--against", git)
        assert ran.code == 1, ran
        assert not {"\x1b", "\u202e", "\x07"} & set(ran.out + ran.err), ran
        answer = fleet.status("--contexts", "faulty,west", "--against", git)
        assert answer.states("west") == dict.fromkeys([*CODES, "drift"], "good")
        assert "good" not in {state for code, state in answer.states("faulty").items() if code != "revocations"}
    finally:
        fleet.faults.clear()


@pytest.mark.parametrize(
    "items", [[None], [CONTROL], [{}], [{"metadata": None}], [{"metadata": {"name": 3}}], {"a": 1}, 7]
)
def test_a_list_of_something_else_is_no_answer(fleet: FleetWorld, items: Any) -> None:  # noqa: ANN401 - JSON
    fleet.faults.on("GET", POLICIES, altered({"items": items}), times=None)
    try:
        answer = fleet.status("--contexts", "faulty")
        assert (answer.ran.code, answer.cluster("faulty")["asked"]) == (2, False)
    finally:
        fleet.faults.clear()


def test_a_token_that_is_over_is_said(fleet: FleetWorld) -> None:
    fleet.faults.on("GET", POLICIES, status(401, CONTROL), times=None)
    try:
        answer = fleet.status("--contexts", "faulty")
        assert answer.cluster("faulty")["problem"] == "it did not authenticate you: log in again"
    finally:
        fleet.faults.clear()


def test_what_you_may_not_read_is_unknown(fleet: FleetWorld) -> None:
    answer = fleet.status(*BOTH, person="mallory")
    assert (answer.ran.code, set(answer.states("east").values())) == (1, {"unknown"})
    assert "you may not list endpointpolicies" in answer.message("east", "policies")
    assert fleet.run(*BOTH, "--fail-on", "none", person="mallory").code == 0


def test_two_roles_for_reading_are_enough(fleet: FleetWorld) -> None:
    fleet.await_well()
    rbac = "rbac.authorization.k8s.io"
    person = {"apiGroup": rbac, "kind": "User", "name": "frank"}
    admin = fleet.clusters["east"].callers.admin

    def bind(kind: str, role: str, **metadata: str) -> None:
        reference = {"apiGroup": rbac, "kind": "ClusterRole", "name": role}
        raw = {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": {"name": f"fleet-{role}", **metadata}}
        accepted(admin.create(raw | {"roleRef": reference, "subjects": [person]}))

    bind("ClusterRoleBinding", "bailiwick-view")
    bind("RoleBinding", "view", namespace="bailiwick-system")
    until(lambda: fleet.run("--contexts", "east", person="frank").code == 0, "the roles are in force")
    assert fleet.status("--contexts", "east", person="frank").states("east") == dict.fromkeys(CODES, "good")


def test_nothing_of_a_kubeconfig_is_printed_but_names_of_contexts(fleet: FleetWorld, tmp_path: Path) -> None:
    raw = yaml.safe_load(fleet.kubeconfig.read_text())
    failing = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "args": [SECRET]}
    raw["users"].append({"name": "user-of-plugin", "user": {"exec": failing | {"interactiveMode": "Never"}}})
    raw["contexts"].append({"name": "plugin", "context": {"cluster": "cluster-of-down", "user": "user-of-plugin"}})
    raw["contexts"].append({"name": "broken", "context": {"cluster": SECRET, "user": SECRET}})
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(raw))
    fleet.faults.on("GET", "/", status(500, "internal"), times=None)
    try:
        world = FleetWorld(fleet.clusters, fleet.faults, config)
        for arguments in ((), ("-o", "json"), ("--contexts", "plugin"), ("--contexts", "broken")):
            ran = world.run(*arguments, "--timeout", "15s")
            assert ran.code == 2, ran
            words = [SECRET, "127.0.0.1", "user-of-", "cluster-of-", str(config)]
            assert [word for word in words if word in ran.out + ran.err] == [], ran
    finally:
        fleet.faults.clear()


def test_argo_cds_clusters_are_asked_as_you_by_their_servers(fleet: FleetWorld) -> None:
    fleet.await_well()
    servers = {
        "in-cluster": "https://kubernetes.default.svc",
        "production-west": fleet.clusters["west"].cluster.server + "/",
        "elsewhere": "https://elsewhere.example.com",
    }
    with argo_secrets(fleet, servers):
        answer = fleet.status("--argocd")
        assert [one["name"] for one in answer.body["clusters"]] == sorted(servers)
        for name in ("in-cluster", "production-west"):
            assert answer.states(name) == dict.fromkeys(CODES, "good")
        assert answer.cluster("elsewhere")["problem"] == "no context leads to its server"
        assert (answer.ran.code, SECRET in answer.ran.out + answer.ran.err) == (2, False)
        refused = fleet.run("--argocd", person="mallory")
        assert (refused.code, "the cluster Secrets cannot be listed" in refused.err) == (2, True), refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--contexts", "nowhere"), "the kubeconfig has no context nowhere"),
        (("--contexts", ","), "--contexts names no context"),
        (("--context", "east"), "--context names one cluster: set --contexts"),
        (("--fail-on", "none", "--fail-on", "guards"), "--fail-on none stands alone"),
        (("--fail-on", "drift"), "--fail-on drift needs --against"),
        (("--timeout", "0"), "--timeout: a cluster needs some time"),
        (("--against", "/not/there"), "/not/there cannot be read"),
        (("--against", "/dev/null"), "has no EndpointPolicy"),
    ],
)
def test_what_cannot_be_asked_ends_with_two(fleet: FleetWorld, arguments: tuple[str, ...], message: str) -> None:
    ran = fleet.run(*arguments)
    assert (ran.code, message in ran.err) == (2, True), ran
