"""One tenant edits large policies that its grants by hand name: reviews of another tenant count as soon as ever."""

import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from bailiwick_engine.budget.ledger import MIB
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Answer
from support.callers import Callers
from support.handeditor import HandEditor
from support.installation import accepted
from support.namespaces import Namespaces, Roles

REVIEWS: Final = int(os.environ.get("REVIEWS", "25"))
WITHIN_SECONDS: Final = 1.0
MEMORY: Final = 512 * MIB

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def operator(new_operator: NewOperator, lowered: Sequence[str]) -> Iterator[Operator]:
    """An operator that asks for the lease as often as an installation's does."""
    with new_operator(*lowered) as operator:
        yield operator


def test_a_review_counts_within_a_second_while_another_tenant_edits_what_its_grants_name(
    operator: Operator, callers: Callers, grants: Grants, namespaces: Namespaces, namespace: str
) -> None:
    other = namespaces.make("busy")
    Roles(callers.admin, other).bind("bailiwick-request", "carol")
    editor = HandEditor(callers.admin, callers("carol"), other)
    editor.prepare()
    quiet = _slowest(_seconds_of_reviews(callers, grants, lambda count: count >= REVIEWS))
    with editor.editing():
        beside = _slowest(_seconds_of_reviews(callers, grants, lambda count: count >= REVIEWS and editor.edits >= 5))
    # On a machine that others use, what it takes without the other tenant is the measure.
    assert beside <= max(WITHIN_SECONDS, 5 * quiet), f"quiet {quiet:.2f} s, beside the other tenant {beside:.2f} s"
    assert operator.process.poll() is None
    assert peak(operator) <= MEMORY


def _seconds_of_reviews(callers: Callers, grants: Grants, enough: Callable[[int], bool]) -> list[float]:
    """Have grants reviewed one after the other; return how long each review took to count."""
    took: list[float] = []
    while not enough(len(took)):
        opened = grants.open()
        grants.await_phase(opened, "Pending", 120)
        accepted(grants.review(opened))
        began = time.monotonic()
        callers.admin.wait(opened, _counted, 120)
        took.append(time.monotonic() - began)
    return took


def _slowest(took: list[float]) -> float:
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]


def _counted(answer: Answer) -> bool:
    return bool((answer.body.get("status") or {}).get("counted"))


def peak(operator: Operator) -> int:
    """Return the most bytes that the process ever held."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
