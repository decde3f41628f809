"""The worker of a decision point: one, replaced when it dies, gone when the decision point is."""

import os
import signal
from pathlib import Path

import pytest
import requests

from bailiwick_api.manifests.admission import PATH
from demo.stack import DecisionPoint
from localcluster import process
from support.admission.reviews import sent
from support.objects import policy
from support.pdp.processes import Bailiwick
from support.waits import until

pytestmark = pytest.mark.long


def children(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []


def review(point: DecisionPoint) -> int:
    headers = {"Content-Type": "application/json"}
    return requests.post(point.admission_url + PATH, sent(policy("crm")), headers=headers, timeout=20).status_code


def test_it_has_one_which_is_replaced_and_goes_with_it(pdp: Bailiwick) -> None:
    point = pdp.start_point()
    try:
        assert children(point.process.id.pid) == []

        def workers() -> list[int]:
            assert review(point) == 200
            return children(point.process.id.pid)

        (killed,) = workers()
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(workers()) == 1 and killed not in workers(), "the worker was replaced", 20)
        (left,) = workers()
    finally:
        process.stop([point.process.id])
    until(lambda: not Path(f"/proc/{left}").exists(), "the worker is gone", 5)
