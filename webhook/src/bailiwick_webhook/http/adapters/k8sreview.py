"""What the API server asks about, as action and resource: shared by `/authorize` and `/admission/enforce`.

Holds: both say the same of one call, so that one rule speaks of it in both; the endpoint is that of the object's
namespace, under a name that is the same in all; our own objects, namespace and accounts have no endpoint. Of a call
that no policy speaks of, it does not matter whose it is, so the user is read last.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.usernames import LONGEST_USERNAME
from bailiwick_engine.call import Resource
from bailiwick_engine.compile.kubenames import ENDPOINT
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.adapters.k8snames import CallTarget
from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.identity.apiuser import ReviewedUser

_USUAL: Final = Installation()
_LONGEST: Final = 253


class ReviewedCall(NamedTuple):
    """What is about to be done, to what. `group` is as the API server says it."""

    target: CallTarget
    namespace: str
    group: str

    @property
    def resource(self) -> Resource:
        """The resource that is asked about."""
        properties = {"namespace": self.namespace, **self.target.properties}
        return Resource(self.target.type, self.target.name, properties)


class ProtectedNamespaces:
    """Which namespaces have the endpoint of the API server's calls. `endpoint` is its name in each of them."""

    def __init__(self, endpoint: str = ENDPOINT, installation: Installation = _USUAL) -> None:
        self.endpoint = endpoint
        self._namespace = installation.namespace
        self._ours = frozenset((installation.webhook, installation.operator))

    def spared(self, call: ReviewedCall) -> bool:
        """Tell whether a call is about our own objects or namespace: nothing locks anybody out of them."""
        return call.group == GROUP or call.namespace == self._namespace

    def is_ours(self, user: ReviewedUser) -> bool:
        """Tell whether it is one of our own accounts: nothing locks them out."""
        return user.username in self._ours

    def of(self, namespace: str) -> Tenant:
        """Return whose endpoint speaks of a namespace."""
        return Tenant(namespace, self.endpoint)

    def protected(self, snapshot: Snapshot, namespace: str) -> bool:
        """Tell whether any policy speaks for the endpoint of a namespace, also one that cannot be read."""
        return self.of(namespace) in snapshot.endpoints or namespace in snapshot.unreadable


def user_of(said: Mapping[str, Any], name: str, path: str) -> ReviewedUser:
    """Read whom a review is about; `name` is the member that holds the username. Raises `ProblemError` (400)."""
    username, uid = (text(said, member_, path, LONGEST_USERNAME) for member_ in (name, "uid"))
    groups = said.get("groups")
    # Nothing else stands for no groups: what was too long to be read must not.
    groups = [] if groups is None else groups
    if not username or not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise bad_request("must name a user and a list of groups", path)
    return ReviewedUser(username, uid, tuple(groups))


def member(said: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    """Return a member that must be an object. Raises `ProblemError` (400)."""
    found = said.get(name)
    if not isinstance(found, dict):
        raise bad_request("must be an object", f"{path}.{name}".lstrip("."))
    return found


def text(said: Mapping[str, Any], name: str, path: str, most: int = _LONGEST) -> str:
    """Return a member that must be a string where it is there; else "". Raises `ProblemError` (400)."""
    found = said.get(name)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > most:
        raise bad_request(f"must be a string of at most {most} characters", f"{path}.{name}".lstrip("."))
    return found


def explained(call: ReviewedCall, reason: Reason, sentence: str) -> str:
    """Return the sentence of a denial, and what to do where the call could not be read in one way."""
    unclear = call.target.unclear if reason is Reason.AMBIGUOUS_REQUEST else None
    return sentence if unclear is None else f"{sentence} {unclear}"


def reason_of(problem: ProblemError) -> str:
    """Return the reason code of a question that came to no decision."""
    return str(problem.more.get("reason", problem.kind.replace("-", "_")))
