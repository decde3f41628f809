"""A witness in the test's own process, over the real API server as the operator's account, by a clock of the test.

Holds: every witness that is made here is another process as far as anybody can see: it shares nothing with the others.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, WITNESS_KEYS_ENTRY, WITNESS_SECRET, Installation
from bailiwick_evidence.chainentry import CosignedCheckpoint, Cosigners, WitnessedChain, verify_entry
from bailiwick_evidence.note import VerifierKey
from bailiwick_kube.access import from_kubeconfig
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.evidence.checkpoints import CheckpointClient
from bailiwick_operator.evidence.keys import BEGUN_ENTRY, RENEW_ANNOTATION
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.evidence.witness import Witness, WitnessParts
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.programmed.replicas import Replica, ReplicaClient
from bailiwick_operator.reconcile.transitions import EventDraft
from localcluster.rest import Rest
from support.installation import accepted
from support.logs import LogServer
from support.objects import Object


@dataclass
class Pods:
    """Where the processes are, as the API server would say."""

    server: LogServer
    names: list[str] = field(default_factory=lambda: ["p1"])

    async def find(self) -> tuple[Replica, ...]:
        return tuple(Replica(name, f"{self.server.url}/{name}", uid=f"uid-{name}") for name in self.names)

    async def everyone(self) -> tuple[Replica, ...]:
        return await self.find()


class HeldClient(OperatorClient):
    """The operator's client, held up before it replaces something by `before`."""

    def __init__(self, transport: HttpTransport) -> None:
        super().__init__(transport, lambda: True)
        self.before: Callable[[], Awaitable[object]] | None = None

    async def replace(self, path: str, body: Object) -> ApiResponse:
        if (before := self.before) is not None:
            self.before = None
            await before()
        return await super().replace(path, body)


class OneWitness:
    """A leader's. `now` is its time; `events` what it told; `lines` what stands in its ledger."""

    def __init__(self, account: Path, installed: Installation, pods: Pods, now: datetime) -> None:
        self.now = now
        self.events: list[EventDraft] = []
        self.lines: list[dict[str, Any]] = []
        self._transport = HttpTransport(from_kubeconfig(account), 10, "test")
        self._client = ReplicaClient(3)
        self.kube = HeldClient(self._transport)
        ledger = OperatorLedger(installed.namespace, self._take, lambda: self.now)
        self.witness = Witness(
            WitnessParts(self.kube, pods, CheckpointClient(self._client), ledger),
            installed,
            interval=10,
            now=lambda: self.now,
            tell=self.events.append,
        )

    async def round(self, later: float = 10) -> Self:
        """Ask once, so many seconds later than before."""
        self.now += timedelta(seconds=later)
        await self.witness.round()
        return self

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    def _take(self, held: bytes) -> int:
        self.lines += map(json.loads, held.splitlines())
        return len(held)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        await self._transport.close()


class Memory:
    """What is stored, as an administrator sees and breaks it."""

    def __init__(self, admin: Rest, installed: Installation) -> None:
        self._admin = admin
        self._home = f"/api/v1/namespaces/{installed.namespace}"
        self.path = f"{self._home}/configmaps/{WITNESS_CONFIG_MAP}"
        self._namespace = installed.namespace

    def body(self, name: str = WITNESS_CONFIG_MAP) -> Object:
        found: Object = accepted(self._admin.get(f"{self._home}/configmaps/{name}"))
        return found

    def data(self, name: str = WITNESS_CONFIG_MAP) -> dict[str, str]:
        return self.body(name).get("data") or {}

    def verifiers(self) -> list[VerifierKey]:
        return [VerifierKey.parse(line) for line in self.data()[WITNESS_KEYS_ENTRY].splitlines()]

    def cosigners(self) -> Cosigners:
        """Those keys, as of a witness that replaced none."""
        keys = tuple(self.verifiers())
        return Cosigners(keys, (None,) * len(keys))

    def of(self, chain: str) -> CosignedCheckpoint:
        """Return what is stored of a chain, verified as an auditor would."""
        return verify_entry(WitnessedChain.parse(chain, self.data()[chain]), self.cosigners())

    def entry(self, chain: str) -> WitnessedChain:
        return WitnessedChain.parse(chain, self.data()[chain])

    def away(self, chain: str, month: int = 11) -> WitnessedChain:
        """Return the entry of a chain that was put away in a month."""
        return WitnessedChain.parse(chain, self.data(f"{WITNESS_CONFIG_MAP}-{month:02}")[chain])

    @property
    def begun(self) -> bool:
        """Whether it is remembered that something was witnessed."""
        secret = accepted(self._admin.get(f"{self._home}/secrets/{WITNESS_SECRET}"))
        return BEGUN_ENTRY in (secret.get("data") or {})

    def renew_key(self, now: datetime) -> None:
        """Ask for another key of the witness than those that were made before this time."""
        change = {"metadata": {"annotations": {RENEW_ANNOTATION: now.isoformat()}}}
        accepted(self._admin.patch(f"{self._home}/secrets/{WITNESS_SECRET}", change))

    def write(self, data: Mapping[str, str]) -> None:
        accepted(self._admin.replace({**self.body(), "data": dict(data)}))

    def delete(self) -> None:
        accepted(self._admin.delete(self.path))

    def make_month(self, month: int) -> None:
        """Make the ConfigMap of a month, as the manifests bring it."""
        metadata = {"name": f"{WITNESS_CONFIG_MAP}-{month:02}", "namespace": self._namespace}
        accepted(self._admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))

    def reset(self) -> None:
        """Leave it as the manifests bring it: nothing was ever witnessed."""
        for name in (WITNESS_CONFIG_MAP, *(f"{WITNESS_CONFIG_MAP}-{month:02}" for month in range(1, 13))):
            self._admin.delete(f"{self._home}/configmaps/{name}")
        metadata = {"name": WITNESS_CONFIG_MAP, "namespace": self._namespace}
        accepted(self._admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
        secret = accepted(self._admin.get(f"{self._home}/secrets/{WITNESS_SECRET}"))
        secret["metadata"].pop("annotations", None)
        accepted(self._admin.replace({**secret, "data": {}}))


NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
