"""The ValidatingAdmissionPolicy that the API server runs on revocations of subjects.

Standing: beside `guards`; the operator does not prove it, and nothing is counted by it. Holds: a signal's object is
the operator's alone, and a person's object has that person's name. An administrator who lifts it can make later signals
about a subject deny less, and can delete revocations anyway; no grant, review or history depends on it.
"""

from typing import Any, Final

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import SUBJECT_REVOCATIONS
from bailiwick_api.manifests.guardpolicy import AdmissionGuard, Validation

REVOCATIONS_WRITE: Final = "bailiwick-revocations-write"
AHEAD_SECONDS: Final = 30
"""How far `asOf` may be ahead of the API server's clock."""

SIGNALS_ARE_THE_OPERATORS: Final = "only the operator can write a revocation of kind Signal: set cause.kind to Person"
BY_NAMES_AUTHOR: Final = "cause.by must be you"
AS_OF_IS_NOT_AHEAD: Final = f"asOf cannot be more than {AHEAD_SECONDS} seconds ahead"
NOTHING_KEEPS_IT: Final = "a revocation cannot be created with owner references or finalizers"


def revocation_guard(installation: Installation) -> list[dict[str, Any]]:
    """Return the policy and its binding."""
    variables = {
        "operator": f"request.userInfo.username == '{installation.operator}'",
        "born": "request.operation == 'CREATE'",
        "signal": "object.spec.cause.kind == 'Signal'",
    }
    validations = (
        # Controllers of the API server write objects back as they are, to store them in another version.
        Validation(
            "!variables.signal || variables.operator || (!variables.born && object.spec == oldObject.spec)",
            SIGNALS_ARE_THE_OPERATORS,
        ),
        # The schema keeps the cause of a person's object as it was created.
        Validation(
            "!variables.born || variables.signal || object.spec.cause.?by.orValue('') == request.userInfo.username",
            BY_NAMES_AUTHOR,
            message_expression=f"'{BY_NAMES_AUTHOR}: ' + request.userInfo.username",
        ),
        # Its time is counted from there. The operator judges the time of a signal's event itself.
        Validation(
            "!variables.born || variables.signal || timestamp(object.spec.asOf)"
            f" <= timestamp(object.metadata.creationTimestamp) + duration('{AHEAD_SECONDS}s')",
            AS_OF_IS_NOT_AHEAD,
            reason="Invalid",
        ),
        # The operator could not delete it after its time, or the garbage collector would before.
        Validation(
            "!variables.born || (!has(object.metadata.ownerReferences) && !has(object.metadata.finalizers))",
            NOTHING_KEEPS_IT,
        ),
    )
    guard = AdmissionGuard(REVOCATIONS_WRITE, ("CREATE", "UPDATE"), (SUBJECT_REVOCATIONS,), variables, validations)
    return [*guard.documents()]
