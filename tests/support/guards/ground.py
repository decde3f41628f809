"""A namespace in which everybody may write grants and histories, so that a refusal can only be a guard's.

Holds: RBAC lets each of the named people and accounts do everything with grants; the verbs on policies are the few of
`RIGHTS`, which is what the guards ask for.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from localcluster.rest import Answer
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Roles, rule
from support.objects import (
    POLICY,
    Object,
    active_status,
    adding_review,
    grant,
    history,
    later,
    opened_grant,
    review,
    rule_reference,
    step,
)
from support.schemas.definitions import in_group

ANN: Final = "ann@corp.example"
ANN_AGAIN: Final = "Ann@corp.example"
PEOPLE: Final = ("carol", "dave", "erin", "eve", "grace", "mallory", ANN, ANN_AGAIN)
OTHER_POLICY: Final = "hr-agent"
PDP: Final = "the decision point"
OPERATOR: Final = "the operator"
ROBOT: Final = "a robot"
# carol, dave and ann are of crm-owners, erin of crm-owners and sec-oncall, grace of sec-oncall, eve of support. Ann is
# one person by two names.
# mallory, who may write grants like everybody, has no verb on any policy.
RIGHTS: Final = (
    ("request", POLICY, ("carol", "eve")),
    ("request", OTHER_POLICY, ("eve",)),
    ("approve", POLICY, ("carol", "dave", "erin", ROBOT, ANN, ANN_AGAIN)),
    ("approve", OTHER_POLICY, ("erin",)),
    ("revoke", OTHER_POLICY, ("grace",)),
)
BOTH_POLICIES: Final[dict[str, Any]] = {
    "rules": [rule_reference(), rule_reference(OTHER_POLICY)],
    "steps": [step(), step(OTHER_POLICY)],
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `who` is a person or one of PDP, OPERATOR, ROBOT; patches are JSON patches unless `verb` says."""

    who: str
    verb: Literal["create", "patch", "merge", "apply", "status", "put-status", "scale", "delete"]
    target: Object
    body: Any = None


