"""More calls at once than may wait for an API server that is slow: what is refused costs no use, and nobody else."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.stack import DecisionPoint
from localcluster import process
from support.faultkinds import Held
from support.faultproxy import FaultProxy
from support.pdp import questions
from support.pdp.processes import Bailiwick, readiness
from support.pdp.tenant import Tenant
from support.waits import until

pytestmark = pytest.mark.long

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
MOST: Final = 4
SHARE: Final = 2


@pytest.fixture(scope="module")
def slow(pdp: Bailiwick, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with FaultProxy(pdp.cluster, Path(tmp_path_factory.mktemp("slow"))) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def point(pdp: Bailiwick, slow: FaultProxy) -> Iterator[DecisionPoint]:
    point = pdp.start_point("--requests-at-once", f"{MOST}", "--api-timeout", "18", proxy=slow)
    yield point
    process.stop([point.process.id])


@pytest.fixture(scope="module")
def tenant(pdp: Bailiwick, point: DecisionPoint) -> Iterator[Tenant]:
    tenants = pdp.tenants(point)
    tenant = tenants.make("overload")
    tenants.account(tenant.namespace, "another")
    names = [{"namespace": tenant.namespace, "name": name} for name in ("api", "another")]
    tenant.change_policy({"endpointSettings": {"enforcers": names}})
    until(lambda: of_another(tenant).status == 200, "the other enforcer may ask")
    yield tenant
    tenants.namespaces.clean()


def of_another(tenant: Tenant) -> questions.Said:
    token = tenant.token("another", ENFORCER_AUDIENCE)
    return questions.post(tenant.url(), tenant.body("customers.list"), token)


def refused(point: DecisionPoint) -> float:
    text = requests.get(f"{point.status_url}/metrics", timeout=10).text
    found = re.search(r'^bailiwick_requests_overloaded_total\{who="enforcers",why="share"\} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.invariant(10)
def test_a_call_that_is_refused_since_others_wait_takes_no_use_and_is_the_first_one_when_sent_again(
    slow: FaultProxy, point: DecisionPoint, tenant: Tenant
) -> None:
    names = [tenant.approved("customers.export", f"busy-{number}") for number in range(SHARE + 1)]
    *waiting, late = names
    before = refused(point)
    held = Held(before=True)
    fault = slow.on("GET", GRANT, held, times=SHARE)
    with ThreadPoolExecutor(SHARE) as pool:
        calls = [pool.submit(tenant.ask, "customers.export", f"busy-{number}") for number in range(SHARE)]
        until(lambda: fault.seen == SHARE, "both calls wait for their grants")
        said = tenant.ask("customers.export", f"busy-{SHARE}", request_id="late")
        batch = tenant.ask("customers.export", f"busy-{SHARE}", path="evaluations", request_id="late")
        assert [(one.status, one.reason, one.headers["Retry-After"]) for one in (said, batch)] == [
            (429, "overloaded", "1")
        ] * 2
        # Nobody else notices, and we are as ready as before.
        assert of_another(tenant).decision is True
        assert readiness(point)[0] == 200
        assert refused(point) == before + 2
        held.go.set()
        assert [call.result(20).decision for call in calls] == [True] * SHARE
    slow.clear()
    assert [tenant.uses(name) for name in (*waiting, late)] == [1] * SHARE + [0]
    # Under the very id of the call that was refused: that was none.
    for _ in range(2):
        assert tenant.ask("customers.export", f"busy-{SHARE}", request_id="late").decision is True
    assert tenant.uses(late) == 1
