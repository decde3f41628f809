"""Somebody who may ask for approvals writes to the metadata of a grant in a loop: nobody loses a use by that.

Holds: the attacker has the roles `bailiwick-request` and `bailiwick-approve` of the namespace, and with them the verb
`patch` on its grants.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION
from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, gated_rule, grant
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

pytestmark = pytest.mark.long

# As many at once as one person's connections may carry.
WRITERS: Final = 8
USES: Final = 12


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    limits = {"pendingPerSubject": 50, "requestsPerHour": 1000}
    exact = {"steps": STEPS, "maxUses": USES, "limits": limits}
    scope = {**exact, "binding": "Scope"}
    made = tenants.make(
        "metadata",
        [
            RULES[0],
            gated_rule("notify", actions=["customers.notify"], approval=exact),
            gated_rule("scoped", actions=["customers.scoped"], approval=scope),
        ],
    )
    Roles(made.callers.admin, made.namespace).bind("bailiwick-request", "mallory")
    Roles(made.callers.admin, made.namespace).bind("bailiwick-approve", "mallory")
    return made


@contextmanager
def looping(write: Callable[[int], Answer]) -> Iterator[list[Answer]]:
    """Write in a loop, from several threads at once, while the block runs."""
    stop, numbers, answers = threading.Event(), itertools.count(1), list[Answer]()

    def loop() -> None:
        while not stop.is_set():
            answers.append(write(next(numbers)))

    threads = [threading.Thread(target=loop) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(answers) > WRITERS, "the loops run")
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def annotating(client: Rest, body: Object, number: int) -> Answer:
    return client.patch(body, {"metadata": {"annotations": {"count": f"{number}"}}}, "merge")


def owning(client: Rest, body: Object, number: int) -> Answer:
    """Apply nothing, as ever another manager: who owns which field is written all the same."""
    metadata = {key: body["metadata"][key] for key in ("namespace", "name")}
    nothing = {"apiVersion": API_VERSION, "kind": "ApprovalGrant", "metadata": metadata}
    request = {"request": {"endpoint": body["spec"]["request"]["endpoint"]}}
    return client.apply({**nothing, "spec": request}, f"manager-{number}", force=True)


LOOPS: Final = {"annotations": annotating, "owners of fields": owning}


@pytest.mark.invariant(10)
@pytest.mark.parametrize("how", LOOPS)
def test_of_others_grants_it_is_refused_and_costs_no_use(tenant: Tenant, how: str) -> None:
    name = tenant.approved("customers.notify", how.replace(" ", "-"))
    version = tenant.grant(name)["metadata"]["resourceVersion"]
    with looping(partial(LOOPS[how], tenant.callers("mallory"), tenant.grant(name))) as written:
        answers = [tenant.ask("customers.notify", how.replace(" ", "-")) for _ in range(USES)]
    assert [(answer.decision, answer.reason) for answer in answers] == [(True, "allowed")] * USES
    assert {answer.status for answer in written} == {403}
    assert int(tenant.grant(name)["metadata"]["resourceVersion"]) > int(version)


@pytest.mark.invariant(10)
@pytest.mark.parametrize("how", LOOPS)
def test_of_ones_own_grant_it_costs_no_use_that_is_not_let_through(tenant: Tenant, how: str) -> None:
    name, resource = f"own-{len(how)}", how.replace(" ", "-")
    request = {
        "rules": [{"policy": "crm-agent", "rule": "scoped"}],
        "subject": {"type": "serviceAccount", "id": tenant.agent},
        "action": {"name": "customers.scoped"},
        "resource": {"type": "customer", "id": resource},
        "steps": [{**STEPS[0], "name": "crm-agent.scoped.owner", "policy": "crm-agent", "count": 1}],
        "maxUses": USES,
    }
    mallory = tenant.callers("mallory")
    body = accepted(mallory.create(grant(tenant.namespace, name, requester="mallory", **request)))
    until(lambda: "resolved" in tenant.grant(name).get("status", {}), "it is resolved")
    tenant.approve(name)
    tenant.await_known(lambda said: said.decision is True, "customers.scoped", resource)
    # Its author could revoke it as well, and a tool that keeps it in Git writes to its metadata.
    with looping(partial(LOOPS[how], mallory, body)) as written:
        during = [tenant.ask("customers.scoped", resource) for _ in range(USES // 2)]
    assert 200 in {answer.status for answer in written}
    assert {answer.reason for answer in during} <= {"allowed", "approval_unverifiable"}
    allowed = sum(answer.decision is True for answer in during)
    assert tenant.uses(name) == allowed
    after = [tenant.ask("customers.scoped", resource) for _ in range(USES - allowed)]
    assert [(answer.decision, answer.reason) for answer in after] == [(True, "allowed")] * len(after)
    assert tenant.ask("customers.scoped", resource).decision is False
