"""A guard as documents: a ValidatingAdmissionPolicy and its binding.

Standing: below `guards` and those beside it, which say what a guard refuses, and `keep`. Holds: a guard refuses what it
cannot evaluate, and looks at every namespace. Every field with a default is written out, so that the stored object
equals the shipped one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.serviceaccounts import ServiceAccountName

NAMESPACE_CONTROLLER: Final = ServiceAccountName("kube-system", "namespace-controller").username
ADMISSION_GROUP: Final = "admissionregistration.k8s.io"
ADMISSION_VERSION: Final = f"{ADMISSION_GROUP}/v1"


@dataclass(frozen=True, slots=True)
class Validation:
    """One expression of a guard. `message_expression`, if given, has more detail; `message` is shown if it fails."""

    expression: str
    message: str
    reason: str = "Forbidden"
    message_expression: str | None = None

    def as_entry(self) -> dict[str, str]:
        """Return the entry of `spec.validations`."""
        entry = {"expression": self.expression, "reason": self.reason, "message": self.message}
        return entry | ({"messageExpression": self.message_expression} if self.message_expression else {})


@dataclass(frozen=True, slots=True)
class AdmissionGuard:
    """One guard: operations on resources of a group, variables of its expressions by name, and what must hold."""

    name: str
    operations: tuple[str, ...]
    resources: tuple[str, ...]
    variables: Mapping[str, str]
    validations: tuple[Validation, ...]
    group: str = GROUP

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the policy and its binding."""
        rules = [resource_rule(self.group, self.operations, self.resources)]
        spec = policy_spec(rules, self.variables, self.validations)
        return policy_document(self.name, spec), binding_document(self.name, self.name)


def subresources(resource: str) -> tuple[str, str]:
    """Return every subresource that a definition can give a custom resource.

    A guard looks at both, whether the shipped definition has them or not: by `scale`, a definition lets its users write
    any number of the spec.
    """
    return f"{resource}/status", f"{resource}/scale"


def resource_rule(group: str, operations: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    """Return the entry of `resourceRules` for resources of a group, in every version."""
    return {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": [*operations],
        "resources": [*resources],
        "scope": "*",
    }


def policy_spec(
    rules: Sequence[dict[str, Any]], variables: Mapping[str, str], validations: Sequence[Validation]
) -> dict[str, Any]:
    """Return the `spec` of a ValidatingAdmissionPolicy that exempts no object, namespace or account."""
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": [*rules],
        },
        "variables": [{"name": key, "expression": expression} for key, expression in variables.items()],
        "validations": [validation.as_entry() for validation in validations],
    }


def policy_document(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ValidatingAdmissionPolicy."""
    return {
        "apiVersion": ADMISSION_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {**spec},
    }


def binding_document(name: str, policy: str) -> dict[str, Any]:
    """Return the binding of a policy, which refuses everywhere."""
    return {
        "apiVersion": ADMISSION_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }
