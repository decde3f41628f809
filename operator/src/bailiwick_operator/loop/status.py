"""Writes the outcome of a judgement, a status or a deletion, and reports it in the log and by an Event.

Standing: over `inventory` and `events`, under the reconciler and the controllers; a grant that is made void is written
by `guard` itself, and only reported here. Holds: a write applies only to the very version that was judged; a conflict
is dropped, because the watch event of the newer version brings the key back. Nothing is reported before it is written.
"""

from collections import Counter
from typing import Final

import structlog

from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.kube import Kind, Object, OperatorClient
from bailiwick_operator.loop.events import Events
from bailiwick_operator.loop.inventory import Inventory, ObservedObject, key_of
from bailiwick_operator.loop.workqueue import RetryError
from bailiwick_operator.reconcile import retention, transitions
from bailiwick_operator.reconcile.conditions import Status

OUTCOMES: Final = ("written", "conflict", "gone", "refused")
_LOG: Final = structlog.get_logger(__name__)


class Writer:
    """Writes statuses, and deletes grants."""

    def __init__(self, kube: OperatorClient, events: Events) -> None:
        self._kube = kube
        self._events = events
        self.writes: Final[Counter[tuple[str, str]]] = Counter()
        """How many statuses were written, by kind and outcome."""

    async def write(self, kind: Kind, inventory: Inventory, seen: ObservedObject, status: Status) -> None:
        """Write. Raises `RetryError` where it was refused, and `UnreachableError`."""
        name = "/".join(key_of(seen.body))
        answer = await self._kube.apply_status(kind, seen.body, status)
        self.writes[kind, _outcome(answer)] += 1
        if answer.ok:
            self._tell(kind, name, seen.body, status)
            inventory.record(answer.body)
        elif answer.missing:
            inventory.forget(seen.body)
        elif not answer.conflict:
            message = f"the status of {kind} {name} was refused: {answer.message}"
            raise RetryError(message)
        else:
            _LOG.debug("the object changed since it was read", kind=kind, name=name)

    async def delete(self, grants: Inventory, seen: ObservedObject) -> bool:
        """Delete a grant; the log keeps what it was. Returns False where it is newer than judged.

        Raises `RetryError` where it was refused, and `UnreachableError`.
        """
        name = "/".join(key_of(seen.body))
        answer = await self._kube.delete_grant(seen.body)
        if answer.conflict:
            return False
        if not answer.ok and not answer.missing:
            message = f"grant {name} was not deleted: {answer.message}"
            raise RetryError(message)
        if answer.ok:
            _LOG.info("grant deleted", grant=name, **retention.record(seen.body))
        grants.forget(seen.body)
        return True

    def report_void(self, grant: Object, status: Status) -> None:
        """Report a grant that the keeper of the guard made void."""
        self._events.tell("ApprovalGrant", grant, transitions.grant_events(_status(grant), status))

    def _tell(self, kind: Kind, name: str, body: Object, status: Status) -> None:
        was = _status(body)
        if kind == "EndpointData":
            _LOG.info("data", data=name, **{entry["type"].lower(): entry["reason"] for entry in status["conditions"]})
            return
        if kind == "EndpointPolicy":
            if status["conditions"] == was.get("conditions"):
                # Only its use changed, which is written every day.
                return
            _LOG.info(
                "policy", policy=name, **{entry["type"].lower(): entry["reason"] for entry in status["conditions"]}
            )
            self._events.tell(kind, body, transitions.policy_events(was, status))
            return
        if status.get("phase") != was.get("phase"):
            _LOG.info("grant", grant=name, phase=status["phase"], was=was.get("phase"))
        self._events.tell(kind, body, transitions.grant_events(was, status))


def _outcome(answer: ApiResponse) -> str:
    if answer.ok:
        return "written"
    return "gone" if answer.missing else "conflict" if answer.conflict else "refused"


def _status(body: Object) -> Status:
    status = body.get("status")
    return status if isinstance(status, dict) else {}
