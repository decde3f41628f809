"""A subject is taken back on a real API server: at every replica within a second, after a restart, until its end."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_kube.paths import revocations_path
from localcluster import process
from localcluster.people import ADMIN
from support import commandline
from support.installation import accepted
from support.objects import Object
from support.pdp import questions
from support.pdp.processes import REPLICAS, Bailiwick
from support.pdp.tenant import Tenant, Tenants
from support.revocations import manifest
from support.waits import until

SECONDS: Final = 1.0
GRACE: Final = "grace"


@pytest.fixture(scope="module", autouse=True)
def may_take_back(pdp: Bailiwick) -> Iterator[None]:
    """Grace may create revocations, and nothing else."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bailiwick-take-back"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "take-back"},
        "roleRef": role,
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": GRACE}],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    accepted(pdp.callers.admin.create(binding, path))
    yield
    pdp.callers.admin.delete(f"{path}/take-back")


@pytest.fixture
def tenant(tenants: Tenants, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A tenant for each test, since its agent is taken back."""
    made = tenants.make(request.function.__name__.removeprefix("test_")[:40].strip("_"))
    yield made
    for one in revocations(made):
        made.callers.admin.delete(revocations_path(one["metadata"]["name"]))


def revocations(tenant: Tenant) -> list[Object]:
    """Return the revocations of a tenant's accounts and people."""
    items: list[Object] = accepted(tenant.callers.admin.get(revocations_path()))["items"]
    return [one for one in items if tenant.namespace in json.dumps(one["spec"]) or "carol" in json.dumps(one["spec"])]


def take_back(tenant: Tenant, subject: str, *more: str) -> Object:
    """Take a subject back by the command line, as who may do nothing else; return the object."""
    arguments = ("take-back", subject, "--reason", "its token leaked", "-o", "json", *more)
    ran = commandline.run(*arguments, kubeconfig=tenant.cluster.kubeconfig(GRACE))
    assert ran.code == 0, ran
    found: Object = json.loads(ran.out)
    return found


def agent_of(tenant: Tenant) -> str:
    return f"sa:{tenant.namespace}/agent"


def reasons(tenant: Tenant, action: str = "customers.list") -> set[str | None]:
    """Return what every replica answers, asked at once."""
    with ThreadPoolExecutor(REPLICAS) as pool:
        answers = pool.map(lambda point: tenant.ask(action, point=point).reason, range(len(tenant.points)))
    return set(answers)


def fresh(tenant: Tenant) -> None:
    """Show a token that is issued from now on."""
    tenant.tokens.clear()


@pytest.mark.invariant(32)
def test_every_replica_denies_within_a_second_a_token_that_it_has_just_let_through(tenant: Tenant) -> None:
    assert len(tenant.points) == REPLICAS
    assert reasons(tenant) == {"allowed"}
    body = manifest(before=datetime.now(UTC) + timedelta(seconds=1), by=GRACE, sub=tenant.agent)
    accepted(tenant.callers(GRACE).create(body, revocations_path()))
    until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies", seconds=SECONDS)
    assert reasons(tenant, "customers.export") == {"identity_revoked"}
    said = tenant.submit("customers.export")
    assert (said.status, said.body["reason"]) == (400, "identity_revoked")
    itself = [tenant.ask_itself("customers.list", point=point).reason for point in range(REPLICAS)]
    assert set(itself) == {"identity_revoked"}


@pytest.mark.invariant(32)
def test_a_token_that_is_issued_later_counts_and_grants_of_before_do_not(tenant: Tenant) -> None:
    grant = tenant.approved("customers.notify", "42")
    waiting = tenant.opened("customers.export", "43")
    made = take_back(tenant, agent_of(tenant))
    assert made["spec"]["cause"] == {"kind": "Person", "by": GRACE, "reason": "its token leaked"}
    until(lambda: reasons(tenant, "customers.notify") == {"identity_revoked"}, "every replica denies")
    until(lambda: tenant.phase(grant) == "Revoked", "the operator ends the grant")
    until(lambda: tenant.phase(waiting) == "Withdrawn", "the operator ends the request")
    conditions = {one["type"]: one for one in tenant.grant(grant)["status"]["conditions"]}
    assert conditions["Revoked"]["reason"] == "IdentityRevoked"
    assert made["metadata"]["name"] in conditions["Revoked"]["message"]
    begins = datetime.fromisoformat(made["spec"]["issuedBefore"]).timestamp()
    time.sleep(max(0.0, begins - time.time()) + 0.1)
    fresh(tenant)
    assert reasons(tenant) == {"allowed"}
    assert reasons(tenant, "customers.notify") == {"approval_revoked"}
    # Who has a token of now may ask again, and the new approval counts.
    tenant.approved("customers.notify", "42")
    assert tenant.ask("customers.notify").decision is True


@pytest.mark.invariant(32)
def test_under_a_hold_a_new_token_does_not_count_either(tenant: Tenant) -> None:
    take_back(tenant, agent_of(tenant), "--hold")
    until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies")
    time.sleep(1.1)
    fresh(tenant)
    assert reasons(tenant) == {"identity_revoked"}


@pytest.mark.invariant(32)
def test_an_enforcer_gets_nothing_but_denials(tenant: Tenant) -> None:
    grant = tenant.opened("customers.export", "44")
    task = f"{grant}.{tenant.grant(grant)['metadata']['uid']}"
    assert tenant.poll(task).status == 200
    take_back(tenant, f"sa:{tenant.namespace}/api")
    until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies")
    for said in (tenant.poll(task), tenant.cancel(task)):
        assert (said.status, said.body["reason"]) == (403, "identity_revoked")
    assert tenant.phase(grant) == "Pending"


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
def test_what_a_reviewer_approved_ends_and_no_new_approve_of_theirs_counts_but_a_denial_does(tenant: Tenant) -> None:
    given = tenant.approved("customers.notify", "45")
    waiting, denied = tenant.opened("customers.export", "46"), tenant.opened("customers.export", "47")
    take_back(tenant, "user:carol")
    until(lambda: reasons_of(tenant, "customers.notify", "45") == {"approval_revoked"}, "no replica uses it")
    until(lambda: tenant.phase(given) == "Revoked", "the operator ends what she approved")
    accepted(tenant.review(waiting))
    accepted(tenant.review(denied, decision="Deny"))
    until(lambda: tenant.phase(denied) == "Denied", "her denial counts")
    until(lambda: tenant.grant(waiting)["status"].get("voided") == [{"reviewer": "carol"}], "her approval does not")
    assert tenant.phase(waiting) == "Pending"
    # Nor once she is no longer taken back.
    for one in revocations(tenant):
        tenant.callers.admin.delete(revocations_path(one["metadata"]["name"]))
    time.sleep(1.0)
    assert tenant.phase(waiting) == "Pending"
    assert tenant.grant(waiting)["status"].get("counted") is None


def reasons_of(tenant: Tenant, action: str, resource: str) -> set[str | None]:
    return {tenant.ask(action, resource, point=point, dry_run=True).reason for point in range(len(tenant.points))}


@pytest.mark.invariant(32)
def test_a_process_that_starts_later_denies_from_its_first_answer(pdp: Bailiwick, tenant: Tenant) -> None:
    # A token that is issued a second later counts, and a process may take longer to start.
    asked, shown = tenant.body("customers.list"), tenant.token("api", ENFORCER_AUDIENCE)
    take_back(tenant, agent_of(tenant))
    begun = pdp.stack.start_decision_point(await_ready=False)
    try:
        answers = []

        def heard() -> bool:
            try:
                url = f"{begun.url}/endpoints/{tenant.namespace}/crm-api/access/v1/evaluation"
                said = questions.post(url, asked, shown)
            except OSError:
                return False
            answers.append(said.reason)
            return True

        until(heard, "the new process answers")
        assert answers == ["identity_revoked"]
    finally:
        process.stop([begun.process.id])


def test_who_may_take_back_can_neither_read_nor_give_back(tenant: Tenant) -> None:
    made = take_back(tenant, agent_of(tenant))
    path = revocations_path(made["metadata"]["name"])
    grace = tenant.callers(GRACE)
    assert grace.delete(path).status == 403
    assert grace.get(path).status == 403
    assert grace.patch(path, {"spec": {"hold": True}}, "merge").status == 403
    ran = commandline.run(
        *("take-back", agent_of(tenant), "--reason", "x"), kubeconfig=tenant.cluster.kubeconfig("dave")
    )
    assert (ran.code, "subjectrevocations" in ran.err) == (2, True)


def test_an_administrator_who_deletes_the_object_gives_the_subject_back_on_record(
    pdp: Bailiwick, tenant: Tenant
) -> None:
    made = take_back(tenant, agent_of(tenant), "--hold")
    until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies")
    accepted(tenant.callers.admin.delete(revocations_path(made["metadata"]["name"])))
    until(lambda: reasons(tenant) == {"allowed"}, "every replica allows", seconds=SECONDS)
    until(lambda: ledger(pdp, made)[-1:] == [("ended", True)], "the ledger says so")
    assert ledger(pdp, made)[0] == ("in force", None)


def test_the_operator_deletes_the_object_after_its_time(pdp: Bailiwick, tenant: Tenant) -> None:
    made = take_back(tenant, agent_of(tenant), "--for", "3s")
    path = revocations_path(made["metadata"]["name"])
    until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies")
    assert tenant.callers.admin.get(path).status == 200
    until(lambda: tenant.callers.admin.get(path).status == 404, "the operator deletes it")
    ends = datetime.fromisoformat(made["spec"]["until"])
    assert datetime.now(UTC) >= ends
    until(lambda: reasons(tenant) == {"allowed"}, "every replica allows")
    until(lambda: ledger(pdp, made)[-1:] == [("ended", False)], "the ledger says so")


MANY: Final = 5_000


@pytest.mark.long
def test_a_storm_of_thousands_takes_little_memory_and_one_more_is_in_force_as_soon(
    pdp: Bailiwick, tenant: Tenant
) -> None:
    def resident(point: int) -> int:
        status = Path(f"/proc/{pdp.points[point].process.id.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    assert tenant.ask("customers.list").reason == "allowed"
    memory = resident(0)
    bodies = [
        manifest("corp", by=ADMIN, sub=f"{tenant.namespace}-{number}", sid=f"s{number}") for number in range(MANY)
    ]
    try:
        with ThreadPoolExecutor(8) as pool:
            for answer in pool.map(lambda body: tenant.callers.admin.create(body, revocations_path()), bodies):
                accepted(answer)
        until(lambda: all(in_force(pdp, point) >= MANY for point in range(REPLICAS)), "every replica has them")
        assert tenant.ask("customers.list").reason == "allowed"
        assert resident(0) - memory < 100 * 1024
        # One more among them is in force as soon.
        take_back(tenant, agent_of(tenant))
        until(lambda: reasons(tenant) == {"identity_revoked"}, "every replica denies", seconds=SECONDS)
    finally:
        # One by one: a deletion of the whole collection takes longer than an answer may.
        with ThreadPoolExecutor(8) as pool:
            paths = [revocations_path(body["metadata"]["name"]) for body in bodies]
            list(pool.map(tenant.callers.admin.delete, paths))
    until(lambda: all(in_force(pdp, point) < MANY // 2 for point in range(REPLICAS)), "they are gone")


def in_force(pdp: Bailiwick, point: int) -> int:
    """Return how many revocations a decision point says are in force."""
    text = requests.get(f"{pdp.points[point].status_url}/metrics", timeout=10).text
    return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith("bailiwick_revocations "))))


def ledger(pdp: Bailiwick, made: Object) -> list[tuple[str, bool | None]]:
    """Return what the operator's ledger says of an object."""
    lines = map(json.loads, pdp.stack.ledger().read_text().splitlines())
    name = made["metadata"]["name"]
    return [(one["state"], one.get("early")) for one in lines if one["kind"] == "revocation" and one["name"] == name]
