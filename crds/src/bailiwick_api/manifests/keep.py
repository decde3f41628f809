"""Keep: the one policy that the API server reads from its own disk. It keeps guards, their definitions and API groups.

Standing: beside `guards`, whose objects it keeps. Holds: it exempts no account, and it speaks of names alone, so its
text changes only if a name does. A name that ends in `.static.k8s.io` comes from the disk, and the name of the binding
has the digest of the policy's spec: a refusal that has both names is one by this version of keep.
"""

from hashlib import sha256
from typing import Any, Final

import rfc8785

from bailiwick_api.kinds.meta import GROUP, VERSION
from bailiwick_api.manifests import guards
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_api.manifests.definitionguard import (
    APIEXTENSIONS_GROUP,
    DEFINITIONS_RESOURCE,
    group_validations,
    group_variables,
)
from bailiwick_api.manifests.guardpolicy import (
    ADMISSION_GROUP,
    Validation,
    binding_document,
    policy_document,
    policy_spec,
    resource_rule,
)

KEEP: Final = "bailiwick-keep.static.k8s.io"
KEEP_PROBE: Final = "bailiwick-keep-probe"
"""The binding whose creation keep refuses, and by which the operator recognises it. It is only ever a dry run."""
GRANTS_ROUTE: Final = f"{VERSION}.{GROUP}"
DECIDING_ROUTES: Final = (
    GRANTS_ROUTE,
    "v1.admissionregistration.k8s.io",
    "v1.apiextensions.k8s.io",
    "v1.authentication.k8s.io",
    "v1.discovery.k8s.io",
    "v1.",
)
"""The APIServices by which grants are read and judged.

Grants; the guards; their definition; who asks, by TokenReview; which API servers are asked whether they keep; the
record of the proof and the signing keys, in the core group. The API server's own watches of guards and definitions go
through them too.
"""

PROBE_REFUSED: Final = (
    f"the name {KEEP_PROBE} is reserved: the operator recognises by this refusal that guards are kept"
)
_CHANGE: Final = "only who can write the API server's disk can change or delete this"
_REDIRECT: Final = "only who can write the API server's disk can send this API group to another server"
_POLICIES: Final = "validatingadmissionpolicies"
_BINDINGS: Final = "validatingadmissionpolicybindings"


def _spec() -> dict[str, Any]:
    kept = [*guards.NAMES, *OUR_CRDS]
    rules = [
        resource_rule(ADMISSION_GROUP, ["UPDATE", "DELETE"], [_POLICIES, _BINDINGS]),
        resource_rule(ADMISSION_GROUP, ["CREATE"], [_BINDINGS]),
        resource_rule(APIEXTENSIONS_GROUP, ["CREATE", "UPDATE", "DELETE"], [DEFINITIONS_RESOURCE]),
        resource_rule(APIEXTENSIONS_GROUP, ["UPDATE"], [f"{DEFINITIONS_RESOURCE}/status"]),
        resource_rule("apiregistration.k8s.io", ["CREATE", "UPDATE"], ["apiservices"]),
    ]
    variables = {
        "route": "request.resource.resource == 'apiservices'",
        "kept": f"!variables.route && request.operation != 'CREATE' && oldObject.metadata.name in {kept!r}",
        # Tools that sync write labels and managed fields of what they do not change.
        "same": "request.operation == 'UPDATE' && object.spec == oldObject.spec"
        " && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences"
        " && object.metadata.?finalizers == oldObject.metadata.?finalizers",
        "deciding": f"variables.route && (object.spec.?group.orValue('') == '{GROUP}'"
        f" || object.metadata.name in {[*DECIDING_ROUTES]!r})",
        **group_variables(),
    }
    validations = (
        Validation("!variables.kept || variables.same", _CHANGE),
        *group_validations(),
        Validation("!variables.deciding || !has(object.spec.service)", _REDIRECT),
        Validation(
            f"request.resource.resource != '{_BINDINGS}' || request.operation != 'CREATE'"
            f" || object.metadata.name != '{KEEP_PROBE}'",
            PROBE_REFUSED,
        ),
    )
    return policy_spec(rules, variables, validations)


def keep_binding() -> str:
    """Return the name of the binding: it has the first 12 hex digits of the SHA-256 of the spec (RFC 8785)."""
    return f"bailiwick-keep.{sha256(rfc8785.dumps(_spec())).hexdigest()[:12]}.static.k8s.io"


def keep_documents() -> list[dict[str, Any]]:
    """Return what the file on the API server's disk holds: the policy and its binding."""
    return [policy_document(KEEP, _spec()), binding_document(keep_binding(), KEEP)]


def keep_probe() -> dict[str, Any]:
    """Return the binding that keep refuses to have created. It binds nothing: there is no policy of that name.

    The API server asks no webhook and no policy of its API about bindings, so nothing but its own disk can refuse this.
    """
    return binding_document(KEEP_PROBE, KEEP_PROBE)


def keep_refusal() -> str:
    """Return what an API server that keeps the guards answers to the creation of the probe."""
    return f"ValidatingAdmissionPolicy '{KEEP}' with binding '{keep_binding()}' denied request: {PROBE_REFUSED}"
