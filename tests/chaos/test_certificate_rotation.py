"""Certificates and authorities are rotated under load: no request is lost, over old connections and over new ones.

Standing: the decision point is the real process over TLS, the Secret is swapped as the kubelet does it, certificates
are issued by the operator's own code, and clients trust what is published: old and new.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from bailiwick_operator.reconcile.certificates import Authority, Leaf
from support.objects import AGENT
from support.pdp import questions
from support.pdp.tlsprocess import NAME, TlsProcess, authority, entries, leaf, secured, serial, trusting
from support.waits import until

ROTATIONS: Final = 20
LEAST: Final = 2_000
MOST: Final = 20_000
KEPT: Final = 3
FRESH: Final = 2


@dataclass
class Load:
    """What clients do meanwhile, and what came of it."""

    point: TlsProcess
    trust: ssl.SSLContext
    stop: bool = False
    answered: dict[str, int] = field(default_factory=lambda: {"kept": 0, "fresh": 0})
    lost: list[str] = field(default_factory=list)

    async def ask(self, session: aiohttp.ClientSession, kind: str, trust: ssl.SSLContext) -> None:
        url = f"https://127.0.0.1:{self.point.port}/endpoints/crm/crm-api/access/v1/evaluation"
        body = questions.evaluation(AGENT, "customers.list")
        try:
            async with session.post(url, json=body, ssl=trust, server_hostname=NAME) as answer:
                said = await answer.json()
                assert (answer.status, said["decision"]) == (200, True), said
        except (aiohttp.ClientError, AssertionError, TimeoutError, OSError) as error:
            self.lost.append(f"{kind}: {error!r}")
            return
        self.answered[kind] += 1

    async def client(self, kind: str) -> None:
        """Ask one request after the other, over one connection or each over its own."""
        kept = kind == "kept"
        # Whoever keeps a connection trusts the first authorities to the end: a connection that is lost is never made
        # again.
        first = self.trust
        connector = aiohttp.TCPConnector(limit=1, force_close=not kept)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
            while not self.stop and self.total < MOST:
                await self.ask(session, kind, first if kept else self.trust)
                await asyncio.sleep(0.002)

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.answered.values()) + len(self.lost)


async def rotate(load: Load, authorities: list[Authority]) -> list[str]:
    """Replace authority and certificate, over and over. Returns the numbers of what new clients were shown."""
    shown: list[str] = []
    for number, (old, new) in enumerate(pairwise(authorities)):
        load.trust = trusting((old, new))
        pair = leaf(new)
        # What was published settles: whoever began with the trust before is through.
        await asyncio.sleep(0.1)
        load.point.mounted.fill(entries(pair, old, new))
        await asyncio.to_thread(until, partial(_shown, load.point, pair, old, new), "the new certificate is served", 10)
        shown.append(serial(pair))
        await asyncio.to_thread(until, partial(_far, load, (number + 1) / ROTATIONS), "requests meanwhile")
    return shown


def _shown(point: TlsProcess, pair: Leaf, *trusted: Authority) -> bool:
    return point.serial(*trusted) == serial(pair)


def _far(load: Load, share: float) -> bool:
    return load.total >= LEAST * share


async def test_a_rotation_of_authorities_and_certificates_loses_no_request(tmp_path: Path) -> None:
    authorities = [authority() for _ in range(ROTATIONS + 1)]
    # However fast this machine asks, no connection comes to its usual end.
    lasting = ("--connection-requests", f"{2 * MOST}")
    with secured(tmp_path, entries(leaf(authorities[0]), authorities[0]), *lasting) as point:
        await asyncio.to_thread(point.await_ready)
        load = Load(point, trusting(authorities[:2]))
        async with asyncio.TaskGroup() as tasks:
            for kind, clients in (("kept", KEPT), ("fresh", FRESH)):
                for _ in range(clients):
                    tasks.create_task(load.client(kind))
            shown = await rotate(load, authorities)
            load.stop = True
        assert load.lost == []
        assert load.total >= LEAST
        assert min(load.answered.values()) > LEAST / 10
        assert len(set(shown)) == ROTATIONS
        # One of the first authority's is served to nobody any more, while connections from then were in use to the end.
        with pytest.raises(ssl.SSLError):
            point.serial(authorities[0])
