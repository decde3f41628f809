"""What an administrator with kubectl can no longer do where the guards are kept, by any verb and as any account.

Holds: each account has every right of RBAC (`system:masters`), so what is refused is refused by keep. After each
attack, all that is kept is as it was: uid, generation and spec.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import crds
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD, OUR_CRDS
from bailiwick_api.manifests.definitionguard import DEFINITIONS
from bailiwick_api.manifests.guards import NAMES, REVIEW
from bailiwick_api.manifests.keep import DECIDING_ROUTES, KEEP, KEEP_PROBE, keep_binding, keep_documents, keep_probe
from bailiwick_engine.approval import apiroutes
from bailiwick_engine.approval.definitions import intrusions
from bailiwick_engine.approval.fingerprint import deviations, fingerprint, paths, shipped_fingerprint
from localcluster import build
from localcluster.controlplane import ControlPlane, Settings
from localcluster.rest import CONTENT_TYPES, Answer, Object, Rest
from support.callers import Callers
from support.guards.definitions import OwnDefinition, other_definition, second_definition
from support.guards.sabotage import ADMISSION, OPENING, OTHER, Guards, change, routes
from support.installation import MANAGER, accepted, apply, await_served
from support.keepfolder import KeepFolder
from support.objects import changed
from support.waits import until, until_ok

CHANGE: Final = "only who can write the API server's disk can change or delete this"
FOREIGN: Final = "the group bailiwick.dev is reserved: no other definition than Bailiwick's can be part of it"
OWN_NAMES: Final = "a definition of the group bailiwick.dev can be served by no other names than those of its spec"
REDIRECT: Final = "only who can write the API server's disk can send this API group to another server"
REFUSED: Final = f"ValidatingAdmissionPolicy '{KEEP}' with binding '{keep_binding()}' denied request: "
ACCOUNTS: Final = {
    "an administrator": "",
    "the API server": "system:apiserver",
    "the controller manager": "system:kube-controller-manager",
    "the garbage collector": "system:serviceaccount:kube-system:generic-garbage-collector",
    "the namespace controller": "system:serviceaccount:kube-system:namespace-controller",
    "the operator": Installation().operator,
    "a node": "system:node:control-plane",
}
# The others are refused by the same expression, which looks at no account.
_QUICK: Final = ("an administrator", "the API server")
POLICIES: Final = f"{ADMISSION}/validatingadmissionpolicies"
BINDINGS: Final = f"{ADMISSION}/validatingadmissionpolicybindings"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KEPT: Final = (
    *(f"{place}/{name}" for name in NAMES for place in (POLICIES, BINDINGS)),
    *(f"{CRDS}/{name}" for name in OUR_CRDS),
)
Sent = Object | Sequence[Object] | None
SERVICE: Final = {"service": {"name": "elsewhere", "namespace": "default", "port": 443}, "insecureSkipTLSVerify": True}


class Impersonator:
    """The administrator, acting as another account that is in `system:masters` too."""

    def __init__(self, admin: Rest, username: str) -> None:
        self._admin = admin
        self._as = {"Impersonate-User": username, "Impersonate-Group": "system:masters"} if username else {}

    def __call__(
        self, method: str, path: str, body: Sent = None, media: str = "application/json", **query: str
    ) -> Answer:
        headers = {"Content-Type": media, **self._as}
        return self._admin.request(method, path, body=body, parameters=query, headers=headers)

    def patch(self, kind: str, path: str, body: Sent, **query: str) -> Answer:
        return self("PATCH", path, body, CONTENT_TYPES[kind], **query)


def loosened(path: str) -> tuple[str, Any]:
    """Return a field of the spec, by its path below it, and a value that changes it."""
    if path.startswith(POLICIES):
        return "failurePolicy", "Ignore"
    if path.startswith(BINDINGS):
        return "validationActions", ["Audit"]
    return "names/shortNames", ["x"]


def _merge(path: str) -> Object:
    field, value = loosened(path)
    for part in reversed(field.split("/")):
        value = {part: value}
    return {"spec": value}


def _changed_body(who: Impersonator, path: str) -> Object:
    field, value = loosened(path)
    return changed(accepted(who("GET", path)), f"spec.{field.replace('/', '.')}", value)


def _applied(who: Impersonator, path: str) -> Answer:
    """Take everything over under another manager, as `kubectl apply --force-conflicts` does, and change it."""
    body = _changed_body(who, path)
    kept = {key: body[key] for key in ("apiVersion", "kind", "spec")}
    name = {"metadata": {"name": body["metadata"]["name"]}}
    return who.patch("apply", path, {**kept, **name}, fieldManager="mallory", force="true")


def _owned(who: Impersonator, path: str) -> Answer:
    """Give it an owner that is not there, so that the garbage collector deletes it."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0c4d9b9e-0000-4000-8000-000000000000"}
    return who.patch("merge", path, {"metadata": {"ownerReferences": [owner]}})


