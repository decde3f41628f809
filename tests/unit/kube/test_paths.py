"""Paths of the API server."""

import pytest

from bailiwick_kube.paths import CORE, grants_path, object_path, policies_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (policies_path(), "/apis/bailiwick.dev/v1alpha1/endpointpolicies"),
        (grants_path("crm"), "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants"),
        (grants_path("crm", "a", "status"), "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants/a/status"),
        (object_path(CORE, "pods", "crm", "a"), "/api/v1/namespaces/crm/pods/a"),
        (
            object_path("rbac.authorization.k8s.io/v1", "clusterroles", name="a"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/a",
        ),
    ],
)
def test_an_object_is_where_its_kind_says(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize("name", ["../../../../api/v1/secrets", "a/status", "a?dryRun=All", "a#b"])
def test_whatever_a_name_holds_it_stays_one_segment(name: str) -> None:
    for path in (grants_path(name, "a"), grants_path("crm", name)):
        assert len(path.split("/")) == len(grants_path("crm", "a").split("/"))
        assert not {"?", "#"} & set(path)
