"""A receiver on a real transmitter and a stand-in for the API server, which a test lets poll one round at a time."""

import time
from datetime import UTC, datetime, timedelta

from bailiwick_operator.reconcile.signals import RevocationTerms
from bailiwick_operator.signals.counts import Outcome, SignalCounts
from bailiwick_operator.signals.receiver import SignalReceiver
from bailiwick_operator.signals.storage import SignalStore
from bailiwick_operator.signals.transmitter import Transmitter
from bailiwick_operator.signals.verification import SetVerifier
from bailiwick_process.jwt.issuerkeys import published_keys
from bailiwick_process.jwt.keyset import KeySet
from support.signals.revocationstore import RevocationServer, config_of
from support.signals.transmitter import SignalTransmitter


class SignalProcess:
    """One process that receives; another one on the same `server` is the next leader."""

    def __init__(
        self, transmitter: SignalTransmitter, server: RevocationServer, seconds: float = 2.0, **issuer: object
    ) -> None:
        config = config_of(transmitter.issuer() | issuer)
        assert config.signals is not None
        self.server = server
        self.counts = SignalCounts(config.name)
        self.moved = timedelta(0)
        self.store = SignalStore(
            server.kube,
            RevocationTerms(config.name, timedelta(seconds=config.signals.max_token_seconds)),
            now=self.now,
            earliest=self.now,
            clock=lambda: time.monotonic() + self.moved.total_seconds(),
            survey=server.survey,
        )
        self.receiver = SignalReceiver(
            Transmitter(config, config.signals, seconds),
            SetVerifier(
                config,
                config.signals,
                KeySet(config.name, lambda: published_keys(config)),
                now=self.now,
                trusted=lambda: True,
            ),
            self.store,
            self.counts,
            now=self.now,
            clock=time.monotonic,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved

    async def rounds(self, count: int = 1) -> float:
        """Poll so many times; returns after how long it would poll again."""
        return [await self.receiver.round() for _ in range(count)][-1]

    def count(self, event: str, outcome: Outcome) -> int:
        return self.counts.outcomes[event, outcome]