VERBS: Final[dict[str, Callable[[Impersonator, str], Answer]]] = {
    "update": lambda who, path: who("PUT", path, _changed_body(who, path)),
    "JSON patch": lambda who, path: who.patch(
        "json", path, [{"op": "replace", "path": f"/spec/{loosened(path)[0]}", "value": loosened(path)[1]}]
    ),
    "merge patch": lambda who, path: who.patch("merge", path, _merge(path)),
    "strategic merge patch": lambda who, path: who.patch("strategic", path, _merge(path)),
    "apply by another manager": _applied,
    "an owner that is gone": _owned,
    "a finalizer": lambda who, path: who.patch("merge", path, {"metadata": {"finalizers": ["example.com/hold"]}}),
    "delete": lambda who, path: who("DELETE", path),
    "delete in the background": lambda who, path: who("DELETE", path, propagationPolicy="Background"),
    "delete with orphans": lambda who, path: who("DELETE", path, propagationPolicy="Orphan"),
    "delete at once": lambda who, path: who("DELETE", path, gracePeriodSeconds="0"),
    "delete the collection": lambda who, path: who(
        "DELETE", path.rpartition("/")[0], fieldSelector=f"metadata.name={path.rpartition('/')[2]}"
    ),
}


def kept(admin: Rest, installed: Installation) -> str:
    """Return what is kept, by uid, generation and spec."""
    objects = [accepted(admin.get(path)) for path in paths(installed)]
    assert deviations(objects, installed) == ()
    assert intrusions(_definitions(admin)) == ()
    for document in objects:
        # Labels may change, and with them the version of a definition.
        document["metadata"]["resourceVersion"] = str(document["metadata"]["generation"])
    return fingerprint(objects)


def _definitions(admin: Rest) -> list[str]:
    return [item["metadata"]["name"] for item in accepted(admin.get(CRDS))["items"]]


@pytest.fixture
def lifted() -> list[str]:
    """The guards that a test lifts while keep is away, and puts back: that leaves a trace."""
    return []


@pytest.fixture
def untouched(callers: Callers, installed: Installation, lifted: list[str]) -> Iterator[None]:
    before = kept(callers.admin, installed)
    yield
    assert (kept(callers.admin, installed) == before) is (lifted == [])
    assert apiroutes.redirections(routes(callers.admin)) == ()


@pytest.fixture(
    params=[*_QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in ACCOUNTS if name not in _QUICK)]
)
def who(request: pytest.FixtureRequest, callers: Callers) -> Impersonator:
    return Impersonator(callers.admin, ACCOUNTS[request.param])


pytestmark = pytest.mark.usefixtures("untouched")


@pytest.mark.invariant(26)
@pytest.mark.parametrize("verb", VERBS)
def test_no_account_changes_or_deletes_what_is_kept_by_any_verb(verb: str, who: Impersonator) -> None:
    for path in KEPT:
        if verb == "strategic merge patch" and path.startswith(CRDS):
            continue
        answer = VERBS[verb](who, path)
        assert (answer.status, answer.message.partition(" is forbidden: ")[2]) == (403, REFUSED + CHANGE), path


