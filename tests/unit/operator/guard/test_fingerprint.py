"""The fingerprint of the guards: what is in it, and what counts as not shipped."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis.strategies import DataObject, data, sampled_from

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_engine.approval import apiroutes
from bailiwick_engine.approval.definitions import KIND as DEFINITION, PATH as DEFINITIONS, intrusions
from bailiwick_engine.approval.fingerprint import deviations, fingerprint, paths, shipped_fingerprint
from support.guards.shippedobjects import as_stored

INSTALLATION = Installation()


def stored(installation: Installation = INSTALLATION) -> list[dict[str, Any]]:
    """Return what is shipped, as the API server would have it."""
    return [as_stored(document, f"uid-{index}") for index, document in enumerate(shipped_fingerprint(installation))]


def members(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: what holds it, and under what."""
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for member, inner in held:
        yield value, member
        yield from members(inner)


class TestTheFingerprint:
    def test_does_not_depend_on_the_order_or_on_what_is_not_spec(self) -> None:
        objects = stored()
        labelled = copy.deepcopy(objects)
        labelled[0]["metadata"]["labels"] = {"a": "b"}
        labelled[0]["metadata"]["resourceVersion"] = "7"
        labelled[0]["status"] = {"observedGeneration": 1}
        assert fingerprint(reversed(labelled)) == fingerprint(objects)

    @pytest.mark.parametrize("index", range(19))
    @pytest.mark.parametrize("field", ["uid", "generation", "spec"])
    def test_changes_with_uid_version_and_spec_of_each(self, index: int, field: str) -> None:
        objects = stored()
        before = fingerprint(objects)
        if field == "spec":
            objects[index]["spec"] = {**objects[index]["spec"], "more": 1}
        elif field == "generation" and objects[index]["kind"] == DEFINITION:
            # Its generation does not count its status, by which it is served.
            objects[index]["metadata"]["resourceVersion"] = "2"
        else:
            objects[index]["metadata"][field] = 2
        assert fingerprint(objects) != before

    def test_changes_when_one_is_missing(self) -> None:
        assert fingerprint(stored()[1:]) != fingerprint(stored())

    def test_is_the_digest_that_other_versions_recorded(self) -> None:
        # A record that differs makes reviews void, so an upgrade must not change how it is spelled.
        entries = [
            {
                "kind": document["kind"],
                "name": document["metadata"]["name"],
                "uid": document["metadata"]["uid"],
                **({"resourceVersion": "1"} if document["kind"] == DEFINITION else {"generation": 1}),
                "spec": document["spec"],
            }
            for document in stored()
        ]
        entries.sort(key=lambda entry: (entry["kind"], entry["name"]))
        assert fingerprint(stored()) == f"sha256:{hashlib.sha256(rfc8785.dumps(entries)).hexdigest()}"


