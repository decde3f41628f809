"""Where the witness keeps what it cosigned: a ConfigMap of live chains, and one for each month of finished ones.

Standing: under `witness`. Holds: an entry is believed only where our own cosignature verifies; a write applies only to
the very version that was read, so that two processes that lead for a moment never set each other back. The ConfigMap of
a month is reused a year later; its old entries are returned to be printed, and so are entries that do not fit.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bailiwick_api.accounts import (
    WITNESS_CONFIG_MAP,
    WITNESS_KEYS_ENTRY,
    WITNESS_MONTH_ENTRY,
    WITNESS_MONTHS,
    Installation,
)
from bailiwick_evidence.chainentry import Cosigners, WitnessedChain, verify_entry
from bailiwick_evidence.note import NoteError
from bailiwick_kube.paths import CORE, object_path
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.reconcile.witness import HeldChain

MOST_BYTES: Final = 900_000
"""Of names and values of one ConfigMap, of which the API server takes 1 MiB."""
_CHAIN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_TRIES: Final = 5
_KEPT: Final = 5_000


@dataclass(frozen=True, slots=True)
class StoredChains:
    """The stored chains. `config_map` None: there is none. `broken`: entries that do not verify, unchanged."""

    config_map: Object | None
    held: Mapping[str, HeldChain]
    broken: Mapping[str, str]

    @property
    def data(self) -> Mapping[str, str]:
        """The ConfigMap's own."""
        return (self.config_map or {}).get("data") or {}


class WitnessStore:
    """Reads and writes the ConfigMaps."""

    def __init__(self, kube: OperatorClient, installation: Installation) -> None:
        self._kube = kube
        self._namespace = installation.namespace
        self._path = object_path(CORE, "configmaps", installation.namespace)
        # Results of earlier verifications: the same text under the same keys still verifies.
        self._verified: dict[tuple[str, str], tuple[Cosigners, HeldChain]] = {}

    async def read(self, keys: Cosigners) -> StoredChains:
        """Read the live chains. Raises `RefusedError` and `UnreachableError`."""
        return self._parse(await self._get(WITNESS_CONFIG_MAP), keys)

    async def write(self, stored: StoredChains, held: Mapping[str, HeldChain], keys: Cosigners) -> bool:
        """Write the live chains upon what was read; False where that is not the newest. Raises `RefusedError`."""
        data = data_of(held, stored.broken, keys)
        if stored.config_map is not None and data == stored.data:
            return True
        return await self._put(WITNESS_CONFIG_MAP, stored.config_map, data)

    async def put_away(
        self, finished: Iterable[HeldChain], keys: Cosigners, now: datetime
    ) -> tuple[tuple[str, str], ...]:
        """Add finished chains to this month's ConfigMap, before they are taken out of the live ones.

        Returns the entries that had to be removed for that: chain and text.
        """
        name, month = WITNESS_MONTHS[now.month - 1], now.strftime("%Y-%m")
        added = {chain.entry.chain: chain.entry.text() for chain in finished}
        for _ in range(_TRIES):
            config_map = await self._get(name)
            data: dict[str, str] = dict((config_map or {}).get("data") or {})
            gone = {chain: text for chain, text in data.items() if _CHAIN.fullmatch(chain)}
            if data.get(WITNESS_MONTH_ENTRY, month) == month:
                data, gone = {**gone, **added}, {}
            else:
                data = dict(added)
            data |= {WITNESS_MONTH_ENTRY: month, WITNESS_KEYS_ENTRY: keys.text()}
            for chain in sorted(data.keys() - added.keys() - {WITNESS_MONTH_ENTRY, WITNESS_KEYS_ENTRY}, key=_age(data)):
                if size_of(data) <= MOST_BYTES:
                    break
                gone[chain] = data.pop(chain)
            if await self._put(name, config_map, data):
                return tuple(gone.items())
        message = f"ConfigMap {name} was changed by another writer at each attempt"
        raise RefusedError(message)

    async def find(self, chains: set[str], keys: Cosigners) -> dict[str, HeldChain]:
        """Return those of these chains that were put away. Raises `RefusedError` and `UnreachableError`."""
        newest: dict[str, HeldChain] = {}
        for name in WITNESS_MONTHS:
            config_map = await self._get(name)
            data = (config_map or {}).get("data") or {}
            wanted = {chain: data[chain] for chain in chains if chain in data}
            for chain, held in self._parse({"data": wanted}, keys).held.items():
                if chain not in newest or newest[chain].size < held.size:
                    newest[chain] = held
        return newest

    def _parse(self, config_map: Object | None, keys: Cosigners) -> StoredChains:
        held: dict[str, HeldChain] = {}
        broken: dict[str, str] = {}
        if len(self._verified) > _KEPT:
            self._verified.clear()
        for chain, text in ((config_map or {}).get("data") or {}).items():
            if not _CHAIN.fullmatch(chain):
                continue
            before = self._verified.get((chain, text))
            try:
                if before is None or before[0] != keys:
                    entry = WitnessedChain.parse(chain, text)
                    before = keys, HeldChain(entry, verify_entry(entry, keys))
            except NoteError:
                broken[chain] = text
                continue
            self._verified[chain, text] = before
            held[chain] = before[1]
        return StoredChains(config_map, held, broken)

    async def _get(self, name: str) -> Object | None:
        answer = await self._kube.get(f"{self._path}/{name}")
        if answer.missing:
            return None
        if not answer.ok:
            message = f"ConfigMap {name} cannot be read: {answer.message}"
            raise RefusedError(message)
        return answer.body

    async def _put(self, name: str, config_map: Object | None, data: Mapping[str, str]) -> bool:
        metadata: dict[str, Any] = {"name": name, "namespace": self._namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
        if config_map is None:
            answer = await self._kube.create(self._path, body)
        else:
            # Labels and annotations belong to others; only the data is ours.
            body["metadata"] = config_map["metadata"]
            answer = await self._kube.replace(f"{self._path}/{name}", body)
        if answer.conflict or answer.missing:
            return False
        if not answer.ok:
            message = f"ConfigMap {name} cannot be written: {answer.message}"
            raise RefusedError(message)
        return True


def data_of(held: Mapping[str, HeldChain], broken: Mapping[str, str], keys: Cosigners) -> dict[str, str]:
    """Return the `data` of the live chains. Unreadable entries stay as they are until their chain is seen again."""
    entries = {chain: kept.entry.text() for chain, kept in held.items()}
    return {**broken, **entries, WITNESS_KEYS_ENTRY: keys.text()}


def size_of(data: Mapping[str, str]) -> int:
    """Return the bytes of names and values."""
    return sum(len(name) + len(text.encode()) for name, text in data.items())


def _age(data: Mapping[str, str]) -> Callable[[str], str]:
    def opened(chain: str) -> str:
        try:
            return WitnessedChain.parse(chain, data[chain]).opened
        except NoteError:
            return ""

    return opened