@pytest.mark.invariant(26)
@pytest.mark.parametrize("how", [*OPENING, *OTHER])
def test_no_way_out_of_force_is_left_to_an_administrator(how: str, callers: Callers) -> None:
    with pytest.raises(AssertionError, match=CHANGE):
        (OPENING | OTHER)[how](callers.admin)


@pytest.mark.invariant(26)
def test_no_account_empties_a_collection_of_what_is_kept(who: Impersonator) -> None:
    for place in (POLICIES, BINDINGS, CRDS):
        names = ",".join(
            f"metadata.name!={name}" for name in ("endpointpolicies.bailiwick.dev", "endpointdata.bailiwick.dev")
        )
        answer = who("DELETE", place, fieldSelector=names)
        assert CHANGE in answer.message


@pytest.mark.invariant(26)
@pytest.mark.parametrize("name", [*DECIDING_ROUTES, "v9.bailiwick.dev"])
def test_no_account_sends_a_group_that_decides_to_another_server(name: str, who: Impersonator) -> None:
    path = f"{apiroutes.PATH}/{name}"
    version, _, group = name.partition(".")
    spec = {**SERVICE, "group": group, "version": version, "groupPriorityMinimum": 1000, "versionPriority": 1000}
    body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec}
    change = {"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": None}}, "spec": SERVICE}
    answers = [who.patch("apply", path, body, fieldManager="mallory", force="true")]
    if (stored := who("GET", path)).ok:
        answers += [
            who.patch("merge", path, change),
            who.patch("json", path, [{"op": "add", "path": "/spec/service", "value": SERVICE["service"]}]),
            who("PUT", path, {**stored.body, "spec": {**stored.body["spec"], **SERVICE}}),
        ]
    else:
        answers.append(who("POST", apiroutes.PATH, body))
    assert [answer.message.partition(" is forbidden: ")[2] for answer in answers] == [REFUSED + REDIRECT] * len(answers)


@pytest.mark.invariant(26)
def test_no_account_adds_a_definition_to_the_group(who: Impersonator) -> None:
    body = second_definition()
    answers = [
        who("POST", CRDS, body),
        who.patch("apply", f"{CRDS}/{body['metadata']['name']}", body, fieldManager="mallory", force="true"),
    ]
    assert [answer.message.partition(" is forbidden: ")[2] for answer in answers] == [REFUSED + FOREIGN] * 2


@pytest.mark.invariant(26)
@pytest.mark.parametrize("name", OUR_CRDS)
@pytest.mark.parametrize("field", ["plural", "singular", "kind", "listKind", "shortNames"])
def test_no_account_gives_a_definition_of_the_group_other_names(name: str, field: str, who: Impersonator) -> None:
    path = f"{CRDS}/{name}/status"
    values: tuple[object, ...] = (["foos"],) if field == "shortNames" else ("foos", "Foos", "", None)
    answers = []
    for value in values:
        names = {**accepted(who("GET", path))["status"]["acceptedNames"], field: value}
        answers += [
            who.patch("merge", path, {"status": {"acceptedNames": {field: value}}}),
            who("PUT", path, changed(accepted(who("GET", path)), "status.acceptedNames", names)),
        ]
    refused = [answer.message.partition(" is forbidden: ")[2] for answer in answers]
    # Without a plural or kind the API server refuses it for its own reasons first, or keep does.
    assert set(refused) <= {REFUSED + OWN_NAMES, ""}
    assert not any(answer.ok for answer in answers)
    answer = who.patch("merge", path, {"status": {"acceptedNames": None}})
    assert not answer.ok


