"""Calling only from an approved workload, on pods of a real API server whose status is written here.

A control plane without nodes runs none of them: what is seen is what a decision makes of a pod, a token and their ends.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pytest

from demo import pods
from demo.ground import Pod
from support.installation import accepted
from support.objects import rule
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

DIGEST: Final = "sha256:" + "a" * 64
GOOD: Final = f"registry.example/agent@{DIGEST}"
ALSO: Final = "registry.example/proxy@sha256:" + "c" * 64
BAD: Final = "registry.example/shell@sha256:" + "b" * 64
UNAPPROVED: Final = "workload_unapproved"
_NUMBERS: Final = itertools.count()


def subjects(namespace: str, **workload: object) -> list[dict[str, Any]]:
    account = {"namespace": namespace, "name": "agent"}
    return [
        {"name": "agent", "serviceAccount": account},
        {"name": "approved", "serviceAccount": account, "workload": workload},
    ]


@pytest.fixture(scope="module")
def tenant(pdp: Bailiwick) -> Iterator[Tenant]:
    tenants: Tenants = pdp.tenants(pdp.points[0])
    made = tenants.make("workloads")
    made.change_policy(
        {
            "subjects": subjects(
                made.namespace,
                imageDigests=[DIGEST, ALSO.partition("@")[2]],
                podSelector={"matchLabels": {"app": "agent"}},
            ),
            "rules": [
                rule("read", subjects=["approved"], actions=["customers.list", "customers.get"]),
                rule("ping", actions=["customers.ping"]),
                rule("never", effect="Deny", subjects=["approved"], actions=["customers.ping"], resources=[_SHUT]),
            ],
        }
    )
    until(lambda: made.ask("customers.get").reason == UNAPPROVED, "the policy is known")
    yield made
    tenants.namespaces.clean()


_SHUT: Final = {"type": "customer", "ids": ["shut"]}


def pod_of(tenant: Tenant, containers: dict[str, str], init: dict[str, str] | None = None, **fields: Any) -> Pod:  # noqa: ANN401 - of `pods.create`
    name = fields.pop("name", f"agent-{next(_NUMBERS)}")
    given = {"account": "agent", "labels": {"app": "agent"}, **fields}
    return pods.create(tenant.callers.admin, tenant.namespace, name, containers=containers, init=init, **given)


def ask(tenant: Tenant, pod: Pod | None, action: str = "customers.get", resource: str = "42") -> Said:
    token = tenant.cluster.service_account_token(tenant.namespace, "agent", [tenant.audience], 600, pod)
    return again(tenant, token, action, resource)


def again(tenant: Tenant, token: str, action: str = "customers.get", resource: str = "42") -> Said:
    return questions.post(tenant.url(), questions.evaluation(tenant.agent, action, resource, token=token), tenant.pep)


PODS: Final[dict[str, tuple[dict[str, str], dict[str, str] | None, str]]] = {
    "the approved image": ({"main": GOOD}, None, "allowed"),
    "approved images in all containers": ({"main": GOOD, "proxy": ALSO}, {"setup": GOOD}, "allowed"),
    "another image": ({"main": BAD}, None, UNAPPROVED),
    "another image beside it": ({"main": GOOD, "shell": BAD}, None, UNAPPROVED),
    "another image before it": ({"main": GOOD}, {"setup": BAD}, UNAPPROVED),
    "a container that has not started": ({"main": GOOD, "late": ""}, None, UNAPPROVED),
    "an image known by its tag": ({"main": "registry.example/agent:1.0"}, None, UNAPPROVED),
    "the id of a local image": ({"main": DIGEST}, None, UNAPPROVED),
}


@pytest.mark.invariant(28)
@pytest.mark.parametrize("case", PODS)
def test_every_container_must_run_an_approved_image(tenant: Tenant, case: str) -> None:
    containers, init, reason = PODS[case]
    assert ask(tenant, pod_of(tenant, containers, init)).reason == reason


def test_a_pod_without_the_labels_is_not_the_workload(tenant: Tenant) -> None:
    assert ask(tenant, pod_of(tenant, {"main": GOOD}, labels={"app": "other"})).reason == UNAPPROVED


def test_a_pod_that_shows_nothing_yet_is_not_the_workload(tenant: Tenant) -> None:
    pod = pod_of(tenant, {"main": GOOD})
    accepted(tenant.callers.admin.patch(pod, {"status": {"containerStatuses": None}}, "merge", "status"))
    assert ask(tenant, pod).reason == UNAPPROVED


def test_a_token_of_no_pod_is_enough_only_where_no_workload_is_asked_for(tenant: Tenant) -> None:
    assert ask(tenant, None).reason == UNAPPROVED
    assert ask(tenant, None, "customers.ping").decision is True


def test_a_refusal_of_a_workload_holds_for_one_that_is_not_known(tenant: Tenant) -> None:
    assert ask(tenant, None, "customers.ping", "shut").reason == "policy_denied"
    assert ask(tenant, pod_of(tenant, {"main": BAD}), "customers.ping", "shut").decision is True


@pytest.mark.long
def test_an_image_that_changes_is_noticed_within_ten_seconds(tenant: Tenant) -> None:
    pod = pod_of(tenant, {"main": GOOD})
    token = tenant.cluster.service_account_token(tenant.namespace, "agent", [tenant.audience], 600, pod)
    assert again(tenant, token).decision is True
    pods.show(tenant.callers.admin, pod, {"main": BAD})
    until(lambda: again(tenant, token).reason == UNAPPROVED, "the other image is noticed", 11)


@pytest.mark.long
@pytest.mark.invariant(28)
def test_a_token_ends_with_its_pod_and_the_next_pod_of_that_name_inherits_nothing(tenant: Tenant) -> None:
    old = pod_of(tenant, {"main": GOOD}, name="made-anew")
    used, unused = (
        tenant.cluster.service_account_token(tenant.namespace, "agent", [tenant.audience], seconds, old)
        for seconds in (600, 700)
    )
    assert again(tenant, used).decision is True
    pods.delete(tenant.callers.admin, old)
    assert again(tenant, unused).reason == "identity_invalid"
    new = pod_of(tenant, {"main": BAD}, name="made-anew")
    assert ask(tenant, new).reason == UNAPPROVED
    assert again(tenant, unused).reason == "identity_invalid"
    # We keep an answer for ten seconds, and so does the API server itself.
    until(lambda: again(tenant, used).reason == "identity_invalid", "the token in use is refused", 25)
