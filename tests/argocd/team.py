"""One team that keeps its policies in Git: a namespace, a folder of the repository, the application between them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import yaml

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from localcluster.rest import Rest
from support.gitops import Application, Applications, Repository
from support.installation import accepted
from support.namespaces import Roles
from support.objects import POLICY, Object, policy, settings, subject
from support.pdp.processes import Bailiwick
from support.pdp.tenant import OWNERS, RULES, Tenant, Tenants

COMPARE: Final = "argocd.argoproj.io/compare-options"
EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "gitops" / "policies.yaml"


@dataclass(frozen=True, slots=True)
class Team:
    """`tenant` asks for its agent; `app` is its application."""

    tenant: Tenant
    app: Application
    repository: Repository

    @classmethod
    def begin(
        cls, bailiwick: Bailiwick, tenants: Tenants, applications: Applications, name: str, *, server_side: bool
    ) -> Self:
        """Make a team with the usual policy in Git, and wait until the decision points decide by it."""
        namespace = tenants.namespaces.make(name)
        for account in ("api", "agent"):
            tenants.account(namespace, account)
        Roles(bailiwick.callers.admin, namespace).bind("bailiwick-approve", f"group:{OWNERS}")
        applications.repository.write(_file(namespace), usual(namespace))
        app = applications.apply(*from_example(namespace, applications.repository, server_side=server_side))
        team = cls(
            Tenant(bailiwick.cluster, bailiwick.callers, namespace, [point.url for point in bailiwick.points]),
            app,
            applications.repository,
        )
        app.await_settled()
        team.tenant.await_known(lambda said: said.status == 200, "customers.list")
        return team

    @property
    def admin(self) -> Rest:
        """Who may do everything."""
        return self.tenant.callers.admin

    def write(self, body: Object, name: str = POLICY) -> None:
        """Commit a policy of the team."""
        self.repository.write(_file(self.tenant.namespace, name), body)

    def remove(self, name: str = POLICY) -> None:
        """Commit that a policy is gone."""
        self.repository.remove(_file(self.tenant.namespace, name))

    def policy(self, name: str = POLICY, **spec: object) -> Object:
        """Return the usual policy; keywords replace fields of its spec."""
        return usual(self.tenant.namespace, name, **spec)

    def path(self, name: str = POLICY) -> str:
        """Where a policy stands at the API server."""
        return f"/apis/{API_VERSION}/namespaces/{self.tenant.namespace}/{ENDPOINT_POLICIES}/{name}"

    def live(self, name: str = POLICY) -> Object:
        """Return a policy as it stands."""
        return accepted(self.admin.get(self.path(name)))


def usual(namespace: str, name: str = POLICY, **spec: object) -> Object:
    """Return the policy that every team has."""
    given = {
        "endpointSettings": settings(namespace, "api"),
        "subjects": [subject(namespace=namespace, account="agent")],
        "rules": list(RULES),
        **spec,
    }
    return policy(namespace, name, **given)


def from_example(namespace: str, repository: Repository, *, server_side: bool) -> list[Object]:
    """Return the documents of the example, for a team of this namespace and its folder of this name.

    `server_side`: against the advice there, it compares by a dry run at the server, and applies there too.
    """
    text = EXAMPLE.read_text(encoding="utf-8")
    for written, wanted in (
        ("https://git.example.com/crm/policies.git", repository.url),
        ("path: policies", f"path: {namespace}"),
        ("crm-policies", namespace),
        ("namespace: crm\n", f"namespace: {namespace}\n"),
    ):
        assert written in text, f"{EXAMPLE.name} no longer has {written!r}"
        text = text.replace(written, wanted)
    documents = list(yaml.safe_load_all(text))
    if server_side:
        (app,) = (document for document in documents if document["kind"] == "Application")
        app["metadata"]["annotations"] = {COMPARE: "ServerSideDiff=true"}
        app["spec"]["syncPolicy"]["syncOptions"].append("ServerSideApply=true")
    return documents


def _file(namespace: str, name: str = POLICY) -> str:
    return f"{namespace}/{name}.yaml"
