"""Metrics of the operator: the table of them, and how Prometheus reads them when it asks.

Standing: beside `health`, on whose port they are served. Holds: each part counts what it does, in plain numbers; a
process that does not lead reports only that; no name of an object is ever a label.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric as Family
from prometheus_client.registry import Collector

from bailiwick_coverage.findings import CoverageCode
from bailiwick_operator.certificates.keeper import Keeper
from bailiwick_operator.coverage.counter import COUNT_OUTCOMES, CoverageCounter
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.evidence.witness import Witness
from bailiwick_operator.grants.backlog import BOUNDS, OUTCOMES as DECISIONS, PendingGrants
from bailiwick_operator.guard.keep import KeepWatch
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.histories.sweeper import OUTCOMES as SWEEPS, HistorySweeper
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.kube import KINDS
from bailiwick_operator.loop.clock import Clock, SkewMonitor
from bailiwick_operator.loop.events import Events
from bailiwick_operator.loop.status import OUTCOMES, Writer
from bailiwick_operator.notify.notifier import Notifier
from bailiwick_operator.notify.outbox import OUTCOMES as DELIVERIES, SCOPES
from bailiwick_operator.reconcile.guard import KeepState
from bailiwick_operator.reconciler import Reconciler
from bailiwick_operator.signals.counts import EVENTS, OF_EVENTS, OF_POLLS, POLL, SignalCounts
from bailiwick_operator.signals.receivers import SignalReceivers
from bailiwick_process.metric import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_KNOWN: Final = ("EndpointPolicy", "ApprovalGrant")
_RANKS: Final = ("1", "2", "3", "4", "5")
_ISSUER: Final = ("issuer", ("the issuers with signals in the issuers file",))


LEADING: Final = Metric(
    "bailiwick_operator_leading", "gauge", "1 while this process leads. Only the leader reports the metrics below."
)
GUARD: Final = Metric(
    "bailiwick_operator_guard_proven",
    "gauge",
    "1 while the last proof of the guards over grants succeeded. At 0, no grant is approved.",
)
FALLS: Final = Metric(
    "bailiwick_operator_guard_falls_total",
    "counter",
    "Number of times the guards were found removed, changed or ineffective: an emergency change, or an attack.",
)
VOIDED: Final = Metric(
    "bailiwick_operator_grants_voided_total",
    "counter",
    "Grants made void because it is unknown whether the guards let them in.",
)
NAMED: Final = Metric(
    "bailiwick_operator_grants_void_by_name",
    "gauge",
    "Void grants, or whole namespaces of void grants, whose status cannot be written to say so.",
)
KEEP: Final = Metric(
    "bailiwick_guard_keep",
    "gauge",
    "Addresses of API servers that keep the guards from their own disk (kept), do not (without), or did not answer"
    " (silent) when the operator last asked them. One API server behind several addresses counts several times.",
    (("apiservers", ("kept", "without", "silent")),),
)
CLOCK: Final = Metric(
    "bailiwick_operator_clock_agrees",
    "gauge",
    "1 while the operator's clock is within 30 s of the API server's. At 0, no grant is approved, expired or deleted.",
)
AHEAD: Final = Metric(
    "bailiwick_operator_clock_ahead_seconds",
    "gauge",
    "Seconds by which the operator's clock is ahead of the API server's. Negative when it is behind.",
)
KEYS: Final = Metric("bailiwick_operator_keys_ok", "gauge", "1 while the signing keys are in order.")
OBJECTS: Final = Metric("bailiwick_operator_objects", "gauge", "Objects that the operator knows.", (("kind", _KNOWN),))
WRITES: Final = Metric(
    "bailiwick_operator_status_writes_total",
    "counter",
    "Status writes. conflict: the object had changed since it was read, and is reconciled again.",
    (("kind", KINDS), ("outcome", OUTCOMES)),
)
GHOSTS: Final = Metric(
    "bailiwick_operator_ghosts_total",
    "counter",
    "Objects found deleted without a watch event. More than a few mean that watches lose events.",
)
EVENT_AGE: Final = Metric(
    "bailiwick_operator_event_age_seconds",
    "gauge",
    "Seconds since the last watch event. Grows while nothing changes. +Inf before the first event.",
)
DROPPED: Final = Metric(
    "bailiwick_operator_events_dropped_total",
    "counter",
    "Kubernetes Events not written because a namespace had used up its share.",
)
PENDING: Final = Metric("bailiwick_operator_grants_pending", "gauge", "Grants that wait for reviews.")
PENDING_MOST: Final = Metric(
    "bailiwick_operator_namespace_grants_pending",
    "gauge",
    "Grants that wait for reviews, in the namespaces with the most of them, by rank. To name the namespaces, run"
    " `kubectl get agr -A --field-selector status.phase=Pending`.",
    (("rank", _RANKS),),
)
PENDING_AGE: Final = Metric(
    "bailiwick_operator_namespace_oldest_pending_grant_age_seconds",
    "gauge",
    "Age in seconds of the oldest pending grant of a namespace, for the namespaces with the oldest, by rank. Rank 1 is"
    " the oldest of all. 0 if no grant is pending.",
    (("rank", _RANKS),),
)
DECIDED: Final = Metric(
    "bailiwick_operator_grant_pending_seconds",
    "histogram",
    "Seconds from the creation of a grant until it was approved, denied or withdrawn, or expired without enough"
    " reviews. Bounds: " + ", ".join(map(str, BOUNDS)) + ".",
    (("outcome", DECISIONS),),
)

INCONSISTENT: Final = Metric(
    "bailiwick_log_inconsistent",
    "gauge",
    "Logs of the decision point that the witness does not cosign: chains of which the process signed two that cannot"
    " both be true, and answers that do not continue what was witnessed, or that no known process signed.",
)
WITNESSED: Final = Metric(
    "bailiwick_operator_witness_ok",
    "gauge",
    "1 while every ready process of the decision point gives checkpoints, and they are cosigned and stored.",
)
CHAINS: Final = Metric(
    "bailiwick_operator_witness_chains", "gauge", "Logs of the decision point that are witnessed and not over."
)
UNCHAINED: Final = Metric(
    "bailiwick_operator_witness_without_chain", "gauge", "Ready processes of the decision point that keep no chain."
)
SILENT: Final = Metric(
    "bailiwick_operator_witness_silent",
    "gauge",
    "Ready processes of the decision point that gave no checkpoint when they were last asked.",
)
PUT_BACK: Final = Metric(
    "bailiwick_operator_witness_changes_total",
    "counter",
    "Number of times that what the witness had stored was found removed, set back, edited or full.",
)
LEDGER: Final = Metric("bailiwick_operator_ledger_lines_total", "counter", "Lines of the operator's own log.")
LEDGER_LOST: Final = Metric(
    "bailiwick_operator_ledger_lost_total",
    "counter",
    "Lines given up because the output of the operator's own log takes nothing.",
)

NOTIFIED: Final = Metric(
    "bailiwick_operator_notifications_total",
    "counter",
    "Outcomes of notifications. failed: an attempt that will be retried. refused: the target rejected it. expired:"
    " given up after the last attempt. counted: part of a digest. dropped: the target is gone, or there were too many.",
    (("scope", SCOPES), ("outcome", DELIVERIES)),
)
UNNOTIFIED: Final = Metric(
    "bailiwick_operator_notifications_waiting",
    "gauge",
    "Notifications that wait for their target.",
    (("scope", SCOPES),),
)
FAILING: Final = Metric(
    "bailiwick_operator_notification_targets_failing",
    "gauge",
    "Targets of notifications whose last attempt failed.",
    (("scope", SCOPES),),
)

HISTORIES: Final = Metric(
    "bailiwick_operator_histories",
    "gauge",
    "EndpointHistory objects when the operator last looked, which it does every 10 minutes.",
)
UNDATED: Final = Metric(
    "bailiwick_operator_histories_undated",
    "gauge",
    "EndpointHistory objects whose label bailiwick.dev/keep-until is missing or cannot be read. They are kept.",
)
SWEPT: Final = Metric(
    "bailiwick_operator_history_deletions_total",
    "counter",
    "Outcomes of deletions of EndpointHistory objects that count nothing any more. changed: it was written to in the"
    " meantime, and is kept.",
    (("outcome", SWEEPS),),
)

SIGNALS: Final = Metric(
    "bailiwick_signals_total",
    "counter",
    "Signals of issuers. stored: a revocation was written. everybody: likewise, for everybody of the issuer, as there"
    " were too many. unchanged: there is nothing to write. unstored: the API server did not take it; it will be sent"
    " again. ignored: the event has no effect. refused: the token is not accepted. unverifiable: its key cannot be"
    " read, or our clock is wrong; it will be sent again. With event poll, polls: answered, or unanswered.",
    (_ISSUER, ("event", EVENTS), ("outcome", (*OF_EVENTS, *OF_POLLS))),
)
SIGNALLED: Final = Metric(
    "bailiwick_signals_verified_timestamp_seconds",
    "gauge",
    "When a token of the issuer's transmitter was last accepted, be it a verification event. Before the first one: when"
    " this process began to receive.",
    (_ISSUER,),
)

_CODES: Final = tuple(code.value for code in CoverageCode)
FINDINGS: Final = Metric(
    "bailiwick_coverage_findings",
    "gauge",
    "Findings of coverage when the operator last counted them, which it does with --coverage true alone. To name their"
    " objects, run `kubectl bailiwick coverage -A`. unknown: what could not be examined. Without samples before the"
    " first count.",
    (("code", _CODES),),
)
EXEMPT: Final = Metric(
    "bailiwick_coverage_exempt_findings",
    "gauge",
    "Findings of coverage that annotations of their objects took out when they were last counted.",
    (("code", _CODES),),
)
COUNTED: Final = Metric(
    "bailiwick_coverage_counted_timestamp_seconds",
    "gauge",
    "When the findings of coverage were last counted. A count that fails leaves the findings and this time unchanged.",
)
COUNTS: Final = Metric(
    "bailiwick_coverage_counts_total",
    "counter",
    "Attempts to count the findings of coverage. failed: the log says why. timeout: it took longer than"
    " --coverage-timeout, and was ended.",
    (("outcome", COUNT_OUTCOMES),),
)

METRICS: Final = (
    *(LEADING, GUARD, FALLS, VOIDED, NAMED, KEEP, CLOCK, AHEAD, KEYS, OBJECTS, WRITES, GHOSTS, EVENT_AGE, DROPPED),
    *(PENDING, PENDING_MOST, PENDING_AGE, DECIDED),
    *(INCONSISTENT, WITNESSED, CHAINS, UNCHAINED, SILENT, PUT_BACK, LEDGER, LEDGER_LOST),
    *(NOTIFIED, UNNOTIFIED, FAILING),
    *(HISTORIES, UNDATED, SWEPT),
    *(SIGNALS, SIGNALLED),
    *(FINDINGS, EXEMPT, COUNTED, COUNTS),
)


@dataclass(frozen=True, slots=True)
class Leader:
    """What a leader has to tell of."""

    guard: GuardKeeper
    keys: KeyKeeper
    certificates: Keeper
    reconciler: Reconciler
    writer: Writer
    events: Events
    clock: Clock
    skew: SkewMonitor
    witness: Witness
    ledger: OperatorLedger
    notifier: Notifier
    sweeper: HistorySweeper
    keep: KeepWatch
    signals: SignalReceivers
    coverage: CoverageCounter


class Metrics(Collector):
    """The metrics of one process."""

    def __init__(self) -> None:
        self._leader: Leader | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def lead(self, leader: Leader) -> None:
        """Report from now on that the process leads. It was asked before that too."""
        self._leader = leader

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Yield every metric of the table; prometheus-client calls it."""
        yield _gauge(LEADING, [((), self._leader is not None)])
        if self._leader is None:
            return
        guard, keys, reconciler = self._leader.guard, self._leader.keys, self._leader.reconciler
        clock = self._leader.clock
        yield _gauge(GUARD, [((), guard.problem is None)])
        yield _counter(FALLS, [((), guard.falls)])
        yield _counter(VOIDED, [((), guard.made_void)])
        yield _gauge(NAMED, [((), len(guard.void))])
        kept = self._leader.keep.state or KeepState(0, 0, 0, None)
        yield _gauge(KEEP, [(("kept",), kept.kept), (("without",), kept.without), (("silent",), kept.silent)])
        yield _gauge(CLOCK, [((), self._leader.skew.problem is None)])
        yield _gauge(AHEAD, [((), math.nan if clock.ahead is None else clock.ahead)])
        yield _gauge(KEYS, [((), keys.problem is None)])
        known = zip(_KNOWN, (reconciler.policies, reconciler.grants), strict=True)
        yield _gauge(OBJECTS, [((kind,), len(inventory)) for kind, inventory in known])
        writes = self._leader.writer.writes
        yield _counter(WRITES, [((kind, outcome), writes[kind, outcome]) for kind in KINDS for outcome in OUTCOMES])
        yield _counter(GHOSTS, [((), reconciler.ghosts)])
        heard = reconciler.heard
        yield _gauge(EVENT_AGE, [((), math.inf if heard is None else clock.monotonic() - heard)])
        yield _counter(DROPPED, [((), self._leader.events.dropped)])
        yield from _pending(reconciler.pending)
        yield from _evidence(self._leader.witness, self._leader.ledger)
        yield from _notifications(self._leader.notifier)
        yield from _histories(self._leader.sweeper)
        yield from _signals(self._leader.signals.counts)
        yield from _coverage(self._leader.coverage)


