"""What is well with a cluster, and what is not: one check for each thing that is asked about. Pure.

Holds: what is not known is never good. What an operator wrote counts as of now only while it is shown to be alive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bailiwick_engine.approval.display import visible
from bailiwick_governance.fleet.drift import ClusterDrift
from bailiwick_governance.fleet.policies import PolicyDifference, PolicyState
from bailiwick_governance.fleet.reading import ClusterReading, Listing
from bailiwick_governance.grants.grantview import span
from bailiwick_governance.health.evidencefacts import HealthItem, HealthTone, is_operator_alive, items

_LONGEST = 64


class FleetCheckCode(StrEnum):
    """What is asked about. The codes are stable."""

    VERSION = "version"
    GUARDS = "guards"
    POLICIES = "policies"
    SERVED = "served"
    DRIFT = "drift"
    WITNESS = "witness"
    LOSSES = "losses"
    REVOCATIONS = "revocations"


@dataclass(frozen=True, slots=True)
class FleetCheck:
    """One answer: `cell` for a table, `told` in full."""

    code: FleetCheckCode
    tone: HealthTone
    cell: str
    told: str


@dataclass(frozen=True, slots=True)
class ClusterVersions:
    """The versions that the Deployments of an installation name. `chart` is empty where no label names one."""

    operator: str
    webhook: str
    chart: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FleetContext:
    """What all clusters together say: which versions there are, and which policies differ."""

    versions: frozenset[str]
    differences: Sequence[PolicyDifference]


def cluster_checks(
    reading: ClusterReading,
    states: Sequence[PolicyState] | str,
    fleet: FleetContext,
    drift: ClusterDrift | None,
    now: float,
) -> tuple[FleetCheck, ...]:
    """Judge one cluster. `states`: its policies, a text: why they are not known. `drift` None: it was not asked for."""
    guards, logs, lost = items(reading.health, now)
    checks = [
        _version(reading.deployments, fleet.versions),
        _health(FleetCheckCode.GUARDS, guards, reading.skew),
        _policies(reading.name, states, fleet.differences),
        _served(states, now, alive=is_operator_alive(reading.health, now)),
        *([] if drift is None else [_drift(drift)]),
        _health(FleetCheckCode.WITNESS, logs, reading.skew),
        _health(FleetCheckCode.LOSSES, lost, None),
        _revocations(reading.revocations),
    ]
    return tuple(checks)


def cluster_versions(deployments: Listing) -> ClusterVersions | None:
    """Return what the labels of the Deployments say; None if that is not known."""
    if isinstance(deployments, str):
        return None
    labels = {str(found.get("app.kubernetes.io/component")): found for found in map(_labels, deployments)}
    operator, webhook = labels.get("operator", {}), labels.get("webhook", {})
    versions = (_label(operator, "app.kubernetes.io/version"), _label(webhook, "app.kubernetes.io/version"))
    if not all(versions):
        return None
    images = sorted({image for raw in deployments for image in _images(raw)})
    return ClusterVersions(*versions, _label(operator, "helm.sh/chart"), tuple(images))


def _version(deployments: Listing, versions: frozenset[str]) -> FleetCheck:
    code, found = FleetCheckCode.VERSION, cluster_versions(deployments)
    if found is None:
        why = deployments if isinstance(deployments, str) else "no Deployment of operator and webhook names a version"
        return _unknown(code, why)
    cell = visible(found.operator)
    if found.operator != found.webhook:
        told = f"the operator is {cell}, and the webhook {visible(found.webhook)}"
        return FleetCheck(code, HealthTone.DOUBT, cell, told)
    if len(versions) > 1:
        others = ", ".join(visible(one) for one in sorted(versions - {found.operator}))
        return FleetCheck(code, HealthTone.DOUBT, cell, f"{cell}; other clusters have {others}")
    return FleetCheck(code, HealthTone.GOOD, cell, cell)


def _health(code: FleetCheckCode, item: HealthItem, skew: str | None) -> FleetCheck:
    if item.tone is HealthTone.UNKNOWN:
        return _unknown(code, item.told.removeprefix("not known: "))
    told = item.told if skew is None or item.tone is HealthTone.GOOD else f"{item.told}; {skew}"
    return FleetCheck(code, item.tone, item.told.split(";")[0].split(",")[0], told)


def _policies(cluster: str, states: Sequence[PolicyState] | str, differences: Sequence[PolicyDifference]) -> FleetCheck:
    code = FleetCheckCode.POLICIES
    if isinstance(states, str):
        return _unknown(code, states)
    differing = [one.name for one in differences if cluster in one.states]
    refused = [one for one in states if one.accepted is False]
    unknown = [one for one in states if one.accepted is None or (one.accepted and one.digest is None)]
    parts = {
        f"{len(differing)} {'differs' if len(differing) == 1 else 'differ'}": differing,
        f"{len(refused)} not accepted": refused,
        f"{len(unknown)} unknown": unknown,
    }
    cell = ", ".join([str(len(states)), *(text for text, those in parts.items() if those)])
    tone = HealthTone.UNKNOWN if unknown else HealthTone.GOOD
    names = [*("/".join(name) for name in differing), *("/".join(one.name) for one in (*refused, *unknown))]
    told = f"{cell}: {_names(names)}" if names else cell
    return FleetCheck(code, HealthTone.DOUBT if differing or refused else tone, cell, told)


def _served(states: Sequence[PolicyState] | str, now: float, *, alive: bool) -> FleetCheck:
    code = FleetCheckCode.SERVED
    if isinstance(states, str):
        return _unknown(code, states)
    behind = [one for one in states if not one.served]
    if behind:
        times = [one.behind_since for one in behind if one.behind_since is not None]
        age = f" for {span(now - min(times))}" if times else ""
        cell = f"{len(behind)} behind{age}"
        told = f"{cell}: not every decision point serves {_names('/'.join(one.name) for one in behind)}"
        return FleetCheck(code, HealthTone.DOUBT, cell, told)
    if not alive:
        return _unknown(code, "the operator gave no sign of life for a while, so what it wrote may be old")
    return FleetCheck(code, HealthTone.GOOD, "all", "every decision point has served each policy as it stands")


def _drift(drift: ClusterDrift) -> FleetCheck:
    code = FleetCheckCode.DRIFT
    if drift.problem is not None:
        return _unknown(code, drift.problem)
    if not drift.changes:
        return FleetCheck(code, HealthTone.GOOD, "none", "none")
    told = f"{drift.summary}: {_names(drift.endpoints)}"
    return FleetCheck(code, HealthTone.DOUBT, drift.summary, told)


def _revocations(listing: Listing) -> FleetCheck:
    code = FleetCheckCode.REVOCATIONS
    if isinstance(listing, str):
        return _unknown(code, listing)
    return FleetCheck(code, HealthTone.GOOD, str(len(listing)), f"{len(listing)} in force")


def _unknown(code: FleetCheckCode, why: str) -> FleetCheck:
    return FleetCheck(code, HealthTone.UNKNOWN, "unknown", f"not known: {why}")


def _names(names: Any) -> str:  # noqa: ANN401 - of texts
    listed = [visible(_short(name)) for name in names]
    more = len(listed) - 5
    return ", ".join(listed[:5]) + (f" and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= 2 * _LONGEST else f"{text[: 2 * _LONGEST - 1]}…"


def _labels(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    labels = raw["metadata"].get("labels")
    return labels if isinstance(labels, dict) else {}


def _label(labels: Mapping[str, Any], name: str) -> str:
    value = labels.get(name)
    # The API server lets no label be longer, and without one no text.
    return value if isinstance(value, str) and len(value) < _LONGEST else ""


def _images(raw: Mapping[str, Any]) -> list[str]:
    spec = raw.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pod = template.get("spec") if isinstance(template, dict) else None
    containers = pod.get("containers") if isinstance(pod, dict) else None
    return [
        str(one["image"])
        for one in (containers if isinstance(containers, list) else ())
        if isinstance(one, dict) and isinstance(one.get("image"), str)
    ]
