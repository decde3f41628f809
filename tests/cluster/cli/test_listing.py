"""Listing, showing, waiting and completing, as several people see them."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import pytest
import yaml

from bailiwick_api.accounts import CANARY_GRANT
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP
from bailiwick_governance.apiserver.cluster import grants_path
from demo.ground import KUBECTL
from support import commandline
from support.commandline import PROGRAM, Ran
from support.namespaces import Roles, rule
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant
from support.waits import until, until_ok

Cli = Callable[..., Ran]

COLUMNS: Final = ["NAME", "SUBJECT", "ACTION", "RESOURCE", "STEPS", "PHASE", "USES", "UNTIL", "AGE"]


@pytest.fixture(scope="module")
def grants(tenant: Tenant) -> dict[str, str]:
    """Three grants by how they stand; grace may see and approve here, and eve only see."""
    roles = Roles(tenant.callers.admin, tenant.namespace)
    roles.bind("bailiwick-approve", "grace")
    roles.bind("bailiwick-view", "eve")
    names = {
        "waiting": tenant.opened("customers.export", "waiting"),
        "usable": tenant.approved("customers.export", "usable"),
        "two": tenant.opened("customers.merge", "two"),
    }
    until(lambda: all("status" in tenant.grant(name) for name in names.values()), "all were seen")
    return names


def names_in(ran: Ran) -> set[str]:
    return {line.split()[0] for line in ran.out.splitlines()}


def test_a_table_has_a_line_for_each_grant(cli: Cli, tenant: Tenant, grants: dict[str, str]) -> None:
    ran = cli("carol", "list")
    head, *rows = [line.split() for line in ran.out.splitlines()]
    assert (ran.code, head) == (0, COLUMNS), ran
    by_name = {row[0]: row for row in rows}
    subject = f"sa:{tenant.namespace}/agent"
    assert by_name[grants["waiting"]][1:7] == [subject, "customers.export", "customer/waiting", "0/1", "Pending", "0/1"]
    assert by_name[grants["usable"]][4:7] == ["1/1", "Active", "0/1"]
    assert by_name[grants["two"]][4] == "0/2"


def test_who_may_not_see_every_namespace_is_told_to_name_one(cli: Cli, grants: dict[str, str]) -> None:
    ran = cli("grace", "list", "-A")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("you are not allowed to list all namespaces: choose one with -n instead of -A\n"), ran
    assert grants["two"] in cli("grace", "list").out


def test_wide_says_more_and_headers_can_be_left_out(cli: Cli, tenant: Tenant, grants: dict[str, str]) -> None:
    ran = cli("carol", "list", "-o", "wide", "--no-headers")
    row = next(line for line in ran.out.splitlines() if line.startswith(grants["waiting"]))
    digest = tenant.grant(grants["waiting"])["spec"]["request"]["binding"]["digest"]
    assert [digest[7:15], "INC-1", "please"] == row.split()[-3:]
    assert "NAME" not in ran.out


@pytest.mark.parametrize(
    ("person", "flag", "wanted"),
    [
        ("carol", "--active", {"usable"}),
        ("carol", "--to-review", {"waiting", "two"}),
        # In the group of one step of two; erin is of both groups, and may approve by the one.
        ("grace", "--to-review", {"two"}),
        ("erin", "--to-review", {"waiting", "two"}),
        # eve may see, and not approve.
        ("eve", "--to-review", set()),
        ("carol", "--mine", set()),
    ],
)
def test_a_filter_leaves_what_concerns_this_person(
    cli: Cli, grants: dict[str, str], person: str, flag: str, wanted: set[str]
) -> None:
    ran = cli(person, "list", flag, "--no-headers")
    # Other tests of the module have grants of their own.
    assert (ran.code, names_in(ran) & set(grants.values())) == (0, {grants[name] for name in wanted}), ran


def test_mine_is_what_i_am_the_subject_or_the_requester_of(tenant: Tenant, grants: dict[str, str]) -> None:
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-view", tenant.agent)
    for flags in (("--as", tenant.agent), ("--as", tenant.agent, "--as-group", "system:serviceaccounts")):
        ran = commandline.run(
            *("list", "--mine", "-n", tenant.namespace, "--no-headers", *flags),
            kubeconfig=tenant.cluster.kubeconfig("admin"),
        )
        assert ran.code == 0, ran
        assert names_in(ran) >= set(grants.values())


def test_objects_are_printed_as_they_are(cli: Cli, tenant: Tenant, grants: dict[str, str]) -> None:
    listed = json.loads(cli("carol", "list", "-o", "json").out)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    assert {item["metadata"]["name"] for item in listed["items"]} >= set(grants.values())
    assert {item["kind"] for item in listed["items"]} == {"ApprovalGrant"}
    shown = yaml.safe_load(cli("carol", "show", grants["usable"], "-o", "yaml").out)
    assert shown["kind"] == "ApprovalGrant"
    assert shown["spec"] == tenant.grant(grants["usable"])["spec"]
    assert cli("carol", "show", grants["usable"], "-o", "name").out == f"approvalgrant.{GROUP}/{grants['usable']}\n"


def test_every_namespace_is_for_those_who_may_see_every_namespace(
    cli: Cli, tenant: Tenant, grants: dict[str, str]
) -> None:
    ran = cli("admin", "list", "-A", "--no-headers")
    assert [tenant.namespace, grants["waiting"]] in [line.split()[:2] for line in ran.out.splitlines()]
    refused = cli("carol", "list", "-A")
    assert (refused.code, "cannot list resource" in refused.err) == (2, True), refused


def test_what_the_operator_tries_the_guards_on_is_no_approval(tenant: Tenant, pdp: Bailiwick) -> None:
    config, home = tenant.cluster.kubeconfig("admin"), pdp.installation.namespace
    until_ok(lambda: tenant.callers.admin.get(f"{grants_path(home)}/{CANARY_GRANT}"), "the canary is there")
    for more in ((), ("-A",), ("-o", "json"), ("-o", "name"), ("--to-review",)):
        ran = commandline.run("list", "-n", home, *more, kubeconfig=config)
        assert (ran.code, CANARY_GRANT in ran.out) == (0, False), ran
    assert commandline.run("show", CANARY_GRANT, "-n", home, kubeconfig=config).code == 0


def test_kubectl_prints_times_that_are_yet_to_come(tenant: Tenant, grants: dict[str, str]) -> None:
    config = tenant.cluster.kubeconfig("carol")
    words = [str(KUBECTL), "--kubeconfig", str(config), "get", "agr", grants["usable"], "-n", tenant.namespace]
    head, row = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    # By its place: a column without a value is only spaces.
    until_when = row[head.index("UNTIL") :].split()[0]
    assert until_when == tenant.grant(grants["usable"])["status"]["notAfterTime"]


def test_an_empty_list_says_so_beside_the_data(tenant: Tenant) -> None:
    ran = commandline.run("list", "-n", "default", kubeconfig=tenant.cluster.kubeconfig("admin"))
    assert (ran.code, ran.out, ran.err) == (0, "", "No approvals found in default.\n")


def test_watching_prints_a_line_for_each_change(tenant: Tenant, grants: dict[str, str]) -> None:
    arguments = ("list", "-n", tenant.namespace, "--watch", "-o", "name")
    env = commandline.environment(tenant.cluster.kubeconfig("carol"))
    with subprocess.Popen([*PROGRAM, *arguments], env=env, stdout=subprocess.PIPE, text=True) as process:
        seen: list[str] = []
        assert process.stdout is not None
        reader = threading.Thread(target=seen.extend, args=(process.stdout,))
        reader.start()
        try:
            until(lambda: len(seen) >= len(grants), "what is there was printed")
            name = tenant.opened("customers.export", f"watched-{time.time_ns()}")
            until(lambda: any(name in line for line in seen), "the new one was printed")
        finally:
            process.terminate()
            reader.join()


def test_waiting_ends_when_the_approval_is_there(cli: Cli, tenant: Tenant) -> None:
    name = tenant.opened("customers.export", "await")
    found: list[Ran] = []
    waiting = threading.Thread(target=lambda: found.append(cli("carol", "wait", name, "--timeout", "30s")))
    waiting.start()
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    assert tenant.review(name).ok
    waiting.join()
    assert (found[0].code, found[0].out) == (0, f"approvalgrant.{GROUP}/{name} active\n"), found


@pytest.mark.parametrize(("until_what", "code"), [("approved", 1), ("ended", 0)])
def test_waiting_for_what_was_denied_ends_at_once(cli: Cli, tenant: Tenant, until_what: str, code: int) -> None:
    name = tenant.opened("customers.export", f"denied-{until_what}")
    assert tenant.review(name, decision="Deny").ok
    ran = cli("carol", "wait", name, "--for", until_what, "--timeout", "30s")
    assert (ran.code, "denied" in ran.out) == (code, True), ran


def test_waiting_gives_up_with_a_code_of_its_own(cli: Cli, grants: dict[str, str]) -> None:
    began = time.monotonic()
    ran = cli("carol", "wait", grants["two"], "--timeout", "2s")
    assert (ran.code, ran.out) == (4, ""), ran
    assert time.monotonic() - began < 10


def complete(tenant: Tenant, person: str, *words: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "bailiwick_cli.complete", *words],
        env=commandline.environment(tenant.cluster.kubeconfig(person)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split("\n")


def test_names_are_completed_from_the_cluster(tenant: Tenant, grants: dict[str, str]) -> None:
    *names, directive, _ = complete(tenant, "carol", "show", "-n", tenant.namespace, "")
    assert set(grants.values()) <= set(names)
    assert directive == ":4"
    *names, _, _ = complete(tenant, "carol", "approve", "-n", tenant.namespace, "agr-")
    assert grants["usable"] not in names
    assert grants["two"] in names


def test_completion_is_silent_where_it_may_not_look(tenant: Tenant) -> None:
    assert complete(tenant, "carol", "show", "-n", "kube-system", "") == [":4", ""]


def test_a_rule_of_ones_own_is_all_that_listing_takes(tenant: Tenant, cli: Cli, grants: dict[str, str]) -> None:
    Roles(tenant.callers.admin, tenant.namespace).give([rule(GROUP, APPROVAL_GRANTS, "list", "get")], "mallory")
    assert set(grants.values()) <= names_in(cli("mallory", "list", "--no-headers"))
    refused = cli("mallory", "check", "--subject", f"sa:{tenant.namespace}/agent", "customers.list", "customer/1")
    assert (refused.code, ENDPOINT_POLICIES in refused.err) == (2, True), refused
