"""Events as an administrator reads them. Writers post them after what they report on, so a test waits for one."""

from collections.abc import Callable

from localcluster.rest import Rest
from support.installation import accepted
from support.objects import Object
from support.waits import until


def events_in(admin: Rest, namespace: str) -> list[Object]:
    """Return all Events of a namespace."""
    found: list[Object] = accepted(admin.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"))["items"]
    return found


def await_event(admin: Rest, namespace: str, reason: str, fits: Callable[[Object], object]) -> Object:
    """Return the first Event of this reason that fits, once there is one."""
    found: list[Object] = []

    def is_there() -> bool:
        found[:] = [event for event in events_in(admin, namespace) if event["reason"] == reason and fits(event)]
        return bool(found)

    until(is_there, f"an Event {reason}")
    return found[0]
