"""The operator's metrics: the table says all that there can be, and only a leader speaks for the installation."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final, cast, get_args

import pytest

from bailiwick_api.accounts import CANARY_GRANT
from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.manifests.canary import canary
from bailiwick_api.times import stamp
from bailiwick_coverage.findings import CoverageCode
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.coverage.counter import CoverageCounter, CoverageCounts
from bailiwick_operator.coverageflags import CoverageSettings
from bailiwick_operator.evidence.chronicle import Chronicle
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.evidence.witness import Witness, WitnessParts
from bailiwick_operator.grants.controller import GrantBarriers
from bailiwick_operator.guard.keep import KeepWatch
from bailiwick_operator.histories.sweeper import HistorySweeper
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.kube import Kind, OperatorClient
from bailiwick_operator.loop.clock import SkewMonitor
from bailiwick_operator.loop.events import Events
from bailiwick_operator.loop.inventory import Inventory, ObservedObject, Tick, Ticks
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.waitlist import WaitList
from bailiwick_operator.loop.workqueue import RetryError, WorkItem, WorkQueue
from bailiwick_operator.notify.notifier import Notifier
from bailiwick_operator.notify.sources import TargetSources
from bailiwick_operator.process.health import Health, Progress
from bailiwick_operator.process.metrics import LEADING, METRICS, Leader, Metrics
from bailiwick_operator.programmed.replicas import ListedReplicas
from bailiwick_operator.reconcile.guard import KeepState
from bailiwick_operator.reconciler import Reconciler
from bailiwick_operator.settings import parse
from bailiwick_operator.signals.receivers import SignalReceivers
from support.objects import Object, policy
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, grant, right_clock, stored
from unit.operator.fakeapi import FakeApi
from unit.operator.guard.test_guard_keeper import keeper

CORP: Final = IssuerConfig.model_validate(
    {
        "name": "corp",
        "issuer": "https://login.corp.example",
        "signals": {
            "pollURL": "https://login.corp.example/poll",
            "tokenFile": "ssf.token",
            "audience": "https://bailiwick.example.com",
            "maxTokenSeconds": 3600,
        },
    }
)


def leading() -> tuple[Metrics, Leader]:
    api = FakeApi()
    settings, clock = parse([], {}), right_clock()
    queue: WorkQueue[WorkItem] = WorkQueue()
    events = Events(api.client, "me", now=clock.now)
    ledger = OperatorLedger("bailiwick-system", len, clock.local_now)
    witness = Witness(
        WitnessParts(api.client, ListedReplicas(()), cast("Any", None), ledger),
        INSTALLATION,
        interval=10,
        now=clock.local_now,
        tell=lambda _told: None,
    )
    writer, guard = Writer(api.client, events), keeper(api)
    notifier = Notifier(
        settings.notify,
        TargetSources(api.client, None, namespaces=False),
        {},
        clock,
        before=None,
        may_send=lambda: True,
    )
    reconciler = Reconciler(
        api.client,
        settings,
        Ticks(),
        queue=queue,
        writer=writer,
        poller=cast("Any", SimpleNamespace(forget=lambda _uid: None)),
        usage=cast("Any", SimpleNamespace(forget=lambda _uid: None)),
        barriers=GrantBarriers(guard, WaitList(queue.add), clock, WaitList(queue.add)),
        chronicle=Chronicle(ledger),
        notifier=notifier,
    )
    keys = KeyKeeper(api.client, INSTALLATION, settings.key_rotation, interval=60, now=clock.local_now)
    skew = SkewMonitor(clock, tell=lambda _told: None, resume=lambda: None)
    sweeper = HistorySweeper(api.client, clock)
    keep = KeepWatch(api.client, INSTALLATION, cast("Any", None), interval=60)
    signals = SignalReceivers([CORP], api.client, clock, None)
    coverage = CoverageCounter(CoverageSettings(), cast("Any", None), namespace="", timeout=1, now=lambda: 0.0)
    coverage.counts = CoverageCounts(dict.fromkeys(CoverageCode, 2), dict.fromkeys(CoverageCode, 1), 60.0)
    leader = Leader(
        guard,
        keys,
        cast("Any", None),
        reconciler,
        writer,
        events,
        clock,
        skew,
        witness,
        ledger,
        notifier,
        sweeper,
        keep,
        signals,
        coverage,
    )
    metrics = Metrics()
    metrics.lead(leader)
    return metrics, leader


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
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            assert labels.keys() == known[family.name].keys()
            # Issuers are those of the installation's file.
            assert labels.pop("issuer", CORP.name) == CORP.name
            assert all(value in known[family.name][name] for name, value in labels.items())


def test_an_installation_that_does_not_count_coverage_has_no_sample_of_it() -> None:
    metrics, leader = leading()
    assert {name for name in samples(metrics) if name.startswith("bailiwick_coverage_findings")} != set()
    off = CoverageCounter(None, cast("Any", None), namespace="", timeout=1, now=lambda: 0.0)
    metrics.lead(replace(leader, coverage=off))
    assert {name for name in samples(metrics) if name.startswith("bailiwick_coverage")} == set()


def test_who_does_not_lead_says_nothing_of_what_only_a_leader_knows() -> None:
    assert samples(Metrics()) == {LEADING.name: 0.0}


async def test_what_happened_is_told() -> None:
    metrics, leader = leading()
    before = samples(metrics)
    assert before["bailiwick_operator_guard_proven"] == 0
    assert before["bailiwick_guard_keep,kept"] == 0
    leader.keep.state = KeepState(2, 1, 0, "one has none")
    assert [samples(metrics)[f"bailiwick_guard_keep,{name}"] for name in ("kept", "without", "silent")] == [2, 1, 0]
    assert before["bailiwick_operator_event_age_seconds"] == float("inf")
    await leader.guard.round()
    await leader.guard.round()
    leader.reconciler.note_event()
    leader.reconciler.policies.record(
        {
            **policy("crm"),
            "metadata": {"namespace": "crm", "name": "p", "uid": "u", "resourceVersion": "3", "generation": 1},
        }
    )
    leader.writer.writes["EndpointPolicy", "conflict"] += 2
    after = samples(metrics)
    assert after["bailiwick_operator_guard_proven"] == 1
    assert after["bailiwick_operator_event_age_seconds"] < 5
    assert after["bailiwick_operator_objects,EndpointPolicy"] == 1
    assert after["bailiwick_operator_status_writes_total,EndpointPolicy,conflict"] == 2
    assert after["bailiwick_operator_guard_falls_total"] == 0


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_refused_status_write_of_any_kind_is_counted(kind: Kind) -> None:
    metrics, leader = leading()
    name = f"bailiwick_operator_status_writes_total,{kind},refused"
    assert samples(metrics)[name] == 0
    refusing = OperatorClient(FakeTransport(lambda _request: ApiResponse(HTTPStatus.FORBIDDEN, {})), lambda: True)
    writer = Writer(refusing, leader.events)
    seen = ObservedObject(stored(policy("crm")), Tick(1))
    with pytest.raises(RetryError):
        await writer.write(kind, Inventory(Ticks(), lambda _body: None), seen, {"conditions": []})
    metrics.lead(replace(leader, writer=writer))
    assert samples(metrics)[name] == 1


def test_every_signal_that_there_can_be_is_counted_from_the_start() -> None:
    metrics, leader = leading()
    (counts,) = leader.signals.counts
    before = samples(metrics)
    assert before["bailiwick_signals_total,corp,session-revoked,stored"] == 0
    assert before["bailiwick_signals_total,corp,poll,unanswered"] == 0
    counts.outcomes["session-revoked", "stored"] += 3
    counts.verified = 1_800_000_000.0
    after = samples(metrics)
    assert after["bailiwick_signals_total,corp,session-revoked,stored"] == 3
    assert after["bailiwick_signals_verified_timestamp_seconds,corp"] == 1_800_000_000.0


def waiting(namespace: str, name: str, minutes: float, version: int = 1, **status: object) -> Object:
    """Return a grant that was opened so many minutes before the right clock's present."""
    body = grant()
    opened = stamp(right_clock().now() - timedelta(minutes=minutes))
    body["metadata"] |= {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}"}
    body["metadata"] |= {"creationTimestamp": opened, "resourceVersion": str(version)}
    return body | {"status": status}


