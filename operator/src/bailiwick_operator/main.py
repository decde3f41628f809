"""The process: flags, lease, then everything that a leader does, concurrently in one task group.

Holds: only a leader starts any of it; a lost lease ends the process with a code other than 0, so that it cannot act on
stale state. SIGTERM ends it cleanly, and gives the lease up.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import structlog

from bailiwick_api.distribution import DISTRIBUTION
from bailiwick_kube.access import Access, AccessError, access
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.transport import Transport, UnreachableError
from bailiwick_notifications.addresses import AddressRule
from bailiwick_notifications.sending.sender import NotificationSender
from bailiwick_operator.certificates.keeper import ExternalCertificate, Keeper, SelfManaged
from bailiwick_operator.coverage.counter import CoverageCounter
from bailiwick_operator.evidence.checkpoints import CheckpointClient
from bailiwick_operator.evidence.chronicle import Chronicle
from bailiwick_operator.evidence.ledger import OperatorLedger, output
from bailiwick_operator.evidence.witness import Witness, WitnessParts
from bailiwick_operator.grants.controller import GrantBarriers
from bailiwick_operator.guard.keep import SERVER_NAME, KeepWatch
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.guard.reviewerfile import ReviewerFile
from bailiwick_operator.histories.sweeper import INTERVAL as SWEEP_INTERVAL, HistorySweeper
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.kube import (
    DATA_PATH,
    FIELD_MANAGER,
    GRANTS_PATH,
    POLICIES_PATH,
    REVOCATIONS_PATH,
    OperatorClient,
)
from bailiwick_operator.loop.clock import Clock, SkewMonitor
from bailiwick_operator.loop.events import Events
from bailiwick_operator.loop.inventory import Inventory, Ticks
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.waitlist import WaitList
from bailiwick_operator.loop.workqueue import WorkItem, WorkQueue
from bailiwick_operator.notify.notifier import Notifier
from bailiwick_operator.notify.outbox import Scope
from bailiwick_operator.notify.sources import TargetSources
from bailiwick_operator.process.health import Health, HealthPortError, Progress
from bailiwick_operator.process.leader import NOTIFIED, Leadership, LostLeaseError, election_client
from bailiwick_operator.process.metrics import Leader
from bailiwick_operator.programmed.poller import ProgrammedPoller
from bailiwick_operator.programmed.replicas import ListedReplicas, OfService, ReplicaClient, Replicas
from bailiwick_operator.reconcile.transitions import EventDraft
from bailiwick_operator.reconciler import Reconciler
from bailiwick_operator.settings import OperatorSettings, parse
from bailiwick_operator.signals.receivers import SignalReceivers
from bailiwick_operator.usage.observation import UsageObservation
from bailiwick_operator.usage.poller import UsagePoller
from bailiwick_operator.watch import KopfWatch, ServedKinds, Sink
from bailiwick_process import logs

_LOG: Final = structlog.get_logger(__name__)
_FAILED: Final = 1
_USAGE: Final = 2
# How long a process of the decision point is given to say what it serves.
_ASK_SECONDS: Final = 3.0
# kopf warns that it cannot handle signals in a thread, which we do; the election library logs an error for every try
# that another process wins. `leader` and `watch` log what matters of both.
_LIBRARIES: Final = {"kopf._core.reactor.running": logging.ERROR, "kubernetes": logging.CRITICAL}


class _StopSignal(Exception):  # noqa: N818 - not an error: it ends the task group
    """The process received a signal to stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator.

    Returns 0 after a signal to stop, 1 when the lease was lost or on an internal error, 2 when it was started wrongly.
    """
    settings = parse(sys.argv[1:] if arguments is None else arguments)
    logs.configure(settings.log_level, levels=_LIBRARIES)
    # Modules are permanent: when the collector scanned them with all other objects, it paused the loop ten times a
    # minute.
    gc.collect()
    gc.freeze()
    try:
        where = access(settings.kubeconfig)
        where.token()
    except AccessError as error:
        sys.stderr.write(f"bailiwick-operator: {error}\n")
        return _USAGE
    return asyncio.run(operate(settings, where))


async def operate(settings: OperatorSettings, where: Access) -> int:
    """Wait for the lease, then lead until a signal to stop or until it is lost. Returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _LOG.info("starting", server=where.server, namespace=settings.installation.namespace, identity=settings.identity)
    transport = HttpTransport(where, settings.request_timeout, FIELD_MANAGER)
    clock = Clock(transport.clock)
    leadership = Leadership(
        election_client(where, transport), settings.installation.namespace, settings.identity, settings.lease
    )
    health = Health(Progress(lambda: leadership.tries, 3.0 * settings.lease.duration))
    asker = ReplicaClient(min(_ASK_SECONDS, settings.request_timeout))
    code = _FAILED
    try:
        ledger = _ledger(settings, clock)
    except OSError as error:
        sys.stderr.write(f"bailiwick-operator: --ledger-file {settings.ledger_file}: {error.strerror}\n")
        return _USAGE
    try:
        async with health.serve(settings.health_port):
            if not await leadership.acquire(stop):
                code = 0
                return code
            # The lease is checked at each write.
            kube = OperatorClient(transport, leadership.valid)
            observation = UsageObservation(leadership.before)
            leadership.add_mark(lambda: observation.mark)
            notifier = _notifier(settings, kube, clock, leadership)
            leadership.add_mark(lambda: notifier.mark, NOTIFIED)
            connect = partial(_connect, where, min(_ASK_SECONDS, settings.request_timeout))
            coverage = CoverageCounter(
                settings.coverage,
                where,
                namespace=settings.installation.namespace,
                timeout=settings.request_timeout,
                now=lambda: clock.local_now().timestamp(),
            )
            leader = _leader(settings, kube, clock, asker, ledger, observation, notifier, connect, coverage)
            health.lead(leader, _watched(settings, leader))
            watch = _watch(where, kube, leader.reconciler)
            code = await _until_it_ends(_lead(leader, watch, leadership, settings.relist_interval, stop))
            await leadership.release()
            return code
    except HealthPortError as error:
        _LOG.error("not started", why=str(error))
        return _USAGE
    finally:
        ledger.close("stopped" if code == 0 else "failed")
        await asker.close()
        await transport.close()


