"""The guard as the decision point sees it: proven only while everything is as the operator last proved it."""

import copy
from typing import Any, Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_KEYS_ENTRY, Installation
from bailiwick_api.manifests import guards, historyguards
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD, OUR_CRDS
from bailiwick_engine.approval.apiroutes import GRANTS_ROUTE, REQUIRED
from bailiwick_engine.approval.fingerprint import fingerprint, shipped_fingerprint
from bailiwick_webhook.store.guard import GuardObjects, GuardWatch
from support.guards.shippedobjects import as_stored
from support.objects import Object

POLICIES, BINDINGS, PROOF, ROUTES, RULES, DEFINITION, DATA, HISTORIES, REVOCATIONS, FOREIGN = range(10)
DEFINITIONS: Final = (RULES, DEFINITION, DATA, HISTORIES, REVOCATIONS)
INSTALLATION: Final = Installation()
KINDS: Final = {
    POLICIES: "ValidatingAdmissionPolicy",
    BINDINGS: "ValidatingAdmissionPolicyBinding",
    RULES: "CustomResourceDefinition",
    DEFINITION: "CustomResourceDefinition",
    DATA: "CustomResourceDefinition",
    HISTORIES: "CustomResourceDefinition",
    REVOCATIONS: "CustomResourceDefinition",
    FOREIGN: "CustomResourceDefinition",
    ROUTES: "APIService",
}


class Bench:
    """The guard, fed as the list-watches feed it: without kinds in lists, with all that stands in the API server."""

    def __init__(self) -> None:
        self.guard = GuardWatch(INSTALLATION)
        shipped = enumerate(shipped_fingerprint(INSTALLATION))
        self.objects = [as_stored(document, f"uid-{number}") for number, document in shipped]
        for name in REQUIRED:
            metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
            self.objects.append({"kind": "APIService", "metadata": metadata, "spec": {"group": name}})
        self.proof = fingerprint(self.objects)

    def sink(self, which: int) -> GuardObjects:
        return self.guard.collections()[which][1]

    def list_all(self) -> None:
        for which, kind in KINDS.items():
            found = [document for document in self.objects if document["kind"] == kind]
            self.sink(which).replace(
                {("", document["metadata"]["name"]): _without_kind(document) for document in found}
            )
        self.prove(self.proof)

    def prove(self, recorded: str, **more: str) -> None:
        proof = {"metadata": {"name": GUARD_CONFIG_MAP}, "data": {"fingerprint": recorded, **more}}
        self.sink(PROOF).replace({(INSTALLATION.namespace, GUARD_CONFIG_MAP): proof})

    def stored(self, which: int, name: str) -> Object:
        kind = KINDS[which]
        return next(
            copy.deepcopy(document)
            for document in self.objects
            if (document["kind"], document["metadata"]["name"]) == (kind, name)
        )

    def event(self, which: int, kind: str, document: Object) -> None:
        self.sink(which).apply(kind, ("", document["metadata"]["name"]), document)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.list_all()
    return bench


def _without_kind(document: Object) -> Object:
    return {key: value for key, value in document.items() if key not in {"kind", "apiVersion"}}


def test_it_is_proven_while_everything_is_as_recorded(bench: Bench) -> None:
    assert (bench.guard.proven, bench.guard.why) == (True, "")


def test_it_tells_which_grants_are_void_by_name(bench: Bench) -> None:
    assert len(bench.guard.void) == 0
    bench.prove(bench.proof, void="crm/agr-a uid-1\nhr/*")
    assert bench.guard.proven
    held = [bench.guard.void.holds(*one) for one in (("crm", "uid-1"), ("crm", "uid-2"), ("hr", "uid-3"))]
    assert held == [True, False, True]


def test_a_list_that_cannot_be_read_proves_nothing(bench: Bench) -> None:
    bench.prove(bench.proof, void="everything")
    assert (bench.guard.proven, "cannot be read" in bench.guard.why) == (False, True)
    bench.prove(bench.proof, void="")
    assert bench.guard.proven


def test_it_is_not_proven_before_everything_was_read() -> None:
    bench = Bench()
    assert bench.guard.proven is False
    bench.prove(bench.proof)
    assert bench.guard.proven is False


@pytest.mark.parametrize("which", [POLICIES, BINDINGS, RULES, DEFINITION, DATA, HISTORIES, REVOCATIONS, PROOF, ROUTES])
def test_a_list_that_lacks_its_objects_takes_the_proof_away(bench: Bench, which: int) -> None:
    bench.sink(which).replace({})
    assert bench.guard.proven is False
    assert "is missing" in bench.guard.why


