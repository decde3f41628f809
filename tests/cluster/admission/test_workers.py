"""The worker of each process of a decision point: one each, replaced when it dies, gone when the process is."""

import os
import signal
from pathlib import Path

import pytest
import requests

from bailiwick_api.admission import PATH
from demo.stack import DecisionPoint
from localcluster import process
from support.admission.reviews import sent
from support.objects import policy
from support.pdp.running import Bailiwick
from support.waiting import until

pytestmark = pytest.mark.long


def children(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []


def review(point: DecisionPoint) -> int:
    # Each over a connection of its own, so that any of the processes may get it.
    headers = {"Content-Type": "application/json", "Connection": "close"}
    return requests.post(point.admission_url + PATH, sent(policy("crm")), headers=headers, timeout=20).status_code


def test_each_process_has_one_which_is_replaced_and_goes_with_it(pdp: Bailiwick) -> None:
    point = pdp.start_point("--processes=2")
    try:
        deciding = children(point.process.id.pid)

        def workers() -> list[int]:
            assert review(point) == 200
            return [worker for one in deciding for worker in children(one)]

        until(lambda: len(workers()) == 2, "each process has its worker", 20)
        killed, other = workers()
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in workers() and len(workers()) == 2, "the worker was replaced", 20)
        left = workers()
        assert other in left
    finally:
        process.stop([point.process.id])
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in left), "the workers are gone", 5)