async def _until_it_ends(leading: Awaitable[None]) -> int:
    code = _FAILED
    try:
        await leading
    except* _StopSignal:
        _LOG.info("stopping on a signal")
        code = 0
    except* LostLeaseError as lost:
        _LOG.error("lost leadership, exiting", why=str(lost.exceptions[0]))
    except* Exception:  # noqa: BLE001 - the next process starts afresh, this one would continue in a bad state
        _LOG.exception("internal error, exiting")
    return code


def _connect(where: Access, timeout: float, server: str) -> Transport:
    """Return a transport to one API server, `HOST:PORT`, which must prove to be one."""
    return HttpTransport(replace(where, server=f"https://{server}", server_name=SERVER_NAME), timeout, FIELD_MANAGER)


def _ledger(settings: OperatorSettings, clock: Clock) -> OperatorLedger:
    """Open the operator's own log, whether it will lead or not. Raises `OSError`."""
    return OperatorLedger(
        settings.installation.namespace,
        output(settings.ledger_file),
        clock.local_now,
        component="operator",
        identity=settings.identity,
        version=version(DISTRIBUTION),
    )


def _notifier(settings: OperatorSettings, kube: OperatorClient, clock: Clock, leadership: Leadership) -> Notifier:
    own, namespace = settings.notify, settings.installation.namespace
    source, seconds = f"/bailiwick/{namespace}", own.terms.timeout
    scopes: tuple[tuple[Scope, AddressRule], ...] = (
        ("installation", AddressRule(public_only=False)),
        ("namespace", own.rule),
    )
    senders: dict[Scope, NotificationSender] = {
        scope: NotificationSender(source, own.console, rule, seconds, clock.local_now, cluster=own.cluster)
        for scope, rule in scopes
    }
    sources = TargetSources(kube, own.folder, namespaces=own.namespaces, clock=clock.monotonic)
    return Notifier(own, sources, senders, clock, before=leadership.notified, may_send=leadership.valid)


def _leader(  # noqa: PLR0913, PLR0917 - all that the parts are made with
    settings: OperatorSettings,
    kube: OperatorClient,
    clock: Clock,
    asker: ReplicaClient,
    ledger: OperatorLedger,
    observation: UsageObservation,
    notifier: Notifier,
    connect: Callable[[str], Transport],
    coverage: CoverageCounter,
) -> Leader:
    """Return the parts of a leader. Each part is made with all that it needs, so lower layers come first.

    Grants wait for the guard and the clock, which call them back: the wait lists connect them.
    """
    ticks, installation = Ticks(), settings.installation
    queue: WorkQueue[WorkItem] = WorkQueue(lambda work: work.namespace)
    unproven, untimed = WaitList(queue.add), WaitList(queue.add)
    events = Events(kube, settings.identity, now=clock.now, clock=clock.monotonic)
    writer = Writer(kube, events)
    tell = _both(partial(events.tell_of_guard, installation.namespace), notifier.tell)
    chronicle = Chronicle(ledger, clock.monotonic)
    keep = KeepWatch(
        kube,
        installation,
        connect,
        interval=settings.proof_interval,
        required=settings.require_keep,
        changed=chronicle.keep_changed,
        tell=tell,
    )
    guard = GuardKeeper(
        kube,
        installation,
        ticks,
        interval=settings.proof_interval,
        settle=settings.guard_settle,
        now=clock.now,
        clock=clock.monotonic,
        proven=unproven.release,
        report_void=writer.report_void,
        tell=tell,
        recorded=chronicle.guard_recorded,
        keep=keep,
        reviewers=ReviewerFile(
            kube, installation, settings.registrars, accepted=chronicle.reviewers_recorded, tell=tell
        ),
    )
    replicas: Replicas = (
        ListedReplicas(settings.replicas)
        if settings.replicas
        else OfService(kube, installation.namespace, settings.webhook_service)
    )
    reconciler = Reconciler(
        kube,
        settings,
        ticks,
        queue=queue,
        writer=writer,
        poller=ProgrammedPoller(replicas, asker, queue.add),
        usage=UsagePoller(replicas, asker, clock, observation),
        barriers=GrantBarriers(guard, unproven, clock, untimed),
        chronicle=chronicle,
        notifier=notifier,
    )
    keys = KeyKeeper(
        kube,
        installation,
        settings.key_rotation,
        interval=settings.key_interval,
        now=clock.local_now,
        changed=chronicle.keys_changed,
    )
    asker.prove_by(lambda: keys.own)
    witness = Witness(
        WitnessParts(kube, replicas, CheckpointClient(asker), ledger, guard.publish),
        installation,
        interval=settings.witness_interval,
        now=clock.local_now,
        tell=_both(partial(events.tell_of_witness, installation.namespace), notifier.tell),
    )
    certificates = _certificates(settings, kube, clock)
    skew = SkewMonitor(clock, tell=tell, resume=untimed.release)
    sweeper = HistorySweeper(kube, clock)
    return Leader(
        guard,
        keys,
        certificates,
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
        SignalReceivers(settings.signals, kube, clock, settings.issuers),
        coverage,
    )


