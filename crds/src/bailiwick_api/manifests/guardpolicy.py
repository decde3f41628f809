"""A guard as documents: a ValidatingAdmissionPolicy and its binding.

Standing: below `guards` and `historyguards`, which say what a guard refuses. Holds: a guard refuses what it cannot
evaluate, and looks at every namespace. Every field with a default is written out, so that the stored object equals the
shipped one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.serviceaccounts import ServiceAccountName

NAMESPACE_CONTROLLER: Final = ServiceAccountName("kube-system", "namespace-controller").username
_ADMISSION: Final = "admissionregistration.k8s.io/v1"


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
    """One guard: operations on a resource, variables of its expressions by name, and what must hold."""

    name: str
    operations: tuple[str, ...]
    resource: str
    variables: Mapping[str, str]
    validations: tuple[Validation, ...]

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the policy and its binding."""
        return self._policy(), self._binding()

    def _policy(self) -> dict[str, Any]:
        return {
            "apiVersion": _ADMISSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": self.name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "matchPolicy": "Equivalent",
                    "namespaceSelector": {},
                    "objectSelector": {},
                    "resourceRules": [
                        {
                            "apiGroups": [GROUP],
                            "apiVersions": ["*"],
                            "operations": [*self.operations],
                            "resources": [self.resource],
                            "scope": "*",
                        }
                    ],
                },
                "variables": [{"name": key, "expression": expression} for key, expression in self.variables.items()],
                "validations": [validation.as_entry() for validation in self.validations],
            },
        }

    def _binding(self) -> dict[str, Any]:
        return {
            "apiVersion": _ADMISSION,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": self.name},
            "spec": {"policyName": self.name, "validationActions": ["Deny"]},
        }
