"""Nothing of ours runs: the cluster goes on, and so do reviews, revocations and changes of policies."""

from localcluster import process
from support.installation import accepted
from support.objects import policy
from support.pdp.processes import Bailiwick
from support.waits import until


def objects(namespace: str) -> list[dict[str, object]]:
    """Return what a cluster needs to heal itself, and us with it."""
    container = {"name": "pdp", "image": "registry.invalid/pdp:1"}
    return [
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}},
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "somebody"}},
        {"apiVersion": "v1", "kind": "Secret", "stringData": {"any": "thing"}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": []},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "spec": {
                "selector": {"matchLabels": {"app": "pdp"}},
                "template": {"metadata": {"labels": {"app": "pdp"}}, "spec": {"containers": [container]}},
            },
        },
    ]


def test_ab_40_with_everything_of_ours_down_the_cluster_heals_and_a_revocation_is_taken(ours: Bailiwick) -> None:
    point = ours.start_point()
    tenant = ours.tenants(point).make("all-down")
    revoked, reviewed = tenant.approved("customers.notify", "down"), tenant.opened("customers.export", "down")
    process.stop([point.process.id])
    ours.stop_operator()
    admin, home = ours.callers.admin, ours.installation.namespace
    for number, body in enumerate(objects(home)):
        accepted(admin.create({**body, "metadata": {"namespace": home, "name": f"healing-{number}"}}))
    accepted(admin.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "healing"}}))
    tenant.revoke(revoked)
    accepted(tenant.review(reviewed))
    accepted(admin.create(policy(tenant.namespace, "another", endpoint="other-api")))
    assert tenant.grant(revoked)["spec"]["revocation"]["by"] == "carol"
    ours.start_operator()
    again = ours.start_point()
    tenant.points = [again.url]
    until(lambda: tenant.phase(revoked) == "Revoked", "the revocation is in force", 60)
    assert tenant.ask("customers.notify", "down").decision is False
    until(lambda: tenant.phase(reviewed) == "Active", "the review counts", 30)
