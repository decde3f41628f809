"""The ValidatingAdmissionPolicy that the API server runs on definitions of the group: no other, and no other names.

Standing: beside the guards of grants in `guards`, which has them all; `keep` refuses the same from the API server's own
disk. Holds: a definition of the group is one of Bailiwick's, and is served by the names of its spec. So none can be
pointed at the objects of another, and to lift this guard for it leaves a trace in the proof.
"""

from typing import Any, Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_api.manifests.guardpolicy import AdmissionGuard, Validation

DEFINITIONS: Final = "bailiwick-definitions"
APIEXTENSIONS_GROUP: Final = "apiextensions.k8s.io"
DEFINITIONS_RESOURCE: Final = "customresourcedefinitions"
CANARY_DEFINITION: Final = f"canaries.canary.{GROUP}"
"""The definition whose creation this guard refuses. It is only ever a dry run.

It is of a group of its own, so that `keep`, which the API server asks first, has nothing to say about it.
"""

# The message that the canary probe looks for.
CANARY_IS_NEVER_DEFINED: Final = f"the name {CANARY_DEFINITION} is reserved for dry runs of the operator"
FOREIGN: Final = f"the group {GROUP} is reserved: no other definition than Bailiwick's can be part of it"
OWN_NAMES: Final = f"a definition of the group {GROUP} can be served by no other names than those of its spec"
MISLEADING: Final = (
    "the deletion would delete the objects of another definition: set its status.acceptedNames to its spec.names first"
)
# From these the API server takes where the objects are stored, and which guards look at a request.
_SERVED_NAMES: Final = ("plural", "singular", "kind", "listKind")


def definitions_guard() -> AdmissionGuard:
    """Return the guard. It looks at no account: the API server's own controllers write nothing that it refuses."""
    canary = Validation(
        # A definition of that name from before the guard can still go: the API server writes its status then.
        "request.operation == 'DELETE' || request.?subResource.orValue('') == 'status'"
        f" || object.metadata.name != '{CANARY_DEFINITION}'",
        CANARY_IS_NEVER_DEFINED,
    )
    return AdmissionGuard(
        DEFINITIONS,
        ("CREATE", "UPDATE", "DELETE"),
        (DEFINITIONS_RESOURCE, f"{DEFINITIONS_RESOURCE}/status"),
        group_variables(),
        (*group_validations(), canary),
        group=APIEXTENSIONS_GROUP,
    )


def group_variables() -> dict[str, str]:
    """Return the variables of `group_validations`, for guards that look at other resources too."""
    return {
        "definition": "request.operation == 'DELETE' ? oldObject : object",
        "ours": f"request.resource.resource == '{DEFINITIONS_RESOURCE}'"
        f" && variables.definition.spec.group == '{GROUP}'",
        # Before it is served, the API server has accepted all of its names, or some, or none.
        "served": "variables.definition.?status.?conditions.orValue([])"
        ".exists(c, c.type in ['Established', 'NamesAccepted'] && c.status == 'True')",
        "accepted": "variables.definition.?status.?acceptedNames.orValue({})",
        "ownNames": f"{[*_SERVED_NAMES]!r}.all(k, (!variables.served && variables.accepted[?k].orValue('') == '')"
        " || variables.accepted[?k].orValue('') == variables.definition.spec.names[?k].orValue(''))"
        " && variables.accepted.?shortNames.orValue([])"
        ".all(name, name in variables.definition.spec.names.?shortNames.orValue([]))",
    }


def group_validations() -> tuple[Validation, ...]:
    """Return what holds for a definition where `variables.ours`: it is of the group."""
    return (
        # One that was there before can still get its own names back and go.
        Validation(
            f"!variables.ours || request.operation == 'DELETE' || object.metadata.name in {[*OUR_CRDS]!r}"
            " || (request.operation == 'UPDATE' && object.spec == oldObject.spec)",
            FOREIGN,
        ),
        # No other write changes the status. A name from before the guard is no exception: each write repairs it.
        Validation("!variables.ours || request.?subResource.orValue('') != 'status' || variables.ownNames", OWN_NAMES),
        # Its deletion deletes all objects where its accepted names lead, and no guard over these is asked.
        Validation("!variables.ours || request.operation != 'DELETE' || variables.ownNames", MISLEADING),
    )


def canary_definition() -> dict[str, Any]:
    """Return the definition that the guard refuses to have created. It defines nothing of anybody's."""
    return {
        "apiVersion": f"{APIEXTENSIONS_GROUP}/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CANARY_DEFINITION},
        "spec": {
            "group": CANARY_DEFINITION.partition(".")[2],
            "scope": "Namespaced",
            "names": {"plural": "canaries", "singular": "canary", "kind": "Canary", "listKind": "CanaryList"},
            "versions": [
                {"name": "v1", "served": False, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
