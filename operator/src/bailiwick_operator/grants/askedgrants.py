"""Asked grants: what the present grants of each endpoint ask for, to judge the limits of those written by hand.

Standing: beside `backlog`; the reconciler passes it every version of a grant. Holds: it decides nothing; a grant that
was just resolved counts before its status is written.
"""

from collections.abc import Iterable
from dataclasses import replace

from bailiwick_engine.approval import grants
from bailiwick_engine.approval.grants import Grant
from bailiwick_operator.kube import Object
from bailiwick_operator.loop.inventory import Key, key_of
from bailiwick_operator.reconcile.grantlimits import AskedGrant

_Endpoint = tuple[str, str]


class AskedGrants:
    """Lives in the main loop."""

    def __init__(self) -> None:
        self._grants: dict[_Endpoint, dict[str, AskedGrant]] = {}
        self._endpoint_of: dict[Key, str] = {}

    def changed(self, body: Object, *, gone: bool) -> None:
        """Take in a version of a grant, or that it is gone."""
        key = key_of(body)
        self._drop(key)
        asked = None if gone else _asked_grant(body)
        if asked is not None:
            self._endpoint_of[key] = asked.endpoint
            self._grants.setdefault((key.namespace, asked.endpoint), {})[key.name] = asked

    def get(self, key: Key) -> AskedGrant | None:
        """Return what a grant asks for; None where there is none that can be read."""
        return self._grants.get((key.namespace, self._endpoint_of.get(key, "")), {}).get(key.name)

    def grants_of(self, namespace: str, endpoint: str) -> Iterable[AskedGrant]:
        """Return the grants of an endpoint."""
        return self._grants.get((namespace, endpoint), {}).values()

    def resolved(self, key: Key, subject_uid: str) -> None:
        """Count a grant for this subject from now on."""
        asked = self.get(key)
        if asked is not None:
            self._grants[key.namespace, asked.endpoint][key.name] = replace(asked, subject_uid=subject_uid)

    def _drop(self, key: Key) -> None:
        endpoint = self._endpoint_of.pop(key, None)
        if endpoint is None:
            return
        asked = self._grants[key.namespace, endpoint]
        del asked[key.name]
        if not asked:
            del self._grants[key.namespace, endpoint]


def _asked_grant(raw: Object) -> AskedGrant | None:
    """Return what a stored grant asks for; None where it cannot be read, and then it never counts."""
    grant = grants.parse(raw)
    return None if grant is None else _request_of(grant)


def _request_of(grant: Grant) -> AskedGrant:
    request = grant.request
    over = grant.revoked or grant.deleting or grant.phase != "Pending"
    return AskedGrant(
        name=grant.name,
        uid=grant.uid,
        by_hand=grant.by_hand,
        endpoint=request.endpoint,
        subject_uid=grant.subject_uid,
        actors=tuple((actor.issuer, actor.id, actor.uid) for actor in request.actors or ()),
        action=request.action.name,
        resource_type=request.resource.type,
        resource_id=request.resource.id,
        properties=tuple(sorted((request.resource.properties or {}).items())),
        intent=request.intent,
        created=grant.created,
        waits_until=None if over else request.pending_until_time.timestamp(),
        denied=grant.phase == "Denied",
        denied_at=grant.denied_at,
    )
