"""The canary is told from every grant that could approve anything, whatever that is called."""

from datetime import UTC, datetime
from typing import Final

import pytest

from bailiwick_api.accounts import CANARY_GRANT, Installation
from bailiwick_api.manifests.canary import canary, is_canary
from support.objects import Object, changed, grant

NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
CANARY: Final = canary(Installation(), NOW)


@pytest.mark.parametrize("installation", [Installation(), Installation(namespace="elsewhere", operator_name="op")])
def test_it_is_known_of_every_installation_and_at_any_time(installation: Installation) -> None:
    stored = canary(installation, datetime(2031, 1, 1, tzinfo=UTC))
    stored["metadata"] |= {"uid": "uid", "resourceVersion": "7"}
    assert is_canary(stored)


@pytest.mark.parametrize(
    "other",
    [
        grant("crm", CANARY_GRANT),
        changed(CANARY, "metadata.name", "another"),
        changed(CANARY, "spec.request.rules.0.policy", "crm-agent"),
        changed(CANARY, "spec.request.rules.0.uid", "policy-uid"),
        changed(CANARY, "spec.request.endpoint", "crm-api"),
        changed(CANARY, "spec.request.subject.id", "system:serviceaccount:agents:crm-agent"),
        changed(CANARY, "spec.request", ...),
        {"metadata": {"name": CANARY_GRANT}},
        {"metadata": {"name": CANARY_GRANT}, "spec": "text"},
        {"metadata": None},
        {},
    ],
)
def test_a_grant_that_only_has_its_name_is_none(other: Object) -> None:
    assert not is_canary(other)
