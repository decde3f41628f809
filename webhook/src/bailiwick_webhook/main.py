"""`bailiwick-webhook`: start, become ready, serve, drain, stop.

Holds: no request is answered before the first list was compiled; after SIGTERM the process is unready first, and closes
its ports only later.
"""

import asyncio
import contextlib
import functools
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from bailiwick_api.issuers import mapped_issuers, namings
from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.keys import CLUSTER
from bailiwick_kube.access import AccessError, access
from bailiwick_kube.connections import HttpTransport
from bailiwick_process import collector, logs
from bailiwick_process.jwt.keyset import KeySet
from bailiwick_webhook.admission.bench import PolicyExaminer, command
from bailiwick_webhook.approvals.consumer import Consumer
from bailiwick_webhook.approvals.opener import Opener
from bailiwick_webhook.cluster.client import ApiClient
from bailiwick_webhook.history.reservations import keeping
from bailiwick_webhook.http import app
from bailiwick_webhook.http.adapters.enforce import EnforceHandler
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces
from bailiwick_webhook.http.admission import ValidateHandler
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.checkpoint import CheckpointHandler
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.jwt.verifier import Verifier
from bailiwick_webhook.identity.permits import Permits
from bailiwick_webhook.identity.subject import ByToken
from bailiwick_webhook.identity.tokens import RULES, Tokens, publisher
from bailiwick_webhook.identity.workloads import Workloads
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port
from bailiwick_webhook.pipeline.observer import Observer, unobserved
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.process import standalone
from bailiwick_webhook.process.chain import chain_log
from bailiwick_webhook.process.settings import WebhookSettings, parse
from bailiwick_webhook.record.ledgernotes import LedgerNotes
from bailiwick_webhook.record.writing.writer import RecordWriter
from bailiwick_webhook.signing.signer import Signer
from bailiwick_webhook.store.store import Store
from bailiwick_webhook.store.view import View
from bailiwick_webhook.threadturns import TurnTakingPool
from bailiwick_webhook.tls.reload import Certificates

if TYPE_CHECKING:
    from bailiwick_webhook.development.grantmemory import GrantMemory