@pytest.mark.parametrize("name", guards.NAMES)
@pytest.mark.parametrize("which", [POLICIES, BINDINGS])
def test_the_deletion_of_any_part_is_felt(bench: Bench, which: int, name: str) -> None:
    bench.event(which, "DELETED", bench.stored(which, name))
    assert bench.guard.proven is False


def _audit_only(document: Any) -> None:  # noqa: ANN401 - any object
    document["spec"]["validationActions"] = ["Audit"]


def _ignoring(document: Any) -> None:  # noqa: ANN401 - any object
    document["spec"]["failurePolicy"] = "Ignore"


def _one_less(document: Any) -> None:  # noqa: ANN401 - any object
    document["spec"]["validations"].pop()


def _touched(document: Any) -> None:  # noqa: ANN401 - any object
    document["metadata"]["generation"] = 3


def _made_anew(document: Any) -> None:  # noqa: ANN401 - any object
    document["metadata"]["uid"] = "another"


def _misnamed(document: Any) -> None:  # noqa: ANN401 - any object
    document["status"]["acceptedNames"]["plural"] = "approvalgrantz"
    document["metadata"]["resourceVersion"] = "3"


def _going(document: Any) -> None:  # noqa: ANN401 - any object
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


def _elsewhere(document: Any) -> None:  # noqa: ANN401 - any object
    document["spec"]["service"] = {"namespace": "default", "name": "elsewhere"}


def _rewritten(document: Any) -> None:  # noqa: ANN401 - any object
    document["metadata"]["resourceVersion"] = "3"


@pytest.mark.invariant(26)
@pytest.mark.parametrize(
    ("which", "name", "change"),
    [
        (BINDINGS, guards.STATUS, _audit_only),
        (POLICIES, guards.REVIEW, _ignoring),
        (POLICIES, guards.OPEN, _one_less),
        (POLICIES, guards.DELETE, _touched),
        (BINDINGS, guards.OPEN, _made_anew),
        *(
            (which, name, change)
            for which, name in zip(DEFINITIONS, OUR_CRDS, strict=True)
            for change in (_made_anew, _misnamed)
        ),
        (POLICIES, historyguards.HISTORY_WRITE, _one_less),
        (BINDINGS, historyguards.HISTORY_DELETE, _audit_only),
        (POLICIES, guards.STATUS, _going),
        *((ROUTES, name, _elsewhere) for name in REQUIRED),
        *((ROUTES, name, _going) for name in REQUIRED),
        *((ROUTES, name, _made_anew) for name in REQUIRED),
        *((ROUTES, name, _rewritten) for name in REQUIRED),
    ],
)
def test_any_change_takes_the_proof_away_though_it_is_taken_back(
    bench: Bench,
    which: int,
    name: str,
    change: Any,  # noqa: ANN401 - a function above
) -> None:
    changed = bench.stored(which, name)
    change(changed)
    bench.event(which, "MODIFIED", changed)
    assert bench.guard.proven is False
    restored = bench.stored(which, name)
    restored["metadata"] |= {"resourceVersion": "4"} if which in {ROUTES, *DEFINITIONS} else {"generation": 4}
    bench.event(which, "MODIFIED", restored)
    assert (bench.guard.proven, bench.guard.why) == (False, "the guard has changed since the operator last proved it")


@pytest.mark.parametrize("data", [None, {}, {"fingerprint": ""}, {"fingerprint": "sha256:" + "0" * 64}])
def test_a_record_of_something_else_proves_nothing(bench: Bench, data: Object | None) -> None:
    proof = {"metadata": {"name": GUARD_CONFIG_MAP}, "data": data}
    bench.sink(PROOF).apply("MODIFIED", (INSTALLATION.namespace, GUARD_CONFIG_MAP), proof)
    assert bench.guard.proven is False


@pytest.mark.invariant(26)
@pytest.mark.parametrize("version", ["v1beta1", "v1", "v2alpha7"])
def test_any_other_version_of_our_group_that_is_served_elsewhere_takes_the_proof_away(
    bench: Bench, version: str
) -> None:
    metadata = {"name": f"{version}.bailiwick.dev", "uid": "x", "resourceVersion": "1"}
    added = {"metadata": metadata, "spec": {"service": {"namespace": "default", "name": "elsewhere"}}}
    bench.event(ROUTES, "ADDED", added)
    assert (bench.guard.proven, f"{version}.bailiwick.dev sends the group" in bench.guard.why) == (False, True)
    bench.event(ROUTES, "DELETED", added)
    assert bench.guard.proven is True


