"""A policy of an administrator that changes on admission what is written into the status of grants.

Holds: inside the block it is in force, and after it no more: the API server takes up either a moment later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from localcluster.rest import Rest
from support.installation import accepted
from support.waits import until

_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_NAME: Final = "changes-status"


@contextmanager
def changing_status(admin: Rest, namespace: str, when: str, how: str) -> Iterator[None]:
    """Have each write of a grant's status for which the CEL `when` holds changed by the JSON patch `how`."""
    rules = [
        {
            "apiGroups": ["bailiwick.dev"],
            "apiVersions": ["*"],
            "operations": ["UPDATE"],
            "resources": ["approvalgrants/status"],
        },
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
    ]
    patch = (
        "request.resource.resource == 'configmaps'"
        " ? [JSONPatch{op: 'add', path: '/data', value: {'mutated': 'yes'}}]"
        f" : ({how})"
    )
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {
                "name": "chosen",
                "expression": f"request.namespace == '{namespace}'"
                f" && (request.resource.resource == 'configmaps' || {when})",
            }
        ],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    policy = {"apiVersion": _ADMISSION, "kind": "MutatingAdmissionPolicy", "metadata": {"name": _NAME}, "spec": spec}
    binding = {**policy, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": _NAME}}
    accepted(admin.create(policy))
    accepted(admin.create(binding))
    try:
        until(lambda: _changes(admin, namespace), "it changes what is written", 30)
        yield
    finally:
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            admin.delete(f"/apis/{_ADMISSION}/{kind}/{_NAME}")
    until(lambda: not _changes(admin, namespace), "it changes nothing any more", 30)


def _changes(admin: Rest, namespace: str) -> bool:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "x"}, "data": {}}
    return "mutated" in accepted(admin.create(body, dry_run=True)).get("data", {})
