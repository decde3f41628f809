"""The CustomResourceDefinitions, from the models. `generate` writes them to `crds/`.

Holds: every field that the API server would default is written out, so that the stored object equals the shipped one.
"""

from typing import Any

from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointdata import EndpointData
from bailiwick_api.kinds.endpointhistory import EndpointHistory
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.meta import (
    APPROVAL_GRANTS,
    ENDPOINT_DATA,
    ENDPOINT_HISTORIES,
    ENDPOINT_POLICIES,
    GROUP,
    SUBJECT_REVOCATIONS,
    VERSION,
)
from bailiwick_api.kinds.subjectrevocation import KIND as SUBJECT_REVOCATION, SubjectRevocation
from bailiwick_api.manifests.schema import structural

APPROVAL_GRANTS_CRD = f"{APPROVAL_GRANTS}.{GROUP}"
ENDPOINT_POLICIES_CRD = f"{ENDPOINT_POLICIES}.{GROUP}"
ENDPOINT_DATA_CRD = f"{ENDPOINT_DATA}.{GROUP}"
ENDPOINT_HISTORIES_CRD = f"{ENDPOINT_HISTORIES}.{GROUP}"
SUBJECT_REVOCATIONS_CRD = f"{SUBJECT_REVOCATIONS}.{GROUP}"
OUR_CRDS = (
    ENDPOINT_POLICIES_CRD,
    APPROVAL_GRANTS_CRD,
    ENDPOINT_DATA_CRD,
    ENDPOINT_HISTORIES_CRD,
    SUBJECT_REVOCATIONS_CRD,
)
"""Every definition of the group. Each can be pointed at the storage of another, so all are part of the proof."""
_TYPE_META = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def endpoint_policies() -> dict[str, Any]:
    """Return the CRD of `EndpointPolicy`."""
    return _definition(
        name=ENDPOINT_POLICIES_CRD,
        names={
            "kind": "EndpointPolicy",
            "listKind": "EndpointPolicyList",
            "plural": ENDPOINT_POLICIES,
            "singular": "endpointpolicy",
            "shortNames": ["epol"],
            "categories": ["bailiwick"],
        },
        schema=structural(EndpointPolicy),
        # For a column of type date, kubectl prints the age, and `<invalid>` for a time in the future.
        columns=[
            _column("Endpoint", ".spec.endpoint"),
            _column("Mode", ".spec.mode"),
            _column("Suspended", ".spec.suspend", kind="boolean"),
            _column("Accepted", ".status.conditions[?(@.type=='Accepted')].status"),
            _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            _column("Reason", ".status.conditions[?(@.type=='Accepted')].message", priority=1),
            _column("Rules", ".status.ruleCount", kind="integer"),
            _column("Gated", ".status.gatedActionCount", kind="integer"),
            _column("Gated actions", ".status.gatedActions", priority=1),
            _column("Unused", ".status.usage.unusedSince", kind="date"),
            _column("Last used", ".status.usage.lastUsedTime", kind="date", priority=1),
            _column("Compared", ".status.shadow.compared", kind="integer", priority=1),
            _column("Different", ".status.shadow.different", kind="integer", priority=1),
            _column("Expires", ".spec.expireTime"),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        selectable=[".spec.endpoint", ".spec.mode"],
    )


def approval_grants() -> dict[str, Any]:
    """Return the CRD of `ApprovalGrant`."""
    return _definition(
        name=APPROVAL_GRANTS_CRD,
        names={
            "kind": "ApprovalGrant",
            "listKind": "ApprovalGrantList",
            "plural": APPROVAL_GRANTS,
            "singular": "approvalgrant",
            "shortNames": ["agr"],
            "categories": ["bailiwick"],
        },
        schema=structural(ApprovalGrant),
        columns=[
            _column("Subject", ".spec.request.subject.id"),
            _column("Action", ".spec.request.action.name"),
            _column("Resource", ".spec.request.resource.id"),
            _column("Phase", ".status.phase"),
            _column("Uses", ".status.uses", kind="integer"),
            _column("Allowed", ".spec.request.maxUses", kind="integer"),
            _column("Until", ".status.notAfterTime"),
            _column("Digest", ".spec.request.binding.digest", priority=1),
            _column("Requester", ".spec.request.requester.username", priority=1),
            _column("Reason", ".spec.request.reason", priority=1),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        selectable=[
            ".status.phase",
            ".spec.request.endpoint",
            ".spec.request.subject.id",
            ".spec.request.binding.digest",
        ],
    )


def endpoint_data() -> dict[str, Any]:
    """Return the CRD of `EndpointData`."""
    return _definition(
        name=ENDPOINT_DATA_CRD,
        names={
            "kind": "EndpointData",
            "listKind": "EndpointDataList",
            "plural": ENDPOINT_DATA,
            "singular": ENDPOINT_DATA,
            "shortNames": ["edata"],
            "categories": ["bailiwick"],
        },
        schema=structural(EndpointData),
        columns=[
            _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            _column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
            _column("Digest", ".status.digest", priority=1),
            _column("Readers", ".status.readers", priority=1),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        selectable=[],
    )


def endpoint_histories() -> dict[str, Any]:
    """Return the CRD of `EndpointHistory`.

    It has no status subresource, so that a key that is used once costs one write. It is in no category: there can be
    thousands of them, and people seldom look at one.
    """
    definition = _definition(
        name=ENDPOINT_HISTORIES_CRD,
        names={
            "kind": "EndpointHistory",
            "listKind": "EndpointHistoryList",
            "plural": ENDPOINT_HISTORIES,
            "singular": "endpointhistory",
            "shortNames": ["ehist"],
        },
        schema=structural(EndpointHistory),
        columns=[
            _column("Endpoint", ".spec.endpoint"),
            _column("Seq", ".spec.seq", kind="integer"),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        selectable=[".spec.endpoint"],
    )
    del definition["spec"]["versions"][0]["subresources"]
    return definition


def subject_revocations() -> dict[str, Any]:
    """Return the CRD of `SubjectRevocation`.

    It is of the whole cluster, as the people and accounts that it names. It is in no category: those who list a
    category in their namespace cannot list it.
    """
    definition = _definition(
        name=SUBJECT_REVOCATIONS_CRD,
        names={
            "kind": SUBJECT_REVOCATION,
            "listKind": f"{SUBJECT_REVOCATION}List",
            "plural": SUBJECT_REVOCATIONS,
            "singular": "subjectrevocation",
            "shortNames": ["srev"],
        },
        schema=structural(SubjectRevocation),
        columns=[
            _column("Issuer", ".spec.issuer"),
            _column("Sub", ".spec.match.sub"),
            _column("Session", ".spec.match.sid", priority=1),
            _column("Email", ".spec.match.email", priority=1),
            _column("Username", ".spec.match.username"),
            _column("Hold", ".spec.hold", kind="boolean"),
            _column("Issued before", ".spec.issuedBefore"),
            _column("Until", ".spec.until"),
            _column("Cause", ".spec.cause.kind"),
            _column("By", ".spec.cause.by", priority=1),
            _column("Reason", ".spec.cause.reason", priority=1),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        selectable=[],
    )
    definition["spec"]["scope"] = "Cluster"
    del definition["spec"]["versions"][0]["subresources"]
    return definition


def group_definitions() -> tuple[dict[str, Any], ...]:
    """Return the CRDs in the order of `OUR_CRDS`."""
    return endpoint_policies(), approval_grants(), endpoint_data(), endpoint_histories(), subject_revocations()


def _definition(
    *,
    name: str,
    names: dict[str, Any],
    schema: dict[str, Any],
    columns: list[dict[str, Any]],
    selectable: list[str],
) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names,
            "conversion": {"strategy": "None"},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    **({"selectableFields": [{"jsonPath": path} for path in selectable]} if selectable else {}),
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema | {"properties": _TYPE_META | schema["properties"]}},
                }
            ],
        },
    }


def _column(name: str, path: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | {"priority": priority} if priority else column
