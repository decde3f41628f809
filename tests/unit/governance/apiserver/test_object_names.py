"""A name that somebody typed is a segment of one path of the API server, and leads to no other."""

import pytest

from bailiwick_governance.apiserver.cluster import grants_path, policies_path
from bailiwick_governance.errors import UserError


@pytest.mark.parametrize("name", [".", "..", "...", "a/b", "%2e", "a b", "\u00e9", "\n"])
def test_what_could_lead_to_another_path_is_refused(name: str) -> None:
    for path in (grants_path, policies_path):
        with pytest.raises(UserError, match="is not a valid object name"):
            path(name, "x")
        with pytest.raises(UserError, match="is not a valid object name"):
            path("crm", name)


def test_a_name_may_have_dots() -> None:
    assert grants_path("crm", "a.b").endswith("/namespaces/crm/approvalgrants/a.b")
