"""The whole of a rotation: the operator on a real API server, a decision point over TLS, and clients that trust the
ConfigMap. No request is lost while certificates and authorities come and go.

Standing: the kubelet's part, to put the Secret into the pod, is played here, with its swap of one link. Clients read
the ConfigMap less often than it changes, and the Secret comes late. An administrator asks for each rotation, so that
what is promised does not hang on how fast this machine is: certificates live much longer than anything here is late.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from cluster.operator.certificates.certificates import Certificates, now
from cluster.operator.operatorprocess import Operator
from support.objects import AGENT
from support.pdp import questions
from support.pdp.tlsprocess import NAME, TlsProcess, secured

pytestmark = pytest.mark.long

LEAF_SECONDS: Final = 60
SETTLE_SECONDS: Final = 6
CA_SECONDS: Final = 240
LEAST: Final = 2_000
MOST: Final = 20_000
ISSUERS: Final = 3
LEAVES: Final = 6
TURN_SECONDS: Final = 5.0
# A client's bundle, and the Secret in the pod, are at most so old; less than the settling time, as it must be.
BEHIND_SECONDS: Final = 2.0


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return (
        *("--certificate-seconds", str(LEAF_SECONDS), "--ca-seconds", str(CA_SECONDS)),
        *("--ca-settle-seconds", str(SETTLE_SECONDS), "--certificate-interval", "0.3", "--proof-interval", "3"),
    )


@dataclass
class RotationRun:
    """What goes on side by side, and what came of it."""

    certificates: Certificates
    point: TlsProcess
    trust: ssl.SSLContext | None = None
    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    issuers: set[str] = field(default_factory=set)
    leaves: set[str] = field(default_factory=set)
    over: bool = False

    async def mount(self) -> None:
        """Put the Secret where the decision point reads it, as the kubelet does, and late."""
        while not self.over:
            names = ("tls.crt", "tls.key", "ca.crt")
            secret = await asyncio.to_thread(self._secret, names)
            self.point.mounted.fill(secret)
            leaf = await asyncio.to_thread(self.certificates.leaf)
            self.issuers.add(leaf.issuer)
            self.leaves.add(leaf.certificate)
            await asyncio.sleep(BEHIND_SECONDS)

    def _secret(self, names: Sequence[str]) -> dict[str, str]:
        return self.certificates.texts(self.certificates.serving, names)

    async def read(self) -> None:
        """Read what is published, now and then."""
        while not self.over:
            bundle = await asyncio.to_thread(self.certificates.bundle)
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trust.load_verify_locations(cadata=bundle)
            self.trust = trust
            await asyncio.sleep(BEHIND_SECONDS)

    async def ask(self) -> None:
        """Ask over and over: a few requests over each connection, then the next."""
        url = f"https://127.0.0.1:{self.point.port}/endpoints/crm/crm-api/access/v1/evaluation"
        body = questions.evaluation(AGENT, "customers.list")
        while not self.over and self.answered + self.lost.total() < MOST:
            timeout = aiohttp.ClientTimeout(total=10)
            assert self.trust is not None
            trust = self.trust
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for _ in range(10):
                    try:
                        async with session.post(url, json=body, ssl=trust, server_hostname=NAME) as answer:
                            assert (await answer.json())["decision"] is True
                            self.answered += 1
                    except (aiohttp.ClientError, AssertionError, TimeoutError, OSError) as error:
                        self.lost[f"{type(error).__name__}: {error}"] += 1
                    await asyncio.sleep(0.02)

    async def turn(self) -> None:
        """Ask for a new certificate and a new authority, over and over; each waits for the one before it to settle."""
        while not self.over:
            await asyncio.sleep(TURN_SECONDS)
            for path in (self.certificates.serving, self.certificates.ca):
                await asyncio.to_thread(self._ask_anew, path)

    def _ask_anew(self, path: str) -> None:
        self.certificates.annotate(path, bailiwick_dev__renew_before=now().isoformat())

    async def watch(self) -> None:
        """End it once enough was seen, or too long was waited."""
        try:
            async with asyncio.timeout(90):
                while not self._seen():  # noqa: ASYNC110 - of three that have no event
                    await asyncio.sleep(0.2)
        finally:
            self.over = True

    def _seen(self) -> bool:
        return len(self.issuers) >= ISSUERS and len(self.leaves) >= LEAVES and self.answered >= LEAST


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("operator")
async def test_no_request_is_lost_while_certificates_and_authorities_come_and_go(
    certificates: Certificates, operator: Operator, tmp_path: Path
) -> None:
    certificates.await_whole()
    with secured(tmp_path, None, "--tls-server-name", NAME) as point:
        running = RotationRun(certificates, point)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.mount())
            tasks.create_task(running.read())
            await asyncio.to_thread(point.await_ready)
            tasks.create_task(running.turn())
            tasks.create_task(running.watch())
            for _ in range(2):
                tasks.create_task(running.ask())
        assert not running.lost
        assert running.answered >= LEAST
        assert len(running.issuers) >= ISSUERS
        assert len(running.leaves) >= LEAVES
        assert point.readiness()[1]["certificate"]["problem"] is None
    assert operator.process.poll() is None
