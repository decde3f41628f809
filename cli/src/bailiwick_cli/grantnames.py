"""The names of grants in the cluster, for completion by a shell and by kubectl.

Holds: this is on the way of `--help`, so the cluster's client is imported when somebody asks.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bailiwick_cli.options import OPTIONAL, Flags
from bailiwick_governance.errors import UserError

# ruff: noqa: PLC0415 - see above

LIMIT: Final = "300"
"""How many objects completion reads at most."""


def names(flags: Flags, *, only_waiting: bool) -> Iterator[str]:
    """Yield the names of grants in the cluster that the flags mean, the youngest first."""
    from bailiwick_api.manifests.canary import is_canary
    from bailiwick_cli.kubeconfig import connect
    from bailiwick_governance.apiserver.cluster import grants_path
    from bailiwick_governance.grants.grantview import GrantView

    cluster = connect(flags)
    items = cluster.get(grants_path(cluster.namespace), limit=LIMIT)["items"]
    for raw in sorted(items, key=lambda one: str(one["metadata"]["creationTimestamp"]), reverse=True):
        grant = GrantView(raw, time.time())
        if not is_canary(raw) and (not only_waiting or grant.phase == "Pending"):
            yield grant.name


def beginning(given: Mapping[str, Any], typed: str) -> list[str]:
    """Return the names that begin as typed, by the flags that were given; none where the cluster cannot be asked."""
    flags = Flags(**{name: given.get(name) for name in OPTIONAL})
    try:
        return [name for name in names(flags, only_waiting=False) if name.startswith(typed)]
    except UserError:
        return []
