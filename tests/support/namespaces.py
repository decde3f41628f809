"""Namespaces of single tests, and who may do what in them."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from localcluster.rest import Rest
from support.installation import accepted
from support.objects import Object
from support.waits import until

_RBAC = "rbac.authorization.k8s.io"


def name_for(test: str) -> str:
    """Return a name for a namespace that says which test it is of and that nobody else has."""
    words = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_")).strip("-")[:48].strip("-")
    return f"t-{words}-{secrets.token_hex(3)}"


class Namespaces:
    """Makes namespaces; `clean` deletes them and does not wait for it."""

    def __init__(self, admin: Rest) -> None:
        self._admin = admin
        self._made: list[str] = []

    def make(self, test: str, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace and return its name."""
        name = name_for(test)
        metadata: Object = {"name": name, "labels": dict(labels or {})}
        accepted(self._admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        self._made.append(name)
        return name

    def clean(self) -> None:
        """Delete what was made."""
        for name in self._made:
            self._admin.delete(f"/api/v1/namespaces/{name}")
        self._made.clear()


class Roles:
    """Gives people rights in one namespace; every method returns when the rights are in force.

    Somebody is a username ("carol", or a service account's in full) or `group:<name>`.
    """

    def __init__(self, admin: Rest, namespace: str) -> None:
        self._admin = admin
        self.namespace = namespace

    def bind(self, cluster_role: str, *who: str) -> None:
        """Bind a ClusterRole that exists."""
        path = f"/apis/{_RBAC}/v1/clusterroles/{cluster_role}"
        self._bind({"kind": "ClusterRole", "name": cluster_role}, who)
        self._await(accepted(self._admin.get(path))["rules"], who)

    def give(self, rules: Sequence[Object], *who: str) -> None:
        """Make a Role of these rules (see `rule`) and bind it."""
        name = f"role-{secrets.token_hex(4)}"
        metadata = {"name": name, "namespace": self.namespace}
        role = {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)}
        accepted(self._admin.create(role))
        self._bind({"kind": "Role", "name": name}, who)
        self._await(rules, who)

    def _bind(self, role: Object, who: Sequence[str]) -> None:
        binding = {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"namespace": self.namespace, "name": f"bind-{secrets.token_hex(4)}"},
            "roleRef": {"apiGroup": _RBAC, **role},
            "subjects": [_subject(somebody) for somebody in who],
        }
        accepted(self._admin.create(binding))

    def _await(self, rules: Sequence[Object], who: Sequence[str]) -> None:
        for attributes in _attributes(rules):
            for somebody in who:
                until(lambda: self._may(somebody, attributes), f"{somebody} may {attributes}")  # noqa: B023 - asked at once

    def _may(self, somebody: str, attributes: Object) -> bool:
        spec: Object = {"resourceAttributes": {"namespace": self.namespace, **attributes}}
        if somebody.startswith("group:"):
            spec |= {"user": "somebody", "groups": [somebody.removeprefix("group:")]}
        else:
            spec |= {"user": somebody}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self._admin.create(body, "/apis/authorization.k8s.io/v1/subjectaccessreviews")
        return bool(accepted(answer)["status"]["allowed"])


def rule(group: str, resource: str, *verbs: str, names: Sequence[str] = ()) -> Object:
    """Return one rule of a Role."""
    out: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return out | ({"resourceNames": list(names)} if names else {})


def _subject(somebody: str) -> Object:
    kind, name = ("Group", somebody.removeprefix("group:")) if somebody.startswith("group:") else ("User", somebody)
    return {"apiGroup": _RBAC, "kind": kind, "name": name}


def _attributes(rules: Sequence[Object]) -> list[Object]:
    """Return what an access review asks, for each verb, resource and name of the rules."""
    return [
        {"group": group, "resource": resource.split("/")[0], "verb": verb, "name": name}
        | ({"subresource": resource.split("/")[1]} if "/" in resource else {})
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    ]
