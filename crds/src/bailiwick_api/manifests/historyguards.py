"""The two ValidatingAdmissionPolicies that the API server runs on histories: write and delete.

Standing: beside the guards of grants in `guards`, which has them all. Holds: a history is counted by the decision point
alone, and what it has counted is neither taken back nor given to another key.
"""

from typing import Final

from bailiwick_api.accounts import CANARY_HISTORY, Installation
from bailiwick_api.kinds.meta import ENDPOINT_HISTORIES
from bailiwick_api.manifests.guardpolicy import NAMESPACE_CONTROLLER, AdmissionGuard, Validation, subresources

HISTORY_WRITE: Final = "bailiwick-history-write"
HISTORY_DELETE: Final = "bailiwick-history-delete"

# The messages that the canary probes look for.
HISTORIES_ARE_THE_PDPS: Final = "only the decision point can write histories"
ONLY_ENDED_HISTORIES_GO: Final = "a history limits calls: the operator deletes it when it counts nothing any more"
CANARY_IS_NEVER_STORED: Final = f"the name {CANARY_HISTORY} is reserved for dry runs of the operator"


def history_guards(installation: Installation) -> tuple[AdmissionGuard, AdmissionGuard]:
    """Return the two guards."""
    return (
        AdmissionGuard(
            HISTORY_WRITE,
            ("CREATE", "UPDATE"),
            (ENDPOINT_HISTORIES, *subresources(ENDPOINT_HISTORIES)),
            _write_variables(installation),
            _write_validations(),
        ),
        AdmissionGuard(
            HISTORY_DELETE,
            # It looks at creations only to refuse the canary: so it can be proven though no history is there to delete.
            ("CREATE", "DELETE"),
            (ENDPOINT_HISTORIES,),
            _delete_variables(installation),
            _delete_validations(),
        ),
    )


def _write_variables(installation: Installation) -> dict[str, str]:
    return {
        "pdp": f"request.userInfo.username == '{installation.webhook}'",
        # The other guard refuses it, and so proves itself.
        "canary": f"request.operation == 'CREATE' && object.metadata.name == '{CANARY_HISTORY}'"
        f" && request.userInfo.username == '{installation.operator}'",
        "born": "request.operation == 'CREATE'",
    }


def _write_validations() -> tuple[Validation, ...]:
    return (
        Validation("variables.pdp || variables.canary", HISTORIES_ARE_THE_PDPS),
        # The garbage collector would delete what an owner has, and a finalizer would keep it for good.
        Validation(
            "!has(object.metadata.ownerReferences) && !has(object.metadata.finalizers)",
            "a history cannot have owner references or finalizers",
        ),
        Validation(
            "variables.born || (object.spec.endpoint == oldObject.spec.endpoint"
            " && object.spec.key == oldObject.spec.key)",
            "endpoint and key of a history are immutable",
        ),
        Validation(
            "variables.born || (object.spec.seq >= oldObject.spec.seq && object.spec.clock >= oldObject.spec.clock)",
            "seq and clock of a history never fall",
        ),
    )


def _delete_variables(installation: Installation) -> dict[str, str]:
    return {
        "deletion": "request.operation == 'DELETE'",
        "operator": f"request.userInfo.username == '{installation.operator}'",
        "namespaceController": f"request.userInfo.username == '{NAMESPACE_CONTROLLER}'",
    }


def _delete_validations() -> tuple[Validation, ...]:
    return (
        Validation(
            "!variables.deletion || variables.operator || variables.namespaceController",
            ONLY_ENDED_HISTORIES_GO,
        ),
        Validation(f"variables.deletion || object.metadata.name != '{CANARY_HISTORY}'", CANARY_IS_NEVER_STORED),
    )