def _watched(settings: OperatorSettings, leader: Leader) -> dict[str, Progress]:
    return {
        "guard": Progress(lambda: leader.guard.rounds, 3 * settings.proof_interval + 60),
        "keep": Progress(lambda: leader.keep.looks, 3 * settings.proof_interval + 60),
        "keys": Progress(lambda: leader.keys.rounds, 3 * settings.key_interval + 60),
        "certificates": Progress(lambda: leader.certificates.rounds, 3 * settings.certificate_interval + 60),
        "witness": Progress(lambda: leader.witness.rounds, 3 * settings.witness_interval + 60),
        "histories": Progress(lambda: leader.sweeper.steps, 3 * SWEEP_INTERVAL + 60),
    }


async def _lead(leader: Leader, watch: KopfWatch, leadership: Leadership, relist: float, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hold(leadership, stop))
        tasks.create_task(leader.skew.run())
        tasks.create_task(leader.guard.run())
        tasks.create_task(leader.guard.follow())
        tasks.create_task(leader.keep.run())
        tasks.create_task(leader.keys.run())
        tasks.create_task(leader.certificates.run())
        tasks.create_task(leader.witness.run())
        tasks.create_task(leader.sweeper.run())
        tasks.create_task(leader.signals.run())
        tasks.create_task(leader.coverage.run())
        tasks.create_task(leader.events.run())
        tasks.create_task(leader.notifier.run())
        tasks.create_task(leader.reconciler.run(relist))
        tasks.create_task(_run(leader.reconciler, watch))


def _both(*listeners: Callable[[EventDraft], None]) -> Callable[[EventDraft], None]:
    def tell(draft: EventDraft) -> None:
        for listener in listeners:
            listener(draft)

    return tell


def _certificates(settings: OperatorSettings, kube: OperatorClient, clock: Clock) -> Keeper:
    if settings.tls_mode == "external":
        return ExternalCertificate(
            kube,
            settings.installation,
            interval=settings.certificate_interval,
            now=clock.local_now,
            clock=clock.monotonic,
        )
    return SelfManaged(
        kube,
        settings.installation,
        settings.webhook_service,
        settings.certificates,
        interval=settings.certificate_interval,
        now=clock.local_now,
    )


async def _hold(leadership: Leadership, stop: asyncio.Event) -> None:
    await leadership.hold(stop)
    raise _StopSignal


def _watch(where: Access, kube: OperatorClient, reconciler: Reconciler) -> KopfWatch:
    listed = reconciler.note_relist
    kinds = (reconciler.policies, reconciler.grants, reconciler.revocations.objects, reconciler.data.objects)
    sinks = (_sink(inventory, listed, reconciler.note_event) for inventory in kinds)
    return KopfWatch(where, partial(_find_kinds, kube), *sinks)


async def _run(reconciler: Reconciler, watch: KopfWatch) -> None:
    await reconciler.listed.wait()
    await watch.run()


async def _find_kinds(kube: OperatorClient) -> ServedKinds | None:
    """Return whether data is served beside the other kinds; None until those are served."""
    paths = (POLICIES_PATH, GRANTS_PATH, REVOCATIONS_PATH, DATA_PATH)
    try:
        answers = [await kube.get(path, {"limit": "1"}) for path in paths]
    except UnreachableError:
        return None
    *needed, data = (answer.ok for answer in answers)
    return ServedKinds(data=data) if all(needed) else None


def _sink(inventory: Inventory, listed: Callable[[], None], note_event: Callable[[], None]) -> Sink:
    def take(kind: str | None, body: dict[str, Any]) -> None:
        note_event()
        if kind is None:
            listed()
        if kind == "DELETED":
            inventory.forget(body)
        else:
            inventory.record(body)

    return take