@dataclass(frozen=True, slots=True)
class Ground:
    """One namespace and one group of the API in it."""

    callers: Callers
    installation: Installation
    group: str
    namespace: str

    def prepare(self) -> None:
        """Give everybody their rights; returns when they are in force."""
        metadata = {"name": "robot", "namespace": self.namespace}
        accepted(self.callers.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        roles = Roles(self.callers.admin, self.namespace)
        everybody = [self.username(who) for who in (*PEOPLE, ROBOT, PDP, OPERATOR)]
        written = ("approvalgrants", "approvalgrants/status", "approvalgrants/scale", "endpointhistories")
        roles.give([rule("*", resource, "*") for resource in written], *everybody)
        for verb, policy, people in RIGHTS:
            allowed = rule(GROUP, ENDPOINT_POLICIES, verb, names=[policy])
            roles.give([allowed], *(self.username(who) for who in people))

    def username(self, who: str) -> str:
        """Return the API server's name for somebody."""
        others = {
            PDP: self.installation.webhook,
            OPERATOR: self.installation.operator,
            ROBOT: f"system:serviceaccount:{self.namespace}:robot",
        }
        return others.get(who, who)

    def by_hand(self, requester: str = "eve", **request: Any) -> Object:  # noqa: ANN401 - any field
        """Return a grant that this person may create."""
        return self._placed(grant(self.namespace, f"g-{secrets.token_hex(4)}", requester=requester, **request))

    def by_pdp(self, **request: Any) -> Object:  # noqa: ANN401 - any field
        """Return a grant that the decision point may create."""
        return self._placed(opened_grant(self.namespace, secrets.token_hex(4), **request))

    def history(self, name: str = "", **spec: Any) -> Object:  # noqa: ANN401 - any field
        """Return a history that the decision point may create."""
        return self._placed(history(self.namespace, name or f"h-{secrets.token_hex(20)}", **spec))

    def counted(self, **spec: Any) -> Object:  # noqa: ANN401 - any field
        """Store a history that the decision point creates."""
        return accepted(self.send(Ask(PDP, "create", self.history(**spec))))

    def stored(self, requester: str = "eve", **request: Any) -> Object:  # noqa: ANN401 - any field
        """Store a grant that this person writes by hand, and let the operator resolve what it names."""
        return self.resolved(self.unresolved(requester, **request))

    def unresolved(self, requester: str = "eve", **request: Any) -> Object:  # noqa: ANN401 - any field
        """Store a grant that this person writes by hand."""
        return accepted(self.send(Ask(requester, "create", self.by_hand(requester, **request))))

    def resolved(self, of: Object) -> Object:
        """Let the operator resolve what a stored grant names."""
        return self.done(Ask(OPERATOR, "status", of, {"resolved": resolution(of)}))

    def opened(self, **request: Any) -> Object:  # noqa: ANN401 - any field
        """Store a grant that the decision point opens."""
        return accepted(self.send(Ask(PDP, "create", self.by_pdp(**request))))

    def in_phase(self, phase: str, of: Object, **status: Any) -> Object:  # noqa: ANN401 - any field
        """Let the operator bring a stored grant into a phase."""
        wanted = active_status() if phase in {"Active", "Consumed", "Lapsed", "Revoked"} else {}
        return self.done(Ask(OPERATOR, "status", of, {**wanted, "phase": phase, **status}))

    def active(self, **request: Any) -> Object:  # noqa: ANN401 - any field
        """Store a grant that can be used twice."""
        return self.in_phase("Active", self.opened(**{"maxUses": 2, **request}))

    def reviewed(self, of: Object, reviewer: str, **fields: Any) -> Object:  # noqa: ANN401 - any field
        """Let a person add a review to a stored grant."""
        return self.done(self.review(of, reviewer, **fields))

    def revoked(self, of: Object, by: str) -> Object:
        """Let a person revoke a stored grant."""
        return self.done(self.revoke(of, by))

    def review(self, of: Object, reviewer: str, *, writer: str = "", **fields: Any) -> Ask:  # noqa: ANN401 - any field
        """Ask to add a review; `writer` is who does, where it is not the reviewer."""
        return Ask(writer or reviewer, "patch", of, adding_review(review(of, self.username(reviewer), **fields)))

    def revoke(self, of: Object, by: str, *, writer: str = "", for_: str = "") -> Ask:
        """Ask to revoke; `writer` is who does, where it is not who is named; `for_` is at whose word."""
        value = {"by": self.username(by)} | ({"for": for_} if for_ else {})
        return Ask(writer or by, "patch", of, [{"op": "add", "path": "/spec/revocation", "value": value}])

    def done(self, ask: Ask) -> Object:
        """Send a request that must succeed, and return the stored object."""
        return accepted(self.send(ask))

    def send(self, ask: Ask, *, dry_run: bool = False) -> Answer:
        """Send a request as who asks."""
        client = self.callers(self.username(ask.who))
        match ask.verb:
            case "create":
                return client.create(ask.target, dry_run=dry_run)
            case "patch":
                return client.patch(ask.target, ask.body, "json", dry_run=dry_run)
            case "merge":
                return client.patch(ask.target, ask.body, "merge", dry_run=dry_run)
            case "apply":
                body = {**_named(ask.target), **ask.body}
                return client.apply(body, f"as-{ask.who}".replace(" ", "-"), force=True, dry_run=dry_run)
            case "status":
                return client.patch(ask.target, {"status": ask.body}, "merge", "status", dry_run=dry_run)
            case "put-status":
                return client.replace({**ask.target, "status": ask.body}, "status", dry_run=dry_run)
            case "scale":
                return client.patch(ask.target, ask.body, "merge", "scale", dry_run=dry_run)
            case "delete":
                return client.delete(ask.target, dry_run=dry_run)

    def _placed(self, of: Object) -> Object:
        return in_group(of, self.group)


def _named(of: Object) -> Object:
    metadata = {key: of["metadata"][key] for key in ("namespace", "name")}
    return {"apiVersion": of["apiVersion"], "kind": of["kind"], "metadata": metadata}


def resolution(of: Object) -> Object:
    """Return what the operator may have resolved the names of a grant to."""
    return {"subjectUID": "agent-uid", "rules": of["spec"]["request"]["rules"]}


def two_uses(**fields: Any) -> Object:  # noqa: ANN401 - any field
    """Return a status fragment with two uses."""
    return {"uses": 2, "useRecords": [_record("first"), _record("second")], **fields}


def one_use(**fields: Any) -> Object:  # noqa: ANN401 - any field
    """Return a status fragment with one use."""
    return {"uses": 1, "useRecords": [_record("first")], **fields}


def _record(key: str) -> Object:
    return {"key": key, "time": later(), "evaluationID": f"evaluation-{key}"}
