"""Runs kopf in a thread and a loop of its own, hands each event over, and restarts kopf when it fails.

Standing: the only module that knows kopf. Holds: kopf never shares our loop, because it cancels every task that is
younger than itself when it stops; events come over by `call_soon_threadsafe`, in order. When it restarts it lists
again, so only deletions are missed, and the periodic full list finds those. Handlers decide nothing, annotate nothing
and finalize nothing, and return None, because kopf writes any value that a handler returns into the object's status.
"""

import asyncio
import base64
import contextlib
import json
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

import kopf
import structlog

from bailiwick_api.kinds.meta import (
    APPROVAL_GRANTS,
    ENDPOINT_DATA,
    ENDPOINT_POLICIES,
    GROUP,
    SUBJECT_REVOCATIONS,
    VERSION,
)
from bailiwick_kube.access import Access, AccessError

Sink = Callable[[str | None, dict[str, Any]], None]
"""Takes an event: the type that kopf gives, which is None for an object that a list contained, and the object."""

_LOG: Final = structlog.get_logger(__name__)
# Kopf's own identity, which is meaningless here because the lease decides who leads. By default kopf looks up the user
# in the password file, and in a pod our user has no entry there.
_IDENTITY: Final = "bailiwick-operator"
_STOP_SECONDS: Final = 4.0
_AGAIN_SECONDS: Final = 2.0
_TOKEN_AGAIN_SECONDS: Final = 2.0
_TOKEN_LOOK: Final = timedelta(minutes=10)


class ServedKinds(NamedTuple):
    """Which kinds the API server serves to us beside policies, grants and revocations."""

    data: bool


class KopfWatch:
    """Watches all kinds once they are served; without data, with a warning, where data is not served.

    `find_kinds` returns the kinds that are served; None until all that are needed are. The sinks are called in the loop
    that runs `run`.
    """

    def __init__(
        self,
        access: Access,
        find_kinds: Callable[[], Awaitable[ServedKinds | None]],
        policies: Sink,
        grants: Sink,
        revocations: Sink,
        data: Sink,
    ) -> None:
        self._access = access
        self._find_kinds = find_kinds
        self._policies = policies
        self._grants = grants
        self._revocations = revocations
        self._data = data

    async def run(self) -> None:
        """Watch until cancelled. kopf's own loop has ended when this returns, or is left behind after a few seconds."""
        while True:
            # kopf discovers the kinds once, at its start; it would never watch a kind that is missing then.
            while (served := await self._find_kinds()) is None:
                await self._pause()
            if not served.data:
                _LOG.warning("data is not watched: apply crds/ and the roles of Bailiwick, then restart the operator")
            sinks = {
                ENDPOINT_POLICIES: self._policies,
                APPROVAL_GRANTS: self._grants,
                SUBJECT_REVOCATIONS: self._revocations,
                **({ENDPOINT_DATA: self._data} if served.data else {}),
            }
            thread = _Thread(self._access, {kind: self._in_this_loop(sink) for kind, sink in sinks.items()})
            thread.start()
            try:
                await thread.ended
            except asyncio.CancelledError:
                thread.stop()
                try:
                    async with asyncio.timeout(_STOP_SECONDS):
                        await asyncio.shield(thread.ended)
                except TimeoutError:
                    _LOG.warning("the watches did not end in time; they end with the process")
                raise
            _LOG.warning("the watches ended, restarting them", why=thread.ended.result())
            await self._pause()

    @staticmethod
    async def _pause() -> None:
        await asyncio.sleep(_AGAIN_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    @staticmethod
    def _in_this_loop(sink: Sink) -> Sink:
        loop = asyncio.get_running_loop()

        def hand_over(kind: str | None, body: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(sink, kind, body)

        return hand_over


class _Thread:
    """One run of kopf. `ended` is a future of the starting loop; its result says why it ended."""

    def __init__(self, access: Access, sinks: Mapping[str, Sink]) -> None:
        self._registry = kopf.OperatorRegistry()
        kopf.on.login(id="access", registry=self._registry)(_login(access))
        for kind, sink in sinks.items():
            _register(self._registry, kind, sink)
        self._starting_loop = asyncio.get_running_loop()
        self._stop: Callable[[], object] = lambda: None
        self._stopped = False
        self.ended: asyncio.Future[str] = self._starting_loop.create_future()

    def start(self) -> None:
        """Start. A daemon thread: a kopf that hangs never keeps the process alive."""
        threading.Thread(target=self._run, name="kopf", daemon=True).start()

    def stop(self) -> None:
        """Ask it to end."""
        self._stopped = True
        # Its loop may have just been closed, because kopf ended by itself.
        with contextlib.suppress(RuntimeError):
            self._stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
            why = "kopf ended"
        except Exception as error:  # noqa: BLE001 - on any error the watches restart, and the log has it
            why = f"{type(error).__name__}: {error}"
        # The starting loop may be closed when the process is exiting.
        if not self._starting_loop.is_closed():
            self._starting_loop.call_soon_threadsafe(self._set_ended, why)

    def _set_ended(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    async def _operate(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        if self._stopped:
            return
        await kopf.operator(
            registry=self._registry,
            settings=_settings(),
            identity=cast("Any", _IDENTITY),
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )


def _register(registry: kopf.OperatorRegistry, plural: str, sink: Sink) -> None:
    """Hand every event of a kind to the sink."""

    @kopf.on.event(GROUP, VERSION, plural, id=plural, registry=registry)
    async def hand_over(event: kopf.RawEvent, **_: object) -> None:
        sink(event["type"], dict(event["object"]))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    # Would list CRDs and namespaces of the whole cluster, which our role does not allow.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    # True loses objects when the stream breaks before its first bookmark.
    settings.watching.initial_streaming = False
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = random.randint(240, 300)  # noqa: S311 - so that replicas do not come at once
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    # Not used by raw event handlers; if a handler of another kind is added by mistake, it writes under our name.
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.process.ultimate_exiting_timeout = None
    return settings


def _login(access: Access) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    async def login(**_: object) -> kopf.ConnectionInfo:
        try:
            token = access.token()
        except AccessError as error:
            # Without a delay of our own, kopf would wait a minute.
            raise kopf.TemporaryError(str(error), delay=_TOKEN_AGAIN_SECONDS) from error
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=str(access.ca_file) if access.ca_file else None,
            ca_data=access.ca_data,
            token=token,
            # By the system's own time, by which kopf judges it too.
            expiration=_use_until(token, datetime.now(UTC)),
        )

    return login


def _use_until(token: str, now: datetime) -> datetime:
    """Return when to read the token again: well before its end, if it has one, because at its end the streams break.

    The token is only read, never trusted: the API server verifies it.
    """
    try:
        body = token.split(".")[1]
        ends = datetime.fromtimestamp(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"], UTC)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError):
        return now + _TOKEN_LOOK
    # A kubelet writes the next token after four fifths of this one's life.
    return max(now + timedelta(seconds=30), now + (ends - now) * 0.9)
