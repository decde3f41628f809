"""One tenant on a running Bailiwick: a namespace with an enforcer, an agent and a policy, and how they ask.

Holds: what returns from here is known to every decision point that was waited for; a test that uses a resource id of
its own shares a tenant with others, since a grant is bound to the whole request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS, ENDPOINT_POLICIES
from localcluster.access import Cluster
from localcluster.rest import Answer
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Namespaces, Roles
from support.objects import (
    ENDPOINT,
    POLICY,
    Object,
    adding_review,
    gated_rule,
    policy,
    revoking,
    rule,
    settings,
    subject,
)
from support.pdp import questions
from support.pdp.questions import Said
from support.waits import until

OWNERS: Final = "crm-owners"
STEPS: Final = [{"name": "owner", "kind": "Human", "groups": [OWNERS]}]
# Tests of a module share a tenant, and so its agent, in whose name all of them ask.
PLENTY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
RULES: Final[tuple[Object, ...]] = (
    rule("read", actions=["customers.list", "customers.get"]),
    gated_rule("export", actions=["customers.export"], approval={"steps": STEPS, "limits": PLENTY}),
    gated_rule("notify", actions=["customers.notify"], approval={"steps": STEPS, "maxUses": 3, "limits": PLENTY}),
    gated_rule(
        "erase",
        actions=["customers.erase"],
        approval={"steps": STEPS, "reason": {"required": True, "pattern": "INC-[0-9]+ .*"}, "limits": PLENTY},
    ),
    rule("never", effect="Deny", actions=["customers.purge"]),
)


@dataclass
class Tenant:
    """`points` are base URLs of the decision points that `ask` and the waiting go to.

    `verify`: the file of the certificates that they are trusted by, or whether those of the machine are.
    """

    cluster: Cluster
    callers: Callers
    namespace: str
    points: Sequence[str]
    verify: bool | str = True
    tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    @property
    def agent(self) -> str:
        """The username of the agent."""
        return self.account("agent")

    @property
    def audience(self) -> str:
        """The audience of the agent's token for this endpoint."""
        return f"{ENDPOINT}.{self.namespace}"

    def account(self, name: str) -> str:
        """Return the username of a service account here."""
        return f"system:serviceaccount:{self.namespace}:{name}"

    def token(self, name: str, *audiences: str) -> str:
        """Return a token of a service account; the same one each time."""
        key = (name, audiences)
        if key not in self.tokens:
            self.tokens[key] = self.cluster.service_account_token(self.namespace, name, audiences, 3600)
        return self.tokens[key]

    @property
    def pep(self) -> str:
        """The enforcer's token."""
        return self.token("api", ENFORCER_AUDIENCE)

    def url(self, path: str = "evaluation", point: int = 0, endpoint: str = ENDPOINT) -> str:
        """Return the URL of a path of this tenant's endpoint."""
        return f"{self.points[point]}/endpoints/{self.namespace}/{endpoint}/access/v1/{path}"

    def body(self, action: str, resource: str = "42", *, args: object = None, **context: object) -> dict[str, Any]:
        """Return what the enforcer asks for the agent."""
        token = self.token("agent", self.audience)
        return questions.evaluation(self.agent, action, resource, args=args, token=token, **context)

    def ask(
        self,
        action: str,
        resource: str = "42",
        *,
        args: object = None,
        point: int = 0,
        path: str = "evaluation",
        request_id: str | None = None,
        key: str | None = None,
        **context: object,
    ) -> Said:
        """Ask as the enforcer, for the agent."""
        headers = {} if request_id is None else {"X-Request-ID": request_id}
        headers |= {} if key is None else {"Idempotency-Key": key}
        body = self.body(action, resource, args=args, **context)
        return questions.post(self.url(path, point), body, self.pep, headers, self.verify)

    def ask_itself(
        self,
        action: str,
        resource: str = "42",
        *,
        args: object = None,
        point: int = 0,
        **context: Any,  # noqa: ANN401 - members of the context
    ) -> Said:
        """Let the agent ask about itself: a dry run, which uses nothing."""
        body = questions.evaluation(self.agent, action, resource, args=args, **context)
        return questions.post(self.url(point=point), body, self.token("agent", ENFORCER_AUDIENCE), verify=self.verify)

    def submit(self, action: str, resource: str = "42", **more: Any) -> Said:  # noqa: ANN401 - as `ask`
        """Ask for an approval."""
        return self.ask(action, resource, path="requests", **{"business_justification": "INC-1 please", **more})

    def cancel(self, task_id: str, body: object = None, token: str | None = None) -> Said:
        """Withdraw a request."""
        return questions.post(self.url(f"requests/{task_id}/cancel"), body or {}, token or self.pep, verify=self.verify)

    def poll(self, task_id: str, point: int = 0, token: str | None = None) -> Said:
        """Read a task."""
        return questions.get(self.url(f"requests/{task_id}", point), token or self.pep, verify=self.verify)

    def path_of(self, grant: str) -> str:
        """Return a grant's path."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{APPROVAL_GRANTS}/{grant}"

    def grant(self, name: str) -> Object:
        """Return a grant as it stands."""
        return accepted(self.callers.admin.get(self.path_of(name)))

    def grants(self) -> list[Object]:
        """Return every grant of the tenant."""
        path = f"/apis/{API_VERSION}/namespaces/{self.namespace}/{APPROVAL_GRANTS}"
        found: list[Object] = accepted(self.callers.admin.get(path))["items"]
        return found

    def uses(self, name: str) -> int:
        """Return how often a grant was used."""
        found: int = self.grant(name).get("status", {}).get("uses", 0)
        return found

    def phase(self, name: str) -> str:
        """Return the phase of a grant."""
        found: str = self.grant(name).get("status", {}).get("phase", "Pending")
        return found

    def review(self, name: str, by: str = "carol", decision: str = "Approve", step: int = 0) -> Answer:
        """Let somebody review one step of a grant, by default the first."""
        stored = self.grant(name)
        request = stored["spec"]["request"]
        entry = {
            "reviewer": by,
            "step": request["steps"][step]["name"],
            "decision": decision,
            "binding": request["binding"].get("digest", stored["metadata"]["uid"]),
        }
        if "groups" in request["steps"][step]:
            entry["group"] = request["steps"][step]["groups"][0]
        return self.callers(by).patch(stored, adding_review(entry), "json")

    def revoke(self, name: str, by: str = "carol") -> None:
        """Revoke a grant."""
        accepted(self.callers(by).patch(self.grant(name), revoking(by), "json"))

    def opened(self, action: str, resource: str, **more: Any) -> str:  # noqa: ANN401 - as `ask`
        """Ask for an approval and return the name of the grant."""
        answer = self.submit(action, resource, **more)
        assert answer.status in {201, 202}, answer
        return answer.grant_name

    def approved(self, action: str, resource: str, *, args: object = None, **more: Any) -> str:  # noqa: ANN401 - members of the context
        """Return the name of a grant that every decision point would let this call use."""
        name = self.opened(action, resource, args=args, **more)
        self.approve(name)
        self.await_known(lambda said: said.decision is True, action, resource, args=args, **more)
        return name

    def approve(self, name: str) -> None:
        """Have a grant approved, and wait until it is active, or was: a call that waits for it may use it at once."""
        accepted(self.review(name))
        until(lambda: self.phase(name) in {"Active", "Consumed"}, f"{name} is active")

    def await_known(
        self,
        holds: Callable[[Said], bool],
        action: str,
        resource: str = "42",
        **more: Any,  # noqa: ANN401 - as `ask_itself`
    ) -> None:
        """Wait until the dry run's answer satisfies `holds` at every decision point."""
        for point in range(len(self.points)):
            until(
                lambda: holds(self.ask_itself(action, resource, point=point, **more)),  # noqa: B023 - asked at once
                f"decision point {point} knows",
            )

    def change_policy(self, spec: Object, name: str = POLICY) -> None:
        """Merge into the spec of a policy."""
        path = f"/apis/{API_VERSION}/namespaces/{self.namespace}/{ENDPOINT_POLICIES}/{name}"
        accepted(self.callers.admin.patch(path, {"spec": spec}, "merge"))


