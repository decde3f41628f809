"""A rolling restart of three decision points under load, as a Deployment does it: no request is lost."""

import signal
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from demo.stack import DecisionPoint
from support.pdp.balancer import Balancer, Replica
from support.pdp.processes import Bailiwick
from support.waits import until

REPLICAS: Final = 3
FEWEST: Final = 2_000
DRAIN_SECONDS: Final = 2.0


def replica(point: DecisionPoint) -> Replica:
    return Replica(point.url, point.status_url)


def test_a_rolling_restart_under_load_loses_no_request(ours: Bailiwick) -> None:
    flags = ("--drain-seconds", f"{DRAIN_SECONDS}", "--connection-requests", "50")
    points = [ours.start_point(*flags) for _ in range(REPLICAS)]
    tenant = ours.tenants(*points).make("rolling")
    path, body = urlsplit(tenant.url()).path, tenant.body("customers.list")
    with Balancer(path, body, tenant.pep, [replica(point) for point in points]) as balancer:
        for old in points:
            # One more first, and the old one only then: a Deployment with maxSurge 1 and maxUnavailable 0.
            new = ours.start_point(*flags)
            balancer.replicas.append(replica(new))
            until(partial(balancer.asked.__getitem__, new.url), "the new one is asked")
            old.process.id.send(signal.SIGTERM)
            assert old.process.handle.wait(DRAIN_SECONDS + 20) == 0
            balancer.replicas.remove(replica(old))
        until(lambda: balancer.count >= FEWEST, "it was asked often enough", 120)
    assert balancer.lost == []
    assert set(balancer.answers) == {"200 True"}
    # Everybody had a share, the old ones too.
    assert len(balancer.asked) == 2 * REPLICAS
