"""The guards of grants and histories again for two groups of their own, whole and with one expression left out.

Holds: the shipped guards are untouched, and other tests with them. In a namespace labelled `without-<guard>: <number>`
that one expression is missing; every other expression of all guards is in force there.
"""

import copy
from dataclasses import dataclass
from typing import Final

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import crds, guards
from bailiwick_api.manifests.definitionguard import DEFINITIONS
from support.objects import Object
from support.schemas.definitions import TEST_DOMAIN, nodes, schema_of, under

STRICT: Final = f"guarded.{TEST_DOMAIN}"
LOOSE: Final = f"unruled.{TEST_DOMAIN}"
UNDIVIDED: Final = "v1beta1"
"""A version of the unruled group without any schema, in which the status is a field like others.

So another definition reaches the objects. Its scale stands for two numbers of a grant.
"""
PERSON_PREFIX: Final = "oidc:"
PREFIXED: Final = "people-by-prefix"
"""Label value under which the review guard knows people by a prefix."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One entry of one guard. Its message is its name: no guard has two of one message."""

    guard: str
    message: str


def policies(installation: Installation) -> list[Object]:
    """Return the guards of namespaced kinds: the one of definitions has no namespace by which it could be left out."""
    return [policy for policy in guards.guards(installation)[::2] if policy["metadata"]["name"] != DEFINITIONS]


def expressions(installation: Installation) -> list[Expression]:
    """Return every entry of these guards."""
    return [
        Expression(policy["metadata"]["name"], entry["message"])
        for policy in policies(installation)
        for entry in policy["spec"]["validations"]
    ]


def label(guard: str) -> str:
    """Return the label of namespaces in which a guard is not whole."""
    return f"without-{guard.removeprefix('bailiwick-').removeprefix('grants-')}"


def number_of(installation: Installation, expression: Expression) -> int:
    """Return the position of an expression in its guard."""
    return [one.message for one in expressions(installation) if one.guard == expression.guard].index(expression.message)


def policy_name(guard: str, number: int | None = None) -> str:
    """Return the name of a guard's variant without this expression, or of the whole one."""
    return _name(guard, "whole" if number is None else f"without-{number}")


def documents(installation: Installation) -> list[Object]:
    """Return definitions of both groups and every guard for them, whole and lacking."""
    out = [under(definition, STRICT) for definition in (crds.approval_grants(), crds.endpoint_histories())]
    out += [_without_rules(definition) for definition in (crds.approval_grants(), crds.endpoint_histories())]
    for policy in policies(installation):
        out += _bound(policy, "whole", {"operator": "DoesNotExist"})
        for number in range(len(policy["spec"]["validations"])):
            lacking = copy.deepcopy(policy)
            del lacking["spec"]["validations"][number]
            out += _bound(lacking, f"without-{number}", {"operator": "In", "values": [f"{number}"]})
    by_prefix = Installation(human_username_prefixes=(PERSON_PREFIX,))
    review = next(policy for policy in guards.guards(by_prefix) if policy["metadata"]["name"] == guards.REVIEW)
    return out + _bound(review, PREFIXED, {"operator": "In", "values": [PREFIXED]})


def _name(guard: str, suffix: str) -> str:
    return f"{guard}.{suffix}.{TEST_DOMAIN}"


def _bound(policy: Object, suffix: str, selector: Object) -> list[Object]:
    guard = policy["metadata"]["name"]
    name = _name(guard, suffix)
    renamed = copy.deepcopy(policy)
    renamed["metadata"]["name"] = name
    renamed["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = [STRICT, LOOSE]
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": [{"key": label(guard), **selector}]}},
        },
    }
    return [renamed, binding]


def _without_rules(definition: Object) -> Object:
    out = under(definition, LOOSE)
    for _, node in nodes(schema_of(out)):
        node.pop("x-kubernetes-validations", None)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    undivided: Object = {"name": UNDIVIDED, "served": True, "storage": False, "schema": {"openAPIV3Schema": anything}}
    if definition["spec"]["names"]["kind"] == "ApprovalGrant":
        replicas = {"specReplicasPath": ".spec.request.maxUses", "statusReplicasPath": ".status.uses"}
        undivided["subresources"] = {"scale": replicas}
    out["spec"]["versions"].append(undivided)
    return out