@dataclass
class Tenants:
    """Makes tenants, each in a namespace of its own; `clean` deletes them. `verify` is as of `Tenant`."""

    cluster: Cluster
    callers: Callers
    points: Sequence[str]
    namespaces: Namespaces
    verify: bool | str = True

    def make(
        self, name: str, rules: Sequence[Object] = RULES, histories: Sequence[Object] = (), **spec: object
    ) -> Tenant:
        """Make a tenant with the usual policy, which counts by these histories; keywords replace fields of its spec."""
        namespace = self.namespaces.make(name)
        for account in ("api", "agent", "stranger"):
            self.account(namespace, account)
        given: dict[str, Any] = {
            "endpointSettings": {**settings(namespace, "api"), **({"history": list(histories)} if histories else {})},
            "subjects": [subject(namespace=namespace, account="agent")],
            "rules": list(rules),
            **spec,
        }
        accepted(self.callers.admin.create(policy(namespace, **given)))
        Roles(self.callers.admin, namespace).bind("bailiwick-approve", f"group:{OWNERS}")
        tenant = Tenant(self.cluster, self.callers, namespace, self.points, self.verify)
        tenant.await_known(lambda said: said.status == 200, "customers.list")
        return tenant

    def account(self, namespace: str, name: str) -> Object:
        """Make a service account."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}}
        return accepted(self.callers.admin.create(account))