def test_definitions_of_other_groups_are_theirs(callers: Callers) -> None:
    body = second_definition()
    body["spec"]["group"] = "sub.bailiwick.dev"
    body["metadata"]["name"] = "evils.sub.bailiwick.dev"
    accepted(callers.admin.create(body))
    path = f"{CRDS}/{body['metadata']['name']}"
    until(lambda: accepted(callers.admin.get(path))["status"].get("acceptedNames"), "its names are accepted")
    accepted(callers.admin.patch(path, {"status": {"acceptedNames": {"shortNames": ["x"]}}}, "merge", "status"))
    accepted(callers.admin.delete(path))


def test_a_group_that_is_deleted_comes_back_as_the_api_servers_own(callers: Callers) -> None:
    accepted(callers.admin.delete(f"{apiroutes.PATH}/{apiroutes.GRANTS_ROUTE}"))
    until_ok(lambda: callers.admin.get(f"{apiroutes.PATH}/{apiroutes.GRANTS_ROUTE}"), "the group is there again")


def test_groups_of_others_go_where_they_are_sent(callers: Callers) -> None:
    for name in ("v1.metrics.example.com", "v1.sub.bailiwick.dev"):
        version, _, group = name.partition(".")
        spec = {**SERVICE, "group": group, "version": version, "groupPriorityMinimum": 1000, "versionPriority": 1000}
        body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
        accepted(callers.admin.create({**body, "spec": spec}, dry_run=True))


