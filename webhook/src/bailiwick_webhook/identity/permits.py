"""Permits: what a caller may see, as the API server's authorizer says (SubjectAccessReview).

Holds: a caller about which the API server does not answer may not see; an answer is kept at most `FRESH` seconds.
"""

import time
from collections.abc import Callable
from typing import Final

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.cluster.client import ApiClient, ClusterUnavailableError
from bailiwick_webhook.loglimit import LogLimit

FRESH: Final = 10.0
_KEPT: Final = 1_000

_log: Final = LogLimit()


class Permits:
    """Asks the API server. `clock` is monotonic, in seconds."""

    def __init__(self, cluster: ApiClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._kept: BoundedCache[tuple[ServiceAccount, str], tuple[float, bool]] = BoundedCache(_KEPT)

    async def may_get_policies(self, caller: ServiceAccount, namespace: str) -> bool:
        """Tell whether a service account may `get` every policy of a namespace."""
        account = ServiceAccountName.parse(caller.username)
        if account is None:
            return False
        key = (caller, namespace)
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] <= FRESH:
            return kept[1]
        asked = self._clock()
        try:
            allowed = await self._cluster.review_access(
                {
                    "user": caller.username,
                    "uid": caller.uid,
                    # As the API server itself gives them to a service account.
                    "groups": [
                        "system:serviceaccounts",
                        f"system:serviceaccounts:{account.namespace}",
                        "system:authenticated",
                    ],
                    "resourceAttributes": {
                        "namespace": namespace,
                        "verb": "get",
                        "group": GROUP,
                        "resource": ENDPOINT_POLICIES,
                    },
                }
            )
        except ClusterUnavailableError as error:
            _log.warning("caller's permissions unknown", caller=caller.username, error=str(error))
            return False
        self._kept.put(key, (asked, allowed))
        return allowed