def _coverage(counter: CoverageCounter) -> Iterator[Family]:
    counts, counted = counter.counts, counter.outcomes
    yield _gauge(FINDINGS, [((code.value,), n) for code, n in counts.findings.items()] if counts else [])
    yield _gauge(EXEMPT, [((code.value,), n) for code, n in counts.exempt.items()] if counts else [])
    yield _gauge(COUNTED, [((), counts.at)] if counts else [])
    yield _counter(COUNTS, [((name,), counted[name]) for name in COUNT_OUTCOMES] if counter.settings else [])


def _signals(counts: Iterable[SignalCounts]) -> Iterator[Family]:
    pairs = [*itertools.product(EVENTS[:-1], OF_EVENTS), *itertools.product([POLL], OF_POLLS)]
    yield _counter(SIGNALS, [((one.issuer, *pair), one.outcomes[pair]) for one in counts for pair in pairs])
    yield _gauge(SIGNALLED, [((one.issuer,), one.verified) for one in counts])


def _histories(sweeper: HistorySweeper) -> Iterator[Family]:
    yield _gauge(HISTORIES, [((), sweeper.objects)])
    yield _gauge(UNDATED, [((), sweeper.undated)])
    yield _counter(SWEPT, [((outcome,), sweeper.outcomes[outcome]) for outcome in SWEEPS])


