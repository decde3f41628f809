"""The registration of the decision point with the API server, as it is shipped."""

from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import admission, crds
from bailiwick_api.manifests.generate import manifests, serving

OTHER: Final = Installation("elsewhere", "decides", "operates")


def webhook(installation: Installation = OTHER) -> dict[str, Any]:
    (found,) = admission.policies(installation)["webhooks"]
    return dict(found)


def test_it_fails_closed_has_no_side_effects_and_waits_for_five_seconds() -> None:
    found = webhook()
    assert {name: found[name] for name in ("failurePolicy", "sideEffects", "timeoutSeconds", "matchPolicy")} == {
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "matchPolicy": "Equivalent",
    }
    assert found["admissionReviewVersions"] == ["v1"]


def test_ab_33_it_is_for_policies_alone_in_every_version_and_not_for_their_status() -> None:
    (rule,) = webhook()["rules"]
    assert rule == {
        "apiGroups": ["bailiwick.dev"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["endpointpolicies", "endpointdata"],
        "scope": "Namespaced",
    }
    assert crds.endpoint_policies()["spec"]["names"]["plural"] in rule["resources"]
    assert webhook()["namespaceSelector"] == webhook()["objectSelector"] == {}


def test_it_has_no_ca_bundle_which_somebody_else_writes() -> None:
    assert webhook()["clientConfig"] == {
        "service": {"namespace": "elsewhere", "name": "decides", "path": "/admission/validate", "port": 9443}
    }


@pytest.mark.parametrize("installation", [Installation(), OTHER])
def test_it_is_no_part_of_what_is_in_force_without_a_service(installation: Installation) -> None:
    kinds = {document["kind"] for file in manifests(installation).values() for document in file}
    assert "ValidatingWebhookConfiguration" not in kinds
    assert serving(installation) == {"admission/policies.yaml": [admission.policies(installation)]}
