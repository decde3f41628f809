"""What is in force in a namespace, as `diff --live` reads it: every text as it is, and nothing that does not count."""

from typing import Any

import pytest

from bailiwick_engine.compile import manifests
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.livepolicies import LivePolicies, live_policies
from support.objects import Object, policy, rule, settings


class Cluster(ClusterClient):
    """Has these policies and data."""

    def __init__(self, policies: list[Object], data: list[Object]) -> None:
        self.namespace = "crm"
        self._kinds = {"endpointpolicies": policies, "endpointdata": data}

    def list_all(self, path: str, **query: str) -> tuple[list[dict[str, Any]], str]:
        return self._kinds[path.rpartition("/")[2]], "1"


def stored(**spec: Any) -> Object:  # noqa: ANN401 - members of a policy
    made = policy("crm", **{"rules": [rule()], "endpointSettings": settings(), **spec})
    made["metadata"] |= {"uid": "one", "generation": 3}
    return made


def live(*policies: Object, data: tuple[Object, ...] = ()) -> LivePolicies:
    cluster = Cluster(list(policies), list(data))
    return live_policies(cluster)


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "0o17",
        "08",
        "y",
        "no",
        "1:30",
        "1_000",
        "~",
        "a\x85b",
        "a\u2028b",
        "\ufeff",
        "\x7f",
        "\U0001f600",
        "a\n---\nb",
    ],
)
def test_a_text_is_read_as_it_is_stored(text: str) -> None:
    said = [{"name": "one", "expression": text}]
    raw = stored(rules=[rule(conditions=said)])
    ((_, file),) = live(raw).files
    (document,) = manifests.parse(file.content)
    assert (document.flaws, document.data["spec"]) == ((), raw["spec"])


def over(generation: int) -> Object:
    told = {"reason": "OverBudget", "observedGeneration": generation, "message": "rules: 3 of 2"}
    return {"conditions": [{"type": "Accepted", "status": "False", **told}]}


def test_a_policy_over_budget_is_no_base() -> None:
    with pytest.raises(UserError, match=r"EndpointPolicy crm/crm-agent in the cluster is over budget.* rules: 3 of 2"):
        live(stored() | {"status": over(3)})
    assert live(stored() | {"status": over(2)}).files


def test_what_is_being_deleted_is_no_base() -> None:
    raw = stored()
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(UserError, match=r"crm/crm-agent in the cluster is being deleted.* wait until it is gone"):
        live(raw)