def _notifications(notifier: Notifier) -> Iterator[Family]:
    counts = notifier.counts
    known = itertools.product(SCOPES, DELIVERIES)
    yield _counter(NOTIFIED, [((scope, outcome), counts[scope, outcome]) for scope, outcome in known])
    yield _gauge(UNNOTIFIED, [((scope,), notifier.waiting(scope)) for scope in SCOPES])
    yield _gauge(FAILING, [((scope,), notifier.failing(scope)) for scope in SCOPES])


def _evidence(witness: Witness, ledger: OperatorLedger) -> Iterator[Family]:
    yield _gauge(INCONSISTENT, [((), witness.inconsistent)])
    yield _gauge(WITNESSED, [((), witness.problem is None)])
    yield _gauge(CHAINS, [((), witness.chains)])
    yield _gauge(UNCHAINED, [((), witness.without_chain)])
    yield _gauge(SILENT, [((), witness.silent)])
    yield _counter(PUT_BACK, [((), witness.changes)])
    yield _counter(LEDGER, [((), ledger.written)])
    yield _counter(LEDGER_LOST, [((), ledger.lost)])


def _pending(pending: PendingGrants) -> Iterator[Family]:
    yield _gauge(PENDING, [((), len(pending))])
    for metric, values in ((PENDING_MOST, pending.most(len(_RANKS))), (PENDING_AGE, pending.longest(len(_RANKS)))):
        yield _gauge(metric, [((rank,), value) for rank, value in zip(_RANKS, values, strict=True)])
    family = HistogramMetricFamily(DECIDED.name, DECIDED.help, labels=[name for name, _ in DECIDED.labels])
    for outcome, counts in pending.counts.items():
        bounds = [*(f"{float(bound)}" for bound in BOUNDS), "+Inf"]
        buckets = list(zip(bounds, itertools.accumulate(counts), strict=True))
        family.add_metric([outcome], buckets, pending.seconds[outcome])
    yield family


def _counter(metric: Metric, samples: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=[name for name, _ in metric.labels])
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, samples: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=[name for name, _ in metric.labels])
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family
