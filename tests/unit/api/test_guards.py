"""The guards as documents: each says who may by this installation's names, and each has a probe that it refuses."""

import datetime
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import canary, generate, guards

OTHER: Final = Installation(namespace="authz", webhook_name="pdp", operator_name="op")
NOW: Final = datetime.datetime(2027, 3, 31, 12, tzinfo=datetime.UTC)


def policies(installation: Installation) -> list[dict[str, Any]]:
    return guards.guards(installation)[::2]


def strings(node: Any) -> Iterator[str]:  # noqa: ANN401 - any document
    if isinstance(node, str):
        yield node
    elif isinstance(node, (list, dict)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from strings(child)


def test_each_guard_is_bound_to_deny_everywhere() -> None:
    documents = guards.guards(Installation())
    assert [document["metadata"]["name"] for document in documents[::2]] == list(guards.NAMES)
    for policy, binding in zip(documents[::2], documents[1::2], strict=True):
        assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
        assert policy["spec"]["failurePolicy"] == "Fail"
        constraints = policy["spec"]["matchConstraints"]
        assert (constraints["namespaceSelector"], constraints["objectSelector"]) == ({}, {})
        assert "matchConditions" not in policy["spec"]


def test_the_guards_see_every_operation_that_can_change_a_grant_a_history_or_a_definition() -> None:
    seen = {
        (operation, resource)
        for policy in policies(Installation())
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for operation in rule["operations"]
        for resource in rule["resources"]
    }
    assert seen == {
        ("CREATE", "approvalgrants"),
        ("UPDATE", "approvalgrants"),
        ("UPDATE", "approvalgrants/status"),
        ("UPDATE", "approvalgrants/scale"),
        ("DELETE", "approvalgrants"),
        ("CREATE", "endpointhistories"),
        ("UPDATE", "endpointhistories"),
        ("DELETE", "endpointhistories"),
        *(
            (operation, f"endpointhistories/{part}")
            for operation in ("CREATE", "UPDATE")
            for part in ("status", "scale")
        ),
        *(
            (operation, f"customresourcedefinitions{part}")
            for operation in ("CREATE", "UPDATE", "DELETE")
            for part in ("", "/status")
        ),
    }


def test_an_installation_under_other_names_is_named_nowhere_by_the_usual_ones() -> None:
    texts = list(strings(generate.manifests(OTHER)))
    usual = ("bailiwick-system", "bailiwick-webhook", "bailiwick-operator")
    # The lease alone keeps its name: it lies in the namespace of the installation.
    assert [text for text in texts if any(name in text for name in usual)] == ["bailiwick-operator"]
    assert any(OTHER.webhook in text for text in texts)
    assert any(OTHER.operator in text for text in texts)


def test_every_refusal_has_a_message_and_a_reason() -> None:
    for policy in policies(Installation()):
        for entry in policy["spec"]["validations"]:
            assert entry["message"]
            assert entry["reason"] in {"Forbidden", "Invalid"}


def test_every_guard_has_a_probe_that_it_refuses_with_words_of_its_own() -> None:
    probes = canary.probes(Installation(), NOW)
    assert [probe.guard for probe in probes] == list(guards.NAMES)
    for probe, policy in zip(probes, policies(Installation()), strict=True):
        messages = [entry["message"] for entry in policy["spec"]["validations"]]
        assert probe.refusal in messages
        others = [
            one for one in policies(Installation()) if one is not policy and one["metadata"]["name"] != probe.guard
        ]
        assert not any(probe.refusal == entry["message"] for one in others for entry in one["spec"]["validations"])


@pytest.mark.parametrize("installation", [Installation(), OTHER], ids=["usual", "other"])
def test_the_canary_can_never_approve_anything(installation: Installation) -> None:
    grant = canary.canary(installation, NOW)
    request = grant["spec"]["request"]
    assert grant["metadata"] == {"name": "bailiwick-canary", "namespace": installation.namespace}
    assert request["requester"] == {"username": installation.operator}
    # No policy has this uid, so no decision ever looks at the grant.
    assert [rule["uid"] for rule in request["rules"]] == ["00000000-0000-0000-0000-000000000000"]
    assert request["pendingUntilTime"] == "2027-03-31T13:00:00Z"
