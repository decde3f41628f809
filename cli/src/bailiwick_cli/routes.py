"""Indirect routes: who could change an answer, approve for it or pass for who does, or act as an account of it.

Standing: beside `people`; for `who-can` of a cluster. Holds: whom role bindings name is only a candidate, and what they
may the API server says (SubjectAccessReview), never a reading of roles; what could not be asked is named. The questions
have a bound.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli import output
from bailiwick_engine import keys
from bailiwick_engine.approval.display import visible
from bailiwick_governance import markdown
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from bailiwick_kube.paths import object_path
from bailiwick_regions.rights.answers import AccessRow

MOST_REVIEWS: Final = 2_000
_MOST_ACCOUNTS: Final = 10
_MOST_REVIEWERS: Final = 20
_NO_NAMESPACE: Final = ""
_APPROVING: Final = "approve for the policy "
_USER: Final = "user "
_GROUP: Final = "group "
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_REVIEWS: Final = object_path("authorization.k8s.io/v1", "subjectaccessreviews")
_WRITING: Final = ("create", "update", "patch", "delete")
# Of one object by its name: what is created has none yet when it is authorized.
_CHANGING: Final = ("update", "patch", "delete")
_ANYBODY: Final = "system:authenticated"
_STRANGERS: Final = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class IndirectRoute:
    """One route. `who` is `user NAME`, `group NAME` or `sa:NAMESPACE/NAME`."""

    who: str
    can: str


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What was found, and what could not be asked."""

    found: tuple[IndirectRoute, ...] = ()
    notes: tuple[str, ...] = ()

    def objects(self) -> dict[str, object]:
        """Return all of it for JSON."""
        routes = [{"who": one.who, "can": one.can} for one in self.found]
        return {"routes": routes, "notAsked": list(self.notes)}

    def markdown(self) -> str:
        """Return a table of Markdown; nothing where nothing was found."""
        rows = [(visible(one.who), visible(one.can)) for one in self.found]
        return "\n".join(("", *markdown.table(("indirectly", "can"), rows), "")) if rows else ""

    def write(self) -> None:
        """Print a table."""
        if self.found:
            output.write([[("", "")]])
            output.Table(("INDIRECTLY", "CAN")).add(
                [[(visible(one.who), ""), (visible(one.can), "")] for one in self.found]
            )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Somebody whom a binding names, as a review names them."""

    label: str
    user: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    """What opens a route. All of `asked` must be allowed, of each any verb: verb, resource, part and name.

    `namespace` is empty for what is in none. `within`: the route of which this one is a part; who has that one is
    not asked.
    """

    can: str
    namespace: str
    asked: tuple[tuple[tuple[str, ...], Mapping[str, str]], ...]
    within: str = ""


def indirect_routes(
    cluster: ClusterClient, rows: Iterable[AccessRow], policies: Iterable[str], *, limit: int = MOST_REVIEWS
) -> RouteReport:
    """Ask the API server who could change this answer of these policies. `limit`: at most so many reviews."""
    listed = [row for row in rows if row.way is not None]
    search = _RouteSearch(cluster, limit)
    if search.ask(
        [*_questions(cluster.namespace, listed, search.notes), *_questions_of_names(cluster.namespace, policies)]
    ):
        # Only then is known whom the API server lets approve.
        search.ask(list(_as_reviewers(listed, search.found, search.notes)))
    return RouteReport(tuple(dict.fromkeys(search.found)), tuple(dict.fromkeys(search.notes)))


class _RouteSearch:
    """Asks questions about everybody whom bindings name, and keeps what was found and what could not be asked."""

    def __init__(self, cluster: ClusterClient, limit: int) -> None:
        self.found: list[IndirectRoute] = []
        self.notes: list[str] = []
        self._cluster = cluster
        self._limit = limit
        self._reviews = _Reviews(cluster, limit)

    def ask(self, questions: Sequence[_Question]) -> bool:
        """Return whether more can be asked."""
        asked = [
            (candidate, question)
            for question in questions
            for candidate in _candidates(self._cluster, question.namespace, self.notes)
        ]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        shown = Console(file=sys.stderr)
        with Progress(*columns, console=shown, disable=not sys.stderr.isatty(), transient=True) as progress:
            for candidate, question in progress.track(asked, description="Asking who could change this"):
                if question.within and IndirectRoute(candidate.label, question.within) in self.found:
                    continue
                try:
                    allowed = self._reviews.allow(candidate, question)
                except ApiError as error:
                    self.found.clear()
                    self.notes.append(
                        f"indirect routes are not listed, because the API server does not say what others may: {error}"
                    )
                    return False
                if allowed is None:
                    self.notes.append(
                        f"not all indirect routes were asked about: there are more than {self._limit} questions"
                    )
                    return False
                if allowed:
                    self.found.append(IndirectRoute(candidate.label, question.can))
        return True


def _questions(namespace: str, rows: Sequence[AccessRow], notes: list[str]) -> Iterator[_Question]:
    yield _Question(_all_of(namespace), namespace, ((_WRITING, _attributes(ENDPOINT_POLICIES)),))
    for policy in sorted({step.policy for step in _steps(rows)}):
        both = ((("approve",), _attributes(ENDPOINT_POLICIES, policy)), (("patch",), _attributes(APPROVAL_GRANTS)))
        yield _Question(f"{_APPROVING}{policy}", namespace, both)
    accounts = [account for row in rows for part in row.parts for key in part if (account := _account(key))]
    known = list(dict.fromkeys(accounts))
    if len(known) > _MOST_ACCOUNTS:
        notes.append(f"who could act as a service account was asked of the first {_MOST_ACCOUNTS} of {len(known)}")
    for account in known[:_MOST_ACCOUNTS]:
        within, name = account.namespace, account.name
        plain = {"resource": "serviceaccounts", "name": name}
        token = {**plain, "subresource": "token"}
        yield _Question(f"create tokens of {account.short}", within, ((("create",), token),))
        yield _Question(f"impersonate {account.short}", within, ((("impersonate",), plain),))
        yield _Question(f"run pods as {account.short}", within, ((("create",), {"resource": "pods"}),))


def _steps(rows: Iterable[AccessRow]) -> list[GrantStep]:
    return [step for row in rows if row.way and row.way.gate for step in row.way.gate.steps]


def _as_reviewers(rows: Iterable[AccessRow], found: Iterable[IndirectRoute], notes: list[str]) -> Iterator[_Question]:
    """Yield who could pass for a reviewer: for a group of a step, and for those who may approve by name or by group."""
    steps = _steps(rows)
    if not steps:
        return
    reviewers = [f"{_GROUP}{name}" for name in sorted({name for step in steps for name in step.groups or ()})]
    reviewers += [one.who for one in found if one.can.startswith(_APPROVING) and one.who.startswith((_GROUP, _USER))]
    known = list(dict.fromkeys(reviewers))
    if len(known) > _MOST_REVIEWERS:
        notes.append(f"who could impersonate a reviewer was asked of the first {_MOST_REVIEWERS} of {len(known)}")
    for who in known[:_MOST_REVIEWERS]:
        kind, _, name = who.partition(" ")
        asked = ((("impersonate",), {"resource": f"{kind}s", "name": name}),)
        yield _Question(f"impersonate the {who}", _NO_NAMESPACE, asked)


def _questions_of_names(namespace: str, policies: Iterable[str]) -> Iterator[_Question]:
    """Yield what a role opens that names objects (`resourceNames`): it says nothing of all of them."""
    for policy in policies:
        asked = ((_CHANGING, _attributes(ENDPOINT_POLICIES, policy)),)
        yield _Question(f"change the policy {policy}", namespace, asked, _all_of(namespace))


def _all_of(namespace: str) -> str:
    return f"change the policies of {namespace}"


def _account(key: keys.Key) -> ServiceAccountName | None:
    kind, *parts = keys.key_parts(key)
    return ServiceAccountName.parse(parts[0]) if kind == keys.SERVICE_ACCOUNT else None


def _attributes(resource: str, name: str = "") -> dict[str, str]:
    return {"group": GROUP, "resource": resource, **({"name": name} if name else {})}


def _candidates(cluster: ClusterClient, namespace: str, notes: list[str]) -> list[_Candidate]:
    """Return whom the bindings name that count in a namespace, or where there is none."""
    found: dict[_Candidate, None] = {}
    of_namespace = (("rolebindings", namespace),) if namespace else ()
    for kind, within in (("clusterrolebindings", None), *of_namespace):
        try:
            items, _ = cluster.list_all(object_path(_RBAC, kind, within))
        except ApiError as error:
            notes.append(f"subjects named only by {kind} are left out: {error}")
            continue
        for item in items:
            for subject in item.get("subjects") or ():
                found[_candidate(subject, item["metadata"].get("namespace", ""))] = None
    return list(found)


def _candidate(subject: Mapping[str, Any], namespace: str) -> _Candidate:
    name = str(subject.get("name", ""))
    if subject.get("kind") == "Group":
        # Members of a group are authenticated, except those of the group of the unauthenticated.
        more = () if name in {_ANYBODY, _STRANGERS} else (_ANYBODY,)
        return _Candidate(f"{_GROUP}{name}", "", (name, *more))
    account = ServiceAccountName.parse(name)
    if subject.get("kind") == "ServiceAccount":
        account = ServiceAccountName(str(subject.get("namespace") or namespace), name)
    if account is None:
        return _Candidate(f"{_USER}{name}", name, (_ANYBODY,))
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", _ANYBODY)
    return _Candidate(account.short, account.username, groups)


class _Reviews:
    """SubjectAccessReviews, so many and no more; the same one is asked once."""

    def __init__(self, cluster: ClusterClient, left: int) -> None:
        self._cluster = cluster
        self._left = left
        self._known: dict[object, bool] = {}

    def allow(self, candidate: _Candidate, question: _Question) -> bool | None:
        """Tell whether somebody may do all of it; None where there are no reviews left."""
        for verbs, attributes in question.asked:
            allowed: bool | None = False
            for verb in verbs:
                place = {"namespace": question.namespace} if question.namespace else {}
                allowed = self._may(candidate, {**place, "verb": verb, **attributes})
                if allowed is not False:
                    break
            if not allowed:
                return allowed
        return True

    def _may(self, candidate: _Candidate, attributes: Mapping[str, str]) -> bool | None:
        key = (candidate, tuple(sorted(attributes.items())))
        if key not in self._known:
            if self._left <= 0:
                return None
            self._left -= 1
            spec: dict[str, object] = {"groups": list(candidate.groups), "resourceAttributes": dict(attributes)}
            if candidate.user:
                spec["user"] = candidate.user
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            self._known[key] = self._cluster.create(_REVIEWS, body)["status"].get("allowed") is True
        return self._known[key]