_SWITCH_SECONDS = 0.0005
_USER_AGENT = "bailiwick-webhook"

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns 0, or 1 with a line on stderr where it could not start."""
    settings = parse(arguments)
    logs.configure(settings.log_level, plain=settings.development)
    if settings.development:
        sys.stderr.write(standalone.BANNER)
    # Threads beside the loop release the interpreter's lock after so long, instead of after 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            # Work in a thread makes progress beside a busy loop.
            runner.get_loop().set_default_executor(TurnTakingPool(thread_name_prefix="beside"))
            runner.run(_run(settings))
    except (AccessError, OSError) as error:
        sys.stderr.write(f"bailiwick-webhook: cannot start: {error}\n")
        return 1
    return 0


async def _run(settings: WebhookSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # The status port is closed last: the witness still has to see the line that closes the records.
    async with contextlib.AsyncExitStack() as last, contextlib.AsyncExitStack() as stack:
        records = await stack.enter_async_context(_writer(settings))
        observe = _observer(settings, stack)
        (store, identity, pdp, keysets), memory = _parts(settings, records, stack, observe)
        tls = _certificates(settings, store.clock)
        # Before the records are closed, because it writes to them.
        stack.push_async_callback(pdp.shadows.close)
        stack.push_async_callback(pdp.histories.close)
        listening = asyncio.Event()

        def is_serving() -> bool:
            # Unready before the first port closes, also where a defect ends the process.
            return listening.is_set() and not (stop.is_set() or watching.done() or records.broken.done())

        checkpoints = _checkpoints(settings, store, records, pdp.counts)
        status = await serve(
            health.build(
                store,
                is_serving,
                identity.notice,
                Exposition(store, records, pdp.counts, tls),
                pdp.counts,
                tls,
                checkpoints,
            ),
            settings.status_host,
            settings.status_port,
        )
        last.push_async_callback(status.stop)
        last.push_async_callback(checkpoints.farewell, settings.witness_wait)
        filled = stack.enter_context(collector.filling())
        watching = asyncio.create_task(store.run())
        stack.callback(watching.cancel)
        # Not awaited: until the cluster's keys are known, only the API server verifies tokens, and until an issuer's
        # keys are known, its tokens are refused.
        reading = [asyncio.create_task(keys.run()) for keys in keysets]
        for task in reading:
            stack.callback(task.cancel)
        if tls is not None:
            stack.callback(asyncio.create_task(tls.run()).cancel)
        await _wait_for_first(_until_ready(store, tls), stop.wait(), watching, records.broken)
        if stop.is_set():
            return
        filled()
        listen = functools.partial(serve, host=settings.host, tls=None if tls is None else tls.listening)
        signer = Signer(lambda: store.keyring, lambda: store.guard_proven, lambda: store.void)
        namespaces = ProtectedNamespaces(settings.kubernetes_endpoint, settings.installation)
        admission = None
        if settings.policies is None:
            # First: once we are ready, the API server may ask.
            bench = PolicyExaminer(command(settings.budget))
            stack.push_async_callback(bench.close)
            validate = ValidateHandler(bench, store, mapped_issuers(namings(settings.issuers)), pdp.counts).__call__
            authenticator = RequestAuthenticator(
                pdp, identity, settings.external_url, signer, app.ADMISSION_BOUNDS, Port.ADMISSION
            )
            enforce = EnforceHandler(authenticator, namespaces).__call__
            asked = app.build_admission(validate, stop.is_set, pdp.counts, settings.bounds, enforce=enforce)
            admission = await listen(asked, port=settings.admission_port)
            stack.push_async_callback(admission.stop)
        decisions = app.build(
            pdp, identity, settings.external_url, stop.is_set, signer, bounds=settings.bounds, namespaces=namespaces
        )
        _serve_reviews(decisions, memory)
        server = await listen(decisions, port=settings.port)
        stack.push_async_callback(server.stop)
        ports = {"port": server.port, "status_port": status.port}
        ports |= {} if admission is None else {"admission_port": admission.port}
        ports |= await _serve_grpc(settings, decisions[app.AUTHENTICATOR], tls, stack)
        listening.set()
        _log.info("serving", **ports, tls=settings.tls, url=settings.external_url)
        await _wait_for_first(stop.wait(), watching, records.broken, *reading)
        _log.info("draining", seconds=settings.drain_seconds)
        # Unready from now on, but still answering: load balancers need a moment to notice.
        await _wait_for_first(asyncio.sleep(settings.drain_seconds), records.broken)


def _serve_reviews(decisions: app.Application, memory: "GrantMemory | None") -> None:
    """Let anyone who can connect review the grants of a decision point in development."""
    if memory is not None:
        from bailiwick_webhook.http.development import add_reviews  # noqa: PLC0415 - only with `--development`

        add_reviews(decisions, memory)


async def _serve_grpc(
    settings: WebhookSettings,
    authenticator: RequestAuthenticator,
    tls: Certificates | None,
    stack: contextlib.AsyncExitStack,
) -> dict[str, int]:
    """Serve gRPC until the stack ends, if it is enabled; return the port by name. Raises `OSError`."""
    if not settings.grpc_port:
        return {}
    try:
        from bailiwick_webhook.grpc import server  # noqa: PLC0415 - 20 MB that only those load who ask for the port
    except ImportError as error:
        message = f"--grpc-port needs the extra bailiwick-authz[grpc]: {error}"
        raise OSError(message) from error
    listening = await server.serve(authenticator, settings.bounds, settings.host, settings.grpc_port, tls)
    stack.push_async_callback(listening.stop)
    return {"grpc_port": listening.port}


def _writer(settings: WebhookSettings) -> RecordWriter:
    """Open the file of records. Raises `OSError` that names the flag."""
    try:
        return RecordWriter(
            settings.record_file,
            fsync=settings.record_fsync,
            limits=settings.record_limits,
            chain=chain_log(settings),
        )
    except OSError as error:
        message = f"--record-file {settings.record_file}: {error.strerror or error}"
        raise OSError(message) from error


def _observer(settings: WebhookSettings, stack: contextlib.AsyncExitStack) -> Observer:
    """Return what observes the pipeline: spans where a collector is named, else nothing. Raises `OSError`."""
    if settings.otlp_endpoint is None:
        return unobserved
    try:
        from bailiwick_webhook import telemetry  # noqa: PLC0415 - 20 MB that only those load who ask for spans
    except ImportError as error:
        message = f"--otlp-endpoint needs the extra bailiwick-authz[tracing]: {error}"
        raise OSError(message) from error
    export = telemetry.SpanExport(settings.otlp_endpoint)
    stack.push_async_callback(export.close)
    return export.observer


def _parts(
    settings: WebhookSettings, records: Records, stack: contextlib.AsyncExitStack, observe: Observer
) -> tuple[standalone.Parts, "GrantMemory | None"]:
    """Return the parts, and what keeps grants in development. Raises `AccessError`, `NotADirectoryError`."""
    if settings.policies is None:
        return _cluster_parts(settings, records, stack, observe), None
    memory = standalone.grant_memory() if settings.development else None
    return standalone.parts(settings, settings.policies, records, observe, memory), memory


def _cluster_parts(
    settings: WebhookSettings, records: Records, stack: contextlib.AsyncExitStack, observe: Observer
) -> standalone.Parts:
    """Return store, identity, pipeline and keys to keep, where there is an API server. Raises `AccessError`."""
    cluster = ApiClient(HttpTransport(access(settings.kubeconfig), settings.api_timeout, _USER_AGENT))
    # What gives rights ends by the later of both clocks. It begins by ours, which waits for no answer.
    clock = cluster.clock
    stack.push_async_callback(cluster.close)
    # EndpointData grows without objects that the collector tracks.
    keeper = collector.CollectorKeeper(lambda: sys.getallocatedblocks() - store.policies.data.blocks)
    store = Store(
        cluster,
        settings.installation,
        max_staleness=settings.max_staleness,
        hard_staleness=settings.hard_staleness,
        relist=settings.relist_interval,
        budget=settings.budget,
        issuers=namings(settings.issuers),
        tend=keeper.tend,
        registrars=settings.registrars,
    )
    pdp = Pdp(
        store,
        Consumer(cluster, time.time, watch_route=store.watch_route),
        Opener(
            cluster,
            store,
            settings.installation,
            time.time,
            settings.pending_grants,
            span=clock.span,
        ),
        records,
        settings.installation,
        permits=Permits(cluster),
        span=clock.span,
        record_key=settings.record_key,
        shadow_share=settings.shadow_share,
        observe=observe,
        histories=keeping(cluster, clock, lambda: store.guard_proven),
    )
    keys = KeySet(CLUSTER, publisher(cluster))
    issuers = Issuers(settings.issuers, now=clock.later, begun=clock.wall)
    tokens = Tokens(
        cluster,
        Verifier(keys, RULES, clock=time.monotonic, now=clock.later, begun=clock.wall),
        max_staleness=settings.max_staleness,
        clock=time.monotonic,
        now=clock.later,
        counts=pdp.counts,
    )
    return store, ByToken(tokens, issuers, Workloads(cluster)), pdp, (keys, *issuers.keysets)


def _checkpoints(settings: WebhookSettings, store: View, records: RecordWriter, counts: Counts) -> CheckpointHandler:
    """Return the handler for the witness. Without an operator it accepts no checkpoint of an operator's log."""
    notes = LedgerNotes(
        lambda: store.guard.witness_keys if isinstance(store, Store) else "", settings.installation.namespace
    )
    return CheckpointHandler(records, counts, notes, StatusSenders(counts, lambda: store.keyring.keys))


async def _wait_for_first(*awaitables: Awaitable[object]) -> None:
    """Wait for the first of these; a task among them that failed raises here."""
    done, _ = await asyncio.wait(
        [asyncio.ensure_future(awaitable) for awaitable in awaitables], return_when=asyncio.FIRST_COMPLETED
    )
    for task in done:
        task.result()


def _certificates(settings: WebhookSettings, clock: ServerClock | None) -> Certificates | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return Certificates(
        settings.tls_cert_file,
        settings.tls_key_file,
        interval=settings.tls_poll_seconds,
        names=settings.tls_server_names,
        clients=settings.client_ca_file,
        clients_clock=clock,
    )


async def _until_ready(store: View, tls: Certificates | None) -> None:
    """Wait for the first lists, and for a certificate: its Secret is mounted before the operator has filled it."""
    if tls is not None:
        await tls.first()
    while not store.synced:  # noqa: ASYNC110 - at start only, and of six things that have no event in common
        await asyncio.sleep(0.02)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not there on every platform

    return uvloop.new_event_loop