class TestDeviations:
    def test_are_none_in_what_is_shipped(self) -> None:
        assert deviations(stored(), INSTALLATION) == ()

    def test_of_one_more_object_are_none(self) -> None:
        more = {"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "theirs"}, "spec": {}}
        assert deviations([*stored(), more], INSTALLATION) == ()

    @pytest.mark.parametrize("index", range(19))
    def test_name_what_is_missing(self, index: int) -> None:
        objects = stored()
        gone = objects.pop(index)
        assert deviations(objects, INSTALLATION) == (f"{gone['kind']} {gone['metadata']['name']} is missing",)

    def test_name_the_place(self) -> None:
        objects = stored()
        objects[1]["spec"]["validationActions"] = ["Audit"]
        objects[0]["spec"]["validations"][2]["expression"] = "true"
        assert deviations(objects, INSTALLATION) == (
            (
                "ValidatingAdmissionPolicy bailiwick-grants-open differs from the shipped version at"
                " spec.validations[2].expression"
            ),
            (
                "ValidatingAdmissionPolicyBinding bailiwick-grants-open differs from the shipped version at"
                " spec.validationActions[0]"
            ),
        )

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (lambda spec: spec.update(matchResources={}), "spec.matchResources"),
            (lambda spec: spec.pop("policyName"), "spec.policyName"),
            (lambda spec: spec["validationActions"].append("Audit"), "spec.validationActions[1]"),
            (lambda spec: spec["validationActions"].clear(), "spec.validationActions[0]"),
            (lambda spec: spec.update(policyName=True), "spec.policyName"),
        ],
        ids=["a field more", "a field less", "an item more", "an item less", "another type"],
    )
    def test_are_seen_in_both_directions(self, change: Callable[[dict[str, Any]], object], place: str) -> None:
        objects = stored()
        change(objects[1]["spec"])
        assert deviations(objects, INSTALLATION)[0].endswith(f"at {place}")

    def test_are_there_for_another_installation(self) -> None:
        assert deviations(stored(Installation(operator_name="other")), INSTALLATION) != ()

    def test_are_there_while_one_is_being_deleted(self) -> None:
        objects = stored()
        objects[0]["metadata"]["deletionTimestamp"] = "2026-11-25T00:00:00Z"
        assert deviations(objects, INSTALLATION)[0].endswith("is being deleted")

    @pytest.mark.parametrize("index", range(14, 19))
    @pytest.mark.parametrize("field", ["plural", "singular", "kind", "listKind", "shortNames"])
    def test_are_there_where_a_definition_is_served_by_another_name(self, index: int, field: str) -> None:
        objects = stored()
        objects[index]["status"]["acceptedNames"][field] = ["x"] if field == "shortNames" else "x"
        (problem,) = deviations(objects, INSTALLATION)
        assert f"is not served by the names of its spec, at status.acceptedNames.{field}" in problem

    @pytest.mark.parametrize("status", [None, {}, {"acceptedNames": "x"}, {"conditions": "x"}, {"conditions": ["x"]}])
    def test_are_there_where_it_cannot_be_seen_by_what_names_it_is_served(self, status: object) -> None:
        objects = stored()
        objects[15]["status"] = status
        assert len(deviations(objects, INSTALLATION)) == 3

    @pytest.mark.parametrize("number", [0, 1])
    @pytest.mark.parametrize("value", ["False", "Unknown", True, None])
    def test_are_there_where_names_are_not_accepted_or_established(self, number: int, value: object) -> None:
        objects = stored()
        condition = objects[17]["status"]["conditions"][number]
        condition["status"] = value
        (problem,) = deviations(objects, INSTALLATION)
        assert problem.endswith(f"endpointhistories.bailiwick.dev is not {condition['type']}")

    @given(data())
    def test_are_there_wherever_any_other_value_stands(self, draw: DataObject) -> None:
        objects = stored()
        places = [*members(draw.draw(sampled_from(objects))["spec"])]
        # JSON tells `1` from `true` and from `1.0`, which Python does not.
        alike = [(holder, member) for holder, member in places if isinstance(holder[member], int)]
        holder, member = draw.draw(sampled_from(places) | sampled_from(alike or places))
        before = holder[member]
        others: list[object] = [
            None,
            True,
            False,
            0,
            1,
            float(before) if isinstance(before, int) else 1.0,
            "",
            "1",
            [],
            {},
            [before],
        ]
        holder[member] = draw.draw(sampled_from(others))
        assert (deviations(objects, INSTALLATION) == ()) is (json.dumps(holder[member]) == json.dumps(before))

    def test_do_not_take_a_one_for_a_yes(self) -> None:
        objects = stored()
        objects[14]["spec"]["versions"][0]["served"] = 1
        assert deviations(objects, INSTALLATION)[0].endswith("at spec.versions[0].served")


def test_paths_are_those_of_the_shipped_objects() -> None:
    assert len(paths(INSTALLATION)) == 19
    assert paths(INSTALLATION)[0] == (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/bailiwick-grants-open"
    )
    kinds = [path.partition("/customresourcedefinitions/")[2] for path in paths(INSTALLATION)[14:]]
    assert kinds == [*OUR_CRDS]


def test_any_other_definition_of_the_group_is_an_intrusion() -> None:
    names = ("evils.bailiwick.dev", "approvalgrants.bailiwick.dev", "evils.sub.bailiwick.dev", "evils.example.com")
    (problem,) = intrusions([*names, *(path.rpartition("/")[2] for path in paths(INSTALLATION))])
    assert problem.startswith("CustomResourceDefinition evils.bailiwick.dev is not Bailiwick's")
    assert all(path.startswith(DEFINITIONS) for path in paths(INSTALLATION)[14:])


def api_services(*names: str) -> list[dict[str, Any]]:
    return [
        {
            "kind": apiroutes.KIND,
            "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
            "spec": {"group": name.partition(".")[2]},
        }
        for name in names or apiroutes.REQUIRED
    ]


class TestTheGroupsThatDecide:
    @pytest.mark.parametrize("field", ["uid", "resourceVersion", "spec"])
    def test_are_in_the_fingerprint(self, field: str) -> None:
        routes = api_services()
        before = fingerprint([*stored(), *routes])
        if field == "spec":
            routes[0]["spec"] = {"group": "another"}
        else:
            routes[0]["metadata"][field] = "2"
        assert fingerprint([*stored(), *routes]) != before

    def test_are_served_by_the_api_server_itself(self) -> None:
        assert apiroutes.redirections([*stored(), *api_services()]) == ()

    @pytest.mark.parametrize("service", [{}, {"name": "x", "namespace": "y"}, "x"])
    def test_are_not_where_a_service_is_named_however(self, service: object) -> None:
        routes = api_services()
        routes[0]["spec"]["service"] = service
        (problem,) = apiroutes.redirections(routes)
        assert problem == f"APIService {routes[0]['metadata']['name']} sends the group to another server (spec.service)"

    def test_are_ours_in_every_version_and_of_others_the_one_that_is_read(self) -> None:
        names = ("v1beta1.bailiwick.dev", "v2.bailiwick.dev", "v1beta1.apiextensions.k8s.io", "v1.apps", "v1.evil.dev")
        assert [apiroutes.decides(name) for name in names] == [True, True, False, False, False]
