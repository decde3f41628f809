"""One write after the other, and what came of each.

Holds: nothing is sent a second time; once an answer is missing, or the visit ended, nothing more is
sent, and it is said of each grant whether it was written, was not, or is not known to be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from bailiwick_console.bulk.choice import BulkAct
from bailiwick_console.grants.source import GrantSource
from bailiwick_console.threads.calls import UnsentError
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.people import Permissions
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants import reviews, steps
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.reviews import ChangedGrantError


class BulkOutcome(StrEnum):
    """What came of one grant, by the heading under which it is listed."""

    DONE = "Done"
    CHANGED = "Not written, since it changed meanwhile"
    REFUSED = "Refused by the API server"
    UNKNOWN = "Not known: the API server confirmed nothing"
    UNSENT = "Not sent"


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What came of one grant, and more of it in words; `error` is what came in place of an answer."""

    grant: GrantView
    outcome: BulkOutcome
    told: str = ""
    error: UserError | None = None


@dataclass
class BulkRun:
    """What came of each grant so far. `ended`: the visit is over. One thread writes it, another one ends it."""

    results: list[BulkResult] = field(default_factory=list)
    ended: bool = False


def write(act: BulkAct, grants: Iterable[GrantView], source: GrantSource, reason: str, run: BulkRun) -> None:
    """Deny each of these grants exactly as it was shown, or take it back. Waits for the API server."""
    username = source.me.username
    permissions = Permissions(source.cluster)

    def deny(grant: GrantView) -> object:
        mine = steps.reviewable(grant, source.me)
        # Any step will do: one no ends the request.
        able = [one for one in mine if permissions.may("approve", grant.namespace, one.policy)] or mine
        choice = steps.choose(grant, source.me, able[0].name if able else None, None)
        return reviews.add_review(source.cluster, grant, username, choice, "Deny", reason)

    def revoke(grant: GrantView) -> object:
        return reviews.add_revocation(source.cluster, grant, username, reason)

    _each(grants, deny if act is BulkAct.DENY else revoke, run)


def _each(grants: Iterable[GrantView], send: Callable[[GrantView], object], run: BulkRun) -> None:
    silent = ""
    for grant in grants:
        if run.ended:
            return
        result = BulkResult(grant, BulkOutcome.UNSENT, silent) if silent else _send(grant, send)
        if result.outcome is BulkOutcome.UNKNOWN:
            silent = "the API server had failed before"
        run.results.append(result)


def _send(grant: GrantView, send: Callable[[GrantView], object]) -> BulkResult:
    try:
        send(grant)
    except ChangedGrantError as error:
        now = "another request now" if error.now.uid != grant.uid else visible(error.now.phase)
        return BulkResult(grant, BulkOutcome.CHANGED, f"it is {now}")
    except UnsentError as error:
        return BulkResult(grant, BulkOutcome.UNSENT, str(error))
    except ApiError as error:
        known = error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return BulkResult(grant, BulkOutcome.REFUSED if known else BulkOutcome.UNKNOWN, str(error), error)
    except UserError as error:
        return BulkResult(grant, BulkOutcome.UNKNOWN, str(error), error)
    return BulkResult(grant, BulkOutcome.DONE)
