"""What the pages read of the API server, as the person: every function here waits, and is called in a thread.

Holds: a list that the person may not read is named with the right that is missing; it empties no page.
"""

import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES
from bailiwick_console.grants import inbox
from bailiwick_console.grants.grantpage import PageContext
from bailiwick_console.grants.inbox import InboxList
from bailiwick_engine.approval.display import visible
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars
from bailiwick_governance.apiserver.cluster import (
    ClusterClient,
    Object,
    grants_path,
    histories_path,
    policies_path,
)
from bailiwick_governance.apiserver.people import CurrentUser, Permissions
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants import reviews, steps
from bailiwick_governance.grants.grantrows import listable
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.steps import StepChoice
from bailiwick_governance.signing.enrolledkeys import UNREAD_KEYS, read_enrolled_keys
from bailiwick_governance.views.requesthistories import RequestHistories, request_histories, unread_object

_INSTALLATION: Final = Installation().namespace


class MissingRightError(UserError):
    """The person may not do it. `rights` are the verbs that are missing, in words."""

    def __init__(self, message: str, rights: tuple[str, ...]) -> None:
        super().__init__(message)
        self.rights = rights


class AbsentError(ApiError):
    """What a page is asked for is not there, or not any more. It need not be the API server that says so."""

    def __init__(self, message: str) -> None:
        super().__init__(message, HTTPStatus.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class GrantSource:
    """One API server as one person. `namespace` None: all of them.

    `installation`: where the reviewers' keys are. `registrars`: who must have signed them, as far as is known here.
    """

    cluster: ClusterClient
    me: CurrentUser
    namespace: str | None
    installation: str = _INSTALLATION
    registrars: Registrars = NO_REGISTRARS

    def lists(self, permissions: Permissions) -> tuple[dict[InboxList, list[GrantView]], int]:
        """Return the inbox, and how many grants are in none of its lists, as they cannot be read.

        Raises `MissingRightError` where the person may not list grants.
        """
        try:
            items, _ = self.cluster.list_all(grants_path(self.namespace))
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            raise MissingRightError(str(error), self._lacking(permissions, "list")) from error

        def approves(namespace: str, policy: str) -> bool:
            return permissions.may("approve", namespace, policy)

        lists = inbox.sort(items, self.me, approves, time.time())
        return lists, inbox.left_out(items, lists)

    def grant(self, namespace: str, name: str, uids: AbstractSet[str] = frozenset()) -> GrantView:
        """Return a grant as it stands. `uids`: which it must be, where a link says so.

        Raises `MissingRightError`, and `AbsentError` where it is not there any more.
        """
        try:
            found = GrantView(self.cluster.get(grants_path(namespace, name)), time.time())
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                # Links to grants stay in chats for longer than grants are kept.
                raise AbsentError(_gone(namespace, name)) from error
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            right = f"the verb get on {APPROVAL_GRANTS} in namespace {visible(namespace)}"
            raise MissingRightError(str(error), (right,)) from error
        if uids - {found.uid}:
            raise AbsentError(_another(namespace, name))
        return found

    def context(self, grant: GrantView) -> PageContext:
        """Return what the page of a grant tells beside it."""
        unread: dict[str, str] = {}
        grants = self._try_list("grants", grants_path(grant.namespace), unread)
        policies = self._try_list("policies", policies_path(grant.namespace), unread)
        permissions = Permissions(self.cluster)
        missing = {
            step.name: right
            for step in steps.reviewable(grant, self.me)
            if (right := reviews.missing_right(permissions, grant, StepChoice(step, None))) is not None
        }
        views = None if grants is None else [GrantView(raw, grant.now) for raw in grants if listable(raw, grant.now)]
        histories = RequestHistories() if policies is None or grant.ended else self._histories(grant, policies)
        signed = any(review.get("signature") for review in grant.reviews)
        keys = read_enrolled_keys(self.cluster, self.installation, self.registrars) if signed else UNREAD_KEYS
        return PageContext(self.me, views, policies, missing, unread, histories, keys)

    def _histories(self, grant: GrantView, policies: list[Object]) -> RequestHistories:
        """Return the histories of the call, and their objects as far as the person may read them."""
        found = RequestHistories(request_histories(grant, policies))
        objects: dict[str, Object | None] = {}
        unread: dict[str, str] = {}
        for name in found.names:
            try:
                objects[name] = self.cluster.get(histories_path(grant.namespace, name))
            except ApiError as error:
                if error.status == HTTPStatus.UNAUTHORIZED:
                    raise
                if error.status == HTTPStatus.NOT_FOUND:
                    objects[name] = None
                else:
                    forbidden = error.status == HTTPStatus.FORBIDDEN
                    unread[name] = unread_object(grant.namespace) if forbidden else str(error)
        return RequestHistories(found.entries, objects, unread)

    def _try_list(self, what: str, path: str, unread: dict[str, str]) -> list[Object] | None:
        try:
            items, _ = self.cluster.list_all(path)
        except UserError as error:
            # Too long or too slow as well: a full namespace keeps no reviewer from denying a request.
            resource = ENDPOINT_POLICIES if what == "policies" else APPROVAL_GRANTS
            unread[what] = reviews.unread_reason(resource, error)
            return None
        return items

    def _lacking(self, permissions: Permissions, *verbs: str) -> tuple[str, ...]:
        where = "all namespaces" if self.namespace is None else f"namespace {visible(self.namespace)}"
        return tuple(
            f"the verb {verb} on {APPROVAL_GRANTS} in {where}"
            for verb in verbs
            if not permissions.may(verb, self.namespace or "", "", APPROVAL_GRANTS)
        )


def _another(namespace: str, name: str) -> str:
    return (
        f"the link is to a grant {visible(name)} in {visible(namespace)} that is not there any more. Another request"
        " has its name now"
    )


def _gone(namespace: str, name: str) -> str:
    return (
        f"there is no grant {visible(name)} in {visible(namespace)}, or not any more: a grant that has ended is deleted"
        " after a while, and the operator's ledger says how it ended"
    )