def test_what_waits_for_reviews_is_told_by_rank_of_its_namespace() -> None:
    metrics, leader = leading()
    grants = leader.reconciler.grants
    for number in range(7):
        for other in range(number + 1):
            grants.record(waiting(f"ns{number}", f"agr-{other}", minutes=10 * (7 - number)))
    grants.record(waiting("over", "agr-x", 1000, phase="Active"))
    grants.record(canary(INSTALLATION, right_clock().now()) | {"metadata": waiting("x", CANARY_GRANT, 900)["metadata"]})
    told = samples(metrics)
    assert told["bailiwick_operator_grants_pending"] == 28
    most = [told[f"bailiwick_operator_namespace_grants_pending,{rank}"] for rank in range(1, 6)]
    ages = [told[f"bailiwick_operator_namespace_oldest_pending_grant_age_seconds,{rank}"] for rank in range(1, 6)]
    assert most == [7, 6, 5, 4, 3]
    assert ages == pytest.approx([4200, 3600, 3000, 2400, 1800], abs=5)


def test_where_nothing_waits_all_is_zero() -> None:
    metrics, leader = leading()
    body = waiting("crm", "agr-x", 5)
    leader.reconciler.grants.record(body)
    leader.reconciler.grants.forget(body)
    told = samples(metrics)
    assert {value for name, value in told.items() if "pending" in name} == {0}


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        ("Active", "approved"),
        ("Consumed", "approved"),
        ("Denied", "denied"),
        ("Expired", "expired"),
        ("Withdrawn", "withdrawn"),
    ],
)
def test_how_long_a_grant_was_pending_is_told_once_when_it_is_decided(phase: str, outcome: str) -> None:
    metrics, leader = leading()
    leader.reconciler.grants.record(waiting("crm", "agr-x", 10))
    for version in (2, 3):
        leader.reconciler.grants.record(waiting("crm", "agr-x", 10, version, phase=phase))
    # Of one that was decided before this process knew of it, it says nothing.
    leader.reconciler.grants.record(waiting("crm", "agr-y", 10, phase=phase))
    told = samples(metrics)
    name = "bailiwick_operator_grant_pending_seconds"
    assert told["bailiwick_operator_grants_pending"] == 0
    assert told[f"{name}_count,{outcome}"] == 1
    assert told[f"{name}_sum,{outcome}"] == pytest.approx(600, abs=5)
    assert (told[f"{name}_bucket,{outcome},300.0"], told[f"{name}_bucket,{outcome},900.0"]) == (0, 1)


async def test_they_are_served_beside_the_health() -> None:
    health = Health(Progress(lambda: 0, 60))
    async with health.listen(0, "127.0.0.1") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: me\r\n\r\n")
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.startswith("HTTP/1.0 200 ")
    assert "Content-Type: text/plain; version=0.0.4" in head
    assert "\nbailiwick_operator_leading 0.0\n" in body
    assert "process_resident_memory_bytes" in body
