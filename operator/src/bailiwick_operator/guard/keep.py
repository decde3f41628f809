"""Whether each API server keeps the guards from its own disk: asked by a dry run at each of their addresses.

Standing: beside `keeper`, which records what is seen here, and asks here first where keep is required. Holds: an API
server keeps the guards only if it refused the probe with the names of this version of keep. No proof waits for a look,
and no API server for another. The token goes to a server that proves to be `kubernetes.default.svc`, and to no other.

Nothing but an API server's own disk can refuse the probe with these names: the API server asks neither webhooks nor
policies of its API about bindings. So no policy of the same name can forge the refusal (Kubernetes before 1.37 lets
administrators create one), and no other policy can refuse first.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

import structlog

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from bailiwick_api.manifests.guardpolicy import ADMISSION_VERSION
from bailiwick_api.manifests.keep import KEEP, KEEP_PROBE, keep_probe, keep_refusal
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.transport import Transport, UnreachableError
from bailiwick_operator.guard.prover import UnprovenError
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.reconcile.guard import KeepState, misses_keep, read_record
from bailiwick_operator.reconcile.transitions import NOTE_LENGTH, EventDraft

SERVER_NAME: Final = "kubernetes.default.svc"
"""The name for which every API server has a certificate."""
_LOG: Final = structlog.get_logger(__name__)
_SLICE: Final = object_path("discovery.k8s.io/v1", "endpointslices", "default", "kubernetes")
_PROBE: Final = object_path(ADMISSION_VERSION, "validatingadmissionpolicybindings", name=KEEP_PROBE)
_AT_ONCE: Final = 8
_MOST_SERVERS: Final = 64
_RETRY: Final = 5.0
_RIGHTS: Final = "Apply the crds/rbac of this version"

Outcome = Literal["kept", "without", "silent"]


@dataclass(frozen=True, slots=True)
class _ServerAnswer:
    """What came of the dry run at one API server. `detail`: what is wrong there; empty where it keeps the guards."""

    server: str
    outcome: Outcome
    detail: str = ""


class KeepWatch:
    """Looks at intervals. Lives in the main loop.

    `connect` returns a transport to the API server at `HOST:PORT`, which is closed after each look. `changed` is called
    with the first result, such as `2/3`, and with each that is another than before; and with the one before.
    """

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        connect: Callable[[str], Transport],
        *,
        interval: float,
        required: bool = False,
        changed: Callable[[str, str], None] = lambda _now, _before: None,
        tell: Callable[[EventDraft], None] = lambda _draft: None,
    ) -> None:
        self._kube = kube
        self._record = object_path(CORE, "configmaps", installation.namespace, GUARD_CONFIG_MAP)
        self._connect = connect
        self._interval = interval
        self._required = required
        self._changed = changed
        self._tell = tell
        self._missing = False
        self._before: str | None = None
        self.state: KeepState | None = None
        """What the last look came to; None before the first."""
        self.looks = 0
        """How many looks have ended, whatever their outcome. For the health of the process."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            awaited = self._required and (self.state is None or self.state.problem is not None)
            await asyncio.sleep(min(_RETRY, self._interval) if awaited else self._interval)

    async def look(self) -> None:
        """Look once. While the API server does not respond, the last result stays."""
        try:
            if self._before is None:
                self._before = await self._recorded()
            self._take(await self._look())
        except UnreachableError as error:
            _LOG.info("the API servers cannot be asked whether they keep the guards", why=str(error))
        self.looks += 1

    async def require(self) -> None:
        """Raise `UnprovenError` or `UnreachableError` where keep is required and an API server does without it."""
        if not self._required:
            return
        if self.state is None:
            await self.look()
        if self.state is None:
            message = "it is not known yet whether each API server keeps the guards"
            raise UnreachableError(message)
        if self.state.problem is not None:
            # A server that is silent is unknown, and not found without.
            kind = UnreachableError if self.state.silent and not self.state.without else UnprovenError
            raise kind(self.state.problem)

    async def _recorded(self) -> str:
        """Return what the leader before recorded."""
        answer = await self._kube.get(self._record)
        record = read_record(answer.body) if answer.ok else None
        return record.keep if record else ""

    async def _look(self) -> KeepState:
        try:
            servers = await self._servers()
        except RefusedError as error:
            return KeepState(0, 0, 0, str(error))
        places = asyncio.Semaphore(_AT_ONCE)
        answers = await asyncio.gather(*(self._ask(server, places) for server in servers))
        counts = {outcome: sum(one.outcome == outcome for one in answers) for outcome in ("kept", "without", "silent")}
        return KeepState(counts["kept"], counts["without"], counts["silent"], _problem(answers))

    async def _servers(self) -> tuple[str, ...]:
        answer = await self._kube.get(_SLICE)
        if not answer.ok:
            message = f"the addresses of the API servers cannot be read: {answer.message}. {_RIGHTS}"
            raise RefusedError(message)
        try:
            servers = api_servers(answer.body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"EndpointSlice default/kubernetes cannot be read ({type(error).__name__})"
            raise RefusedError(message) from None
        if not 0 < len(servers) <= _MOST_SERVERS:
            message = f"EndpointSlice default/kubernetes has {len(servers)} addresses, not 1 to {_MOST_SERVERS}"
            raise RefusedError(message)
        return servers

    async def _ask(self, server: str, places: asyncio.Semaphore) -> _ServerAnswer:
        async with places:
            transport = self._connect(server)
            try:
                answer = await self._kube.through(transport).apply(_PROBE, keep_probe(), dry_run=True)
            except UnreachableError as error:
                return _ServerAnswer(server, "silent", str(error))
            finally:
                await transport.close()
        if answer.status == HTTPStatus.FORBIDDEN and answer.message.partition(" is forbidden: ")[2] == keep_refusal():
            return _ServerAnswer(server, "kept")
        if answer.unanswered:
            return _ServerAnswer(server, "silent", answer.message)
        if answer.ok:
            return _ServerAnswer(server, "without", "it has no bailiwick-keep")
        if f"ValidatingAdmissionPolicy '{KEEP}'" in answer.message:
            return _ServerAnswer(server, "without", "its bailiwick-keep is of another version")
        return _ServerAnswer(server, "without", f"the dry run was refused by something else ({answer.message})")

    def _take(self, state: KeepState) -> None:
        before, news = self._before or "", self.state is None or state.text != self._before
        self._before, self.state = state.text, state
        if news:
            self._changed(state.text, before)
        if state.problem is None:
            if news or self._missing:
                _LOG.info("every API server keeps the guards", apiservers=state.text)
            self._missing = False
        elif not self._missing and misses_keep(before, state, required=self._required):
            self._missing = True
            _LOG.warning("not every API server keeps the guards", apiservers=state.text, problem=state.problem)
            self._tell(EventDraft("Warning", "Look", "KeepMissing", shorten(state.problem, NOTE_LENGTH)))


def api_servers(piece: Object) -> tuple[str, ...]:
    """Return `HOST:PORT` of each API server in their EndpointSlice, ready or not.

    Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError` for one that is malformed.
    """
    ports = [int(port["port"]) for port in piece.get("ports") or ()]
    addresses = [
        ipaddress.ip_address(address) for endpoint in piece.get("endpoints") or () for address in endpoint["addresses"]
    ]
    hosts = [f"[{address}]" if address.version == 6 else str(address) for address in addresses]  # noqa: PLR2004 - IPv6
    return tuple(sorted({f"{host}:{port}" for host in hosts for port in ports}))


def _problem(answers: Sequence[_ServerAnswer]) -> str | None:
    wrong = [f"{one.server}: {one.detail}" for one in answers if one.outcome != "kept"]
    if not wrong:
        return None
    return (
        f"{len(wrong)} of {len(answers)} addresses of API servers do not keep the guards from their disk"
        f" ({'; '.join(wrong)})."
        " Put bailiwick-keep.yaml of this version into the folder of each API server's static manifests"
        " (Kubernetes 1.37 or later)"
    )
