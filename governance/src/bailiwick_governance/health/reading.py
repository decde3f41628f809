"""The ConfigMaps of the operator, read as a person.

Standing: over `evidencefacts`. Holds: nothing that an API server answers makes anything here raise; what cannot be read
is a text that says why.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP, WITNESS_MONTHS
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.health.evidencefacts import HealthFacts, guard_fact, witness_fact
from bailiwick_governance.health.losses import ended_losses
from bailiwick_kube.paths import CORE, object_path


def read_health(cluster: ClusterClient, installation: str, now: float) -> HealthFacts:
    """Read what the operator wrote of guards and logs in the namespace in which Bailiwick is installed."""
    guard = _config_map(cluster, installation, GUARD_CONFIG_MAP)
    witness = _config_map(cluster, installation, WITNESS_CONFIG_MAP)
    guarded = guard if isinstance(guard, str) else guard_fact(guard)
    if isinstance(witness, str):
        return HealthFacts(guarded, witness, now, witness)
    # Behind those that live: one that ends in between is in both, and in none the other way round.
    name = WITNESS_MONTHS[datetime.fromtimestamp(now, UTC).month - 1]
    # The operator makes it once a log of that month has ended.
    month = _config_map(cluster, installation, name, missing={})
    ended = month if isinstance(month, str) else ended_losses(month, now, live=witness.get("data") or {})
    return HealthFacts(guarded, witness_fact(witness), now, ended)


def _config_map(
    cluster: ClusterClient, installation: str, name: str, missing: Mapping[str, Any] | None = None
) -> Mapping[str, Any] | str:
    """Return a ConfigMap, `missing` where there is none, or why it cannot be read."""
    where = f"ConfigMap {name} in {visible(installation)}"
    try:
        return cluster.get(object_path(CORE, "configmaps", installation, name))
    except ApiError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            # The same of each: a person has the right to all of them, or the console says it once.
            return f"you may not read the ConfigMaps of the operator in {visible(installation)}"
        if error.status != HTTPStatus.NOT_FOUND:
            return f"{where}: {error}"
        return f"there is no {where}" if missing is None else missing
    except UserError:
        return "the API server does not answer"
