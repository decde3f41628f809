"""Whoever takes the guards away to get something done is seen: in an Event, in the metrics, in the log."""

import re
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from bailiwick_api.manifests.guards import STATUS
from cluster.operator.operatorprocess import Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.events import events_in
from support.guards.sabotage import Guards
from support.waits import until

pytestmark = pytest.mark.long

REASONS: Final = ("GuardNotProven", "GuardChanged", "GuardProven")


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return ("--proof-interval", "2", "--guard-settle", "0", "--health-port", f"{health_port}")


def told(admin: Rest, installed: Installation) -> dict[str, dict[str, Any]]:
    """Return the Events about the guards, by reason."""
    found = [event for event in events_in(admin, installed.namespace) if event["regarding"]["name"] == GUARD_CONFIG_MAP]
    assert len(found) <= len(REASONS)
    return {event["reason"]: event for event in found}


def metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_ab_50_a_guard_that_is_taken_away_and_put_back_is_told_of_once_each(
    operator: Operator, callers: Callers, installed: Installation, health_port: int
) -> None:
    guards = Guards(callers, installed)
    assert told(callers.admin, installed) == {}
    assert metric(health_port, "bailiwick_operator_leading") == 1
    until(lambda: metric(health_port, "bailiwick_operator_guard_proven") == 1, "it is proven")
    assert metric(health_port, "bailiwick_operator_guard_falls_total") == 0
    try:
        guards.loosen(STATUS)
        until(lambda: "GuardNotProven" in told(callers.admin, installed), "it is told that the guard is away")
        assert metric(health_port, "bailiwick_operator_guard_proven") == 0
        assert metric(health_port, "bailiwick_operator_guard_falls_total") == 1
    finally:
        guards.restore()
    until(lambda: len(told(callers.admin, installed)) == len(REASONS), "it is told that it is back")
    events = told(callers.admin, installed)
    assert {reason: event["type"] for reason, event in events.items()} == {
        "GuardNotProven": "Warning",
        "GuardChanged": "Warning",
        "GuardProven": "Normal",
    }
    assert STATUS in events["GuardNotProven"]["note"]
    assert metric(health_port, "bailiwick_operator_guard_proven") == 1
    assert metric(health_port, "bailiwick_operator_guard_falls_total") == 1
    assert len(operator.said("the guards over grants are not proven: no grant is approved")) >= 1
