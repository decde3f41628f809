"""What a healthy installation logs from its start on: nothing that a person should act on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from demo import install
from demo.narrator import Silent
from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from support.stacks import stack_on
from support.waits import until

pytestmark = pytest.mark.long

HARMLESS: Final = frozenset({"info", "debug"})


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    """An API server of this test alone, with our manifests and nothing that runs."""
    with ControlPlane(build.ensure()) as plane, stack_on(plane.cluster, tmp_path) as stack:
        install.bailiwick(stack, Silent())
        yield stack


def test_a_healthy_installation_logs_nothing_that_a_person_should_act_on(fresh: Stack) -> None:
    # The decision point first, so that there are no signing keys when it looks.
    point = fresh.start_decision_point()
    fresh.start_operator()
    fresh.await_guard()
    install.crm(fresh, Silent())
    until(lambda: "signing keys loaded" in point.process.log.read_text(), "the decision point has keys")
    found = [
        (log.name, said)
        for log in sorted(fresh.folder.glob("*.log"))
        for said in map(json.loads, log.read_text().splitlines())
        if said["level"] not in HARMLESS
    ]
    assert found == []
