"""Every list and map of the full policy that must not be empty, by its path: empty means none, never all.

Holds: what is not here may be empty because it then says nothing (conditions, variables), as if it were not there.
"""

from typing import Final

_RESOURCE: Final = ("ids", "properties", "properties.env")

EMPTIES: Final = (
    "spec.endpointSettings.enforcers",
    "spec.endpointSettings.identity.audiences",
    "spec.endpointSettings.identity.issuers",
    "spec.endpointSettings.http.hosts",
    "spec.endpointSettings.http.routes",
    "spec.endpointSettings.http.routes.0.methods",
    "spec.endpointSettings.http.routes.0.actionProperties",
    "spec.endpointSettings.http.routes.0.resource.properties",
    "spec.endpointSettings.http.routes.0.args",
    "spec.endpointSettings.delegation.principals",
    "spec.endpointSettings.delegation.ceiling",
    "spec.endpointSettings.delegation.ceiling.0.actions",
    "spec.endpointSettings.delegation.ceiling.0.resources",
    *(f"spec.endpointSettings.delegation.ceiling.0.resources.0.{name}" for name in _RESOURCE),
    "spec.endpointSettings.record.keep",
    "spec.endpointSettings.history",
    "spec.endpointSettings.history.0.counts.actions",
    "spec.endpointSettings.history.0.counts.resources",
    *(f"spec.endpointSettings.history.0.counts.resources.0.{name}" for name in _RESOURCE),
    "spec.subjects",
    "spec.subjects.0.workload.imageDigests",
    "spec.subjects.0.workload.podSelector.matchLabels",
    "spec.subjects.3.entity.ids",
    "spec.sensitive",
    "spec.rules",
    "spec.rules.0.subjects",
    "spec.rules.0.actions",
    "spec.rules.0.resources",
    *(f"spec.rules.0.resources.0.{name}" for name in _RESOURCE),
    "spec.rules.0.intents",
    "spec.rules.0.approval.requiredContext",
    "spec.rules.0.approval.show",
    "spec.rules.0.approval.steps",
    "spec.rules.0.approval.steps.0.groups",
)
MAPS: Final = ("properties", "matchLabels", "actionProperties", "args")


def nothing(path: str) -> object:
    """Return the empty value for a path."""
    return {} if path.endswith(MAPS) else []
