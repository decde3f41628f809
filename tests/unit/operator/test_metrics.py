"""The operator's metrics: the table says all that there can be, and only a leader speaks for the installation."""

import asyncio
from typing import Any, cast

from bailiwick_operator.health import Health
from bailiwick_operator.inventory import Ticks
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.metrics import LEADING, METRICS, Leader, Metrics
from bailiwick_operator.reconciler import Reconciler
from bailiwick_operator.settings import parse
from support.objects import policy
from unit.operator.cases import INSTALLATION, right_clock
from unit.operator.fakeapi import FakeApi
from unit.operator.test_guard_keeper import keeper


def leading() -> tuple[Metrics, Leader]:
    api = FakeApi()
    settings = parse([], {})
    reconciler = Reconciler(api, settings, Ticks(), cast("Any", None), cast("Any", None), right_clock())
    keys = KeyKeeper(api, INSTALLATION, settings.key_rotation, interval=60)
    metrics = Metrics()
    metrics.leader = Leader(keeper(api), keys, reconciler, right_clock())
    return metrics, metrics.leader


def samples(metrics: Metrics) -> dict[str, float]:
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


def test_every_series_of_a_leader_is_known_from_the_table() -> None:
    metrics, _ = leading()
    known = {
        metric.name.removesuffix("_total"): {name: set(values) for name, values in metric.labels} for metric in METRICS
    }
    collected = list(metrics.collect())
    assert [family.name for family in collected] == list(known)
    for family, metric in zip(collected, METRICS, strict=True):
        assert family.type == metric.type
        for sample in family.samples:
            assert sample.labels.keys() == known[family.name].keys()
            assert all(value in known[family.name][name] for name, value in sample.labels.items())


def test_who_does_not_lead_says_nothing_of_what_only_a_leader_knows() -> None:
    assert samples(Metrics()) == {LEADING.name: 0.0}


async def test_what_happened_is_told() -> None:
    metrics, leader = leading()
    before = samples(metrics)
    assert before["bailiwick_operator_guard_proven"] == 0
    assert before["bailiwick_operator_event_age_seconds"] == float("inf")
    await leader.guard.round()
    await leader.guard.round()
    leader.reconciler.told()
    leader.reconciler.policies.record(
        {
            **policy("crm"),
            "metadata": {"namespace": "crm", "name": "p", "uid": "u", "resourceVersion": "3", "generation": 1},
        }
    )
    leader.reconciler.writer.writes["EndpointPolicy", "conflict"] += 2
    after = samples(metrics)
    assert after["bailiwick_operator_guard_proven"] == 1
    assert after["bailiwick_operator_event_age_seconds"] < 5
    assert after["bailiwick_operator_objects,EndpointPolicy"] == 1
    assert after["bailiwick_operator_status_writes_total,EndpointPolicy,conflict"] == 2
    assert after["bailiwick_operator_guard_falls_total"] == 0


async def test_they_are_served_beside_the_health(unused_tcp_port: int) -> None:
    health = Health()
    async with health.served(unused_tcp_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: me\r\n\r\n")
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.startswith("HTTP/1.0 200 ")
    assert "Content-Type: text/plain; version=0.0.4" in head
    assert "\nbailiwick_operator_leading 0.0\n" in body
    assert "process_resident_memory_bytes" in body
