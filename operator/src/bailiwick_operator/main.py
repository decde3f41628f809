"""The process: flags, lease, then everything that a leader does, side by side in one task group.

Holds: only a leader starts any of it; a lost lease ends the process with a code other than 0, so that nothing goes on
from what it knew. SIGTERM ends it cleanly, and gives the lease up.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog

from bailiwick_kube.access import Access, AccessError, access
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.certificates.keeper import ExternalCertificate, Keeper, SelfManaged
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.handlers.sink import Sink
from bailiwick_operator.handlers.watch import KopfWatch
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.kube import FIELD_MANAGER, GRANTS_PATH, POLICIES_PATH, OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.inventory import Inventory, Ticks
from bailiwick_operator.process import logs
from bailiwick_operator.process.health import Health, HealthPortError, Progress
from bailiwick_operator.process.leader import Leadership, LostLeaseError, election_client
from bailiwick_operator.process.metrics import Leader
from bailiwick_operator.programmed.replicas import ListedReplicas, OfService, ReplicaClient, Replicas
from bailiwick_operator.reconciler import Reconciler
from bailiwick_operator.settings import OperatorSettings, parse

_LOG: Final = structlog.get_logger(__name__)
_FAILED: Final = 1
_USAGE: Final = 2
# How long a process of the decision point is given to say what it serves.
_ASK_SECONDS: Final = 3.0


class _Told(Exception):  # noqa: N818 - nothing is wrong: it ends the task group
    """We are told to stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator.

    Returns 0 when told to stop, 1 when the lease was lost or an error of ours ends it, 2 when it was started wrongly.
    """
    settings = parse(sys.argv[1:] if arguments is None else arguments)
    logs.configure(settings.log_level)
    try:
        where = access(settings.kubeconfig)
        where.token()
    except AccessError as error:
        sys.stderr.write(f"bailiwick-operator: {error}\n")
        return _USAGE
    return asyncio.run(operate(settings, where))


async def operate(settings: OperatorSettings, where: Access) -> int:
    """Wait for the lease, lead until told to stop or until it is lost. Returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health()
    _LOG.info("starting", server=where.server, namespace=settings.installation.namespace, identity=settings.identity)
    transport = HttpTransport(where, settings.request_timeout, FIELD_MANAGER)
    leadership = Leadership(
        election_client(where, transport), settings.installation.namespace, settings.identity, settings.lease
    )
    # The lease is asked at each write.
    kube = OperatorClient(transport, leadership.valid)
    asker = ReplicaClient(min(_ASK_SECONDS, settings.request_timeout))
    health.watched["lease"] = Progress(lambda: leadership.tries, 3.0 * settings.lease.duration)
    try:
        async with health.served(settings.health_port):
            if not await leadership.acquire(stop):
                return 0
            code = await _until_it_ends(
                _lead(settings, where, kube, Clock(transport.clock), asker, leadership, health, stop)
            )
            await leadership.release()
            return code
    except HealthPortError as error:
        _LOG.error("not started", why=str(error))
        return _USAGE
    finally:
        await asker.close()
        await transport.close()


async def _until_it_ends(leading: Awaitable[None]) -> int:
    code = _FAILED
    try:
        await leading
    except* _Told:
        _LOG.info("told to stop")
        code = 0
    except* LostLeaseError as lost:
        _LOG.error("leadership is lost, ending", why=str(lost.exceptions[0]))
    except* Exception:  # noqa: BLE001 - the next process starts from nothing, this one would go on from it
        _LOG.exception("ending by an error of ours")
    return code


async def _lead(  # noqa: PLR0913, PLR0917 - what the process has before it leads
    settings: OperatorSettings,
    where: Access,
    kube: OperatorClient,
    clock: Clock,
    asker: ReplicaClient,
    leadership: Leadership,
    health: Health,
    stop: asyncio.Event,
) -> None:
    ticks = Ticks()
    replicas: Replicas = (
        ListedReplicas(settings.replicas)
        if settings.replicas
        else OfService(kube, settings.installation.namespace, settings.webhook_service)
    )
    reconciler = Reconciler(kube, settings, ticks, replicas, asker, clock)
    guard = GuardKeeper(
        kube,
        settings.installation,
        ticks,
        interval=settings.proof_interval,
        settle=settings.guard_settle,
        now=clock.now,
        clock=clock.monotonic,
        proven=reconciler.granting.proven,
        fallen=reconciler.writer.fallen,
    )
    guard.tell = clock.tell = partial(reconciler.events.tell_of_guard, settings.installation.namespace)
    clock.agree_again = reconciler.granting.clocks_agree
    reconciler.granting.guard = guard
    keys = KeyKeeper(kube, settings.installation, settings.key_rotation, interval=settings.key_interval, now=clock.ours)
    certificates = _certificates(settings, kube, clock)
    health.leading = True
    health.metrics.leader = Leader(guard, keys, reconciler, clock)
    health.problem = lambda: guard.problem
    health.clock = lambda: clock.problem
    health.keys = lambda: keys.problem
    health.certificates, health.not_after = lambda: certificates.problem, lambda: certificates.not_after
    health.watched["guard"] = Progress(lambda: guard.rounds, 3 * settings.proof_interval + 60)
    health.watched["keys"] = Progress(lambda: keys.rounds, 3 * settings.key_interval + 60)
    health.watched["certificates"] = Progress(lambda: certificates.rounds, 3 * settings.certificate_interval + 60)
    listed = reconciler.listed_anew
    sinks = (_into(inventory, listed, reconciler.told) for inventory in (reconciler.policies, reconciler.grants))
    watch = KopfWatch(where, partial(_served, kube), *sinks)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hold(leadership, stop))
        tasks.create_task(clock.run())
        tasks.create_task(guard.run())
        tasks.create_task(keys.run())
        tasks.create_task(certificates.run())
        tasks.create_task(reconciler.run(settings.relist_interval))
        tasks.create_task(_watch(reconciler, watch))


def _certificates(settings: OperatorSettings, kube: OperatorClient, clock: Clock) -> Keeper:
    if settings.tls_mode == "external":
        return ExternalCertificate(
            kube, settings.installation, interval=settings.certificate_interval, now=clock.ours, clock=clock.monotonic
        )
    return SelfManaged(
        kube,
        settings.installation,
        settings.webhook_service,
        settings.certificates,
        interval=settings.certificate_interval,
        now=clock.ours,
    )


async def _hold(leadership: Leadership, stop: asyncio.Event) -> None:
    await leadership.hold(stop)
    raise _Told


async def _watch(reconciler: Reconciler, watch: KopfWatch) -> None:
    await reconciler.listed.wait()
    await watch.run()


async def _served(kube: OperatorClient) -> bool:
    try:
        answers = [await kube.get(path, {"limit": "1"}) for path in (POLICIES_PATH, GRANTS_PATH)]
    except UnreachableError:
        return False
    return all(answer.ok for answer in answers)


def _into(inventory: Inventory, listed: Callable[[], None], told: Callable[[], None]) -> Sink:
    def take(kind: str | None, body: dict[str, Any]) -> None:
        told()
        if kind is None:
            listed()
        if kind == "DELETED":
            inventory.forget(body)
        else:
            inventory.record(body)

    return take
