"""What a review and a revocation send, and what is said when they are refused: for the terminal and the console alike.

Holds: a review is tied to the very object that was shown (uid, resourceVersion, binding), and a revocation to its uid;
neither is ever sent again by itself. Whether it counts, the API server's guards say.
"""

import contextlib
import time
from http import HTTPStatus
from typing import Any, Final, Literal

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.apiserver.people import Permissions
from bailiwick_governance.display import quote
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.steps import StepChoice

Decision = Literal["Approve", "Deny"]

# Where what was sent does not fit what is there, or the guards refuse it.
_REFUSALS: Final = {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}


class ChangedGrantError(UserError):
    """The grant is not as it was shown any more, so nothing was written. `now` is how it stands."""

    def __init__(self, message: str, now: GrantView) -> None:
        super().__init__(message)
        self.now = now


def missing_right(permissions: Permissions, grant: GrantView, step: StepChoice) -> str | None:
    """Return which right a review of this step lacks, in words; None where none is known to be missing."""
    for verb, resource, name in (
        ("approve", ENDPOINT_POLICIES, step.step.policy),
        ("patch", APPROVAL_GRANTS, grant.name),
    ):
        with contextlib.suppress(ApiError):
            # To a person who may not even ask, the review itself says so.
            if not permissions.may(verb, grant.namespace, name, resource):
                return f"the verb {verb} on {resource}/{visible(name)} in namespace {visible(grant.namespace)}"
    return None


def unread_reason(resource: str, error: UserError) -> str:
    """Return why a list that stands beside a grant could not be read, in words."""
    if not isinstance(error, ApiError) or error.status != HTTPStatus.FORBIDDEN:
        return str(error)
    return f"you lack the verb list on {resource} in this namespace, which the role bailiwick-view has"


def summary(username: str, choice: StepChoice, decision: Decision, grant: GrantView) -> str:
    """Return who does what, and once more to which call: long words of the requester's may have moved that off."""
    group = f" for {quote(choice.group)}" if choice.group else ""
    request = grant.request
    return (
        f"{decision} step {quote(choice.step.name)}{group} as {quote(username)}:"
        f" {quote(request['action']['name'])} on {quote(grant.resource)} by {quote(request['subject']['id'])}."
    )


def review_entry(
    grant: GrantView, username: str, choice: StepChoice, decision: Decision, reason: str, signature: str | None = None
) -> dict[str, Any]:
    """Return a review as it is stored in `spec.reviews`."""
    entry = {"reviewer": username, "step": choice.step.name, "decision": decision, "binding": grant.binding}
    entry |= {"reason": reason} if reason else {}
    entry |= {"group": choice.group} if choice.group else {}
    return entry | ({"signature": signature} if signature else {})


def add_review(
    cluster: ClusterClient,
    grant: GrantView,
    username: str,
    choice: StepChoice,
    decision: Decision,
    reason: str,
    signature: str | None = None,
) -> GrantView:
    """Add one review to the grant as it was shown; returns how it stands then. `signature`: see `signing`.

    Raises `ChangedGrantError` where it is another by now, and otherwise what the API server says.
    """
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": grant.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": grant.raw["metadata"]["resourceVersion"]},
        {"op": "test", "path": "/spec/request/binding", "value": grant.request["binding"]},
    ]
    if grant.raw["spec"].get("reviews") is None:
        patch.append({"op": "add", "path": "/spec/reviews", "value": []})
    entry = review_entry(grant, username, choice, decision, reason, signature)
    patch.append({"op": "add", "path": "/spec/reviews/-", "value": entry})
    path = grants_path(grant.namespace, grant.name)
    try:
        return GrantView(cluster.patch(path, patch, "json"), time.time())
    except ApiError as error:
        raise _explain(cluster, path, grant, error) from error


def add_revocation(cluster: ClusterClient, grant: GrantView, username: str, reason: str) -> GrantView:
    """Take back the grant that was shown, however it stands now; returns how it stands then. Raises as `add_review`.

    Its uid alone is tested. A use would be another resourceVersion, so that an agent who uses a grant often would keep
    everybody from taking it back.
    """
    change = {"metadata": {"uid": grant.uid}, "spec": {"revocation": {"by": username, "reason": reason}}}
    path = grants_path(grant.namespace, grant.name)
    try:
        return GrantView(cluster.patch(path, change, "merge"), time.time())
    except ApiError as error:
        if error.status not in _REFUSALS:
            raise
        now = GrantView(cluster.get(path), time.time())
        if now.uid == grant.uid and now.raw["spec"].get("revocation") is None:
            raise
        raise _changed(grant, now) from error


def _explain(cluster: ClusterClient, path: str, grant: GrantView, error: ApiError) -> UserError:
    """Return what to tell of a refused review: that the grant is not as it was shown any more, else the refusal."""
    if error.status not in _REFUSALS:
        return error
    now = GrantView(cluster.get(path), time.time())
    before, after = grant.raw["metadata"], now.raw["metadata"]
    if (before["uid"], before["resourceVersion"]) == (after["uid"], after["resourceVersion"]):
        return error
    return _changed(grant, now)


def _changed(grant: GrantView, now: GrantView) -> ChangedGrantError:
    what = "is another request now" if now.uid != grant.uid else f"has changed in the meantime: it is {now.phase}"
    return ChangedGrantError(
        f"{grant.name} {what}; your change was not applied."
        f" See it again with `kubectl bailiwick show {grant.name} -n {grant.namespace}`",
        now,
    )
