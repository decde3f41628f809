"""What our own documents can reach: no policy sends anybody anywhere, and no guard of ours stands in others' way."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_HISTORIES, ENDPOINT_POLICIES, GROUP, SUBJECT_REVOCATIONS
from bailiwick_api.manifests import crds, generate
from bailiwick_api.manifests.definitionguard import DEFINITIONS, DEFINITIONS_RESOURCE

OURS: Final = {ENDPOINT_POLICIES, APPROVAL_GRANTS, ENDPOINT_HISTORIES, SUBJECT_REVOCATIONS}
# What would make whoever reads a policy fetch, present, run or be something that its author chose.
SENDING: Final = re.compile(
    r"ur[il]|secret|configmap|webhook|callback|fetch|imperson|kubeconfig|cabundle|proxy|address|password|command|image$",
    re.IGNORECASE,
)
DOCUMENTS: Final = [document for documents in generate.manifests(Installation()).values() for document in documents]


def properties(schema: dict[str, Any]) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from properties(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from properties(schema[key])


@pytest.mark.parametrize("definition", [crds.endpoint_policies(), crds.approval_grants()], ids=["policy", "grant"])
def test_ab_44_no_field_makes_anybody_fetch_present_or_impersonate(definition: dict[str, Any]) -> None:
    (version,) = definition["spec"]["versions"]
    found = set(properties(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert len(found) > 20
    assert [name for name in found if SENDING.search(name)] == []


def test_ab_44_nobody_of_ours_may_impersonate_or_read_a_secret_that_is_not_named() -> None:
    roles = [document for document in DOCUMENTS if document["kind"] in {"Role", "ClusterRole"}]
    rules = [rule for role in roles for rule in role["rules"]]
    assert len(rules) > 20
    assert not any({"impersonate", "bind", "escalate", "*"} & set(rule["verbs"]) for rule in rules)
    assert all(rule.get("resourceNames") for rule in rules if "secrets" in rule.get("resources", ()))
    # And those only at home, but for the one of notifications, which nobody may before somebody binds it.
    assert {
        role["metadata"]["name"]
        for role in roles
        for rule in role["rules"]
        if role["kind"] != "Role" and {"secrets", "*"} & set(rule.get("resources", ()))
    } == {"bailiwick-notifications"}
    bound = {document["roleRef"]["name"] for document in DOCUMENTS if "roleRef" in document}
    assert len(bound) >= 2
    assert "bailiwick-notifications" not in bound


def test_ab_40_whatever_of_ours_fails_closed_is_asked_about_our_own_kinds_and_their_definitions_alone() -> None:
    matching = {
        (document["kind"], document["metadata"]["name"]): rules
        for document in DOCUMENTS
        if (rules := _rules(document)) is not None
    }
    assert len(matching) >= 4
    for (_, name), rules in matching.items():
        for rule in rules:
            if name == DEFINITIONS:
                # Whatever it cannot evaluate it refuses, and it looks first whether the definition is of our group.
                assert {resource.partition("/")[0] for resource in rule["resources"]} == {DEFINITIONS_RESOURCE}
                continue
            assert rule["apiGroups"] == [GROUP]
            assert {resource.partition("/")[0] for resource in rule["resources"]} <= OURS


def test_ab_40_no_webhook_of_ours_is_asked_about_a_grant() -> None:
    # A review and a revocation must go through though nothing of ours runs.
    asked = {
        resource
        for document in DOCUMENTS
        if document["kind"].endswith("WebhookConfiguration")
        for rule in _rules(document) or ()
        for resource in rule["resources"]
    }
    assert asked <= {ENDPOINT_POLICIES}


def _rules(document: dict[str, Any]) -> list[dict[str, Any]] | None:
    match document["kind"]:
        case "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy":
            found: list[dict[str, Any]] = document["spec"]["matchConstraints"]["resourceRules"]
            return found
        case "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration":
            return [rule for webhook in document["webhooks"] for rule in webhook["rules"]]
        case _:
            return None