@pytest.mark.parametrize("which", [ROUTES, DEFINITION])
def test_it_covers_the_very_route_and_definition_that_it_was_proven_by_and_no_other(bench: Bench, which: int) -> None:
    live = {ROUTES: bench.stored(ROUTES, GRANTS_ROUTE), DEFINITION: bench.stored(DEFINITION, APPROVAL_GRANTS_CRD)}
    since = bench.guard.route
    assert bench.guard.covers_route(live[ROUTES], live[DEFINITION], since) is True
    assert bench.guard.covers_route(live[ROUTES], live[DEFINITION], None) is False
    for change in (_made_anew, _rewritten):
        other = copy.deepcopy(live)
        change(other[which])
        assert bench.guard.covers_route(other[ROUTES], other[DEFINITION], since) is False
    bench.prove("sha256:another")
    assert bench.guard.route is None
    assert bench.guard.covers_route(live[ROUTES], live[DEFINITION], since) is False


@pytest.mark.parametrize(("which", "name"), [(ROUTES, GRANTS_ROUTE), (DEFINITION, APPROVAL_GRANTS_CRD)])
def test_what_was_put_back_and_proven_anew_tells_nothing_of_what_was_answered_meanwhile(
    bench: Bench, which: int, name: str
) -> None:
    since = bench.guard.route
    changed = next(one for one in bench.objects if one["metadata"]["name"] == name)
    _rewritten(changed)
    bench.event(which, "MODIFIED", _without_kind(changed))
    assert bench.guard.proven is False
    bench.prove(fingerprint(bench.objects))
    assert bench.guard.proven is True
    live = bench.stored(ROUTES, GRANTS_ROUTE), bench.stored(DEFINITION, APPROVAL_GRANTS_CRD)
    assert bench.guard.covers_route(*live, since) is False
    assert bench.guard.covers_route(*live, bench.guard.route) is True


@pytest.mark.invariant(26)
def test_a_definition_of_others_in_our_group_takes_the_proof_away_until_the_operator_has_proven_it_anew(
    bench: Bench,
) -> None:
    bench.prove(bench.proof, provenTime="2026-11-30T12:00:00Z")
    foreign = {"metadata": {"name": "evils.bailiwick.dev", "uid": "x", "resourceVersion": "9"}}
    bench.event(FOREIGN, "ADDED", foreign)
    assert (bench.guard.proven, "evils.bailiwick.dev is not Bailiwick's" in bench.guard.why) == (False, True)
    bench.event(FOREIGN, "DELETED", foreign)
    assert (bench.guard.proven, "since the operator last proved" in bench.guard.why) == (False, True)
    bench.prove(bench.proof, provenTime="2026-11-30T12:00:05Z")
    assert bench.guard.proven is True


def test_it_is_not_proven_before_the_definitions_of_others_were_listed() -> None:
    bench = Bench()
    for which, kind in KINDS.items():
        if which != FOREIGN:
            objects = [document for document in bench.objects if document["kind"] == kind]
            bench.sink(which).replace({("", document["metadata"]["name"]): document for document in objects})
    bench.prove(bench.proof)
    assert (bench.guard.proven, bench.guard.why) == (False, "the CustomResourceDefinitions are not read yet")


def test_objects_of_others_do_not_matter(bench: Bench) -> None:
    foreign = {"metadata": {"name": "somebody-elses", "uid": "x", "generation": 1}, "spec": {"n": 2**60}}
    bench.event(POLICIES, "ADDED", foreign)
    metrics = {"name": "v1beta1.metrics.k8s.io", "uid": "x", "resourceVersion": "1"}
    bench.event(ROUTES, "ADDED", {"metadata": metrics, "spec": {"service": {"name": "metrics-server"}}})
    assert bench.guard.proven is True


def test_the_keys_of_the_witness_are_known_whether_the_guard_is_proven_or_not(bench: Bench) -> None:
    assert bench.guard.witness_keys == ""
    for recorded, proven in ((bench.proof, True), ("sha256:" + "0" * 64, False)):
        bench.prove(recorded, **{WITNESS_KEYS_ENTRY: "one\ntwo\n"})
        assert (bench.guard.witness_keys, bench.guard.proven) == ("one\ntwo\n", proven)
