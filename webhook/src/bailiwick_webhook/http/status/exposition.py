"""How Prometheus reads the metrics: collected when it asks, from the counts, the store and the record.

Holds: nothing here runs unless somebody asks; what takes long on many policies is kept for as long as they stay.
"""

import math
import time
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric as Family
from prometheus_client.registry import Collector

from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_process.metric import Metric
from bailiwick_webhook.metrics import table
from bailiwick_webhook.metrics.counts import Counts, HistoryTally, Tally
from bailiwick_webhook.metrics.table import BOUNDS, CLASSES, RANKS, CallerClass, RequestKind
from bailiwick_webhook.record.writing.writer import RecordWriter
from bailiwick_webhook.store.view import View
from bailiwick_webhook.tls.reload import Certificates

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Exposition(Collector):
    """The metrics of one decision point."""

    def __init__(
        self,
        store: View,
        records: RecordWriter,
        counts: Counts,
        certificate: Certificates | None = None,
    ) -> None:
        self._store = store
        self._records = records
        self._counts = counts
        self._certificate = certificate
        self._sized: tuple[Snapshot | None, tuple[int, int, int]] = (None, (0, 0, 0))
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Yield every metric of the table; prometheus-client calls it."""
        counts, records, store = self._counts, self._records, self._store
        tallies = (
            (RequestKind.EVALUATION, counts.evaluation),
            (RequestKind.BATCH, counts.batch),
            (RequestKind.REQUEST, counts.request),
            (RequestKind.SEARCH, counts.search),
        )
        yield _counter(
            table.DECISIONS,
            (
                ((kind, outcome, reason), count)
                for kind, tally in tallies
                for outcome, reasons in tally.outcomes.items()
                for reason, count in reasons.items()
            ),
        )
        yield _histogram(table.DURATION, (((kind,), tally) for kind, tally in tallies))
        yield _counter(table.USES, (((outcome,), count) for outcome, count in counts.uses.items()))
        met = counts.shadows.met
        yield _counter(
            table.SHADOWS,
            (((endpoint, *both), count) for endpoint, found in met.items() for both, count in found.items()),
        )
        yield _counter(table.DROPS, (((why,), count) for why, count in counts.shadows.dropped.items()))
        yield from self._histories()
        yield _counter(table.RECORDS_WRITTEN, [((), records.written)])
        yield _counter(table.RECORDS_LOST, [((), records.lost)])
        yield _gauge(table.RECORDS_WAITING, records.held)
        yield _gauge(table.RECORDS_BYTES, records.held_bytes)
        yield _gauge(table.RECORDS_FAILING, records.failing is not None)
        chain = records.chain
        yield _gauge(table.LOG_SIZE, None if chain is None else chain.size)
        yield _counter(table.LOG_CHECKPOINTS, [((), 0 if chain is None else chain.signed)])
        yield _gauge(table.LOG_UNASKED, None if chain is None else chain.unasked)
        yield _counter(table.LOG_NOTES_REFUSED, [((), counts.notes_refused)])
        yield _gauge(table.AGE, store.age if store.synced else math.inf)
        endpoints, policies, broken = self._sizes()
        yield _gauge(table.ENDPOINTS, endpoints)
        yield _gauge(table.POLICIES, policies)
        yield _gauge(table.BROKEN, broken)
        yield from self._budget()
        waiting, now = store.waiting, time.monotonic()
        yield _gauge(table.CHANGE_AGE, 0 if waiting.oldest is None else max(0.0, now - waiting.oldest))
        yield _gauge(table.OUTDATED, waiting.outdated(now))
        yield _gauge(table.GUARD, store.guard_proven)
        yield _gauge(table.REVOCATIONS, len(store.revocations))
        yield _counter(table.REVIEWS, (((outcome,), count) for outcome, count in counts.reviews.items()))
        yield _counter(table.TOKENS, (((why,), count) for why, count in counts.tokens_refused.items()))
        yield _counter(table.ADMISSIONS, (((outcome,), count) for outcome, count in counts.admissions.items()))
        yield _counter(
            table.RESPONSES, (((name,), count) for name, count in zip(CLASSES, counts.responses, strict=True))
        )
        yield _counter(table.OVERLOADS, counts.overloads.items())
        yield _gauges(
            table.UNDER_WAY, (((who,), count) for who, count in zip(CallerClass, counts.under_way, strict=True))
        )
        yield _gauges(table.BODY_BYTES, (((who,), count) for who, count in counts.body_bytes.items()))
        yield _counter(table.BODIES_SLOW, counts.bodies_slow.items())
        yield _gauges(table.CONNECTIONS, counts.connections.items())
        yield _counter(table.LIMITED, counts.connections_limited.items())
        yield _counter(table.HANDSHAKES, counts.handshakes.items())
        yield _gauges(table.HANDSHAKES_WAITING, (((port,), count) for port, count in counts.handshakes_waiting.items()))
        yield _counter(table.MALFORMED, (((port,), count) for port, count in counts.malformed.items()))
        yield _gauge(table.CLOCK, None if store.clock is None else store.clock.ahead)
        certificate = self._certificate
        ends = None if certificate is None else certificate.not_after
        yield _gauge(table.CERTIFICATE_ENDS, None if ends is None else ends.timestamp())
        yield _gauge(table.CERTIFICATE_REFUSED, None if certificate is None else certificate.problem is not None)

    def _histories(self) -> Iterator[Family]:
        tally = self._counts.histories
        yield _counter(table.HISTORY_COMMITS, (((outcome,), count) for outcome, count in tally.commits.items()))
        yield _counter(table.HISTORY_CALLS, [((), tally.calls)])
        yield _counter(table.HISTORY_DENIED, (((outcome,), count) for outcome, count in tally.denied.items()))
        yield _counter(table.HISTORY_OUTCOMES, (((result,), count) for result, count in tally.outcomes.items()))
        yield _histogram(table.HISTORY_SECONDS, [((), tally)])
        yield _counter(table.HISTORY_UNAVAILABLE, (((why,), count) for why, count in tally.unavailable.items()))

    def _budget(self) -> Iterator[Family]:
        ledger = self._store.ledger
        used, most = ledger.usage
        yield _gauge(table.COMPILED, used)
        yield _gauge(table.COMPILED_LIMIT, most)
        highest = [usage.used for _, usage in ledger.highest(len(RANKS))]
        ranked = zip(RANKS, [*highest, *[0] * len(RANKS)], strict=False)
        family = GaugeMetricFamily(table.COMPILED_HIGHEST.name, table.COMPILED_HIGHEST.help, labels=["rank"])
        for rank, count in ranked:
            family.add_metric([rank], count)
        yield family
        yield _gauge(table.NAMESPACE_LIMIT, ledger.most)
        yield _gauge(table.OVER_BUDGET, ledger.over)

    def _sizes(self) -> tuple[int, int, int]:
        snapshot = self._store.snapshot
        if self._sized[0] is not snapshot and snapshot is not None:
            self._sized = (snapshot, _sizes(snapshot))
        return self._sized[1]


def _sizes(snapshot: Snapshot) -> tuple[int, int, int]:
    """Return how many endpoints and policies there are, and how many policies deny since they are broken."""
    policies = broken = 0
    for endpoint in snapshot.endpoints.values():
        policies += len({rule.policy.name for rule in endpoint.rules}) + len(endpoint.shadows)
        denying = set(endpoint.broken.values())
        if endpoint.denied_whole is not None:
            denying.add(endpoint.denied_whole)
        broken += len(denying)
    return len(snapshot.endpoints), policies, broken + len(snapshot.unreadable)


def _counter(metric: Metric, samples: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=[name for name, _ in metric.labels])
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _gauges(metric: Metric, samples: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=[name for name, _ in metric.labels])
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, value: float | None) -> Family:
    return GaugeMetricFamily(metric.name, metric.help, value=None if value is None else float(value))


def _histogram(metric: Metric, tallies: Iterable[tuple[tuple[str, ...], Tally | HistoryTally]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=[name for name, _ in metric.labels])
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    for labels, tally in tallies:
        family.add_metric(labels, list(zip(bounds, accumulate(tally.buckets), strict=True)), tally.seconds)
    return family