def test_status_is_still_written(callers: Callers) -> None:
    now = "2026-11-30T12:00:00Z"
    entry = {"type": "Checked", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": now}
    for path in (f"{POLICIES}/{REVIEW}", f"{CRDS}/{APPROVAL_GRANTS_CRD}"):
        stored = accepted(callers.admin.get(path))
        conditions = [*(stored.get("status", {}).get("conditions") or ()), entry]
        accepted(callers.admin.patch(path, {"status": {"conditions": conditions}}, "merge", "status", dry_run=True))


def test_a_tool_that_syncs_what_is_unchanged_is_let_through(callers: Callers, installed: Installation) -> None:
    for document in shipped_fingerprint(installed):
        accepted(callers.admin.apply(document, "argocd", force=True))
        labelled = {**document, "metadata": {**document["metadata"], "labels": {"helm.sh/chart": "bailiwick-9"}}}
        accepted(callers.admin.apply(labelled, "argocd", force=True))
        accepted(callers.admin.apply(document, "argocd", force=True))
    apply(callers.admin, [dict(document) for document in shipped_fingerprint(installed)])


def test_policies_and_definitions_of_others_are_theirs(callers: Callers) -> None:
    other = copy.deepcopy(keep_documents()[0]) | {"metadata": {"name": "somebody-elses"}}
    accepted(callers.admin.create(other))
    change(callers.admin, f"{POLICIES}/somebody-elses", {"failurePolicy": "Ignore"})
    accepted(callers.admin.delete(f"{POLICIES}/somebody-elses"))
    accepted(callers.admin.create(keep_probe() | {"metadata": {"name": "somebody-elses"}}))
    accepted(callers.admin.delete(f"{BINDINGS}/somebody-elses"))


def test_names_of_the_disk_cannot_be_made_by_the_api_nor_seen_there(callers: Callers) -> None:
    for document, place in zip(keep_documents(), (POLICIES, BINDINGS), strict=True):
        assert callers.admin.get(f"{place}/{document['metadata']['name']}").status == 404
        assert 'names ending with ".static.k8s.io" are reserved' in callers.admin.create(document).message
        answer = callers.admin.apply(document, MANAGER, force=True)
        assert 'names ending with ".static.k8s.io" are reserved' in answer.message


def test_the_probe_is_never_stored(who: Impersonator) -> None:
    for answer in (
        who("POST", BINDINGS, keep_probe()),
        who.patch("apply", f"{BINDINGS}/{KEEP_PROBE}", keep_probe(), fieldManager="x", force="true"),
    ):
        assert answer.status == 403
        assert REFUSED in answer.message


class TestOnTheDisk:
    def loosens(self, callers: Callers) -> Answer:
        return callers.admin.patch(f"{BINDINGS}/{REVIEW}", {"spec": {"validationActions": ["Audit"]}}, dry_run=True)

    def test_keep_is_in_force_as_soon_as_a_restarted_server_serves(self, plane: ControlPlane, callers: Callers) -> None:
        plane.restart_apiserver()
        assert CHANGE in self.loosens(callers).message

    def test_a_definition_of_others_that_was_there_before_can_still_be_deleted(
        self, keep_folder: KeepFolder, callers: Callers, lifted: list[str]
    ) -> None:
        body = other_definition("evils", "Evil")
        path = f"{CRDS}/{body['metadata']['name']}"
        guards = Guards(callers, Installation())
        keep_folder.take_away()
        try:
            until(lambda: CHANGE not in self.loosens(callers).message, "keep is out of force", 90)
            guards.loosen(DEFINITIONS)
            lifted.append(DEFINITIONS)
            until(lambda: callers.admin.create(body).status in {201, 409}, "it is created", 90)
            until(lambda: accepted(callers.admin.get(path))["status"].get("acceptedNames"), "its names are accepted")
            guards.tighten(DEFINITIONS)
        finally:
            keep_folder.put()
            until(lambda: CHANGE in self.loosens(callers).message, "the guards are kept again", 90)
        assert FOREIGN in callers.admin.patch(path, {"spec": {"names": {"shortNames": ["x"]}}}, "merge").message
        names = {"acceptedNames": {"plural": "approvalgrants"}}
        assert OWN_NAMES in callers.admin.patch(path, {"status": names}, "merge", "status").message
        accepted(callers.admin.delete(path))
        until(lambda: callers.admin.get(path).status == 404, "it is gone", 30)

    def test_a_broken_file_leaves_the_last_one_in_force(self, keep_folder: KeepFolder, callers: Callers) -> None:
        shipped = keep_folder.file.read_text()
        keep_folder.put(shipped.replace("failurePolicy: Fail", "failurePolicy: Perhaps"))
        reloads = 0.0

        def failures() -> float:
            text = callers.admin.request("GET", "/metrics").text
            lines = [
                line
                for line in text.splitlines()
                if "manifest" in line and "failure" in line and not line.startswith("#")
            ]
            return sum(float(line.rpartition(" ")[2]) for line in lines)

        try:
            until(lambda: failures() > reloads, "the API server has read the broken file", 90)
            assert CHANGE in self.loosens(callers).message
        finally:
            keep_folder.put(shipped)

    def test_an_upgrade_moves_the_file_away_and_puts_it_back(self, keep_folder: KeepFolder, callers: Callers) -> None:
        keep_folder.take_away()
        try:
            until_ok(lambda: self.loosens(callers), "a guard can be changed", 90)
        finally:
            keep_folder.put()
            until(lambda: CHANGE in self.loosens(callers).message, "the guards are kept again", 90)


@pytest.mark.invariant(26)
def test_a_definition_that_led_elsewhere_before_it_was_kept_can_only_be_repaired(
    tmp_path: Path,
) -> None:
    folder = KeepFolder(tmp_path)
    with (
        ControlPlane(build.ensure(), settings=Settings(apiserver_flags=folder.flags)) as plane,
        Callers(plane.cluster) as callers,
    ):
        admin = callers.admin
        apply(admin, [dict(one) for one in crds.group_definitions()])
        for one in crds.group_definitions():
            await_served(admin, dict(one))
        definition = OwnDefinition(admin)
        definition.point_at_grants()
        folder.put()
        until(lambda: CHANGE in admin.delete(f"{CRDS}/{APPROVAL_GRANTS_CRD}", dry_run=True).message, "it is kept", 120)
        refused = [definition.delete(), definition.change_status(), definition.redirect()]
        assert CHANGE in refused[0].message
        assert [OWN_NAMES in answer.message for answer in refused[1:]] == [True, True]
        accepted(definition.repair())
